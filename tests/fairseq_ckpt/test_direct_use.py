"""Originals, given as they are to `sls score` and to fairseq's commands: the scores are those of the reference."""

import argparse
import json
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from commands import PLUGIN, fairseq
from fairseq import checkpoint_utils
from fairseq.models import MODEL_DATACLASS_REGISTRY, MODEL_REGISTRY
from made_checkpoints import NARROW, TINY, aasist_tensors, reference_sls, write_original_sls
from omegaconf import OmegaConf

from fairseq_ckpt import CheckpointError
from fairseq_ckpt.conversion import convert
from fairseq_ckpt.detector import read_detector, read_for_fairseq
from fairseq_ckpt.writing import write_pickled
from protocols import Trial, write_manifest
from sls_plugin.__main__ import main
from sls_plugin.inference.load import load_detector
from sls_plugin.scores.score_file import read_scores

N_SAMPLES = 3920  # of a clip for the small SLS: 12 frames


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Manifests of six trials, of clips that are shorter and longer than the model takes."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(3)
    trials = []
    for number in range(6):
        samples = 0.1 * rng.standard_normal(2500 + 700 * number)
        soundfile.write(folder / f"{number}.wav", samples, 16_000, subtype="FLOAT")
        trials.append(Trial(str(number), f"{number}.wav", ("bonafide", "spoof")[number % 2], len(samples)))
    for split in ("train", "dev", "eval"):
        write_manifest(folder / f"{split}.tsv", trials)
    return folder


@pytest.fixture(scope="module")
def expected(data: Path) -> dict[str, float]:
    """log p(bona fide), by the reference, of the first samples of each clip, which is repeated when short."""
    reference, scores = reference_sls(), {}
    for number in range(6):
        samples, _ = soundfile.read(data / f"{number}.wav", dtype="float32")
        clip = torch.from_numpy(np.resize(samples, N_SAMPLES))
        with torch.no_grad():
            scores[str(number)] = reference(clip.unsqueeze(0))[0, 1].item()
    return scores


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("original") / "epoch_2.pth"
    write_original_sls(path)
    return path


def test_sls_score(original: Path, data: Path, expected: dict[str, float], tmp_path: Path) -> None:
    output = tmp_path / "scores.txt"
    assert main(["score", str(original), str(data / "eval.tsv"), "--output", str(output), "--num-workers", "0"]) == 0
    assert read_scores(output) == pytest.approx(expected, abs=1e-5)


