"""The criterion: both losses and every gradient from their definitions, the warm-up, the teacher left alone; and content
that a probe no longer finds.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from detectors import build
from fairseq.logging import metrics
from fairseq.optim.adam import FairseqAdam, FairseqAdamConfig
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn
from torch.nn import functional as F

from fairseq_ckpt import CheckpointError
from fairseq_ckpt.pretrained import read_xlsr
from fairseq_ckpt.wav2vec.backbone import build_backbone
from fairseq_ckpt.wav2vec.random_backbone import TINY, make_random
from protocols import SettingError
from sls_plugin.criterions.prosody_adversarial import ContentTeacher, ProsodyAdversarial, ProsodyAdversarialConfig
from sls_plugin.metrics.det import equal_error_rate
from sls_plugin.modules.countermeasure import Countermeasure
from sls_plugin.optim.l2_adam import L2Adam, L2AdamConfig
from sls_plugin.tasks.asvspoof import AsvspoofConfig, AsvspoofTask

LABELS = [0, 1, 1, 0, 0]


def configuration(**settings: Any) -> DictConfig:
    cfg = OmegaConf.structured(ProsodyAdversarialConfig)
    for name, value in settings.items():
        cfg[name] = value
    return cfg


def criterion(teacher: ContentTeacher | None, **settings: Any) -> ProsodyAdversarial:
    torch.manual_seed(5)
    return ProsodyAdversarial(None, configuration(**settings), teacher)


def sample(labels: Sequence[int] = LABELS) -> dict[str, Any]:
    clips = 0.1 * np.random.default_rng(0).standard_normal((len(labels), 1600), dtype=np.float32)
    return {"net_input": {"source": torch.from_numpy(clips)}, "label": torch.tensor(labels)}


@pytest.fixture(scope="module")
def teacher(tiny_checkpoint: Path) -> ContentTeacher:
    return ContentTeacher(str(tiny_checkpoint))


@pytest.fixture
def encoder() -> nn.Module:
    """In evaluation, so that a clip's features do not depend on its batch."""
    return build("prosody_encoder").eval()


# Losses and gradients


def gradients(module: nn.Module) -> list[Tensor]:
    return [parameter.grad.clone() for parameter in module.parameters()]


def test_both_losses_are_means_over_the_trials(teacher: ContentTeacher, encoder: nn.Module) -> None:
    batch, loss_function = sample(), criterion(teacher)
    loss, sample_size, log = loss_function(encoder, batch)
    output, features = encoder(batch["net_input"]["source"], with_features=True)
    classes = F.cross_entropy(output, batch["label"])
    content = F.mse_loss(loss_function.discriminator(features), teacher(batch["net_input"]["source"]))
    assert sample_size == len(LABELS)
    torch.testing.assert_close(loss / sample_size, classes + content)
    torch.testing.assert_close(log["loss"] / sample_size, classes.detach())
    torch.testing.assert_close(log["content_loss"] / sample_size, content.detach())
    assert torch.equal(log["scores"], encoder.scores(output))
    assert sum(parameter.numel() for parameter in loss_function.parameters()) == 257 * 256 + 257 * teacher.n_features


@pytest.mark.parametrize("strength", [0.0, 0.1, 10.0])
def test_lambda_weighs_the_reversed_gradient_in_the_encoder_alone(
    strength: float, teacher: ContentTeacher, encoder: nn.Module
) -> None:
    batch, loss_function = sample(), criterion(teacher, adversarial_lambda=strength)
    loss_function(encoder, batch)[0].backward()
    ours, discriminators = gradients(encoder), gradients(loss_function)
    encoder.zero_grad()
    loss_function.zero_grad()

    output, features = encoder(batch["net_input"]["source"], with_features=True)
    F.cross_entropy(output, batch["label"], reduction="sum").backward(retain_graph=True)
    of_classes = gradients(encoder)
    encoder.zero_grad()
    squares = (loss_function.discriminator(features) - teacher(batch["net_input"]["source"])).square()
    squares.mean(dim=1).sum().backward()
    of_content = [torch.zeros_like(p) if p.grad is None else p.grad for p in encoder.parameters()]  # none in the last layer
    for gradient, classes, content in zip(ours, of_classes, of_content, strict=True):
        torch.testing.assert_close(gradient, classes - strength * content, rtol=1e-4, atol=1e-4 * float(gradient.abs().max()))
    for gradient, expected in zip(discriminators, gradients(loss_function), strict=True):
        torch.testing.assert_close(gradient, expected)


