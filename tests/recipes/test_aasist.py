"""AASIST and its relatives, with the mean of the epochs that were best on dev."""

import math
from pathlib import Path

import pytest
import torch
from configurations import composed, make_manifest
from fairseq.models import ARCH_MODEL_REGISTRY
from miniatures import COUNTS
from omegaconf import OmegaConf
from recipe_runs import SMALL, rows, run_recipe

import sls_plugin.tasks  # noqa: F401  (registers the models)
from fairseq_ckpt.detectors import CARDS
from fairseq_ckpt.fingerprint import file_sha256
from protocols import read_manifest
from recipes.tools.averaging import main as averaging
from recipes.tools.training_log import read_log
from sls_plugin.data.clip_dataset import Segment
from sls_plugin.data.trial_dataset import TrialDataset
from sls_plugin.inference.load import load_detector

N_EPOCHS, N_UPDATES = 4, 12  # 20 clips, batch 8
PUBLISHED = {arch: card.n_parameters for arch, card in CARDS.items()}


@pytest.fixture(scope="module")
def finished(corpora: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list]:
    dest = tmp_path_factory.mktemp("aasist results")
    arguments = ["--corpora", corpora, "--dest", dest, "--config", "aasist_l", "--averaging", "improving", "--"]
    arguments += [*SMALL, "task.max_samples=2400", "dataset.batch_size=8", f"optimization.max_epoch={N_EPOCHS}"]
    run_recipe("train.sh", "aasist", *arguments)
    return dest, arguments


def test_a_row_for_the_track(finished) -> None:
    dest, _ = finished
    assert [int(cell) for cell in rows(dest / "improving")["2019la", "seed1234"][3:5]] == list(COUNTS["2019la"])


def test_the_average_is_that_of_the_improving_epochs(finished) -> None:
    """Selected and averaged independently; and it is what was scored."""
    dest, _ = finished
    checkpoints = dest / "seed1234" / "checkpoints"
    eers = [record["eer"] for record in read_log(dest / "seed1234") if record.get("split") == "dev"]
    assert len(eers) == N_EPOCHS
    improving = [epoch for epoch, eer in enumerate(eers, start=1) if eer <= min(eers[:epoch])]
    states = [torch.load(checkpoints / f"checkpoint{epoch}.pt", weights_only=True)["model"] for epoch in improving]
    average = dest / "improving" / "seed1234" / "average.pt"
    averaged = torch.load(average, weights_only=True)["model"]
    for name in ("out_layer.weight", "encoder.5.0.conv2.weight", "first_bn.running_var"):
        mean = sum(state[name].double() for state in states) / len(states)
        torch.testing.assert_close(averaged[name].double(), mean, rtol=0, atol=1e-7)
    assert file_sha256(average) in (dest / "improving" / "RESULTS.md").read_text()


