"""Commands of the original authors, their translation, and how fairseq and `sls` parse it.

The tables here were written independently of those in recipes/original/flags.py.
"""

import json
import re
import shlex
import subprocess
import sys
import warnings
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from commands import USER_DIR
from configurations import composed
from fairseq import options
from fairseq.dataclass.utils import convert_namespace_to_omegaconf
from omegaconf import OmegaConf

import sls_plugin.tasks  # noqa: F401  (registers the models)
from recipes.original.experiments import AASIST_FLAGS, MAMBA_FLAGS
from recipes.original.flags import ORIGINALS
from recipes.original.translate import main, translation
from sls_plugin.__main__ import _parsers

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "recipes" / "from_original.py"
PAGE = (ROOT / "recipes" / "original" / "README.md").read_text()
LOOPS, AVERAGED = PAGE.split("\n## XLSR-Mamba and AASIST\n")
PROGRAMS = {
    "main.py": "python main.py",
    "sls_asvspoof.train": "python -m sls_asvspoof.train",
    "main_SSL_LA.py": "python main_SSL_LA.py",
    "main_SSL_DF.py": "python main_SSL_DF.py",
}

# flag: default in every original, another value, the field of ours that holds it, that other value there
HYPERPARAMETERS = {
    "--batch_size": ("14", "6", "batch_size", 6),
    "--num_epochs": ("100", "3", "max_epoch", 3),
    "--lr": ("1e-06", "0.0002", "lr", [0.0002]),
    "--weight_decay": ("0.0001", "0.03", "weight_decay", 0.03),
    "--seed": ("1234", "5", "seed", 5),
    "--model_path": (None, "some where/epoch_2.pth", "finetune_from_model", "some where/epoch_2.pth"),
    "--algo": (None, "8", "rawboost_algorithm", 8),
}
METRICS = {"main.py": "train_loss_batch_mean", "sls_asvspoof.train": "loss_batch_mean"}  # what selects an epoch; others: loss
RAWBOOST = {
    "--nBands": ("5", "6", "rawboost_n_bands", 6),
    "--minF": ("20", "30", "rawboost_min_frequency", 30),
    "--maxF": ("8000", "7000", "rawboost_max_frequency", 7000),
    "--minBW": ("100", "90", "rawboost_min_bandwidth", 90),
    "--maxBW": ("1000", "900", "rawboost_max_bandwidth", 900),
    "--minCoeff": ("10", "11", "rawboost_min_coefficients", 11),
    "--maxCoeff": ("100", "90", "rawboost_max_coefficients", 90),
    "--minG": ("0", "-3", "rawboost_min_gain", -3),
    "--maxG": ("0", "2", "rawboost_max_gain", 2),
    "--minBiasLinNonLin": ("5", "4", "rawboost_min_bias", 4),
    "--maxBiasLinNonLin": ("20", "21", "rawboost_max_bias", 21),
    "--N_f": ("5", "4", "rawboost_n_orders", 4),
    "--P": ("10", "9", "rawboost_max_impulses", 9),
    "--g_sd": ("2", "3", "rawboost_impulse_gain", 3),
    "--SNRmin": ("10", "12", "rawboost_min_snr", 12),
    "--SNRmax": ("40", "39", "rawboost_max_snr", 39),
}
REPRODUCTION_ALONE = {
    "--loss_weights": ("0.1 0.9", "0.3 0.7", "class_weights", "0.3,0.7"),
    "--patience": ("10", "2", "patience", 2),
    "--audio_max_len": ("64600", "64800", "max_samples", 64800),
    "--xlsr_model": ("xlsr2_300m.pt", "large.pt", "w2v_path", "large.pt"),
    "--num_workers": ("8", "3", "num_workers", 3),
}
DIRECT = HYPERPARAMETERS | RAWBOOST | REPRODUCTION_ALONE
OTHERS = {"--database_path", "--protocols_path", "--track", "--loss", "--comment", "--eval", "--eval_output"}
OTHERS |= {"--is_eval", "--eval_part", "--cudnn-deterministic-toggle", "--cudnn-benchmark-toggle"}
REPRODUCTION_OTHERS = {"--eval_batch_size", "--sample_rate", "--config"}
NAMES_FOLDER = ("--batch_size", "--num_epochs", "--lr")  # parts of the folder's name, as well as --track, --loss and --comment


