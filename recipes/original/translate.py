"""Translate a command of the original authors to commands of this project.

python recipes/from_original.py "python main.py --track=DF --lr=0.000001 --batch_size=5 --loss=WCE --num_epochs=50"

recipes/original/README.md lists every flag, and what differs in the run itself.
"""

import argparse
import os
import re
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import dropwhile, takewhile
from pathlib import Path
from typing import Any, NoReturn

from .experiments import AASIST_FLAGS, MAMBA_FLAGS, FileError, aasist, mamba
from .flags import EVALUATED, EVALUATIONS, ORIGINALS, OWNERS, PHASES, RAWBOOST, SCORED, SLS_FLAGS, Flag, Original, UsageError

ROOT = Path(__file__).resolve().parents[2]
PAGE = "recipes/original/README.md"
MAINS = {"sls": SLS_FLAGS, "mamba": MAMBA_FLAGS, "aasist": AASIST_FLAGS}  # each has a main.py
WIDTH = 120


# From the words of a command to the values of its flags


class OriginalParser(argparse.ArgumentParser):
    """Reports errors in one line, accepts abbreviations as the originals do, and keeps only the flags that are given."""

    def __init__(self, name: str) -> None:
        super().__init__(prog=name, add_help=False, argument_default=argparse.SUPPRESS)

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{self.prog}: {message}")

    def given(self, words: Sequence[str]) -> dict[str, Any]:
        """The flags among the words with their values; UsageError on any other word."""
        namespace, unknown = self.parse_known_args(words)
        if unknown:
            names = [word.split("=")[0] for word in unknown if word.startswith("-")] or unknown
            others = [name for name, original in ORIGINALS.items() if original.flags.keys() & names]
            remedy = f"{others[0]} has it" if others else f"{PAGE} lists the flags"
            self.error(f"unknown flag {', '.join(names)}: {remedy}")
        return vars(namespace)


def destination(flag: str) -> str:
    """The name of a flag's value.

    >>> destination("--cudnn-benchmark-toggle")
    'cudnn_benchmark_toggle'
    """
    return flag.lstrip("-").replace("-", "_")


def given_flags(name: str, flags: Mapping[str, Flag], words: Sequence[str]) -> dict[str, Any]:
    """The values of the flags among the words; errors start with `name`."""
    parser = OriginalParser(name)
    for flag, entry in flags.items():
        entry.add_to(parser, flag)
    return parser.given(words)


def read_flags(name: str, words: Sequence[str]) -> tuple[dict[str, Any], set[str], list[str]]:
    """The values of all flags of an original, the names of those that were given, and remarks."""
    flags = ORIGINALS[name].flags
    defaults = {destination(flag): entry.default for flag, entry in flags.items()}
    given = given_flags(name, flags, words)
    values = defaults | given
    remarks = []
    configured = read_config(values["config"], flags) if values.get("config") else {}
    for key, value in configured.items():
        if values[key] != defaults[key]:
            continue  # only a flag that differs from its default overrides the file
        if key in given and value != given[key]:
            what = f"--{key} {_text(given[key])} is the default there and is overridden"
            remarks.append(f"{what} by {values['config']}, {_text(value)}, as in the original")
        values[key] = value
    return values, given.keys() | configured.keys(), remarks


def read_config(path: str, flags: Mapping[str, Flag]) -> dict[str, Any]:
    """The keys of the reproduction's YAML file, checked like the flags of the same name."""
    import yaml  # only these files need it

    try:
        config = yaml.safe_load(Path(path).read_text())
    except OSError as error:
        raise FileError(f"{path}: {error.strerror}: name the configuration file from this folder") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise FileError(f"{path}: not a YAML file: name the configuration file of the reproduction") from None
    if not isinstance(config, dict):
        raise FileError(f"{path}: no `key: value` lines: name the configuration file of the reproduction")
    names = {destination(flag): flag for flag in flags}
    if unknown := [str(key) for key in config if key not in names]:
        raise UsageError(f"{path}: unknown key {', '.join(unknown)}: the original ignores it: remove or correct it")
    words = [word for key, value in config.items() for word in _words(names[key], flags[names[key]], value)]
    return given_flags(path, flags, words)


def _words(flag: str, entry: Flag, value: Any) -> list[str]:
    """A YAML value as words of the command line."""
    if isinstance(value, list):
        return [flag, *map(str, value)]
    if isinstance(value, bool):
        return [flag] if value != entry.default else []
    return [] if value is None else [f"{flag}={value}"]


# From the values to commands of ours


