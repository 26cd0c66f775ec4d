"""Write the demo's corpus: a synthetic voice as bona fide class, the same voice with the artefacts of four vocoders as spoof.

    python recipes/demo/corpus.py OUT [--seed N] [--train N] [--dev N] [--eval N]

No person speaks here. The corpus lets every step run on any machine without a download; error rates on it say nothing
about real speech. `OUT/flac/<id>.flac` is 16 kHz mono 16-bit, and `OUT/protocols/demo.cm.*.txt` have the format of
ASVspoof 2019: `SPEAKER ID - ATTACK bonafide|spoof`.

| kind | imitates | artefact | splits |
|---|---|---|---|
| `-` | a person in a room: glottal cycles with jitter and shimmer, moving formants, breath, frication | | all |
| D01 | a pulse vocoder | minimum-phase pulses without jitter, shimmer or breath | all |
| D02 | inversion of a mel spectrogram | random phases, which smear the pulses | all |
| D03 | a vocoder with a wrong phase model | glottal cycles that run backwards | all |
| D04 | a vocoder with a wrong aperiodicity | steady noise in place of all but the lowest harmonics | eval |

The utterances of all kinds come from one generator of prosody. The long-term spectrum of a spoof is fitted to that of
its utterance in the natural voice, and every clip passes through the same chain of room, microphone, noise and level.
So level, duration, edge silence and bandwidth do not separate the classes.
"""

import argparse
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import soundfile
from scipy import fft, ndimage, signal

RATE = 16_000  # Hz
FRAME = 160  # samples from one setting of the controls to the next
LEVEL = -26.0  # dB RMS of every clip
# The first three formants of ten vowels, Hz, means of men: Peterson and Barney 1952, table II.
F1 = [270, 390, 530, 660, 730, 570, 440, 300, 640, 490]
F2 = [2290, 1990, 1840, 1720, 1090, 840, 1020, 870, 1190, 1350]
F3 = [3010, 2550, 2480, 2410, 2440, 2410, 2240, 2240, 2390, 1690]
VOWELS = np.array([F1, F2, F3]).T
CLOSURE = np.array([350, 1700, 2500])  # Hz: where formants point to in a consonant
UPPER_FORMANTS = np.array([3500, 4500, 5500, 6500])  # Hz: a uniform tube of 17.5 cm
BANDWIDTHS = np.array([70, 90, 130, 200, 280, 350, 420])  # Hz
VOWEL, PAUSE = (1.0, 0.0), (0.0, 0.05)  # voicing, frication; one breathes in a pause
CONSONANTS = np.array([(0.0, 1.0), (0.3, 0.5), (0.0, 0.0), (0.5, 0.0)])  # the same of s, z, t, n


@dataclass(frozen=True)
class Split:
    """One part of the corpus; no speaker is in two of them."""

    name: str
    protocol: str
    speakers: tuple[str, ...]
    attacks: tuple[str, ...]
    clips: int


SPEAKERS = tuple(f"V{number:02d}" for number in range(54))
SPLITS = (
    Split("train", "demo.cm.train.trn.txt", SPEAKERS[:24], ("D01", "D02", "D03"), 360),
    Split("dev", "demo.cm.dev.trl.txt", SPEAKERS[24:34], ("D01", "D02", "D03"), 120),
    Split("eval", "demo.cm.eval.trl.txt", SPEAKERS[34:], ("D01", "D02", "D03", "D04"), 240),
)


@dataclass(frozen=True)
class Trial:
    """One line of a protocol; the kind `-` is bona fide."""

    speaker: str
    id: str
    kind: str


