"""Each channel against its definition: standards' tables, exact ratios, transforms written otherwise."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from protocols import DataError, SettingError
from sls_plugin.data.augmentation import codec
from sls_plugin.data.augmentation.chain import CHANNELS, parse_chain
from sls_plugin.data.augmentation.codec import CODECS
from sls_plugin.data.augmentation.recordings import excerpt
from sls_plugin.data.augmentation.reverberation import shortest_rt60

RATE = 16_000
T = np.arange(2 * RATE) / RATE


def speech(seed: int = 1) -> np.ndarray:
    """Two seconds that change as speech does: harmonics of a moving pitch, louder and quieter."""
    pitch = 120 + 30 * np.sin(2 * np.pi * 2 * T + seed)
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    voiced = sum(np.sin(k * phase) / k for k in range(1, 20))
    noise = np.random.RandomState(seed).standard_normal(len(T))
    return (0.1 * (0.6 + 0.4 * np.sin(2 * np.pi * 3 * T)) * (voiced + 0.05 * noise)).astype(np.float32)


def through(text: str, waveform: np.ndarray | None = None, seed: int = 3) -> np.ndarray:
    return parse_chain(text)(speech() if waveform is None else waveform, np.random.RandomState(seed))


def power(waveform: np.ndarray, low: float, high: float) -> float:
    """The mean power between two frequencies, of a spectrum in a window that leaks little."""
    spectrum = np.abs(np.fft.rfft(waveform * np.blackman(len(waveform)))) ** 2
    frequencies = np.fft.rfftfreq(len(waveform), 1 / RATE)
    return float(spectrum[(frequencies >= low) & (frequencies < high)].mean())


def decibels(ratio: float) -> float:
    return 10 * np.log10(ratio)


# Noise


@pytest.mark.parametrize("kind", ["white", "pink"])
@pytest.mark.parametrize("snr", [-5, 0, 12.5, 40])
def test_noise_has_the_ratio_that_is_asked_for(kind: str, snr: float) -> None:
    waveform = speech().astype(np.float64)
    noise = parse_chain(f"noise:{kind},snr={snr}").links[0].channel(waveform, np.random.RandomState(1)) - waveform
    assert decibels(np.sum(waveform**2) / np.sum(noise**2)) == pytest.approx(snr, abs=0.01)


def test_white_noise_is_flat_and_pink_noise_falls_by_3_db_an_octave() -> None:
    waveform = np.full(2**19, 1e-9)
    for kind, fall in (("white", 0.0), ("pink", 3.01)):
        noise = parse_chain(f"noise:{kind},snr=-200").links[0].channel(waveform, np.random.RandomState(1))
        octaves = [power(noise, low, 2 * low) for low in (250, 500, 1_000, 2_000)]
        assert np.diff(10 * np.log10(octaves)) == pytest.approx([-fall] * 3, abs=0.3)


@pytest.fixture
def noises(tmp_path: Path) -> Path:
    (tmp_path / "noises" / "more").mkdir(parents=True)
    for number, name in enumerate(("a.wav", "more/b.flac", "more/c.wav")):
        tone = 0.1 * np.sin(2 * np.pi * (500 + 1_000 * number) * T[: RATE // (number + 1)])
        soundfile.write(tmp_path / "noises" / name, tone, RATE)
    return tmp_path / "noises"


def test_recorded_noise_comes_from_the_folder_at_its_ratio(noises: Path) -> None:
    waveform = speech().astype(np.float64)
    peaks = set()
    for seed in range(20):
        noise = parse_chain(f"noise:dir={noises},snr=10").links[0].channel(waveform, np.random.RandomState(seed)) - waveform
        assert decibels(np.sum(waveform**2) / np.sum(noise**2)) == pytest.approx(10, abs=0.01)
        peaks.add(round(np.abs(np.fft.rfft(noise)).argmax() / 2, -2))  # 0.5 Hz a line
    assert peaks == {500, 1_500, 2_500}


def test_babble_mixes_voices_of_equal_power(noises: Path) -> None:
    waveform = np.full(len(T), 1e-9)
    noise = parse_chain(f"noise:babble,dir={noises},snr=-200,talkers=60").links[0].channel(waveform, np.random.RandomState(1))
    lines = np.abs(np.fft.rfft(noise))
    heard = [lines[2 * hertz - 20 : 2 * hertz + 20].max() for hertz in (500, 1_500, 2_500)]
    assert min(heard) > 0.2 * max(heard)


def test_a_silent_noise_is_named(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "silent.wav", np.zeros(100), RATE)
    with pytest.raises(DataError, match=r"silent\.wav: silent: remove it from the folder$"):
        through(f"noise:dir={tmp_path}")


def test_excerpts_begin_anywhere_and_a_pause_is_drawn_again(tmp_path: Path) -> None:
    ramp = np.concatenate([np.zeros(30_000), np.linspace(0.1, 0.9, 30_000)])  # half of it is silent
    soundfile.write(tmp_path / "ramp.wav", ramp, RATE, subtype="FLOAT")
    starts = [excerpt(tmp_path / "ramp.wav", 1_000, np.random.RandomState(seed))[-1] for seed in range(30)]
    assert min(starts) > 0
    assert np.ptp(starts) > 0.5


def test_a_noise_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.wav").write_bytes(b"RIFF")
    with pytest.raises(DataError, match=r"broken\.wav: no noise that soundfile reads .*: convert it to WAV or FLAC, or remove"):
        through(f"noise:dir={tmp_path}")


# Codecs


def a_law_levels() -> set[int]:
    """ITU-T G.711, table 1: the decoder's output values, of 13 bits."""
    levels = {2 * step + 1 for step in range(32)}
    for segment in range(1, 7):
        levels |= {(2 * step + 33) << segment for step in range(16)}
    return levels | {-level for level in levels}