def translate(command: str) -> tuple[list[list[str]], list[str]]:
    """The words of each printed command, and the remarks."""
    printed = translation(command, of="sls" if "main.py" in command else None)
    lines = printed.replace(" \\\n", " ").splitlines()
    remarks = [line for line in lines if line.startswith("#")]
    return [shlex.split(line) for line in lines[: len(lines) - len(remarks)]], remarks


def arguments(command: str) -> Namespace:
    """What fairseq's own parser reads from the translation's `fairseq-train`."""
    words = translate(command)[0][-1]
    assert words[0] == "fairseq-train"
    return options.parse_args_and_arch(options.get_training_parser(), words[1:])


def fields(command: str) -> dict[str, object]:
    """Every field of the configuration that fairseq makes of the translation, by its dotted name."""
    with warnings.catch_warnings(action="ignore"):  # fairseq speaks to Hydra in its old ways
        cfg = convert_namespace_to_omegaconf(arguments(command))
    return dict(flatten(OmegaConf.to_container(cfg, resolve=True, enum_to_str=True), ""))


def flatten(tree: dict, path: str) -> Iterator[tuple[str, object]]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from flatten(value, f"{path}{name}.")
        else:
            yield f"{path}{name}", value


def difference(changed: dict[str, object], base: dict[str, object]) -> dict[str, object]:
    """The fields that changed, by their last name: one setting stands in several places, with one value."""
    found: dict[str, object] = {}
    for path in changed.keys() | base.keys():
        if changed.get(path) != base.get(path):
            assert found.setdefault(path.rpartition(".")[2], changed.get(path)) == changed.get(path)
    return found


def sls_arguments(words: list[str]) -> object:
    """What `sls` understands of a printed command."""
    assert words[0] == "sls"
    return _parsers()[0].parse_args(words[1:])


@pytest.fixture(scope="module")
def base() -> dict[str, dict[str, object]]:
    return {name: fields(command) for name, command in PROGRAMS.items()}


@pytest.fixture(scope="module")
def plain() -> Namespace:
    return arguments(PROGRAMS["sls_asvspoof.train"])


# Training


@pytest.mark.parametrize("name", PROGRAMS)
def test_flags_that_are_not_given_have_the_originals_default(name, base) -> None:
    cfg = base[name]
    ssl = name.startswith("main_SSL")
    track, algorithm = ("LA", 5) if name == "main_SSL_LA.py" else ("DF", 3)
    expected = {
        "model._name": "xlsr_aasist_300m" if ssl else "sls_xlsr_300m",
        "model.w2v_path": "xlsr2_300m.pt", "model.normalize": False, "model.freeze_backbone": False, "model.head_lr_scale": 1.0,
        "task._name": "asvspoof", "task.data": "DATA", "task.max_samples": 64600, "task.crop": "start", "task.padding": "tile",
        "task.rawboost_algorithm": algorithm, "task.augment_validation": name != "main.py", "task.seed": 1234,
        "criterion._name": "weighted_cross_entropy", "criterion.class_weights": "0.1,0.9",
        "optimizer._name": "l2_adam", "optimizer.weight_decay": 1e-4, "optimizer.adam_betas": "(0.9, 0.999)",
        "optimizer.adam_eps": 1e-8, "lr_scheduler._name": "fixed", "lr_scheduler.warmup_updates": 0,
        "optimization.lr": [1e-6], "optimization.max_epoch": 100, "optimization.max_update": 0, "optimization.clip_norm": 0.0,
        "optimization.update_freq": [1], "optimization.sentence_avg": False, "common.fp16": False, "common.bf16": False,
        "common.seed": 1234, "dataset.batch_size": 14, "dataset.batch_size_valid": 14, "dataset.num_workers": 8,
        "dataset.train_subset": "train", "dataset.valid_subset": "dev", "distributed_training.distributed_world_size": 1,
        "checkpoint.finetune_from_model": None, "checkpoint.maximize_best_checkpoint_metric": False,
        "checkpoint.best_checkpoint_metric": METRICS.get(name, "loss"),
        "checkpoint.patience": {"main.py": 1, "sls_asvspoof.train": 10}.get(name, -1),
        "checkpoint.save_dir": f"models/model_{track}_weighted_CCE_100_14_1e-06",
        "common.tensorboard_logdir": f"logs/model_{track}_weighted_CCE_100_14_1e-06",
    }  # fmt: skip
    expected |= {f"task.{field}": float(default) for default, _, field, _ in RAWBOOST.values()}
    assert {path: cfg[path] for path in expected} == expected