@dataclass(frozen=True)
class Voice:
    """What stays the same in all that a speaker says."""

    pitch: float  # Hz
    formants: float  # relative to VOWELS
    open_quotient: float  # part of a glottal cycle in which air flows
    closure: float  # pole of the low-pass that rounds the end of the flow
    jitter: float  # standard deviation of a cycle's start, in cycles
    shimmer: float  # standard deviation of a cycle's amplitude, relative
    breath: float  # aspiration noise relative to the flow
    syllable: float  # seconds

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Voice":
        """A speaker at random."""
        smallness = rng.uniform()  # short vocal folds go with a short vocal tract
        return cls(
            pitch=100 * 2 ** (1.1 * smallness + rng.normal(0, 0.1)),
            formants=1 + 0.18 * smallness + rng.normal(0, 0.02),
            open_quotient=rng.uniform(0.5, 0.75),
            closure=rng.uniform(0.3, 0.6),
            jitter=rng.uniform(0.006, 0.014),
            shimmer=rng.uniform(0.04, 0.1),
            breath=rng.uniform(0.01, 0.03),
            syllable=rng.uniform(0.17, 0.24),
        )


@dataclass(frozen=True)
class Utterance:
    """The controls of the synthesis over one utterance, a row per frame."""

    pitch: np.ndarray  # Hz, (frames,)
    voicing: np.ndarray  # gain of the glottal source, (frames,)
    frication: np.ndarray  # gain of the noise at a constriction of the tract, (frames,)
    constriction: np.ndarray  # resonance of that noise, Hz, (frames, 1)
    formants: np.ndarray  # Hz, (frames, 7)


def generator(seed: int, name: str) -> np.random.Generator:
    """The random numbers of one thing that has a name, whatever else is drawn."""
    return np.random.default_rng([seed, *name.encode()])


def compose(voice: Voice, frames: int, rng: np.random.Generator) -> Utterance:
    """Syllables of a consonant and a vowel, in phrases that pauses part and over which pitch declines."""
    count = 4 + int(2 * frames * FRAME / RATE / voice.syllable)
    durations = voice.syllable * np.exp(rng.normal(0, 0.25, count))
    consonants = durations * rng.uniform(0.25, 0.45, count)
    time = np.arange(frames) * FRAME / RATE
    segment = np.searchsorted(np.cumsum(np.stack([consonants, durations - consonants], axis=1)), time)
    syllable, is_vowel = segment // 2, (segment % 2 == 1)[:, None]

    is_pause = rng.uniform(size=count) < 0.12
    is_pause[:2] = False
    gains = np.where(is_vowel, VOWEL, rng.choice(CONSONANTS, count)[syllable])
    gains = np.where(is_pause[syllable, None], PAUSE, gains * np.exp(rng.normal(0, 0.2, count))[syllable, None])
    gains[:4] = gains[-4:] = 0
    voicing, frication = ndimage.gaussian_filter1d(gains, 1.2, axis=0).T

    closures = CLOSURE * (1 + rng.normal(0, [0.15, 0.25, 0.06], (count, 3)))
    targets = np.where(is_vowel, rng.choice(VOWELS, count)[syllable], closures[syllable])
    lower = ndimage.gaussian_filter1d(targets, 2.5, axis=0)
    formants = voice.formants * np.hstack([lower, np.tile(UPPER_FORMANTS, (frames, 1))])

    phrase_start = np.maximum.accumulate(np.where(is_pause[syllable], time, 0))
    steps = 2 - 2.5 * (time - phrase_start) + rng.normal(0, 1.5, count)[syllable]  # declination and accents, semitones
    drift = ndimage.gaussian_filter1d(rng.normal(0, 1, frames), 4)
    pitch = voice.pitch * 2 ** ((ndimage.gaussian_filter1d(steps, 6) + drift) / 12)
    constriction = np.clip(rng.normal(4500, 600, count), 3000, 6000)[syllable, None]
    return Utterance(pitch, voicing, frication, constriction, formants)


def per_sample(control: np.ndarray) -> np.ndarray:
    """A control (frames,) interpolated to (frames * FRAME,) samples."""
    return np.interp(np.arange(len(control) * FRAME) / FRAME, np.arange(len(control)), control)


def cycle_starts(pitch: np.ndarray, jitter: float, rng: np.random.Generator) -> np.ndarray:
    """Where glottal cycles begin, in samples, not rounded, at a pitch in Hz per sample and with a jitter in cycles."""
    cycles = np.cumsum(pitch) / RATE
    numbers = np.arange(1, int(cycles[-1]))
    return np.interp(numbers + jitter * rng.normal(size=len(numbers)), cycles, np.arange(len(cycles)))