def mu_law_levels() -> set[int]:
    """ITU-T G.711, table 2: the decoder's output values, of 14 bits."""
    levels = {((2 * step + 33) << segment) - 33 for segment in range(8) for step in range(16)}
    return levels | {-level for level in levels}


@pytest.mark.parametrize(("name", "levels", "bits"), [("alaw", a_law_levels(), 13), ("ulaw", mu_law_levels(), 14)])
def test_g711_has_the_levels_of_the_standard_and_chooses_the_nearest(name: str, levels: set[int], bits: int) -> None:
    given = np.linspace(-0.9, 0.9, 20_001).astype(np.float32)
    table = np.array(sorted(levels))
    decoded = CODECS[name].decoded(given, 0) * 2 ** (bits - 1)
    assert np.abs(decoded - decoded.round()).max() < 0.001
    assert {*decoded.round().astype(int)} <= levels
    steps = np.diff(table)
    step = np.searchsorted(table, given * 2 ** (bits - 1)) - 1
    # The threshold lies in the middle of two levels, and between two segments at a third; samples are rounded to 16 bits first.
    is_inside = (steps[step - 1] == steps[step]) & (steps[step] == steps[step + 1])
    error = np.abs(decoded - given * 2 ** (bits - 1))
    assert np.all(error <= steps[step] * np.where(is_inside, 1 / 2, 2 / 3) + 2)


@pytest.mark.parametrize("name", ["alaw", "ulaw", "gsm", "mp3", "opus", "vorbis", "aac"])
def test_a_codec_keeps_the_utterance_in_its_place(name: str) -> None:
    if name == "aac" and not shutil.which("ffmpeg"):
        pytest.skip("AAC needs ffmpeg")
    waveform = speech()
    decoded = through(f"codec:{name},kbps=48", waveform)
    assert len(decoded) == len(waveform)
    size = 2 * len(waveform)
    correlation = np.fft.irfft(np.fft.rfft(decoded, size) * np.conj(np.fft.rfft(waveform, size)))
    assert abs((correlation.argmax() + len(waveform)) % size - len(waveform)) <= 1
    assert np.corrcoef(decoded, waveform)[0, 1] > 0.9
    assert not np.array_equal(decoded, waveform)