def test_batch_norm_is_estimated_in_one_more_epoch_of_training(finished, tmp_path: Path) -> None:
    """The first layer's statistics, as a plain loop over the batches gives them; the weights stay the mean."""
    dest, _ = finished
    run = dest / "seed1234"
    assert averaging([str(run), str(tmp_path / "average.pt"), "--improving", "--at-most", "1", "--estimate-batch-norm"]) == 0
    estimated = torch.load(tmp_path / "average.pt", weights_only=True)["model"]
    mean = torch.load(dest / "improving" / "seed1234" / "average.pt", weights_only=True)["model"]
    statistics = {name for name in mean if "running_" in name or "num_batches" in name}
    assert statistics
    for name in mean.keys() - statistics:
        assert torch.equal(estimated[name], mean[name]), name
    trials = read_manifest(dest / "data" / "train.tsv")
    dataset = TrialDataset(trials, dest / "data", Segment(2400, "random"), shuffle=True, seed=1234)
    dataset.set_epoch(N_EPOCHS + 1)
    order = dataset.ordered_indices()
    model = load_detector(dest / "improving" / "seed1234" / "average.pt").model
    seen = []
    model.first_bn.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        for start in (0, 8):  # of 20 clips in batches of 8, the last 4 are left out
            model(torch.stack([dataset[index]["source"] for index in order[start : start + 8]]))
    means = torch.stack([batch.mean(dim=(0, 2, 3)) for batch in seen]).mean(dim=0)
    variances = torch.stack([batch.var(dim=(0, 2, 3)) for batch in seen]).mean(dim=0)
    torch.testing.assert_close(estimated["first_bn.running_mean"], means, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(estimated["first_bn.running_var"], variances, rtol=1e-3, atol=1e-5)
    assert estimated["first_bn.num_batches_tracked"] == 2


def test_the_published_average_needs_an_epoch_of_1_percent(finished, tmp_path: Path, capsys) -> None:
    run = finished[0] / "seed1234"
    eers = [record["eer"] for record in read_log(run) if record.get("split") == "dev"]
    lowest = min(eers)
    assert averaging([str(run), str(tmp_path / "average.pt"), "--improving", "--at-most", str(lowest / 2 - 0.001)]) == 1
    assert "no epoch reached eer " in capsys.readouterr().err
    assert not (tmp_path / "average.pt").exists()


def test_the_learning_rate_is_one_cosine_down_to_its_minimum(finished) -> None:
    """A record has the rate of the next update."""
    dest, _ = finished
    updates = [record for record in read_log(dest / "seed1234") if record.get("split") == "train_inner"]
    rates = {record["num_updates"]: record["lr"] for record in updates}
    assert sorted(rates) == list(range(1, N_UPDATES + 1))
    for update in range(1, N_UPDATES):
        cosine = 5e-6 + 0.5 * (1e-3 - 5e-6) * (1 + math.cos(math.pi * update / N_UPDATES))
        assert rates[update] == pytest.approx(cosine, rel=1e-3)


def test_a_second_run_repeats_nothing(finished) -> None:
    dest, arguments = finished
    run = dest / "seed1234"
    average = dest / "improving" / "seed1234" / "average.pt"
    unchanged = [run / "train.jsonl", average, average.parent / "scores" / "2019la.txt"]
    before = [(path.stat().st_mtime_ns, path.read_bytes()) for path in unchanged]
    printed = run_recipe("train.sh", "aasist", "--stage", 2, *arguments)
    assert f"already done: {average}" in printed
    assert [(path.stat().st_mtime_ns, path.read_bytes()) for path in unchanged] == before


@pytest.mark.parametrize("name", ["aasist", "aasist_l", "rawgat_st", "rawnet2"])
def test_each_configuration_is_the_published_detector(name, tmp_path) -> None:
    """By its number of parameters; all are trained alike, RawNet2 with 32 clips in a batch."""
    make_manifest(tmp_path / "train.tsv", 25_380)
    config = composed(f"experiments/aasist/config/{name}.yaml", data=tmp_path)
    settings = OmegaConf.create({"max_samples": 64_600, **config.model})
    model = ARCH_MODEL_REGISTRY[config.model._name].build_model(built(config.model._name, settings), None)
    assert sum(parameter.numel() for parameter in model.parameters()) == PUBLISHED[name]
    batch_size = 32 if name == "rawnet2" else 24
    assert (config.dataset.batch_size, config.task.crop, config.task.rawboost_algorithm) == (batch_size, "random", 0)
    assert (config.optimization.lr, config.lr_scheduler.min_lr, config.optimization.max_epoch) == ([1e-4], 5e-6, 100)


def built(name: str, settings: OmegaConf) -> OmegaConf:
    """The settings of a model with the defaults of its dataclass."""
    from fairseq.models import MODEL_DATACLASS_REGISTRY

    defaults = OmegaConf.structured(MODEL_DATACLASS_REGISTRY[name])
    return OmegaConf.merge(defaults, {key: settings[key] for key in settings if key in defaults})
