"""RawBoost against the original implementation's outputs, an independent naive reference, and what it promises."""

from pathlib import Path

import numpy as np
import pytest
from reference.rawboost_reference import golden_case, process
from scipy.signal import firwin

from protocols import SettingError
from sls_plugin.data.augmentation.rawboost import RawBoost, RawBoostConfig, _band_stop

ALGORITHMS = range(9)

PUBLISHED_NAMES = {
    "rawboost_n_bands": "nBands",
    "rawboost_min_frequency": "minF",
    "rawboost_max_frequency": "maxF",
    "rawboost_min_bandwidth": "minBW",
    "rawboost_max_bandwidth": "maxBW",
    "rawboost_min_coefficients": "minCoeff",
    "rawboost_max_coefficients": "maxCoeff",
    "rawboost_min_gain": "minG",
    "rawboost_max_gain": "maxG",
    "rawboost_min_bias": "minBiasLinNonLin",
    "rawboost_max_bias": "maxBiasLinNonLin",
    "rawboost_n_orders": "N_f",
    "rawboost_max_impulses": "P",
    "rawboost_impulse_gain": "g_sd",
    "rawboost_min_snr": "SNRmin",
    "rawboost_max_snr": "SNRmax",
}
OUR_NAMES = {published: ours for ours, published in PUBLISHED_NAMES.items()}

EVERYTHING_CHANGED = {
    "rawboost_n_bands": 2,
    "rawboost_min_frequency": 300,
    "rawboost_max_frequency": 6000,
    "rawboost_min_bandwidth": 50,
    "rawboost_max_bandwidth": 2000,
    "rawboost_min_coefficients": 20,
    "rawboost_max_coefficients": 41,
    "rawboost_min_gain": -6,
    "rawboost_max_gain": 3,
    "rawboost_min_bias": 1,
    "rawboost_max_bias": 8,
    "rawboost_n_orders": 4,
    "rawboost_max_impulses": 60,
    "rawboost_impulse_gain": 5,
    "rawboost_min_snr": -5,
    "rawboost_max_snr": 15,
}


def speech_like(n_samples: int, peak: float = 0.5, seed: int = 0) -> np.ndarray:
    """Noise that swells and fades, so that frames differ in level as those of speech do."""
    noise = np.random.default_rng(seed).standard_normal(n_samples)
    swelling = noise * (0.1 + np.sin(np.arange(n_samples) / 1500) ** 2)
    return (peak * swelling / np.max(np.abs(swelling))).astype(np.float32)


def rawboost(algorithm: int, **changed: float) -> RawBoost:
    return RawBoost(RawBoostConfig(rawboost_algorithm=algorithm, **changed))


def assert_equals_reference(waveform: np.ndarray, seed: int, algorithm: int, **changed: float) -> None:
    """Same samples to 1e-6, and as many random numbers drawn: the next one is the same."""
    rng, reference_rng = np.random.RandomState(seed), np.random.RandomState(seed)
    augmented = rawboost(algorithm, **changed)(waveform, rng)
    published = {PUBLISHED_NAMES[name]: value for name, value in changed.items()}
    expected = process(waveform, algorithm, reference_rng, **published)
    assert augmented.dtype == np.float32
    assert augmented.shape == waveform.shape
    np.testing.assert_allclose(augmented, expected, rtol=1e-6, atol=1e-6)
    assert rng.random_sample() == reference_rng.random_sample()


def test_the_originals_outputs(shared: Path) -> None:
    golden = np.load(shared / "reference" / "golden" / "rawboost.npz")
    for key in set(golden.files) - {"input"}:
        algorithm, seed, published = golden_case(key)
        augment = rawboost(algorithm, **{OUR_NAMES[name]: value for name, value in published.items()})
        augmented = augment(golden["input"], np.random.RandomState(seed))
        np.testing.assert_allclose(augmented, golden[key], rtol=0, atol=1e-6, err_msg=key)


def test_the_defaults_are_the_published_ones() -> None:
    config = RawBoostConfig()
    assert config.rawboost_algorithm == 3
    published = {"nBands": 5, "minF": 20, "maxF": 8000, "minBW": 100, "maxBW": 1000, "minCoeff": 10, "maxCoeff": 100}
    published |= {"minG": 0, "maxG": 0, "minBiasLinNonLin": 5, "maxBiasLinNonLin": 20}
    published |= {"N_f": 5, "P": 10, "g_sd": 2, "SNRmin": 10, "SNRmax": 40}
    assert {name: getattr(config, OUR_NAMES[name]) for name in published} == published


