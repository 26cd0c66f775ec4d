"""Commands of the original authors, their translation, and how fairseq and `sls` parse it.

The tables here were written independently of those in recipes/original/flags.py.
"""

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
from fairseq import options
from fairseq.dataclass.utils import convert_namespace_to_omegaconf
from omegaconf import OmegaConf

import sls_plugin.tasks  # noqa: F401  (registers the models)
from recipes.original.flags import ORIGINALS
from recipes.original.translate import main, translation
from sls_plugin.__main__ import _parsers

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "recipes" / "from_original.py"
PAGE = (ROOT / "recipes" / "original" / "README.md").read_text()
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
    printed = translation(command)
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
        "checkpoint.best_checkpoint_metric": "train_loss" if name == "main.py" else "loss",
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
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if line.startswith("| `--")]
    assert sorted(rows) == sorted(expected)
    for flag, (default, *_) in DIRECT.items():
        assert default is None or {default_text(name, flag).strip("`") for name in PROGRAMS} - {"–"} == {default}


def test_the_examples_of_the_page_print_what_it_shows() -> None:
    shown = re.findall(r"^\$ (python recipes/from_original\.py .*)\n((?:(?!\$ |```).*\n)*)", PAGE, flags=re.MULTILINE)
    assert len(shown) == 4
    for command, expected in shown:
        words = [sys.executable, *shlex.split(command)[1:]]
        assert subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout == expected


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
    assert trained["cfg"]["checkpoint"]["best_checkpoint_metric"] == "train_loss"
    assert 0 < trained["extra_state"]["val_loss"] < 2
    paste(
        f"python main.py --track=In-the-Wild --is_eval --eval --model_path='{checkpoint}' --protocols_path=wild.txt"
        " --database_path=release_in_the_wild/ --eval_output=scores_Wild.txt"
    )
    scores = [line.split() for line in (tmp_path / "scores_Wild.txt").read_text().splitlines()]
    assert [name for name, _ in scores] == ["0.wav", "1.wav", "2.wav"]
    printed = paste("python evaluate_in_the_wild.py scores_Wild.txt . eval")
    assert re.search(r"1 bona fide.*2 spoof", printed), printed