@pytest.mark.parametrize("flag", DIRECT)
def test_a_flag_changes_its_field_and_no_other(flag, plain) -> None:
    default, other, field, value = DIRECT[flag]
    command = PROGRAMS["sls_asvspoof.train"]
    quoted = other if flag == "--loss_weights" else shlex.quote(other)
    changed = difference(vars(arguments(f"{command} {flag} {quoted}")), vars(plain))
    assert changed.pop(field) == value
    along = {"save_dir", "tensorboard_logdir"} if flag in NAMES_FOLDER else set()
    assert changed.keys() == along | ({"batch_size_valid"} if flag == "--batch_size" else set())
    if default is not None:
        assert arguments(f"{command} {flag} {default}") == plain


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_original_takes_the_shared_flags(name, base) -> None:
    table = HYPERPARAMETERS | RAWBOOST
    words = " ".join(f"{flag}={shlex.quote(other)}" for flag, (_, other, _, _) in table.items())
    changed = difference(fields(f"{PROGRAMS[name]} {words} --loss WCE --comment 'two words'"), base[name])
    track = "LA" if name == "main_SSL_LA.py" else "DF"
    folder = f"model_{track}_WCE_3_6_0.0002_two words"
    expected = {field: value for _, _, field, value in table.values()}
    assert changed == expected | {"batch_size_valid": 6, "save_dir": f"models/{folder}", "tensorboard_logdir": f"logs/{folder}"}


@pytest.mark.parametrize("name", PROGRAMS)
def test_no_flag_of_an_original_is_forgotten(name) -> None:
    alone = REPRODUCTION_ALONE.keys() | REPRODUCTION_OTHERS if name == "sls_asvspoof.train" else set()
    assert ORIGINALS[name].flags.keys() == HYPERPARAMETERS.keys() | RAWBOOST.keys() | OTHERS | alone


@pytest.mark.parametrize("name", PROGRAMS)
def test_dropped_flags_are_named(name) -> None:
    flags = ["--is_eval", "--eval_part 2", "--cudnn-deterministic-toggle", "--cudnn-benchmark-toggle", "--eval_output s.txt"]
    flags += ["--eval_batch_size 7", "--sample_rate 16000"] if name == "sls_asvspoof.train" else []
    command = f"{PROGRAMS[name]} {' '.join(flags)}"
    assert translate(command)[0] == translate(PROGRAMS[name])[0]
    named = {remark.split()[1] for remark in translate(command)[1] if "is dropped: " in remark}
    assert named == {flag.split()[0] for flag in flags}


def test_an_algorithm_that_does_not_exist_augments_nothing() -> None:
    assert [arguments(f"python main.py --algo {number}").rawboost_algorithm for number in (0, 9, -1)] == [0, 0, 0]


@pytest.mark.parametrize(
    ("command", "train", "dev"),
    [
        ("python main.py --track LA", ("ASVspoof_DF", "LA"), ("ASVspoof_LA", "LA")),
        ("python main_SSL_DF.py --track PA", ("ASVspoof_LA", "LA"), ("ASVspoof_LA", "LA")),
        ("main_SSL_LA.py --track PA", ("ASVspoof_PA", "PA"), ("ASVspoof_PA", "PA")),
    ],
)
@pytest.mark.parametrize("slash", ["", "/"])
def test_manifests_are_made_of_the_files_that_the_original_reads(command, train, dev, slash) -> None:
    commands, remarks = translate(f"{command} '--database_path=/data base{slash}' --protocols_path lists{slash}")
    assert not any("not given" in remark for remark in remarks)
    for words, split, (folder, corpus), end in zip(commands, ("train", "dev"), (train, dev), ("trn", "trl"), strict=False):
        args = sls_arguments(words)
        assert (args.command, args.corpus, args.dest, args.split) == ("prepare", "asvspoof2019-la", Path("DATA"), split)
        assert args.audio == Path(f"/data base/ASVspoof2019_{corpus}_{split}")
        assert args.protocol == Path(f"lists/{folder}_cm_protocols/ASVspoof2019.{corpus}.cm.{split}.{end}.txt")


def test_a_placeholder_of_the_original_is_reported() -> None:
    remarks = "\n".join(translate("python main.py --protocols_path lists")[1])
    assert "--database_path is not given: put your folder in place of /path/to/your/database/" in remarks
    assert "--protocols_path" not in remarks


# The reproduction's YAML