@pytest.mark.parametrize("n_samples", [1, 2, 100, 12_000, 64_600, 100_000])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_length_equals_the_reference(algorithm: int, n_samples: int) -> None:
    assert_equals_reference(speech_like(n_samples), seed=n_samples, algorithm=algorithm)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_seed_equals_the_reference(algorithm: int) -> None:
    for seed in range(8):
        assert_equals_reference(speech_like(3000, seed=seed), seed, algorithm)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_waveform_beyond_full_scale_equals_the_reference(algorithm: int) -> None:
    for seed in range(3):
        assert_equals_reference(speech_like(3000, peak=1.7), seed, algorithm)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_changed_parameters_equal_the_reference(algorithm: int) -> None:
    for seed in range(4):
        assert_equals_reference(speech_like(3000), seed, algorithm, **EVERYTHING_CHANGED)


@pytest.mark.parametrize("name", EVERYTHING_CHANGED)
def test_each_parameter_alone_equals_the_reference(name: str) -> None:
    assert_equals_reference(speech_like(3000), 5, algorithm=4, **{name: EVERYTHING_CHANGED[name]})


def test_impulses_are_few_and_proportional_to_their_samples() -> None:
    waveform = speech_like(20_000, peak=0.3)
    shares = []
    for seed in range(20):
        augmented = rawboost(2)(waveform, np.random.RandomState(seed))
        change = np.abs(augmented - waveform)
        shares.append(np.mean(change > 0))
        assert np.all(change <= 2 * np.abs(waveform) * (1 + 1e-6))
    assert max(shares) <= 0.1
    assert np.mean(shares) == pytest.approx(0.05, abs=0.025)


def test_stationary_noise_keeps_to_its_signal_to_noise_ratio() -> None:
    waveform = speech_like(20_000).astype(np.float64)
    ratios = []
    for seed in range(30):
        augmented = rawboost(3)(waveform.astype(np.float32), np.random.RandomState(seed))
        ratios.append(20 * np.log10(np.linalg.norm(waveform) / np.linalg.norm(augmented - waveform)))
    assert min(ratios) >= 9.99
    assert max(ratios) <= 40.01
    assert max(ratios) - min(ratios) > 15


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_caller_and_the_global_generator_are_left_alone(algorithm: int) -> None:
    waveform = speech_like(3000)
    before = waveform.copy()
    np.random.seed(3)
    expected = np.random.RandomState(3).random_sample()
    rawboost(algorithm)(waveform, np.random.RandomState(1))
    np.testing.assert_array_equal(waveform, before)
    assert np.random.random_sample() == expected


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_one_object_augments_many_waveforms_alike(algorithm: int) -> None:
    augment = rawboost(algorithm)
    first = augment(speech_like(3000), np.random.RandomState(1))
    augment(speech_like(500), np.random.RandomState(2))
    np.testing.assert_array_equal(augment(speech_like(3000), np.random.RandomState(1)), first)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_silence_stays_silence(algorithm: int) -> None:
    augmented = rawboost(algorithm)(np.zeros(4000, np.float32), np.random.RandomState(0))
    np.testing.assert_array_equal(augmented, np.zeros(4000, np.float32))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("dtype", [np.int16, np.int32])
def test_integer_samples_are_refused(algorithm: int, dtype: type) -> None:
    augment = rawboost(algorithm)
    with pytest.raises((TypeError, ValueError)):
        augment(np.full(400, 12000, dtype), np.random.RandomState(0))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_an_empty_waveform_is_refused(algorithm: int) -> None:
    augment = rawboost(algorithm)
    with pytest.raises(ValueError, match=r"empty|no samples"):
        augment(np.zeros(0, np.float32), np.random.RandomState(0))


@pytest.mark.parametrize("algorithm", [-1, 9, 80])
def test_an_unknown_algorithm_is_refused(algorithm: int) -> None:
    with pytest.raises(SettingError, match=str(algorithm)):
        rawboost(algorithm)


@pytest.mark.parametrize(
    ("name", "value"), [("max_frequency", 8001), ("min_frequency", -1), ("min_bandwidth", 0), ("max_bandwidth", -5)]
)
def test_notches_that_no_filter_has_are_refused(name: str, value: float) -> None:
    with pytest.raises(SettingError, match=f"--rawboost-{name.replace('_', '-')} {value}: "):
        rawboost(1, **{f"rawboost_{name}": value})


@pytest.mark.parametrize("n_taps", [1, 11, 99, 501])
def test_band_stops_equal_those_of_scipy(n_taps: int) -> None:
    for low, high in [(1e-3, 60), (700, 1000), (7900, 8000 - 1e-3)]:
        expected = firwin(n_taps, [low, high], window="hamming", fs=16_000)
        tolerance = 1e-12 * np.abs(expected).max()  # many taps that stop all but 0 Hz are large, and sum up to 1
        np.testing.assert_allclose(_band_stop(n_taps, low / 8000, high / 8000), expected, rtol=0, atol=tolerance)


def test_filters_longer_than_a_block_of_the_defaults_equal_the_reference() -> None:
    for n_samples in (50, 7000):
        taps = {"rawboost_min_coefficients": 900, "rawboost_max_coefficients": 1200}
        assert_equals_reference(speech_like(n_samples), 2, algorithm=6, **taps)