def training(original: Original, values: Mapping[str, Any], given: set[str]) -> list[list[str]]:
    """Manifests, then `fairseq-train`."""
    tag = "model_{track}_{loss}_{num_epochs}_{batch_size}_{lr}".format(**values)
    if values["comment"]:
        tag += f"_{values['comment']}"
    options = {
        "--user-dir": "sls_plugin" if Path.cwd() == ROOT else str(ROOT / "sls_plugin"),
        "--task": "asvspoof",
        "--arch": original.arch,
        "--w2v-path": "xlsr2_300m.pt",
        "--criterion": "weighted_cross_entropy",
        "--class-weights": "0.1,0.9",
        "--optimizer": "l2_adam",
    }
    for flag, entry in original.flags.items():
        name = destination(flag)
        if entry.training.startswith("--") and values[name] is not None and (name in given or flag not in RAWBOOST):
            options[entry.training] = _text(values[name])
    options.setdefault("--num-workers", "8")
    train = ["fairseq-train", "DATA", *(word for option in options.items() for word in option)]
    train += ["--valid-subset", "dev", *original.selection, "--distributed-world-size", "1"]
    train += ["--save-dir", f"models/{tag}", "--tensorboard-logdir", f"logs/{tag}"]
    manifests = [
        files.preparation("asvspoof2019", values, "--dest", "DATA", "--split", split)
        for split, files in (("train", original.train), ("dev", original.dev))
    ]
    return [*manifests, train]


def scoring(original: Original, values: Mapping[str, Any]) -> list[list[str]]:
    """A manifest, then `sls score`."""
    for name, want in (("model_path", "the network is untrained"), ("eval_output", "there is no file for the scores")):
        if not values[name]:
            raise UsageError(f"--{name} is missing: without it {want}")
    corpus, folder = SCORED[values["track"]]
    batch = values.get("eval_batch_size", original.scoring_batch)
    score = ["sls", "score", values["model_path"], f"{folder}/eval.tsv", "--output", values["eval_output"]]
    return [original.evaluation.preparation(corpus, values, "--dest", folder), [*score, "--batch-size", str(batch)]]


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def remarks_on(original: Original, values: Mapping[str, Any], given: set[str], scores: bool) -> Iterator[str]:
    """The given flags that are dropped, and what to know before the run."""
    mode, other = ("scoring", "training") if scores else ("training", "scoring")
    for flag, entry in original.flags.items():
        name = destination(flag)
        if name in given and not getattr(entry, mode):
            yield f"{flag} is dropped: {entry.dropped or f'only {other} uses it, there too'}"
        if name not in given and isinstance(entry.default, str) and entry.default.startswith("/"):
            yield f"{flag} is not given: put your folder in place of {entry.default}"
    if scores:
        yield "the file of --eval_output must not exist yet: the original would append to it"
    else:
        yield "the same command resumes a stopped run; every epoch is kept, with the optimiser's state"
    yield f"{PAGE} lists what differs in the run itself"


def evaluation(name: str, words: Sequence[str]) -> list[str]:
    """`sls evaluate` of a score file."""
    parser = OriginalParser(name)
    if name not in EVALUATIONS:
        parser.add_argument("--track", choices=EVALUATED, required=True)
    parser.add_argument("score_file")
    parser.add_argument("truth_dir")
    parser.add_argument("phase", choices=PHASES)
    values = {"track": EVALUATIONS.get(name)} | parser.given(words)
    command = ["sls", "evaluate", EVALUATED[values["track"]], values["score_file"], "--keys", values["truth_dir"]]
    return command if values["track"] == "Wild" else [*command, "--phase", PHASES[values["phase"]]]  # In-the-Wild has no phases


def experiment(owner: str, words: Sequence[str]) -> tuple[list[list[str]], list[str]]:
    """A run of recipes/train.sh or recipes/score.sh, and remarks."""
    flags = MAINS[owner]
    given = given_flags(f"main.py of {owner}", flags, words)
    values = {destination(flag): entry.default for flag, entry in flags.items()} | given
    train, score = (str(Path(*([] if Path.cwd() == ROOT else [ROOT]), "recipes", name)) for name in ("train.sh", "score.sh"))
    command, remarks = mamba(values, train) if owner == "mamba" else aasist(values, train, score)
    dropped = [f"{flag} is dropped: {entry.dropped}" for flag, entry in flags.items() if entry.dropped]
    dropped = [remark for remark in dropped if destination(remark.split()[0]) in given]
    return [command], [*dropped, *remarks, f"{PAGE} lists what it needs and what differs"]