def test_the_file_wins_over_a_flag_at_its_default(tmp_path) -> None:
    config = tmp_path / "train df.yaml"
    config.write_text(
        "track: LA\nbatch_size: 5\nnum_epochs: 50\nlr: 1e-5\nloss: WCE\nloss_weights: [0.2, 0.8]\npatience: 3\nis_eval: false\n"
        "comment:\nnBands: 7\neval_batch_size: 4\n"
    )
    command = f"{PROGRAMS['sls_asvspoof.train']} --config {shlex.quote(str(config))} --patience 10 --num_epochs 60 --batch_size 5"
    ours, remarks = arguments(command), "\n".join(translate(command)[1])
    assert ours.patience == 3, "10 is the parser's default"
    assert re.findall("--patience 10 .* is overridden by .*, 3,", remarks)
    assert remarks.count("is overridden") == 1
    assert (ours.max_epoch, ours.class_weights, ours.lr, ours.rawboost_n_bands) == (60, "0.2,0.8", [1e-5], 7)
    assert ours.save_dir == "models/model_LA_WCE_60_5_1e-05"
    assert "--eval_batch_size is dropped" in remarks


@pytest.mark.parametrize(
    ("text", "status", "problem"),
    [
        ("batchsize: 5\nlr: 1.0e-6", 2, "unknown key batchsize: "),
        ("cudnn-benchmark-toggle: true", 2, "unknown key cudnn-benchmark-toggle: "),
        ("lr: fast", 2, "argument --lr: "),
        ("track: Wild", 2, "argument --track: "),
        ("batch_size: [5, 6]", 2, "unknown flag 6: "),
        ("loss_weights: 0.5", 2, "argument --loss_weights: "),
        ("- lr", 1, "no `key: value` lines"),
        ("lr: [", 1, "not a YAML file"),
        (None, 1, "No such file"),
    ],
)
def test_a_wrong_file_ends_it_in_one_line(text, status, problem, tmp_path, capsys) -> None:
    config = tmp_path / "config.yaml"
    if text is not None:
        config.write_text(text)
    assert main([f"{PROGRAMS['sls_asvspoof.train']} --config {config}"]) == status
    outcome = capsys.readouterr()
    assert outcome.out == ""
    assert outcome.err.startswith(f"from_original.py: error: {config}: {problem}")
    assert outcome.err.count("\n") == 1


# Scoring and evaluation


@pytest.mark.parametrize(
    ("command", "corpus", "audio", "protocol", "batch"),
    [
        ("python main.py --track=DF --eval", "asvspoof2021-df", "/a b/", "lists", 8),
        ("python main.py --track=LA --eval", "asvspoof2021-la", "/a b/", "lists", 8),
        ("python main.py --track=In-the-Wild", "in-the-wild", "/a b/", "lists", 8),
        ("python -m sls_asvspoof.train --eval --eval_batch_size 3", "asvspoof2021-df", "/a b/", "lists", 3),
        ("python -m sls_asvspoof --eval", "asvspoof2021-df", "/a b/", "lists", 4),
        ("python main_SSL_LA.py --eval", "asvspoof2021-la", "/a b/ASVspoof2021_LA_eval", "LA", 10),
        ("python main_SSL_LA.py --eval --track PA", "list", "/a b/ASVspoof2021_PA_eval", "PA", 10),
        ("python main_SSL_DF.py --eval", "asvspoof2021-df", "/a b/ASVspoof2021_DF_eval", "DF", 14),
    ],
)
def test_evaluation_becomes_a_manifest_and_scores(command, corpus, audio, protocol, batch) -> None:
    given = "--model_path='my model.pth' --eval_output out/scores.txt --database_path '/a b/' --protocols_path lists --is_eval"
    (prepare, score), remarks = translate(f"CUDA_VISIBLE_DEVICES=1 {command} {given} --lr 1e-3")
    manifest = sls_arguments(prepare)
    listed = "lists" if protocol == "lists" else f"lists/ASVspoof_{protocol}_cm_protocols/ASVspoof2021.{protocol}.cm.eval.trl.txt"
    assert (manifest.command, manifest.corpus, manifest.split) == ("prepare", corpus, "eval")
    assert (manifest.audio, manifest.protocol) == (Path(audio), Path(listed))
    assert score[0] == "CUDA_VISIBLE_DEVICES=1"
    scores = sls_arguments(score[1:])
    assert (scores.command, scores.checkpoint, scores.output) == ("score", "my model.pth", Path("out/scores.txt"))
    assert (scores.inputs, scores.batch_size) == ([str(manifest.dest / "eval.tsv")], batch)
    assert any("--lr is dropped: only training uses it" in remark for remark in remarks)