@pytest.mark.parametrize("name", ["mp3", "opus"])
def test_bit_rates_are_those_asked_for(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    write = soundfile.write

    def counting(file, *args, **settings) -> None:
        write(file, *args, **settings)
        sizes.append(file.tell())

    monkeypatch.setattr(soundfile, "write", counting)
    long = np.tile(speech(), 10)
    for kbps in (24, 48, 96):
        through(f"codec:{name},kbps={kbps}", long)
    measured = np.array(sizes) * 8 / (len(long) / RATE) / 1_000
    assert measured == pytest.approx([24, 48, 96], rel=0.15)


def test_a_codec_that_ffmpeg_lacks_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    codec._ffmpeg_encoders.cache_clear()
    with pytest.raises(SettingError, match=r"^augmentation 'codec:aac': codec: this machine's ffmpeg has no aac: install one"):
        parse_chain("codec:aac")
    codec._ffmpeg_encoders.cache_clear()


# Rooms and bands


def test_a_response_is_a_convolution_without_the_delay_of_the_direct_sound(tmp_path: Path) -> None:
    response = np.zeros(400)
    response[[50, 90, 300]] = 0.8, -0.3, 0.1
    soundfile.write(tmp_path / "room.wav", response, RATE, subtype="FLOAT")
    waveform = speech().astype(np.float64)
    expected = np.zeros(len(waveform))
    for delay, gain in ((0, 0.8), (40, -0.3), (250, 0.1)):
        expected[delay:] += gain * waveform[: len(waveform) - delay]
    expected *= np.linalg.norm(waveform) / np.linalg.norm(expected)
    assert through(f"reverberation:dir={tmp_path}", waveform) == pytest.approx(expected, abs=1e-5)


def test_a_made_room_decays_in_the_time_asked_for() -> None:
    pytest.importorskip("pyroomacoustics")
    click = np.zeros(2 * RATE)
    click[0] = 1
    for rt60 in (0.3, 0.6):
        slopes = []
        for seed in range(8):
            energy = np.cumsum(through(f"reverberation:rt60={rt60}", click, seed)[::-1].astype(np.float64) ** 2)[::-1]
            level = 10 * np.log10(energy / energy[0] + 1e-12)
            slopes.append((np.argmax(level < -25) - np.argmax(level < -5)) / RATE * 3)  # the time of 20 dB, times three
        assert np.median(slopes) == pytest.approx(rt60, rel=0.5)


def test_sabines_formula() -> None:
    """A room of 5 x 4 x 3 m has 60 cubic and 94 square metres."""
    assert shortest_rt60(np.array([5, 4, 3])) == pytest.approx(0.1611 * 60 / (0.99 * 94))


def test_the_telephone_band_keeps_its_middle_and_its_place() -> None:
    noise = np.random.RandomState(1).standard_normal(8 * RATE)
    narrow = through("band_pass", noise)
    for low, high, least, most in ((600, 3_000, -0.1, 0.1), (0, 120, -200, -40), (3_700, 8_000, -200, -40)):
        assert least <= decibels(power(narrow, low, high) / power(noise, low, high)) <= most
    assert np.correlate(narrow, noise[5:-5], "valid").argmax() == 5


def test_resampling_removes_what_the_rate_cannot_carry() -> None:
    noise = np.random.RandomState(1).standard_normal(8 * RATE) / 4
    for rate in (8_000, 11_025):
        narrow = through(f"resampling:{rate}", noise)
        assert len(narrow) == len(noise)
        assert decibels(power(narrow, 100, 0.4 * rate) / power(noise, 100, 0.4 * rate)) == pytest.approx(0, abs=0.1)
        assert decibels(power(narrow, 0.52 * rate, 8_000) / power(noise, 0.52 * rate, 8_000)) < -60
    assert through("resampling:48000")[100:-100] == pytest.approx(speech()[100:-100], abs=0.005)


# The rest


@pytest.mark.parametrize("factor", [0.5, 0.9, 1.1, 2])
def test_speed_changes_length_and_frequency(factor: float) -> None:
    tone = np.sin(2 * np.pi * 1_000 * T)
    faster = through(f"speed:{factor}", tone)
    assert len(faster) == pytest.approx(len(tone) / factor, abs=1)
    peak = np.abs(np.fft.rfft(faster)).argmax() * RATE / len(faster)
    assert peak == pytest.approx(1_000 * factor, rel=0.01)


@pytest.mark.parametrize("semitones", [-12, 3])
def test_pitch_changes_frequency_alone(semitones: float) -> None:
    tone = np.sin(2 * np.pi * 1_000 * T)
    higher = through(f"pitch:{semitones}", tone)
    assert len(higher) == len(tone)
    peak = np.abs(np.fft.rfft(higher)).argmax() * RATE / len(higher)
    assert peak == pytest.approx(1_000 * 2 ** (semitones / 12), rel=0.01)


def test_clipping_and_level() -> None:
    waveform = speech()
    peak = np.abs(waveform).max()
    clipped = through("clipping:6")
    limit = peak * 10 ** (-6 / 20)
    assert np.abs(clipped).max() == pytest.approx(limit)
    assert clipped == pytest.approx(np.clip(waveform, -limit, limit))
    assert np.abs(through("level:-20")).max() == pytest.approx(0.1)


def test_lost_packets_are_silent_and_the_rest_is_untouched() -> None:
    waveform = np.tile(speech(), 50)
    packets = waveform.reshape(-1, 320)
    received = through("packet_loss:0.2", waveform).reshape(-1, 320)
    is_lost = ~received.any(axis=1)
    assert is_lost.mean() == pytest.approx(0.2, abs=0.03)
    assert np.array_equal(received[~is_lost], packets[~is_lost])


def test_dropout_leaves_out_a_while_and_a_band() -> None:
    noise = np.random.RandomState(1).standard_normal(4 * RATE)
    (silent,) = np.nonzero(through("dropout:ms=100,hz=0", noise) == 0)
    assert len(silent) == 1_600
    assert np.ptp(silent) == 1_599
    lines = np.abs(np.fft.rfft(through("dropout:ms=0,hz=500", noise)))
    assert np.sum(lines < 1e-2) == pytest.approx(500 * 4, abs=2)


def test_silence_is_trimmed_or_added_at_both_ends() -> None:
    tone = np.sin(2 * np.pi * 1_000 * T[: RATE // 2]).astype(np.float32)
    recording = np.concatenate([np.full(800, 1e-4, np.float32), tone, np.zeros(1_600, np.float32)])
    assert len(through("silence:trim", recording)) == pytest.approx(len(tone), abs=4)
    longer = through("silence:add,seconds=0.1", tone)
    assert np.array_equal(longer, np.pad(tone, 1_600))
    assert not through("silence:trim", np.zeros(10)).any()


def test_phase() -> None:
    waveform = speech()
    assert np.array_equal(through("phase:180"), -waveform)
    assert through("phase:0") == pytest.approx(waveform, abs=1e-6)
    tone = np.cos(2 * np.pi * 1_000 * T)
    assert through("phase:90", tone) == pytest.approx(-np.sin(2 * np.pi * 1_000 * T), abs=1e-5)


# All of them

MADE = [name for name in CHANNELS if name != "reverberation"]  # that one needs a library or a folder


@pytest.mark.parametrize("name", MADE)
def test_the_same_draws_give_the_same_bytes(name: str) -> None:
    assert np.array_equal(through(name, seed=5), through(name, seed=5))


@pytest.mark.parametrize("name", MADE)
@given(n_samples=st.integers(1, 700), scale=st.sampled_from([0.0, 1e-6, 0.5]))
def test_short_and_silent_utterances_stay_utterances(name: str, n_samples: int, scale: float) -> None:
    waveform = (scale * np.sin(np.arange(n_samples))).astype(np.float32)
    before = waveform.copy()
    changed = through(name, waveform)
    assert changed.dtype == np.float32
    assert changed.ndim == 1
    assert len(changed) > 0
    assert np.isfinite(changed).all()
    assert np.array_equal(waveform, before)  # the caller's stays what it was