def test_gradients_of_small_batches_add_up_to_those_of_a_large_one(teacher: ContentTeacher, encoder: nn.Module) -> None:
    whole, loss_function = sample(), criterion(teacher)
    loss_function(encoder, whole)[0].backward()
    expected = gradients(encoder) + gradients(loss_function)
    encoder.zero_grad()
    loss_function.zero_grad()
    for part in (slice(0, 1), slice(1, 5)):
        source, label = whole["net_input"]["source"][part], whole["label"][part]
        loss_function(encoder, {"net_input": {"source": source}, "label": label})[0].backward()
    for gradient, sums in zip(gradients(encoder) + gradients(loss_function), expected, strict=True):
        torch.testing.assert_close(gradient, sums, rtol=1e-4, atol=1e-4 * float(sums.abs().max()))


def test_lambda_warms_up_over_the_first_updates(teacher: ContentTeacher, encoder: nn.Module) -> None:
    loss_function = criterion(teacher, adversarial_lambda=2.0, adversarial_warmup_updates=10)
    logged = []
    for num_updates in (0, 1, 5, 10, 400):
        encoder.set_num_updates(num_updates)
        logged.append(loss_function(encoder, sample())[2]["lambda"] / len(LABELS))
    assert logged == pytest.approx([0, 0.2, 1, 2, 2])
    assert criterion(teacher, adversarial_lambda=2.0).strength(0) == 2


def test_what_is_logged_over_several_batches(teacher: ContentTeacher, encoder: nn.Module) -> None:
    loss_function = criterion(teacher)
    logs = [loss_function(encoder, sample(labels))[2] for labels in ([0, 1, 1], [0])]
    with metrics.aggregate(new_root=True) as logged:
        ProsodyAdversarial.reduce_metrics(logs)
    values = logged.get_smoothed_values()
    for name in ("loss", "content_loss"):
        assert values[name] == pytest.approx(float(sum(log[name] for log in logs)) / 4, abs=1e-6)
    assert values["lambda"] == pytest.approx(0.1)
    assert values["accuracy"] == sum(int(log["correct"]) for log in logs) / 4


# The teacher


def test_content_is_the_mean_of_the_teachers_final_features(teacher: ContentTeacher, tiny_checkpoint: Path) -> None:
    pretrained = read_xlsr(tiny_checkpoint)
    network = build_backbone(pretrained.config, tiny_checkpoint).eval()
    network.load_state_dict(pretrained.weights)
    source = sample()["net_input"]["source"]
    with torch.no_grad():
        expected = network(source, mask=False, features_only=True)["x"].mean(dim=1)
    content = teacher(source)
    assert content.shape == (len(LABELS), teacher.n_features) == (5, 48)
    torch.testing.assert_close(content, expected)
    assert not content.requires_grad


@pytest.fixture(scope="module")
def stochastic_teacher(tmp_path_factory: pytest.TempPathFactory) -> ContentTeacher:
    """One that would answer otherwise each time, were it ever in training mode."""
    path = tmp_path_factory.mktemp("teacher") / "stochastic.pt"
    make_random(TINY | {"dropout": 0.5, "encoder_layerdrop": 0.5}, path)
    return ContentTeacher(str(path))


def test_no_training_touches_the_teacher(stochastic_teacher: ContentTeacher, encoder: nn.Module) -> None:
    loss_function = criterion(stochastic_teacher).train()
    batch = sample()
    before = stochastic_teacher(batch["net_input"]["source"])
    weights = {name: tensor.clone() for name, tensor in stochastic_teacher.network.state_dict().items()}
    encoder.train()
    optimizer = torch.optim.Adam([*encoder.parameters(), *loss_function.parameters()], lr=0.1)
    loss_function(encoder, batch)[0].backward()
    optimizer.step()
    assert not any(module.training for module in stochastic_teacher.network.modules())
    assert torch.equal(stochastic_teacher(batch["net_input"]["source"]), before)
    for name, tensor in stochastic_teacher.network.state_dict().items():
        assert torch.equal(tensor, weights[name]), name
    assert all(parameter.grad is None for parameter in stochastic_teacher.network.parameters())