def test_flags_of_the_other_mode_are_named() -> None:
    """No flag is ignored silently: in scoring, each given one either shows in a command or is named."""
    for name, command in PROGRAMS.items():
        table = HYPERPARAMETERS | RAWBOOST | (REPRODUCTION_ALONE if name == "sls_asvspoof.train" else {})
        del table["--model_path"]
        words = " ".join(f"{flag} {other}" for flag, (_, other, _, _) in table.items())
        _, remarks = translate(f"{command} --eval --model_path m.pth --eval_output s.txt --loss WCE --comment x {words}")
        named = {remark.split()[1] for remark in remarks if "is dropped: " in remark}
        assert named == table.keys() | {"--loss", "--comment"}


@pytest.mark.parametrize(
    ("command", "corpus", "phase"),
    [
        ("python evaluate_2021_DF.py 'my scores.txt' ./keys eval", "asvspoof2021-df", "eval"),
        ("python evaluate_2021_LA.py 'my scores.txt' ./keys hidden_track", "asvspoof2021-la", "hidden"),
        ("python3.7 evaluate_in_the_wild.py 'my scores.txt' ./keys progress", "in-the-wild", None),
        ("python -m sls_asvspoof.evaluate --track LA 'my scores.txt' ./keys progress", "asvspoof2021-la", "progress"),
        ("python -m sls_asvspoof.evaluate 'my scores.txt' ./keys eval --track Wild", "in-the-wild", None),
    ],
)
def test_evaluation_scripts_become_sls_evaluate(command, corpus, phase) -> None:
    (words,), remarks = translate(command)
    args = sls_arguments(words)
    assert (args.command, args.corpus, args.scores, args.keys) == ("evaluate", corpus, Path("my scores.txt"), Path("keys"))
    assert args.phase == phase
    assert not remarks


# What is refused, and the shell


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("python main.py --lr 1e-6 --epochs=3", "main.py: unknown flag --epochs: "),
        ("python main.py --config a.yaml --patience 3", "main.py: unknown flag --config, --patience: sls_asvspoof.train has it"),
        ("python main.py --batch_size 5 > log.txt", "main.py: unknown flag >, log.txt: "),
        ("python main.py --mi 3", "main.py: ambiguous option: --mi "),
        ("python main.py --minF 2.5", "main.py: argument --minF: invalid int value"),
        ("python main.py --num_epochs 0", "main.py: argument --num_epochs: 0 is not"),
        ("python -m sls_asvspoof.train --patience 0", "sls_asvspoof.train: argument --patience: 0 is not"),
        ("python -m sls_asvspoof.train --sample_rate 8000", "sls_asvspoof.train: argument --sample_rate: invalid choice: 8000"),
        ("python main.py --track PA", "main.py: argument --track: invalid choice: 'PA'"),
        ("python main_SSL_LA.py --track In-the-Wild", "main_SSL_LA.py: argument --track: invalid choice"),
        ("python main.py --eval --eval_output s.txt", "--model_path is missing: "),
        ("python main.py --track In-the-Wild --model_path m.pth", "--eval_output is missing: "),
        ("python evaluate_2021_DF.py scores.txt ./keys all", "evaluate_2021_DF.py: argument phase: "),
        ("python evaluate_2021_DF.py scores.txt", "evaluate_2021_DF.py: the following arguments are required"),
        ("python train.py --lr 3", "train.py is not a program of the originals"),
        ("CUDA_VISIBLE_DEVICES=0", "nothing is not a program of the originals"),
        ("python main.py --comment 'x", "no closing quotation: "),
    ],
)
def test_what_cannot_be_translated_ends_it_in_one_line(command, problem, capsys) -> None:
    assert main([command]) == 2
    outcome = capsys.readouterr()
    assert outcome.out == ""
    assert outcome.err.startswith(f"from_original.py: error: {problem}")
    assert outcome.err.count("\n") == 1


def test_a_remark_stays_in_its_line(tmp_path) -> None:
    """What is pasted runs nothing that a configuration file smuggles in."""
    (tmp_path / "config.yaml").write_text('loss: "WCE\\ntouch smuggled"')
    command = f"python -m sls_asvspoof.train --config {tmp_path}/config.yaml --loss weighted_CCE"
    remarks = translation(command).split("\n# ")[1:]
    assert "touch smuggled" in remarks[0]
    assert not any("\n" in remark.rstrip("\n") for remark in remarks)