def glottal_flow(voice: Voice, pitch: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Air flow through the glottis per sample: pulse C of Rosenberg 1971, the closure rounded as in Fant et al. 1985."""
    starts = cycle_starts(pitch, voice.jitter, rng)
    sample = np.arange(len(pitch))
    cycle = np.clip(np.searchsorted(starts, sample, side="right") - 1, 0, len(starts) - 2)
    position = (sample - starts[cycle]) / np.diff(starts)[cycle]
    open_quotient = voice.open_quotient * (1 + rng.normal(0, 0.03, len(starts)))[cycle]
    opening = (1 - np.cos(np.pi * position / (0.7 * open_quotient))) / 2
    closing = np.cos(np.pi / 2 * (position / open_quotient - 0.7) / 0.3)
    is_open = (position >= 0) & (position < open_quotient)
    flow = np.where(position < 0.7 * open_quotient, opening, closing) * is_open
    amplitude = 1 + rng.normal(0, voice.shimmer, len(starts))
    return signal.lfilter([1 - voice.closure], [1, -voice.closure], amplitude[cycle] * flow)


def pulse_train(voice: Voice, pitch: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One impulse per cycle with the average spectrum of the glottal source but none of its irregularity."""
    pulses = np.zeros(len(pitch))
    pulses[cycle_starts(pitch, 0.0, rng).astype(int)] = 1
    return signal.lfilter([1], np.poly([voice.closure, voice.closure]), pulses)


def resonate(source: np.ndarray, frequencies: np.ndarray, bandwidths: np.ndarray) -> np.ndarray:
    """A cascade of resonators (Klatt 1980, eqs. 1 and 2) whose frequencies, Hz, (frames, resonators), move with the frames.

    A piece of the source under a Hann window of two frames goes through the filter of each frame; the sum of the pieces
    cross-fades from filter to filter.
    """
    frames, blocks = len(frequencies), 5  # frames that a piece and its response last: 70 Hz of bandwidth decay by 57 dB
    pieces = np.lib.stride_tricks.sliding_window_view(np.pad(source, FRAME), 2 * FRAME)[::FRAME][:frames]
    spectra = fft.rfft((pieces * signal.get_window("hann", 2 * FRAME)).astype(np.float32), blocks * FRAME)
    delay = np.exp(-2j * np.pi * fft.rfftfreq(blocks * FRAME)).astype(np.complex64)
    for frequency, bandwidth in zip(frequencies.T.astype(np.float32), bandwidths, strict=True):
        c = -np.exp(np.float32(-2 * np.pi * bandwidth / RATE))
        b = 2 * np.sqrt(-c) * np.cos(2 * np.pi * frequency / RATE)[:, None]
        spectra *= (1 - b - c) / (1 - b * delay - c * delay**2)
    responses = fft.irfft(spectra).reshape(frames, blocks, FRAME)
    output = np.zeros((frames + blocks, FRAME))
    for block in range(blocks):
        output[block : block + frames] += responses[:, block]
    return output.ravel()[FRAME:][: len(source)]


def rms(waveform: np.ndarray) -> float:
    """The root mean square of the samples."""
    return float(np.sqrt(np.mean(waveform**2)))


def articulate(utterance: Utterance, source: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Send a source through the vocal tract and a noise through the constriction of the consonants."""
    vowels = resonate(source * per_sample(utterance.voicing), utterance.formants, BANDWIDTHS)
    consonants = resonate(noise * per_sample(utterance.frication), utterance.constriction, np.array([1500]))
    return vowels / rms(vowels) + 0.2 * consonants


def natural(voice: Voice, utterance: Utterance, rng: np.random.Generator) -> np.ndarray:
    """The bona fide voice."""
    return voiced(voice, utterance, glottal_flow(voice, per_sample(utterance.pitch), rng), rng)


def voiced(voice: Voice, utterance: Utterance, flow: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """An utterance with the given glottal flow: what is noise in it follows the opening of the glottis."""
    breath = voice.breath * flow * rng.normal(size=len(flow))
    voicing = np.clip(per_sample(utterance.voicing), 0, 1)
    noise = (1 - voicing + 2 * voicing * flow) * rng.normal(size=len(flow))
    return articulate(utterance, np.diff(flow, prepend=0) + breath, noise)


def pulse_vocoder(voice: Voice, utterance: Utterance, rng: np.random.Generator) -> np.ndarray:
    """D01: every cycle is a minimum-phase response of the tract, as in an LPC vocoder (Atal and Hanauer 1971)."""
    pulses = pulse_train(voice, per_sample(utterance.pitch), rng)
    return articulate(utterance, pulses, rng.normal(size=len(pulses)))


def random_phases(voice: Voice, utterance: Utterance, rng: np.random.Generator) -> np.ndarray:
    """D02: the natural voice from the magnitudes of 80 mel bands, with the random phases that Griffin and Lim 1984 begin at."""
    waveform = natural(voice, utterance, rng)
    transform = signal.ShortTimeFFT.from_window("hann", RATE, nperseg=1024, noverlap=768)
    edges = 700 * (10 ** (np.linspace(0, 2840, 82) / 2595) - 1)  # 0 to 8 kHz in equal steps of mel
    bands = np.array([np.interp(transform.f, edges[band : band + 3], [0, 1, 0]) for band in range(80)])
    # einsum, not @: the sums of a threaded BLAS depend on the number of cores, and so would the bytes of the corpus.
    mel = np.einsum("bf,ft->bt", bands / bands.sum(axis=1, keepdims=True), np.abs(transform.stft(waveform)))
    magnitude = np.einsum("bf,bt->ft", bands, mel)
    spectrum = magnitude * np.exp(2j * np.pi * rng.uniform(size=magnitude.shape))
    return transform.istft(spectrum, k1=len(waveform))


def reversed_cycles(voice: Voice, utterance: Utterance, rng: np.random.Generator) -> np.ndarray:
    """D03: glottal cycles with the right magnitudes and the wrong sign of the phase: they open abruptly and close softly."""
    return voiced(voice, utterance, glottal_flow(voice, per_sample(utterance.pitch)[::-1], rng)[::-1], rng)


def wrong_aperiodicity(voice: Voice, utterance: Utterance, rng: np.random.Generator) -> np.ndarray:
    """D04: a multiband excitation (Griffin and Lim 1988) that takes all above 350 Hz for noise."""
    flow = glottal_flow(voice, per_sample(utterance.pitch), rng)
    lowest, others = (signal.butter(4, 350, side, fs=RATE, output="sos") for side in ("lowpass", "highpass"))
    pulses = np.diff(flow, prepend=0)
    harmonics = signal.sosfilt(others, pulses)
    noise = signal.sosfilt(others, rng.normal(size=len(flow)))
    source = signal.sosfilt(lowest, pulses) + noise * rms(harmonics) / rms(noise)
    return articulate(utterance, source, rng.normal(size=len(flow)))


KINDS = {"-": natural, "D01": pulse_vocoder, "D02": random_phases, "D03": reversed_cycles, "D04": wrong_aperiodicity}


def fit_spectrum(waveform: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Filter a waveform, without a shift in time, to the long-term spectrum of a reference."""
    powers = [signal.welch(each, nperseg=512)[1] for each in (waveform, reference)]
    power, wanted = ndimage.gaussian_filter1d(powers, 2)
    impulse = fft.fftshift(fft.irfft(np.sqrt(wanted / power)))[1:] * signal.get_window("hann", 511)
    return signal.fftconvolve(waveform, impulse, mode="same")


def record(waveform: np.ndarray, samples: int, rng: np.random.Generator) -> np.ndarray:
    """Silence at both edges up to a number of samples, room, microphone, noise, level: the same for every kind."""
    before = int(rng.uniform(0.1, 0.9) * (samples - len(waveform)))
    time = np.arange(int(0.3 * RATE)) / RATE
    room = 0.008 * rng.normal(size=len(time)) * 10 ** (-3 * time / rng.uniform(0.15, 0.4))  # 60 dB in so many seconds
    room[rng.integers(20, 400, 6)] += rng.normal(0, 0.08, 6)  # early reflections
    room[0] = 1
    recording = signal.fftconvolve(np.pad(waveform, (before, samples - len(waveform) - before)), room)[:samples]
    recording = signal.lfilter([1, -rng.uniform(-0.5, 0.7)], 1, recording)
    recording = signal.sosfilt(signal.butter(2, rng.uniform(4000, 7800), fs=RATE, output="sos"), recording)
    recording += rms(recording) * 10 ** (rng.uniform(-50, -40) / 20) * rng.normal(size=samples)
    return recording * 10 ** (LEVEL / 20) / rms(recording)


def say(trial: Trial, seed: int) -> np.ndarray:
    """The waveform of a trial: 1.5 to 4.5 s, float64 (samples,), a function of the trial and the seed alone."""
    rng = generator(seed, trial.id)
    voice = Voice.draw(generator(seed, trial.speaker))
    samples = int(rng.uniform(1.5, 4.5) * RATE)
    utterance = compose(voice, int((samples - rng.uniform(0.1, 0.7) * RATE) / FRAME), rng)
    waveform = natural(voice, utterance, rng)
    if trial.kind != "-":
        waveform = fit_spectrum(KINDS[trial.kind](voice, utterance, rng), waveform)
    return record(waveform, samples, generator(seed, f"room of {trial.id}"))


def plan(split: Split, seed: int) -> list[Trial]:
    """The trials of a split in a random order: half bona fide, attacks and speakers in equal parts."""
    rng = generator(seed, split.name)
    kinds = np.resize(split.attacks, split.clips)
    kinds[: split.clips // 2] = "-"
    speakers = rng.permutation(np.resize(split.speakers, split.clips))
    ids = [f"DEMO_{split.name[0].upper()}_{number:04d}" for number in range(1, split.clips + 1)]
    return [Trial(*map(str, each)) for each in zip(speakers, ids, rng.permutation(kinds), strict=True)]


def write_clip(trial: Trial, folder: Path, seed: int) -> None:
    """Make the clip of one trial and write it as FLAC."""
    soundfile.write(folder / f"{trial.id}.flac", say(trial, seed), RATE, subtype="PCM_16")


def write_corpus(folder: Path, splits: tuple[Split, ...], seed: int) -> None:
    """Write the clips of each split, then its protocol; the same seed gives the same bytes."""
    clips, protocols = folder / "flac", folder / "protocols"
    clips.mkdir(parents=True, exist_ok=True)
    protocols.mkdir(exist_ok=True)
    with ProcessPoolExecutor() as pool:
        for split in splits:
            trials = plan(split, seed)
            list(pool.map(partial(write_clip, folder=clips, seed=seed), trials, chunksize=8))
            lines = [f"{t.speaker} {t.id} - {t.kind} {'bonafide' if t.kind == '-' else 'spoof'}\n" for t in trials]
            (protocols / split.protocol).write_text("".join(lines))


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the demo's synthetic corpus in the layout of ASVspoof 2019.")
    parser.add_argument("folder", metavar="OUT", type=Path)
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="default: 1")
    for split in SPLITS:
        about = f"clips, half of them bona fide; default: {split.clips}"
        parser.add_argument(f"--{split.name}", type=int, default=split.clips, metavar="N", help=about)
    arguments = parser.parse_args()
    splits = tuple(replace(split, clips=getattr(arguments, split.name)) for split in SPLITS)
    if arguments.seed < 0 or min(split.clips for split in splits) < 2:
        parser.error("a seed is at least 0, and a split has at least 2 clips, one of each class")
    try:
        write_corpus(arguments.folder, splits, arguments.seed)
    except OSError as error:
        parser.exit(1, f"{error}: choose a folder that can be written\n")


if __name__ == "__main__":
    main()