def test_a_checkpoint_holds_the_discriminator_and_no_teacher(teacher: ContentTeacher) -> None:
    assert set(criterion(teacher).state_dict()) == {
        f"discriminator.{layer}.{kind}" for layer in "02" for kind in ("weight", "bias")
    }


def test_without_a_teacher_it_validates(encoder: nn.Module) -> None:
    loss_function = criterion(None)
    loss, _, log = loss_function(encoder, sample())
    assert loss == log["loss"]
    assert not {"content_loss", "lambda"} & log.keys()
    assert not list(loss_function.parameters())
    with pytest.raises(SettingError, match="--without-teacher is for validation: training needs --teacher-path"):
        loss_function(encoder.train(), sample())


def test_a_fresh_discriminator_meets_a_detector_that_comes_without(teacher: ContentTeacher, encoder: nn.Module) -> None:
    torch.manual_seed(5)
    fresh, trained = criterion(teacher), criterion(teacher)
    before = fresh.discriminator[0].weight.clone()
    fresh.load_state_dict({})
    assert torch.equal(fresh.discriminator[0].weight, before)
    fresh.load_state_dict(trained.state_dict())
    assert torch.equal(fresh.discriminator[0].weight, trained.discriminator[0].weight)
    with pytest.raises(RuntimeError, match="Missing key"):
        fresh.load_state_dict({"discriminator.0.weight": before})


def task_for(data: Path) -> AsvspoofTask:
    cfg = AsvspoofConfig(data=str(data), seed=1, train_subset="train", results_path=None)
    return AsvspoofTask.setup_task(OmegaConf.structured(cfg))


def test_the_task_builds_it_and_forgets_where_the_teacher_was(tiny_checkpoint: Path, tmp_path: Path) -> None:
    cfg = configuration(teacher_path=str(tiny_checkpoint))
    cfg._name = "prosody_adversarial"
    assert task_for(tmp_path).build_criterion(cfg).teacher.n_features == 48
    assert str(tiny_checkpoint) not in str(cfg)
    assert task_for(tmp_path).build_criterion(cfg).teacher is None
    assert cfg.without_teacher


def test_a_checkpoint_of_version_0_3_validates_without_a_teacher(tmp_path: Path) -> None:
    """It has a sentence in place of the teacher's path, and no `without_teacher`."""
    cfg = OmegaConf.create(
        {
            "_name": "prosody_adversarial",
            "teacher_path": "not kept: validation needs none",
            "adversarial_lambda": 0.1,
            "adversarial_warmup_updates": 0,
            "discriminator_lr_scale": 10.0,
        }
    )
    OmegaConf.set_struct(cfg, True)
    assert task_for(tmp_path).build_criterion(cfg).teacher is None


@pytest.mark.parametrize("path", [None, ""])
def test_training_needs_a_teacher(path: str | None, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="--teacher-path is missing: name a pre-trained"):
        ProsodyAdversarial.build_criterion(configuration(teacher_path=path), task_for(tmp_path))


def test_detectors_without_features_are_refused(teacher: ContentTeacher) -> None:
    message = "--criterion prosody_adversarial needs the features of the detector: use --arch prosody_encoder"
    with pytest.raises(SettingError, match=message):
        criterion(teacher)(build("aasist_l"), sample())


def test_a_missing_teacher_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"missing\.pt: no such"):
        ContentTeacher(str(tmp_path / "missing.pt"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"adversarial_lambda": -1.0}, "--adversarial-lambda -1.0: must be finite and >= 0"),
        ({"adversarial_lambda": float("inf")}, "--adversarial-lambda inf"),
        ({"adversarial_warmup_updates": -1}, "--adversarial-warmup-updates -1"),
        ({"discriminator_lr_scale": 0.0}, "--discriminator-lr-scale 0.0"),
    ],
)
def test_settings_without_sense_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        criterion(None, **settings)


