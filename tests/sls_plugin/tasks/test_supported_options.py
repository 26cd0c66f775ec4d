"""Options of fairseq that no detector supports are refused in one line, before anything is loaded."""

from pathlib import Path

import pytest
import torch
from commands import RECIPE
from fairseq import options
from fairseq.dataclass.utils import convert_namespace_to_omegaconf
from fairseq.distributed import utils as distributed_utils
from omegaconf import DictConfig

from protocols import SettingError
from sls_plugin.tasks.asvspoof import AsvspoofTask
from sls_plugin.tasks.fairseq_patches import _one_line_message
from sls_plugin.tasks.supported_options import require_supported_options


def configuration(data: Path, *given: str) -> DictConfig:
    """The whole configuration of `fairseq-train`."""
    arguments = options.parse_args_and_arch(options.get_training_parser(), [str(data), *RECIPE, *given])
    return convert_namespace_to_omegaconf(arguments)


def test_the_recipe_of_the_tests_is_supported(data: Path) -> None:
    require_supported_options(configuration(data))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("--criterion cross_entropy", "--criterion cross_entropy: choose from am_softmax, oc_softmax, prosody_adversarial,"),
        ("--criterion oc_softmax", "--criterion oc_softmax with --output-layer linear: it trains --output-layer one_class: give"),
        ("--criterion am_softmax --output-layer one_class", "--criterion am_softmax with --output-layer one_class: it trains "),
        ("--output-layer cosine", "--criterion weighted_cross_entropy with --output-layer cosine: it trains --output-layer"),
        ("--arch rawnet2 --criterion oc_softmax", "--criterion oc_softmax: --arch rawnet2 has no --output-layer: use one with a"),
        ("--arch prosody_encoder --criterion am_softmax", "--criterion am_softmax: --arch prosody_encoder has no --output-layer"),
        ("--num-shards 2 --shard-id 0", "--num-shards: fairseq would score every trial in each shard: use `sls score"),
        ("--max-valid-steps 3", "--max-valid-steps: the EER needs all trials: remove the option"),
        ("--fp16 --fp16-no-flatten-grads", "--fp16, --bf16 and --amp need a GPU: leave them out"),
        ("--bf16", "--fp16, --bf16 and --amp need a GPU: leave them out"),
        ("--amp", "--fp16, --bf16 and --amp need a GPU: leave them out"),
        ("--memory-efficient-fp16", "--memory-efficient-fp16 and -bf16 need another optimizer"),
        ("--memory-efficient-bf16", "--memory-efficient-fp16 and -bf16 need another optimizer"),
        ("--distributed-world-size 2", "several processes on the CPU need --ddp-backend legacy_ddp: add it"),
        ("--ddp-backend fully_sharded", "--ddp-backend fully_sharded: detectors do not support it: leave it out"),
        ("--use-bmuf", "--use-bmuf True: detectors do not support it: leave it out"),
        ("--zero-sharding os", "--zero-sharding os: detectors do not support it: leave it out"),
        ("--combine-val", "--combine-valid-subsets True: detectors do not support it: leave it out"),
        ("--best-checkpoint-metric EER", "--best-checkpoint-metric EER: choose from eer, loss, loss_batch_mean, train_loss,"),
        ("--maximize-best-checkpoint-metric", "--maximize-best-checkpoint-metric: the lowest eer is the best: leave it out"),
        ("--best-checkpoint-metric accuracy", "--best-checkpoint-metric accuracy: the highest is the best: add --maximize-best-"),
        ("--keep-best-checkpoints 2 --no-last-checkpoints", "--keep-best-checkpoints copies checkpoint_last.pt: leave out"),
        ("--reset-dataloader", "--reset-dataloader would compare with the best value of the earlier training: add --"),
    ],
)
def test_an_option_that_cannot_work(given: str, message: str, data: Path) -> None:
    with pytest.raises(SettingError) as refusal:
        require_supported_options(configuration(data, *given.split()))
    assert str(refusal.value).startswith(message)
    assert "\n" not in str(refusal.value)


@pytest.mark.usefixtures("patched")
def test_half_precision_on_a_gpu(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """fairseq takes --bf16 for a TPU; here it is for a GPU."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for given in ("--bf16", "--fp16 --fp16-no-flatten-grads"):
        started = []
        cfg = configuration(data, *given.split())
        distributed_utils.call_main(cfg, started.append)
        started[0].common.cpu = False
        require_supported_options(started[0])
    cfg = configuration(data, "--fp16")
    cfg.common.cpu = False
    with pytest.raises(SettingError, match=r"^--fp16 with --optimizer l2_adam or adamw needs --fp16-no-flatten-grads: add it$"):
        require_supported_options(cfg)


def test_a_training_without_an_optimizer(data: Path) -> None:
    cfg = configuration(data)
    cfg.optimizer = None
    with pytest.raises(SettingError, match=r"^--optimizer is missing: add it, such as --optimizer l2_adam$"):
        require_supported_options(cfg)


def test_a_command_without_an_architecture(data: Path) -> None:
    """fairseq's own default is no model, and its error says nothing."""
    with pytest.raises(RuntimeError) as refusal:
        options.parse_args_and_arch(options.get_training_parser(), [str(data), "--task", "asvspoof"])
    message = "--arch is missing: name a detector, such as --arch sls_xlsr_300m; `sls models` lists them"
    assert _one_line_message(refusal.value) == message


def test_only_the_options_of_the_command_count(data: Path) -> None:
    """A detector that was trained on a GPU is validated without one."""
    cfg = configuration(data, "--bf16")
    assert AsvspoofTask.setup_task(cfg.task, from_checkpoint=True).settings == {}
    with pytest.raises(SettingError, match=r"^--fp16, --bf16 and --amp need a GPU"):
        AsvspoofTask.setup_task(cfg.task)


def test_a_data_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SettingError) as refusal:
        require_supported_options(configuration(tmp_path / "DATAX"))
    expected = "no such folder of manifests: write it with `sls prepare`, or correct the path"
    assert str(refusal.value) == f"{tmp_path / 'DATAX'}: {expected}"


def test_a_save_dir_that_is_a_file(data: Path) -> None:
    with pytest.raises(SettingError, match=r"dev\.tsv: not a folder: name another --save-dir$"):
        require_supported_options(configuration(data, "--save-dir", str(data / "dev.tsv")))