def test_abbreviations_are_those_of_the_original() -> None:
    short = arguments("python main.py --batch 6 --se 5")
    assert (short.batch_size, short.seed) == (6, 5)


def test_the_shell_fills_in_variables_and_nothing_else(tmp_path) -> None:
    odd = 'it\'s `date` $(date) "x" \\ ;'
    environment = "A_B='1, 2' CUDA_VISIBLE_DEVICES=0,1"
    given = f'--model_path "$MODEL/${{EPOCH}} x.pth" --eval_output {shlex.quote(odd)} \\\n --database_path ~/d --protocols_path p'
    line = translation(f"{environment} python3 -u main.py --eval {given}").splitlines()[1]
    assert "sls score" in line
    show = "import os, sys; print([os.environ['A_B'], *sys.argv[1:]])"
    shown = line.replace("sls score", f"{shlex.quote(sys.executable)} -c {shlex.quote(show)}", 1)
    variables = {"MODEL": "my models", "EPOCH": "epoch_2", "PATH": ""}
    printed = subprocess.run(["/bin/bash", "-c", shown], env=variables, capture_output=True, text=True, check=True).stdout
    assert printed.strip() == str(["1, 2", "my models/epoch_2 x.pth", "DF21/eval.tsv", "--output", odd, "--batch-size", "8"])
    prepare = translate(f"python main.py --eval {given}")[0][0]
    assert sls_arguments(prepare).audio == Path.home() / "d"


# The page


def default_text(name: str, flag: str) -> str:
    flags = ORIGINALS[name].flags
    if flag not in flags:
        return "–"
    default = flags[flag].default
    if default is None or isinstance(default, bool):
        return ""
    if isinstance(default, list):
        return " ".join(map(str, default))
    return f"`{default}`" if isinstance(default, str) else str(default)


def test_the_tables_of_the_page_are_those_of_the_script() -> None:
    expected = []
    for flag, entry in ORIGINALS["sls_asvspoof.train"].flags.items():
        here = {original.flags[flag].here for original in ORIGINALS.values() if flag in original.flags}
        assert here == {entry.here}
        names = PROGRAMS if flag not in RAWBOOST else list(PROGRAMS)[:1]
        assert flag not in RAWBOOST or len({default_text(name, flag) for name in PROGRAMS}) == 1
        expected.append([f"`{flag}`", *(default_text(name, flag) for name in names), entry.here])
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in LOOPS.splitlines() if line.startswith("| `--")]
    assert sorted(rows) == sorted(expected)
    for flag, (default, *_) in DIRECT.items():
        assert default is None or {default_text(name, flag).strip("`") for name in PROGRAMS} - {"–"} == {default}


def test_the_examples_of_the_page_print_what_it_shows() -> None:
    shown = re.findall(r"^\$ (python recipes/from_original\.py .*)\n((?:(?!\$ |```).*\n)*)", PAGE, flags=re.MULTILINE)
    assert len(shown) == 6
    for command, expected in shown:
        words = [sys.executable, *shlex.split(command)[1:]]
        assert subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout == expected


# Whose main.py it is


@pytest.mark.parametrize("words", ["", "--algo 5", "--batch_size 20 --seed 3", "--num_epochs=50 --lr=0.000001", "--comment x"])
def test_a_command_that_several_originals_take_asks_which(words, capsys) -> None:
    """The published command of XLSR-Mamba is one that SLS takes too, and means another detector."""
    assert main([f"python main.py {words}"]) == 2
    refused = "main.py: sls and mamba both take these flags: say whose command it is with --of sls or --of mamba"
    assert capsys.readouterr().err == f"from_original.py: error: {refused}\n"
    assert "--arch sls_xlsr_300m" in translation(f"python main.py {words}", of="sls").replace(" \\\n    ", " ")
    assert translation(f"python main.py {words}", of="mamba").startswith("bash recipes/train.sh xlsr_mamba ")
    assert "--augment-validation" in translation(f"python main.py {words}", of="reproduction")


def test_of_names_an_original_that_has_the_program(capsys) -> None:
    assert main(["--of", "ssl", "python main.py --algo 5"]) == 2
    assert "ssl has no main.py: its programs are main_SSL_LA.py, main_SSL_DF.py" in capsys.readouterr().err
    assert translation("python main_SSL_LA.py", of="ssl") == translation("python main_SSL_LA.py")


