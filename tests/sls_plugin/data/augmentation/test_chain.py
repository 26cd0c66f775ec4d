"""How a chain of channels is spelled, and how training uses it."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from omegaconf import OmegaConf

from protocols import SettingError, Trial
from sls_plugin.data.augmentation.chain import CHANNELS, parse_chain
from sls_plugin.data.augmentation.codec import Codec
from sls_plugin.data.augmentation.noise import Noise
from sls_plugin.data.augmentation.rawboost import RawBoost, RawBoostConfig
from sls_plugin.data.clip_dataset import Segment
from sls_plugin.data.trial_dataset import TrialDataset
from sls_plugin.tasks.asvspoof import AsvspoofConfig, augmentation

WAVEFORM = np.sin(0.3 * np.arange(8_000, dtype=np.float32))


def draws(seed: int = 1) -> np.random.RandomState:
    return np.random.RandomState(seed)


def test_parts_parameters_ranges_and_choices() -> None:
    noise, codec = parse_chain(" noise:pink/white, snr=-5-20 |codec:kbps=24,name=mp3/opus,p=0.5").links
    assert (noise.channel, noise.p) == (Noise(kind=("pink", "white"), snr=(-5.0, 20.0)), 1.0)
    assert (codec.channel, codec.p) == (Codec(name=("mp3", "opus"), kbps=(24.0, 24.0)), 0.5)
    assert parse_chain("level:-40--10").links[0].channel.dbfs == (-40.0, -10.0)


def test_the_channels_are_registered_under_the_names_of_their_files() -> None:
    folder = Path(__import__("sls_plugin.data.augmentation").__path__[0]) / "data" / "augmentation"
    others = {"__init__", "chain", "parameters", "recordings", "rawboost"}
    assert {*CHANNELS} == {path.stem for path in folder.glob("*.py")} - others
    assert all(kind.__module__.endswith(f".{name}") for name, kind in CHANNELS.items())


def test_channels_are_applied_in_order() -> None:
    changed = parse_chain("clipping:6 | level:-20 | phase:180")(WAVEFORM, draws())
    limit = 10 ** (-6 / 20)
    assert changed == pytest.approx(-0.1 / limit * np.clip(WAVEFORM, -limit, limit), abs=1e-6)


def test_a_share_of_the_utterances_is_changed() -> None:
    chain = parse_chain("phase:180,p=0.3")
    rng = draws()
    is_changed = [np.array_equal(chain(WAVEFORM, rng), -WAVEFORM) for _ in range(2_000)]
    assert np.mean(is_changed) == pytest.approx(0.3, abs=0.04)
    assert np.array_equal(parse_chain("phase:180,p=0")(WAVEFORM, draws()), WAVEFORM)


@pytest.mark.parametrize("algorithm", range(9))
def test_rawboost_in_a_chain_draws_what_it_draws_alone(algorithm: int) -> None:
    expected = RawBoost(RawBoostConfig(rawboost_algorithm=algorithm, rawboost_max_snr=20))(WAVEFORM, draws())
    settings = OmegaConf.structured(AsvspoofConfig(augment=f"rawboost:{algorithm}", rawboost_max_snr=20))
    assert np.array_equal(augmentation(settings)(WAVEFORM, draws()), expected)
    settings = OmegaConf.structured(AsvspoofConfig(rawboost_algorithm=algorithm, rawboost_max_snr=20))
    assert np.array_equal(augmentation(settings)(WAVEFORM, draws()), expected)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("nose", "augmentation 'nose': no such channel: choose from rawboost, band_pass, clipping, "),
        ("", "augmentation '': an empty part: "),
        ("noise:white | ", "augmentation '': an empty part: "),
        ("noise:brown", "augmentation 'noise:brown': kind 'brown': choose from white, pink, recorded, babble"),
        ("noise:snrs=5", "augmentation 'noise:snrs=5': no parameter 'snrs': it has kind, snr, dir, talkers and p"),
        ("noise:snr=loud", "augmentation 'noise:snr=loud': 'loud' is no number and no range such as 5-20"),
        ("noise:snr=20-5", "augmentation 'noise:snr=20-5': '20-5': the lower value comes first"),
        ("noise:snr=", "augmentation 'noise:snr=': '' is no number and no range such as 5-20"),
        ("noise:dir=/no/such", "augmentation 'noise:dir=/no/such': dir=/no/such: no such folder: name one that holds noise"),
        ("noise:babble", "augmentation 'noise:babble': dir=: no such folder: name one that holds noise"),
        ("codec:mp4", "augmentation 'codec:mp4': codec 'mp4': choose from alaw, ulaw, gsm, mp3, opus, vorbis, aac, amr"),
        ("codec:mp3,p=2", "augmentation 'codec:mp3,p=2': p=2: must lie between 0 and 1"),
        ("speed:0-2", "augmentation 'speed:0-2': factor 0-2: must lie between 0.25 and 4"),
        ("resampling:fast", "augmentation 'resampling:fast': rate 'fast': must be a whole number of Hz between 1000 and 192000"),
        ("rawboost:9", "augmentation 'rawboost:9': --rawboost-algorithm 9: RawBoost has algorithms 0 to 8"),
        ("rawboost:snr=3", "augmentation 'rawboost:snr=3': rawboost takes the number of an algorithm: the rest are the options"),
        ("noise:snr=5,snr=6", "augmentation 'noise:snr=5,snr=6': a parameter is given twice: keep one of the two"),
        ("codec:kbps=-3", "augmentation 'codec:kbps=-3': kbps -3: must lie between 1 and 512"),
        ("noise:talkers=0", "augmentation 'noise:talkers=0': talkers 0: must lie between 1 and 100"),
        ("band_pass:low=5000", "augmentation 'band_pass:low=5000': low 5000: must lie between 0 and 3399"),
    ],
)
def test_what_is_spelled_wrongly_is_one_line(text: str, problem: str) -> None:
    with pytest.raises(SettingError) as refusal:
        parse_chain(text)
    assert str(refusal.value).startswith(problem)
    assert "\n" not in str(refusal.value)


def test_training_clips_depend_on_seed_epoch_and_trial_alone(tmp_path: Path) -> None:
    trials = [Trial(f"t{number}", f"{number}.wav", label="spoof") for number in range(3)]
    for number in range(3):
        soundfile.write(tmp_path / f"{number}.wav", WAVEFORM / (number + 1), 16_000)
    chain = parse_chain("noise:white,snr=0-20 | codec:mp3/vorbis,p=0.5 | speed")

    def clips(order: list[int], epoch: int = 1, seed: int = 1) -> dict[int, np.ndarray]:
        dataset = TrialDataset(trials, tmp_path, Segment(6_000), augment=chain, seed=seed)
        dataset.set_epoch(epoch)
        return {index: dataset[index]["source"].numpy() for index in order}

    first = clips([0, 1, 2])
    assert all(np.array_equal(first[index], clip) for index, clip in clips([2, 0, 1]).items())
    assert not np.array_equal(first[0], clips([0], epoch=2)[0])
    assert not np.array_equal(first[0], clips([0], seed=2)[0])
