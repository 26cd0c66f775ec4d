"""What the tests of several detectors share: models as fairseq builds them, published names, made clips, training."""

import json
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from fairseq import options
from fairseq.models import ARCH_MODEL_NAME_REGISTRY, ARCH_MODEL_REGISTRY, MODEL_DATACLASS_REGISTRY
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn
from torch.nn import functional as F

import sls_plugin.tasks  # noqa: F401  (registers the models)
from fairseq_ckpt.wav2vec.random_backbone import TINY
from fairseq_ckpt.wav2vec.spec import XLSR_300M
from sls_plugin.inference.half_precision import repair_convolutions
from sls_plugin.metrics.det import equal_error_rate
from sls_plugin.models.backbones import Backbone, BackboneConfig, build_backbone
from sls_plugin.modules.sinc_convolution import SincConvolution

SEEDS = (1, 2, 3)  # of trainings


def configuration(arch: str, *arguments: str) -> DictConfig:
    """The model's configuration as `fairseq-train --arch` makes it of these arguments."""
    parser = options.get_training_parser(default_task="asvspoof")
    chosen = vars(options.parse_args_and_arch(parser, ["DATA", "--arch", arch, *arguments]))
    dataclass = MODEL_DATACLASS_REGISTRY[ARCH_MODEL_NAME_REGISTRY[arch]]
    known = {field.name for field in fields(dataclass)} & chosen.keys()
    return OmegaConf.structured(dataclass(**{name: chosen[name] for name in known}))


def build(arch: str, *arguments: str, seed: int = 3) -> nn.Module:
    """A random model of an architecture, the same at every call."""
    torch.manual_seed(seed)
    return ARCH_MODEL_REGISTRY[arch].build_model(configuration(arch, *arguments))


def build_published_size(arch: str) -> nn.Module:
    """A random model as large as the published one, without a file of its backbone."""
    cfg = configuration(arch)
    if "w2v_args" in cfg:
        cfg.w2v_args = XLSR_300M
    return ARCH_MODEL_REGISTRY[arch].build_model(cfg)


def write_detector(path: Path, arch: str, max_samples: int, *arguments: str, padding: str = "tile") -> nn.Module:
    """A random model, the same at every call, and its checkpoint as training writes it, as far as scoring needs it."""
    model = build(arch, "--max-samples", str(max_samples), *arguments)
    config = model.cfg if hasattr(model, "cfg") else configuration(arch, "--max-samples", str(max_samples), *arguments)
    task = {"_name": "asvspoof", "data": "", "max_samples": max_samples, "padding": padding}
    config = OmegaConf.to_container(config, enum_to_str=True) | {"_name": ARCH_MODEL_NAME_REGISTRY[arch]}
    torch.save({"cfg": {"task": task, "model": config}, "model": model.state_dict()}, path)
    return model


def backbone(config: dict[str, Any] = TINY, **settings: Any) -> Backbone:
    """A random backbone of a wav2vec 2.0 configuration, the same at every call."""
    torch.manual_seed(3)
    cfg = OmegaConf.structured(BackboneConfig)
    cfg.w2v_args = config
    for name, value in settings.items():
        cfg[name] = value
    return build_backbone(cfg)


def in_half_precision(model: nn.Module, dtype: torch.dtype, clips: Tensor) -> nn.Module:
    """The model as a scoring run has it: what this processor gets wrong in half precision is computed in float32."""
    repair_convolutions(model.eval().to(dtype), clips)
    return model


def assert_published_names(model: nn.Module, shared: Path, name: str, prefix: str = "") -> None:
    """Names and shapes of the published state dict, which of its tensors are parameters; `prefix` is what the model lacks."""
    expected = json.loads((shared / "reference" / "keys" / f"{name}.json").read_text())
    shapes = {f"{prefix}{key}": list(tensor.shape) for key, tensor in model.state_dict().items()}
    assert shapes == {key: entry["shape"] for key, entry in expected.items()}
    assert {f"{prefix}{key}" for key, _ in model.named_parameters()} == {key for key, entry in expected.items() if entry["param"]}


def n_parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def golden_output(shared: Path, model: str, seed: int) -> np.ndarray:
    """What the original gave with synthetic weights, B x 2."""
    return np.array(json.loads((shared / "reference" / "golden" / "heads.json").read_text())[model][str(seed)])


def in_float64(model: nn.Module) -> nn.Module:
    """The model computing in float64: in float32 rounding, and so the processor, decides the fourth digit of its logits."""
    for module in model.double().modules():
        if isinstance(module, SincConvolution):
            module.filters = module.filters.double()
    return model


def float64_weights(model: nn.Module) -> dict[str, np.ndarray]:
    return {name: tensor.double().numpy() for name, tensor in model.state_dict().items()}


def waveforms(n_samples: int, n_clips: int = 2, seed: int = 7) -> Tensor:
    return torch.from_numpy(0.1 * np.random.default_rng(seed).standard_normal((n_clips, n_samples), dtype=np.float32))


def two_classes(n_samples: int) -> tuple[Tensor, Tensor]:
    """Sixteen clips and their labels: noise is bona fide, a tone in weaker noise is spoof."""
    rng = np.random.default_rng(3)
    clips, labels = 0.05 * rng.standard_normal((16, n_samples)), np.arange(16) % 2
    tones = 0.1 * np.sin(2 * np.pi * rng.uniform(200, 2000, size=(8, 1)) * np.arange(n_samples) / 16_000)
    clips[labels == 0] = 0.2 * clips[labels == 0] + tones
    return torch.from_numpy(clips.astype(np.float32)), torch.from_numpy(labels)


def train(
    arch: str, *arguments: str, n_samples: int, n_updates: int, lr: float, seeds: Sequence[int] = SEEDS
) -> tuple[float, float]:
    """Medians over seeds of the loss after training (chance: 0.69) and of the EER of the sixteen clips in scoring (0.5).

    Rounding, and so the processor, decides the course of a single training as short as this.
    """
    outcomes = [_train_once(build(arch, *arguments, seed=seed), n_samples, n_updates, lr) for seed in seeds]
    losses, eers = zip(*outcomes, strict=True)
    return median(losses), median(eers)


def _train_once(model: nn.Module, n_samples: int, n_updates: int, lr: float) -> tuple[float, float]:
    """Updates on half of the sixteen clips at a time: the mean loss of the last two, the EER of all clips in scoring."""
    clips, labels = two_classes(n_samples)
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.momentum = 0.5  # with the usual 0.1, scoring would take statistics of weights of twenty updates ago
    optimizer = torch.optim.Adam([parameter for parameter in model.parameters() if parameter.requires_grad], lr)
    losses = []
    for update in range(n_updates):
        half = slice(0, 8) if update % 2 else slice(8, 16)
        loss = F.cross_entropy(model.train()(clips[half]), labels[half])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    with torch.no_grad():
        scores = model.eval().scores(model(clips)).numpy()
    bonafide = labels.numpy() == 1
    return sum(losses[-2:]) / 2, equal_error_rate(scores[bonafide], scores[~bonafide])[0]
