"""The prosody encoder written out: a Fourier sum per frame, triangles bin by bin, convolutions tap by tap, in float64."""

import math

import numpy as np


def reference_mel_spectrogram(waveform: np.ndarray) -> np.ndarray:
    """80 x (samples // 160 + 1) energies of a waveform of 16 kHz."""
    mirrored = np.concatenate([waveform[200:0:-1], waveform, waveform[-2:-202:-1]]).astype(np.float64)
    window = [math.sin(math.pi * n / 400) ** 2 for n in range(400)]
    frequencies = np.arange(201)[:, np.newaxis] * 40.0
    tones = np.exp(-2j * np.pi * frequencies / 16_000 * np.arange(400))  # 201 x 400
    columns = []
    for start in range(0, len(waveform) + 1, 160):
        power = [abs(value) ** 2 for value in tones @ (window * mirrored[start : start + 400])]
        columns.append([sum(triangle(band, 40.0 * k) * power[k] for k in range(201)) for band in range(80)])
    return np.array(columns).T


def triangle(band: int, hertz: float) -> float:
    """The weight of a frequency in a band."""
    low, centre, high = (mel_to_hertz(hertz_to_mel(8000) * (band + step) / 81) for step in range(3))
    if low < hertz <= centre:
        return (hertz - low) / (centre - low)
    if centre < hertz < high:
        return (high - hertz) / (high - centre)
    return 0.0


def hertz_to_mel(hertz: float) -> float:
    return 2595 * math.log10(1 + hertz / 700)


def mel_to_hertz(mel: float) -> float:
    return 700 * (10 ** (mel / 2595) - 1)


def reference_logits(weights: dict[str, np.ndarray], mel: np.ndarray) -> np.ndarray:
    """The two outputs for a mel spectrogram (80 x T), in the authors' order: bona fide, spoof; in evaluation."""

    def convolve(name: str, x: np.ndarray, stride: tuple[int, int] = (1, 1)) -> np.ndarray:
        kernel = weights[f"{name}.weight"]
        margin = kernel.shape[2] // 2
        padded = np.pad(x, ((0, 0), (margin, margin), (margin, margin)))
        height, width = ((size - 1) // step + 1 for size, step in zip(x.shape[1:], stride, strict=True))
        total = np.zeros((len(kernel), height, width)) + weights[f"{name}.bias"][:, np.newaxis, np.newaxis]
        for row, column in np.ndindex(*kernel.shape[2:]):
            seen = padded[:, row :: stride[0], column :: stride[1]][:, :height, :width]
            total += np.tensordot(kernel[:, :, row, column], seen, axes=1)
        return total

    def normalise(name: str, x: np.ndarray) -> np.ndarray:
        scale, shift, mean, variance = (
            weights[f"{name}.{part}"][:, np.newaxis, np.newaxis] for part in ("weight", "bias", "running_mean", "running_var")
        )
        return (x - mean) / np.sqrt(variance + 1e-5) * scale + shift

    x = np.maximum(0, normalise("bn1", convolve("conv1", mel[np.newaxis])))
    for number, stride in enumerate([(1, 2), (2, 2), (2, 2), (2, 2)], start=1):
        layer = f"layer{number}"
        inner = np.maximum(0, normalise(f"{layer}.bn1", convolve(f"{layer}.conv1", x, stride)))
        inner = normalise(f"{layer}.bn2", convolve(f"{layer}.conv2", inner))
        x = np.maximum(0, inner + normalise(f"{layer}.shortcut.1", convolve(f"{layer}.shortcut.0", x, stride)))
    features = np.maximum(0, weights["fc1.weight"] @ x.mean(axis=(1, 2)) + weights["fc1.bias"])
    return weights["fc2.weight"] @ features + weights["fc2.bias"]