def test_only_l2_adam_knows_the_discriminators_learning_rate(teacher: ContentTeacher, encoder: nn.Module, tmp_path: Path) -> None:
    loss_function = criterion(teacher, discriminator_lr_scale=100.0)
    parameters = [*encoder.parameters(), *loss_function.parameters()]
    optimizer = FairseqAdam(OmegaConf.structured(FairseqAdamConfig(lr=[1e-3], tpu=False)), parameters)
    with pytest.raises(SettingError, match=r"--discriminator-lr-scale .* need --optimizer l2_adam"):
        task_for(tmp_path).train_step(sample() | {"broken": []}, encoder, loss_function, optimizer, 0)


# What all this is for


class MadeTeacher:
    """The first eight numbers of a made recording are what it says."""

    n_features = 8

    def __call__(self, source: Tensor) -> Tensor:
        return source[:, : self.n_features]


class MadeStudent(Countermeasure):
    returns_features = True

    def __init__(self) -> None:
        super().__init__()
        self.num_updates = 0
        self.layers = nn.Sequential(nn.Linear(12, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU())
        self.fc2 = nn.Linear(256, 2)

    def forward(self, source: Tensor, with_features: bool) -> tuple[Tensor, Tensor]:
        features = self.layers(source)
        return self.fc2(features), features


def made_recordings(seed: int, n_trials: int = 2000) -> tuple[Tensor, Tensor]:
    """Eight numbers of content, four of prosody that overlap between the classes; independent."""
    rng, labels = np.random.default_rng(seed), np.arange(n_trials) % 2
    prosody = rng.standard_normal((n_trials, 4)) + 0.8 * (2 * labels - 1)[:, np.newaxis]
    recordings = np.hstack([rng.standard_normal((n_trials, MadeTeacher.n_features)), prosody])
    return torch.from_numpy(recordings.astype(np.float32)), torch.from_numpy(labels)


def explained(features: Tensor, content: Tensor, unseen_features: Tensor, unseen_content: Tensor) -> float:
    """Share of the variance of unseen content that ridge regression on the features explains."""
    mean, level = features.mean(dim=0), features.std()
    known, unseen = (F.pad((part - mean) / level, (0, 1), value=1.0).double() for part in (features, unseen_features))
    penalty = 1e-4 * len(known) * torch.eye(known.shape[1], dtype=known.dtype)
    guess = unseen @ torch.linalg.solve(known.T @ known + penalty, known.T @ content.double())
    return 1 - float((unseen_content - guess).square().sum() / (unseen_content - content.mean(dim=0)).square().sum())


def probe_and_eer(adversarial_lambda: float) -> tuple[float, float]:
    """How much content a probe finds in the features after training, and the EER; both on recordings not trained on."""
    loss_function = criterion(
        MadeTeacher(), adversarial_lambda=adversarial_lambda, adversarial_warmup_updates=250, discriminator_lr_scale=100.0
    )
    student = MadeStudent()
    settings = OmegaConf.structured(L2AdamConfig(lr=[3e-5], weight_decay=0.0))
    optimizer = L2Adam(settings, [*student.parameters(), *loss_function.parameters()])
    recordings, labels = made_recordings(0)
    rng = np.random.default_rng(0)
    for update in range(1000):
        student.num_updates = update
        drawn = rng.permutation(len(labels))[:128]
        loss, sample_size, _ = loss_function(student, {"net_input": {"source": recordings[drawn]}, "label": labels[drawn]})
        optimizer.zero_grad()
        (loss / sample_size).backward()
        optimizer.step()
    unseen, unseen_labels = made_recordings(1)
    with torch.no_grad():
        (_, features), (output, unseen_features) = student(recordings, True), student(unseen, True)
    scores = (output[:, 1] - output[:, 0]).numpy()
    eer, _ = equal_error_rate(scores[unseen_labels == 1], scores[unseen_labels == 0])
    teacher = MadeTeacher()
    return explained(features, teacher(recordings), unseen_features, teacher(unseen)), eer


def test_the_adversary_takes_content_out_of_the_features_at_about_equal_eer() -> None:
    content_of_baseline, eer_of_baseline = probe_and_eer(0.0)
    content, eer = probe_and_eer(10.0)
    assert content_of_baseline > 0.95
    assert content < 0.7
    assert eer_of_baseline < 0.08
    assert eer < eer_of_baseline + 0.02
