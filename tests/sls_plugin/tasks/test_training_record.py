"""What a resumed training may change: everything but its trials, and the settings that its weights depend on."""

from pathlib import Path

import pytest
from commands import RECIPE
from fairseq import options
from fairseq.dataclass.utils import convert_namespace_to_omegaconf

from protocols import SettingError, Trial
from sls_plugin.tasks.training_record import Record, changes, hash_files, require_unchanged, settings_of, summarise


def settings(data: Path, *given: str) -> Record:
    arguments = options.parse_args_and_arch(options.get_training_parser(), [str(data), *RECIPE, *given])
    return settings_of(convert_namespace_to_omegaconf(arguments))


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("--lr 1e-4", "optimization.lr [0.001] -> [0.0001]"),
        ("--weight-decay 0", "optimizer.weight_decay 0.0001 -> 0.0"),
        ("--class-weights 1,1", "criterion.class_weights 0.1,0.9 -> 1,1"),
        ("--rawboost-algorithm 5", "task.rawboost_algorithm 3 -> 5"),
        ("--crop random", "task.crop start -> random"),
        ("--max-samples 9000", "task.max_samples 8000 -> 9000"),
        ("--seed 2", "task.seed 1 -> 2"),
        ("--freeze-backbone", "model.freeze_backbone False -> True"),
        ("--clip-norm 3", "optimization.clip_norm 0.0 -> 3.0"),
        ("--best-checkpoint-metric loss", "checkpoint.best_checkpoint_metric eer -> loss"),
        ("--batch-size 8", "batch and --update-freq [4, [1]] -> [8, [1]]"),
        ("--update-freq 2", "batch and --update-freq [4, [1]] -> [4, [2]]"),
        ("--arch aasist", "model._name sls_xlsr_300m -> aasist"),
    ],
)
def test_a_change_of_what_the_weights_depend_on(given: str, found: str, data: Path) -> None:
    assert found in changes(settings(data), settings(data, *given.split()))


@pytest.mark.parametrize(
    "given",
    [
        "--max-epoch 90", "--patience 3", "--num-workers 7", "--log-interval 9 --log-format simple", "--save-dir other",
        "--batch-size 2 --update-freq 2", "--batch-size 2 --distributed-world-size 2", "--distributed-world-size 2",
        "--tensorboard-logdir logs", "--skip-broken-audio", "--audio-root /elsewhere", "--keep-last-epochs 2",
        "--batch-size-valid 9", "--resume-with-changes",
    ],
)  # fmt: skip
def test_a_usual_change(given: str, data: Path) -> None:
    assert changes(settings(data), settings(data, *given.split())) == []


def test_another_place_of_the_data_and_the_same_weights(data: Path, backbone: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved.pt"
    moved.write_bytes(backbone.read_bytes())
    earlier, now = (hash_files(settings(place, "--w2v-path", str(path))) for place, path in ((data, backbone), (tmp_path, moved)))
    assert changes(earlier, now) == []
    moved.write_bytes(b"others")
    (change,) = changes(earlier, hash_files(settings(data, "--w2v-path", str(moved))))
    assert change.startswith("model.w2v_path SHA-256 ")


TRIALS = [Trial("a", "a.flac", "bonafide"), Trial("b", "b.flac", "spoof"), Trial("c", "c.flac", "spoof")]


@pytest.mark.parametrize(
    "changed",
    [
        TRIALS[:2],
        [*TRIALS, Trial("d", "d.flac", "spoof")],
        [*TRIALS[:2], Trial("c", "c.flac", "bonafide")],
        [*TRIALS[:2], Trial("e", "c.flac", "spoof")],
        TRIALS[::-1],
    ],
)
def test_trials_removed_added_relabelled_renamed_or_reordered(changed: list[Trial]) -> None:
    assert summarise(changed) != summarise(TRIALS)
    assert summarise([Trial(trial.id, f"/elsewhere/{trial.audio}", trial.label) for trial in TRIALS]) == summarise(TRIALS)


def test_the_message_names_every_change_in_one_line() -> None:
    with pytest.raises(SettingError) as refusal:
        require_unchanged({"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 5, "c": None, "new": 1}, "checkpoints")
    remedy = "repeat the earlier settings, give another --save-dir, or --resume-with-changes"
    assert str(refusal.value) == f"checkpoints: a training that differs would be resumed: b 2 -> 5; c 3 -> None: {remedy}"