def owner_of(name: str, words: Sequence[str], of: str | None) -> str | None:
    """Whose program it is. UsageError where several originals take the command, or where `of` has no such program."""
    if of is not None:
        if name not in OWNERS[of]:
            raise UsageError(f"{of} has no {name}: its programs are {', '.join(OWNERS[of])}")
        return of
    if name != "main.py":
        return None
    takers = [owner for owner in MAINS if _takes(owner, words)]
    if len(takers) > 1:
        choices = " or ".join(f"--of {owner}" for owner in takers)
        raise UsageError(f"main.py: {' and '.join(takers)} both take these flags: say whose command it is with {choices}")
    return takers[0] if takers else "sls"


def _takes(owner: str, words: Sequence[str]) -> bool:
    try:
        given = given_flags("main.py", MAINS[owner], words)
    except UsageError:
        return False
    return owner != "aasist" or "config" in given


def translation(command: str, of: str | None = None) -> str:
    """The lines to paste: the commands of this project, then remarks as comments. `of` says whose program it is."""
    environment, name, words = split(command)
    owner = owner_of(name, words, of)
    if owner in ("mamba", "aasist"):
        commands, remarks = experiment(owner, words)
    elif name in ORIGINALS:
        name = "sls_asvspoof.train" if owner == "reproduction" else name
        original = ORIGINALS[name]
        values, given, remarks = read_flags(name, words)
        scores = values["eval"] or values["track"] == "In-the-Wild"  # that track never trains
        commands = scoring(original, values) if scores else training(original, values, given)
        remarks += remarks_on(original, values, given, scores)
    else:
        commands, remarks = [evaluation(name, words)], []
    lines = [shell(command) for command in commands]
    lines[-1] = "".join(f"{variable} " for variable in environment) + lines[-1]
    return "\n".join([*lines, *(f"# {' '.join(remark.splitlines())}" for remark in remarks)]) + "\n"


# The shell's words


def split(command: str) -> tuple[list[str], str, list[str]]:
    """The variables set before a command, the name of the program, and the words after it."""
    try:
        words = [os.path.expanduser(word) for word in shlex.split(command.replace("\\\n", " "))]
    except ValueError as error:
        raise UsageError(f"{str(error).lower()}: give the original's command in one pair of quotes") from None
    environment = list(takewhile(re.compile(r"[A-Za-z_]\w*=").match, words))
    words = words[len(environment) :]
    if words and re.fullmatch(r"python[\d.]*", Path(words[0]).name):
        words = list(dropwhile({"-u", "-m"}.__contains__, words[1:]))
    name = Path(words[0]).name if words else "nothing"
    programs = [*ORIGINALS, *EVALUATIONS, "sls_asvspoof.evaluate"]
    if name not in programs:
        raise UsageError(f"{name} is not a program of the originals, which are {', '.join(programs)}")
    variables = [f"{key}={quoted(value)}" for key, value in (word.split("=", 1) for word in environment)]
    return variables, name, words[1:]


def shell(command: Sequence[str]) -> str:
    """A command with its words quoted, wrapped between options."""
    options: list[str] = []
    for word in command:
        if word.startswith("--") or not options:
            options.append(quoted(word))
        else:
            options[-1] += f" {quoted(word)}"
    lines = options[:1]
    for option in options[1:]:
        if len(lines[-1]) + 1 + len(option) <= WIDTH:
            lines[-1] += f" {option}"
        else:
            lines.append(option)
    return " \\\n    ".join(lines)


def quoted(word: str) -> str:
    """The word quoted for a shell, which still expands variables such as $MODEL."""
    variables = "$" in word and re.fullmatch(r"(\$\w+|\$\{\w+\}|[\w@%+=:,./ -])*", word)
    return f'"{word}"' if variables else shlex.quote(word)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the translation. Exit status 1 when a configuration file cannot be read, 2 when the command cannot be translated."""
    parser = argparse.ArgumentParser(
        description="Translate a command of SLS, XLSR-Mamba or AASIST (main.py), of the reproduction of SLS (python -m "
        "sls_asvspoof.train, .evaluate) or of SSL_Anti-spoofing (main_SSL_LA.py, main_SSL_DF.py), or their evaluation scripts "
        "(evaluate_*.py), to commands of this project. Flags that are not given have the original's defaults. "
        f"{PAGE} lists every flag.",
        epilog='Example: python recipes/from_original.py "python main.py --track=DF --lr=0.000001 --batch_size=5"',
    )
    parser.add_argument("command", metavar="COMMAND", help="the original's command, in one pair of quotes")
    parser.add_argument("--of", choices=OWNERS, help="whose command it is, where several originals take it")
    args = parser.parse_args(arguments)
    try:
        print(translation(args.command, args.of), end="")
    except (UsageError, FileError) as error:
        print(f"from_original.py: error: {error}", file=sys.stderr)
        return 1 if isinstance(error, FileError) else 2
    return 0