def test_24_layers(tmp_path: Path) -> None:
    """A checkpoint of this project with as many layers as XLS-R 300M has, in small."""
    config = TINY | {"encoder_layers": 24}
    reference = reference_sls(config)
    model = {"_name": "sls", "w2v_args": config, "max_samples": N_SAMPLES}
    task = {"_name": "asvspoof", "data": "", "max_samples": N_SAMPLES, "padding": "tile", "seed": 1, "train_subset": "train"}
    write_pickled({"cfg": {"task": task, "model": model}, "model": reference.state_dict()}, tmp_path / "checkpoint.pt")
    detector = load_detector(tmp_path / "checkpoint.pt").model
    waveforms = 0.1 * torch.randn(3, N_SAMPLES, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(detector.eval()(waveforms), reference(waveforms), rtol=0, atol=1e-4)


def test_fairseq_generate(original: Path, data: Path, expected: dict[str, float], tmp_path: Path) -> None:
    fairseq(
        "generate", str(data), *PLUGIN, "--path", str(original), "--cpu", "--gen-subset", "eval",
        "--results-path", str(tmp_path), "--scoring", "eer",
    )  # fmt: skip
    assert read_scores(tmp_path / "scores-eval.txt") == pytest.approx(expected, abs=1e-5)


def test_fairseq_train_goes_on_from_it(original: Path, data: Path, expected: dict[str, float], tmp_path: Path) -> None:
    """With a learning rate of nothing the checkpoint after an epoch is the original."""
    common = (
        str(data), *PLUGIN, "--arch", "sls_xlsr_300m", "--w2v-path", str(backbone_of(original, tmp_path)),
        "--max-samples", str(N_SAMPLES), "--criterion", "weighted_cross_entropy", "--optimizer", "l2_adam", "--lr", "0",
        "--batch-size", "3", "--max-epoch", "1", "--disable-validation", "--cpu", "--freeze-backbone",
    )  # fmt: skip
    for option in ("--finetune-from-model", "--restore-file"):
        fairseq("train", *common, "--save-dir", str(tmp_path / option), option, str(original))
        written = torch.load(tmp_path / option / "checkpoint_last.pt")["model"]
        before = {name.removeprefix("module."): tensor for name, tensor in torch.load(original).items()}
        trained = {name for name in before if not torch.equal(written[name], before[name])}
        assert trained == {"first_bn.running_mean", "first_bn.running_var", "first_bn.num_batches_tracked"}


def backbone_of(original: Path, folder: Path) -> Path:
    """A pre-trained checkpoint of the same sizes, with other weights: nothing of it may remain."""
    config = read_detector(original).config["model"]["w2v_args"]
    tensors = {
        name.removeprefix("module.ssl_model.model."): tensor + 1
        for name, tensor in torch.load(original).items()
        if "ssl_model" in name
    }
    write_pickled({"cfg": {"model": config}, "model": tensors}, folder / "backbone.pt")
    return folder / "backbone.pt"


def test_a_damaged_checkpoint_of_ours_is_told_in_one_line(
    original: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, change in enumerate(({"fc0.bias": None}, {"more": torch.zeros(1)}, {"fc0.bias": torch.zeros(2)})):
        path = tmp_path / f"{number}.pt"
        content = read_for_fairseq(original)
        changed = {name: tensor for name, tensor in (content["model"] | change).items() if tensor is not None}
        write_pickled(content | {"model": changed}, path)
        assert main(["score", str(path), str(data / "eval.tsv"), "--output", str(tmp_path / "scores.txt")]) == 1
        message = capsys.readouterr().err
        assert message.startswith(f"sls score: error: {path}: its tensors do not fit its configuration (")
        assert message.count("\n") == 1


@pytest.mark.parametrize("name", ["AASIST", "AASIST-L"])
def test_published_weights_of_aasist(shared: Path, tmp_path: Path, name: str) -> None:
    """The outputs of the original code for one second of a tone, repeated to its length."""
    t = torch.arange(64_600) / 16_000
    expected = {"AASIST": [0.7177984, -1.6101285], "AASIST-L": [4.6033263, -4.1949716]}[name]
    detector = load_detector(shared / "data" / "weights" / f"{name}.pth")
    model, segment = detector.model, detector.segment
    with torch.no_grad():
        logits = model.eval()(0.1 * torch.sin(2 * torch.pi * 440 * t).unsqueeze(0))[0]
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-3)
    assert segment.n_samples == 64_600


PLAIN_MODELS = {"aasist": {}, "rawgat_st": {"max_samples": 64_600}, "rawnet2": {}, "prosody_encoder": {}}
XLSR_MODELS = {"xlsr_mamba": {"mamba_features": 32, "mamba_layers": 4}}
XLSR_MODELS |= {name: {} for name in ("xlsr_aasist", "xlsr_nes2net_x", "xlsr_conformer_tcm")}
LENGTHS = {"xlsr_mamba": 66_800, "xlsr_conformer_tcm": 66_800, "prosody_encoder": 64_000}


@pytest.mark.parametrize("name", [*PLAIN_MODELS, *XLSR_MODELS])
def test_every_other_original_gets_the_model_that_it_belongs_to(tmp_path: Path, name: str) -> None:
    """Its tensors alone are in the file; sizes and settings follow from them."""
    settings = PLAIN_MODELS | {model: {"w2v_args": NARROW} | sizes for model, sizes in XLSR_MODELS.items()}
    cfg = OmegaConf.structured(MODEL_DATACLASS_REGISTRY[name])
    for setting, value in settings[name].items():
        cfg[setting] = value
    torch.manual_seed(1)
    model = MODEL_REGISTRY[name].build_model(cfg, None).eval()
    torch.save(model.state_dict(), tmp_path / "original.pth")
    detector = load_detector(tmp_path / "original.pth")
    loaded, segment = detector.model, detector.segment
    assert type(loaded) is type(model)
    assert segment.n_samples == LENGTHS.get(name, 64_600)
    waveform = 0.1 * torch.randn(1, segment.n_samples)
    with torch.no_grad():
        assert torch.equal(loaded.eval()(waveform), model(waveform))


# fairseq's own reader


@pytest.mark.usefixtures("patched")
def test_containers_of_omegaconf_and_overrides(tmp_path: Path) -> None:
    torch.save(aasist_tensors(), tmp_path / "a.pth")
    content = read_for_fairseq(tmp_path / "a.pth")
    torch.save(content | {"cfg": OmegaConf.create(content["cfg"])}, tmp_path / "containers.pt")
    state = checkpoint_utils.load_checkpoint_to_cpu(str(tmp_path / "containers.pt"), {"padding": "zero"})
    assert state["cfg"].task.padding == "zero"


@pytest.mark.usefixtures("patched")
def test_only_our_own_settings_are_used(tmp_path: Path) -> None:
    """fairseq has settings that name modules to import (`user_dir`), files to read, and classes to build."""
    torch.save(aasist_tensors(), tmp_path / "a.pth")
    content = read_for_fairseq(tmp_path / "a.pth")
    others = {"common": {"user_dir": str(tmp_path)}, "bpe": {"_name": "sentencepiece", "sentencepiece_model": "/dev/zero"}}
    others |= {name: {"_name": "evil"} for name in ("optimizer", "lr_scheduler", "tokenizer", "scoring")}
    config = {section: settings | {"user_dir": str(tmp_path)} for section, settings in content["cfg"].items()} | others
    write_pickled(content | {"cfg": config, "task_state": {"evil": 1}, "evil": 1}, tmp_path / "a.pt")
    for load in (checkpoint_utils.load_checkpoint_to_cpu, lambda path: {"cfg": checkpoint_utils.load_model_ensemble([path])[1]}):
        state = load(str(tmp_path / "a.pt"))
        assert set(state["cfg"]) == {"task", "model", "criterion"}
        assert "user_dir" not in repr(state["cfg"])
        assert not {"evil", "task_state"} & set(state)
        assert state["cfg"].task.seed == 1
        assert state["cfg"].criterion.class_weights == "0.1,0.9"


NO_NUMBERS = ["x", True, None, [1], {}, float("nan"), float("inf"), -1.0, 1e300]
ODD_SETTINGS = [
    *({"model": {"joint_pool_ratio": value}} for value in NO_NUMBERS),
    *({"model": {"frequency_masking": value}} for value in ("x", None, [1])),
    *({"task": {name: value}} for name in ("data", "train_subset") for value in (5, True, ["x"], {"a": 1}, 2.5)),
]


@pytest.mark.usefixtures("patched")
@pytest.mark.parametrize("changed", ODD_SETTINGS, ids=str)
def test_settings_have_the_types_of_our_dataclasses(tmp_path: Path, changed: dict) -> None:
    path = tmp_path / "a.pt"
    torch.save(aasist_tensors(), path)
    content = read_for_fairseq(path)
    for section, settings in changed.items():
        content["cfg"][section] |= settings
    write_pickled(content, path)
    for load in (load_detector, lambda path: checkpoint_utils.load_model_ensemble([str(path)])):
        with pytest.raises(CheckpointError) as error:
            load(path)
        assert str(error.value).startswith(f"{path}: ")
        assert str(error.value).isprintable()


@pytest.mark.usefixtures("patched")
@pytest.mark.parametrize(
    "settings",
    [{"crop": "middle"}, {"crop": 5}, {"seed": "x"}, {"rawboost_algorithm": "x"}, {"skip_broken_audio": "maybe"}],
    ids=str,
)
def test_settings_of_the_task_too(tmp_path: Path, settings: dict) -> None:
    path = tmp_path / "a.pt"
    torch.save(aasist_tensors(), path)
    content = read_for_fairseq(path)
    content["cfg"]["task"] |= settings
    write_pickled(content, path)
    with pytest.raises(CheckpointError, match=rf"a\.pt: its settings make no model \(.*{next(iter(settings.values()))}"):
        checkpoint_utils.load_checkpoint_to_cpu(str(path))


def test_an_architecture_has_the_defaults_of_its_settings(tmp_path: Path) -> None:
    """A checkpoint of a version that did not have a setting yet."""
    torch.save(aasist_tensors(24), tmp_path / "a.pth")
    content = read_for_fairseq(tmp_path / "a.pth")
    content["cfg"]["model"] = {"_name": "aasist_l"}
    write_pickled(content, tmp_path / "a.pt")
    clip = torch.randn(1, 64_600)
    with torch.no_grad():
        outputs = [load_detector(tmp_path / name).model(clip) for name in ("a.pt", "a.pth")]
    assert torch.equal(*outputs)


@pytest.mark.usefixtures("patched")
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_no_numbers(tmp_path: Path, value: float) -> None:
    path = tmp_path / "a.pth"
    torch.save(aasist_tensors() | {"out_layer.bias": torch.tensor([0.0, value])}, path)
    for load in (load_detector, lambda path: checkpoint_utils.load_model_ensemble([str(path)])):
        with pytest.raises(CheckpointError, match=r"a\.pth: out_layer\.bias has values that are NaN or infinite"):
            load(path)


def test_too_little_memory_to_build_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save(aasist_tensors(), tmp_path / "a.pth")
    for error in (MemoryError(), RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory")):

        def fail(*_: object, error: Exception = error, **__: object) -> None:
            raise error

        monkeypatch.setattr(torch.nn.Module, "load_state_dict", fail)
        with pytest.raises(CheckpointError, match=r"a\.pth: out of memory: close other programs"):
            load_detector(tmp_path / "a.pth")


# The state of training


STATE = {
    "optimizer_history": [{"criterion_name": "C", "optimizer_name": "O", "lr_scheduler_state": {"best": None}, "num_updates": 7}],
    "extra_state": {
        "train_iterator": {"epoch": 2, "iterations_in_epoch": 3, "version": 2},
        "metrics": {"default": [(1, "loss", "AverageMeter", {"val": torch.tensor(2.0), "sum": 1.0, "count": 1, "round": 3})]},
        "best": 0.25,
    },
    "last_optimizer_state": {"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": [{"lr": 1e-6, "params": [0]}]},
    "criterion": {"discriminator.weight": torch.ones(1)},
}


def test_the_state_of_training_is_kept(tmp_path: Path) -> None:
    torch.save(aasist_tensors(), tmp_path / "a.pth")
    write_pickled(read_for_fairseq(tmp_path / "a.pth") | STATE, tmp_path / "a.pt")
    content = read_for_fairseq(tmp_path / "a.pt")
    assert {name: content[name] for name in STATE} == STATE


@pytest.mark.parametrize(
    "changed",
    [
        {"optimizer_history": 5},
        {"optimizer_history": []},
        {"optimizer_history": [[]]},
        {"optimizer_history": [{"num_updates": "many"}]},
        {"optimizer_history": [{"optimizer_name": "${oc.env:HOME}"}]},
        {"extra_state": "x"},
        {"extra_state": {"train_iterator": 5}},
        {"extra_state": {"train_iterator": {"epoch": "1"}}},
        {"extra_state": {"best": "${oc.env:HOME}"}},
        {"extra_state": {"metrics": [1]}},
        {"extra_state": {"metrics": {"default": 5}}},
        {"extra_state": {"metrics": {"default": [(1, "loss", "__builtins__", {})]}}},
        {"extra_state": {"metrics": {"default": [(1, "loss", "MetersDict", {})]}}},
        {"extra_state": {"metrics": {"default": [(1, "loss", ["AverageMeter"], {})]}}},
        {"last_optimizer_state": [1]},
        {"criterion": {"weight": "x"}},
        {"criterion": [1]},
    ],
    ids=str,
)
def test_a_state_of_training_that_no_training_writes(tmp_path: Path, changed: dict) -> None:
    torch.save(aasist_tensors(), tmp_path / "a.pth")
    write_pickled(read_for_fairseq(tmp_path / "a.pth") | changed, tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match=r"a\.pt: (its state of training is not as|.*an interpolation)"):
        read_for_fairseq(tmp_path / "a.pt")
    load_detector(tmp_path / "a.pt")  # scoring does not look at it


@pytest.mark.usefixtures("patched")
@pytest.mark.parametrize(
    ("section", "settings"),
    [
        ("model", {"_name": "fconv", "encoder_layers": "open('{trace}', 'w')"}),
        ("model", {"_name": "wav2vec2", "conv_feature_layers": "open('{trace}', 'w')"}),
        ("model", {"_name": "nothing"}),
        ("model", {"arch": "wav2vec2", "conv_feature_layers": "open('{trace}', 'w')"}),  # fairseq's second choice of a name
        ("model", {"wav2vec2": {"conv_feature_layers": "open('{trace}', 'w')"}}),  # its third
        ("criterion", {"wer_args": "open('{trace}', 'w')"}),
        ("criterion", {"_name": "ctc", "wer_args": "open('{trace}', 'w')"}),
    ],
)
def test_a_checkpoint_builds_nothing_that_runs_its_settings(tmp_path: Path, section: str, settings: dict) -> None:
    path, trace = tmp_path / "a.pt", tmp_path / "trace"
    torch.save(aasist_tensors(), path)
    content = read_for_fairseq(path)
    content["cfg"][section] = json.loads(json.dumps(settings).replace("{trace}", str(trace)))
    write_pickled(content, path)
    refused = pytest.raises(CheckpointError, match=f"asks for a {section} that is not this project's .* do not trust this file")
    with refused:
        checkpoint_utils.load_model_ensemble([str(path)])
    with refused if section == "model" else nullcontext():  # scoring builds no criterion
        load_detector(path)
    assert not trace.exists()


@pytest.mark.usefixtures("patched")
def test_what_is_built_is_what_was_checked(tmp_path: Path) -> None:
    clean, evil, trace = tmp_path / "clean.pt", tmp_path / "clean-evil.pt", tmp_path / "trace"
    torch.save(aasist_tensors(), clean)
    content = read_for_fairseq(clean)
    code = {"arch": "wav2vec2", "task": "asvspoof", "data": "", "conv_feature_layers": f"open('{trace}', 'w')"}
    write_pickled(content | {"args": argparse.Namespace(**code)}, evil)  # fairseq would prefer it to `cfg`
    (model,), _ = checkpoint_utils.load_model_ensemble([str(evil)])
    assert type(model).__name__ == "AASIST"
    with pytest.raises(CheckpointError, match="--checkpoint-suffix and shards are not supported"):
        checkpoint_utils.load_model_ensemble([str(clean)], suffix="-evil")
    write_pickled(content | {"args": argparse.Namespace(**code), "cfg": None}, evil)
    with pytest.raises(CheckpointError, match="not a detector trained with --task asvspoof"):
        checkpoint_utils.load_model_ensemble([str(clean), str(evil)])
    assert not trace.exists()


@pytest.mark.usefixtures("patched")
def test_fairseq_takes_several_files_and_safetensors(tmp_path: Path) -> None:
    torch.save(aasist_tensors(), tmp_path / "a.pth")
    convert(tmp_path / "a.pth", tmp_path / "a.safetensors", "safetensors")
    models, _ = checkpoint_utils.load_model_ensemble([str(tmp_path / "a.pth"), str(tmp_path / "a.safetensors")])
    clip = torch.randn(1, 64_600)
    assert torch.equal(models[0].eval()(clip), models[1].eval()(clip))


@pytest.mark.parametrize("dtype", [torch.int64, torch.complex64])
def test_weights_that_no_model_has_are_refused(tmp_path: Path, dtype: torch.dtype) -> None:
    tensors = aasist_tensors()
    torch.save(tensors | {"out_layer.weight": tensors["out_layer.weight"].to(dtype)}, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match=r"it holds out_layer\.weight beside"):
        read_detector(tmp_path / "a.pth")


def test_shared_tensors_are_written_apart(tmp_path: Path) -> None:
    tensors = aasist_tensors()
    first, second = (f"encoder.{block}.0.conv2.weight" for block in (2, 3))
    torch.save(tensors | {second: tensors[first]}, tmp_path / "a.pth")
    convert(tmp_path / "a.pth", tmp_path / "a.safetensors", "safetensors")
    written = read_detector(tmp_path / "a.safetensors").tensors
    assert torch.equal(written[first], written[second])
    with pytest.raises(CheckpointError, match=r"trap\.safetensors: not a safetensors file"):
        convert(tmp_path / "a.pth", tmp_path / "trap.safetensors", "fairseq")