def run_settings(printed: str, experiment: str) -> tuple[dict[str, str], object]:
    """The options of `train.sh` in a translation, and the configuration that its settings make."""
    words = shlex.split(printed.replace(" \\\n", " "), comments=True)
    assert words[:3] == ["bash", "recipes/train.sh", experiment]
    given, settings = (words[3:], []) if "--" not in words else (words[3 : words.index("--")], words[words.index("--") + 1 :])
    named = dict(zip(given[::2], given[1::2], strict=True))
    help_text = subprocess.run(["bash", ROOT / words[1], experiment, "--help"], capture_output=True, text=True, check=True).stdout
    assert all(f"\n  {option} " in help_text for option in named)
    settings += ["lr_scheduler.warmup_updates=0"] + (["optimization.max_update=9"] if experiment == "aasist" else [])
    return named, composed(f"experiments/{experiment}/config/{named['--config']}.yaml", *settings)


@pytest.mark.parametrize(("algorithm", "config", "track"), [(5, "la", "2021la"), (3, "df", "2021df"), (4, "la", "2021df")])
def test_xlsr_mamba_becomes_its_experiment(algorithm, config, track) -> None:
    words = "--batch_size 4 --num_epochs 3 --lr 2e-5 --weight_decay 0.03 --emb-size 16 --num_encoders 4 --FT_W2V no --seed 9"
    printed = translation(f"python main.py --algo {algorithm} --database_path my/data {words}", of="mamba")
    named, cfg = run_settings(printed, "xlsr_mamba")
    assert (named["--config"], named["--tracks"], named["--corpora"], named["--seed"]) == (config, track, "my/data", "9")
    assert (cfg.dataset.batch_size, cfg.checkpoint.patience, cfg.optimization.lr) == (4, 3, [2e-5])
    assert (cfg.optimizer.weight_decay, cfg.model.mamba_features, cfg.model.mamba_layers) == (0.03, 16, 4)
    assert cfg.model.freeze_backbone
    assert cfg.task.rawboost_algorithm == algorithm


CONF = {
    "database_path": "./LA/", "batch_size": 32, "num_epochs": 100, "track": "LA", "model_path": "best.pth",
    "model_config": {
        "architecture": "RawNet2Spoof", "nb_samp": 64600, "first_conv": 1024, "in_channels": 1, "nb_classes": 2,
        "filts": [20, [20, 20], [20, 128], [128, 128]], "blocks": [2, 4], "nb_fc_node": 1024, "gru_node": 1024, "nb_gru_layer": 3,
    },
    "optim_config": {
        "optimizer": "adam", "amsgrad": "False", "base_lr": 0.0001, "lr_min": 0.000005, "weight_decay": 0.0001,
        "scheduler": "cosine",
    },
}  # fmt: skip


def conf(path: Path, **changes: object) -> Path:
    path.write_text(json.dumps(CONF | changes))
    return path


def test_aasist_becomes_its_experiment(tmp_path) -> None:
    path = conf(tmp_path / "my.conf")
    published = translation("python main.py --config ./config/RawNet2_baseline.conf")
    assert "is not here: its settings are those that AASIST's authors published" in published
    named, cfg = run_settings(translation(f"python main.py --config {path}"), "aasist")
    assert (named["--config"], cfg) == ("rawnet2", run_settings(published, "aasist")[1])
    optimiser = CONF["optim_config"] | {"base_lr": 0.002, "lr_min": 0.001, "weight_decay": 0.5}
    path = conf(tmp_path / "my.conf", batch_size=7, num_epochs=3, optim_config=optimiser)
    named, cfg = run_settings(translation(f"python main.py --config {path} --seed 4 --output_dir out"), "aasist")
    assert (named["--dest"], named["--seed"], named["--corpora"]) == ("out/LA_my_ep3_bs7", "4", "./LA/")
    assert (cfg.dataset.batch_size, cfg.optimization.max_epoch, cfg.optimization.lr) == (7, 3, [0.002])
    assert (cfg.lr_scheduler.min_lr, cfg.optimizer.weight_decay) == (0.001, 0.5)
    assert "score.sh 2019la --checkpoint best.pth" in translation(f"python main.py --eval --config {path}")


@pytest.mark.parametrize(
    ("changes", "status", "problem"),
    [
        ({"track": "PA"}, 2, "track PA: only LA has a counterpart here"),
        ({"freq_aug": "True"}, 2, "freq_aug True: only False has a counterpart here"),
        ({"model_config": {"architecture": "AASIST"}}, 2, "its model_config is none of AASIST's authors: "),
        ({"optim_config": {}}, 1, "not a configuration of AASIST: "),
    ],
)
def test_a_configuration_of_aasist_without_counterpart(changes, status, problem, tmp_path, capsys) -> None:
    path = conf(tmp_path / "my.conf", **changes)
    assert main([f"python main.py --config {path}"]) == status
    assert capsys.readouterr().err.startswith(f"from_original.py: error: {path}: {problem}")


def test_the_tables_of_xlsr_mamba_and_aasist() -> None:
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in AVERAGED.splitlines() if line.startswith("| `--")]
    assert [(row[0], row[2]) for row in rows] == [
        (f"`{flag}`", entry.here) for flags in (MAMBA_FLAGS, AASIST_FLAGS) for flag, entry in flags.items()
    ]


# Pasted into a shell


def test_the_printed_commands_train_score_and_evaluate(tiny_checkpoint, tmp_path) -> None:
    rng = np.random.default_rng(5)
    for split, end, n_trials in (("train", "trn", 7), ("dev", "trl", 4)):
        audio = tmp_path / "my data" / f"ASVspoof2019_LA_{split}" / "flac"
        audio.mkdir(parents=True)
        lines = [f"LA_0001 {split}_{n} - {'A01 spoof' if n % 2 else '- bonafide'}\n" for n in range(n_trials)]
        for n in range(n_trials):
            soundfile.write(audio / f"{split}_{n}.flac", rng.normal(scale=0.1, size=9_000), 16_000)
        for track in ("LA", "DF"):
            protocol = tmp_path / "lists" / f"ASVspoof_{track}_cm_protocols" / f"ASVspoof2019.LA.cm.{split}.{end}.txt"
            protocol.parent.mkdir(parents=True, exist_ok=True)
            protocol.write_text("".join(lines))
    wild = tmp_path / "release_in_the_wild"
    wild.mkdir()
    for n in range(3):
        soundfile.write(wild / f"{n}.wav", rng.normal(scale=0.1, size=7_000), 16_000)
    (tmp_path / "xlsr2_300m.pt").symlink_to(tiny_checkpoint)
    (tmp_path / "wild.txt").write_text("0.wav\n1.wav\n2.wav\n")
    (tmp_path / "in_the_wild_key.txt").write_text(
        "".join(f"- {n}.wav - - - {label}\n" for n, label in enumerate(("spoof", "bona-fide", "spoof")))
    )

    def paste(command: str) -> str:
        translated = subprocess.run([sys.executable, SCRIPT, command], cwd=tmp_path, capture_output=True, text=True, check=True)
        assert "--user-dir" not in translated.stdout or str(USER_DIR) in translated.stdout
        path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
        words = ["/bin/bash", "-e", "-c", translated.stdout]
        outcome = subprocess.run(words, cwd=tmp_path, env={"PATH": path, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
        assert outcome.returncode == 0, outcome.stdout + outcome.stderr
        return outcome.stdout

    paste(
        "CUDA_VISIBLE_DEVICES= python main.py --track=DF --num_epochs=1 --batch_size=4 --lr=0.001 --loss=WCE"
        " --database_path='my data/' --protocols_path=lists/ --comment 'a b'"
    )
    checkpoint = "models/model_DF_WCE_1_4_0.001_a b/checkpoint_best.pt"
    trained = torch.load(tmp_path / checkpoint, weights_only=True)
    assert trained["optimizer_history"][-1]["num_updates"] == 2, "7 trials, 4 at a time"
    assert trained["cfg"]["checkpoint"]["best_checkpoint_metric"] == "train_loss_batch_mean"
    assert 0 < trained["extra_state"]["val_loss"] < 10
    paste(
        f"python main.py --track=In-the-Wild --is_eval --eval --model_path='{checkpoint}' --protocols_path=wild.txt"
        " --database_path=release_in_the_wild/ --eval_output=scores_Wild.txt"
    )
    scores = [line.split() for line in (tmp_path / "scores_Wild.txt").read_text().splitlines()]
    assert [name for name, _ in scores] == ["0.wav", "1.wav", "2.wav"]
    printed = paste("python evaluate_in_the_wild.py scores_Wild.txt . eval")
    assert re.search(r"1 bona fide.*2 spoof", printed), printed
