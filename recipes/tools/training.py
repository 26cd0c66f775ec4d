"""Train one run of an experiment with fairseq-hydra-train, or resume it.

python -m recipes.tools.training --config FILE.yaml --run RUN --data DATA --seed S [--path SETTING=FILE]... [-- OVERRIDE...]

RUN/training.yaml is the complete configuration, RUN/train.log the output of fairseq, RUN/train.jsonl its records, one per line.
A run with another configuration or other data is refused. A finished run is not trained again.
"""

import argparse
import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from fairseq_ckpt.fingerprint import file_sha256
from protocols import DataError, SettingError, read_manifest
from protocols.files import replacing
from recipes.tools.command import exit_status
from recipes.tools.provenance import ROOT, provenance
from recipes.tools.training_log import Record, add_record, best_epochs, is_finished, parse_record, progress, read_log
from sls_plugin.scores.run_metadata import require_same_run

PRECISIONS = {"fp32": {}, "bf16": {"bf16": True}, "fp16": {"fp16": True, "fp16_no_flatten_grads": True}}
# Paths, logging and workers do not change the weights: a run may be resumed with others.
NON_FINGERPRINTED = ("task.data", "checkpoint.save_dir", "common.tensorboard_logdir", "common.user_dir", "common.log_interval",
                     "dataset.num_workers")  # fmt: skip
DISTRIBUTED = "distributed_training."


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status 0 when the run is finished, 1 on a problem, 130 when interrupted."""
    args = _parser().parse_args(argv)
    try:
        return exit_status("training.py", train, args)
    except KeyboardInterrupt:
        print(f"training.py: interrupted: the same command resumes {args.run}", file=sys.stderr)
        return 130


def train(args: argparse.Namespace) -> None:
    """Train to the end, unless that has been done. Raises DataError when RUN holds another run, or training fails."""
    files = dict(_setting(path) for path in args.path)
    distributed = [override for override in args.overrides if _key(override).startswith(DISTRIBUTED)]
    config = configuration(args, files)
    n_gpus = args.gpus * args.nodes
    batch_size = batch_per_gpu(config.dataset.batch_size, n_gpus, args.update_freq)
    fingerprint = run_fingerprint(config, files)
    if (args.run / "checkpoints" / "checkpoint_last.pt").exists():
        earlier = json.loads((args.run / "run.json").read_text()) if (args.run / "run.json").exists() else None
        require_same_run(fingerprint, earlier, args.run, "give the same as before, or another --dest")
    if is_finished(read_log(args.run)):
        print(f"already done: {args.run}")
        return
    require_known_settings(config)
    if n_gpus > 1 and not distributed:
        distributed = gpu_settings(args.gpus, args.nodes)

    with replacing(args.run / "training.yaml") as temporary:  # all processes of a run write the same
        OmegaConf.save(config, temporary)
    command = [
        "fairseq-hydra-train", "--config-dir", str(args.run), "--config-name", "training",
        f"dataset.batch_size={batch_size}", f"optimization.update_freq=[{args.update_freq}]",
        f"{DISTRIBUTED}distributed_world_size={n_gpus}", *distributed,
    ]  # fmt: skip
    n_kept = config.checkpoint.get("keep_best_checkpoints", -1)
    if n_kept > 0:  # fairseq ranks them by three decimals, and dev losses soon round to 0.000: they are kept here instead
        command.append("checkpoint.keep_best_checkpoints=-1")
    if _rank(distributed) > 0:  # the process of rank 0 keeps the log
        if subprocess.run(command, env=_environment()).returncode:
            raise DataError(f"training failed: see the log of rank 0, {args.run / 'train.log'}")
        return
    with replacing(args.run / "run.json") as temporary:
        temporary.write_text(json.dumps(fingerprint, indent=2) + "\n")
    add_record(args.run, {"event": "started", "n_gpus": n_gpus, "update_freq": args.update_freq, **provenance()})
    for record in keep_log(args.run, command):
        if n_kept > 0 and not record["split"].startswith("train"):
            remove_checkpoints(args.run, config.checkpoint, but=record["epoch"])
    if n_kept > 0:
        remove_checkpoints(args.run, config.checkpoint)
    add_record(args.run, {"event": "finished"})


def configuration(args: argparse.Namespace, files: Mapping[str, str]) -> DictConfig:
    """The settings of --config, overridden by those after `--` and by those of this run; the batch is that of a whole update."""
    overrides = [override for override in args.overrides if not _key(override).startswith(DISTRIBUTED)]
    try:
        # fairseq's own use of Hydra in this process needs this version_base.
        with initialize_config_dir(str(args.config.parent.absolute()), version_base="1.1"):
            # `++` sets a key whether or not the file has it.
            config = compose(args.config.stem, [item if item.startswith(("+", "~")) else f"++{item}" for item in overrides])
    except (HydraException, OmegaConfBaseException) as error:
        raise DataError(f"{args.config}: {' '.join(str(error).split())}") from None
    run_settings = {
        **files,
        "task.data": str(args.data.absolute()),
        "common.user_dir": str(ROOT / "sls_plugin"),
        "common.seed": args.seed,
        "common.log_format": "json",
        "common.tensorboard_logdir": str(args.run / "tensorboard"),
        "checkpoint.save_dir": str(args.run / "checkpoints"),
        "hydra.run.dir": str(args.run),
        "hydra.output_subdir": None,
        "hydra.job.chdir": False,
        "hydra.job_logging.root.handlers": ["console"],  # and no file beside train.log
        "hydra.job_logging.handlers.file.delay": True,
        **{f"common.{name}": value for name, value in PRECISIONS[args.precision].items()},
    }
    with open_dict(config):
        for name, value in run_settings.items():
            OmegaConf.update(config, name, value)
    OmegaConf.register_new_resolver("updates", lambda epochs: int(epochs * updates_per_epoch(config)), replace=True)
    try:
        OmegaConf.resolve(config)
    except OmegaConfBaseException as error:
        raise DataError(str(error.__cause__ or f"{args.config}: {' '.join(str(error).split())}")) from None
    return config


def updates_per_epoch(config: DictConfig) -> int:
    """Updates in one epoch of the training manifests; `${updates:E}` in a configuration is the updates of E epochs."""
    subset = config.dataset.get("train_subset", "train")
    n_trials = sum(len(read_manifest(manifest)) for manifest in manifests(config, subset))
    return math.ceil(n_trials / config.dataset.batch_size)


def manifests(config: DictConfig, subset: str) -> list[Path]:
    """The manifests of a split, which may join several: `mlaad+librispeech`. Raises DataError when one is missing."""
    paths = [Path(config.task.data) / f"{part}.tsv" for part in subset.split("+")]
    for path in paths:
        if not path.exists():
            raise DataError(f"{path}: no such manifest: start with stage 1")
    return paths


def batch_per_gpu(batch_size: int, n_gpus: int, update_freq: int) -> int:
    """Clips per GPU and batch, so that an update has `batch_size` clips. Raises DataError when they cannot be divided evenly.

    >>> batch_per_gpu(24, n_gpus=4, update_freq=3)
    2
    """
    share, rest = divmod(batch_size, n_gpus * update_freq)
    if rest or not share:
        parts = [str(number) for number in range(1, batch_size + 1) if batch_size % number == 0]
        what = f"a batch of {batch_size} cannot be divided by {n_gpus} GPUs x --update-freq {update_freq}"
        remedy = f"their product must be one of {', '.join(parts)}; or choose another batch: -- dataset.batch_size=N"
        raise DataError(f"{what}: {remedy}")
    return share


def run_fingerprint(config: DictConfig, files: Mapping[str, str]) -> dict[str, Any]:
    """Everything that the weights depend on: settings by name, and the SHA-256 of manifests and files."""
    settings = dict(_flat(OmegaConf.to_container(config)))
    left_out = {*NON_FINGERPRINTED, *files}
    settings = {name: value for name, value in settings.items() if name not in left_out and not name.startswith("hydra.")}
    dataset = config.dataset
    validated = [] if dataset.get("disable_validation") else dataset.get("valid_subset", "valid").split(",")
    splits = [dataset.get("train_subset", "train"), *validated]
    manifests_read = chain.from_iterable(manifests(config, split) for split in splits)
    contents = chain(((path.name, path) for path in manifests_read), files.items())
    return settings | {name: _sha256(path) for name, path in contents}


def require_known_settings(config: DictConfig) -> None:
    """Raises DataError on a setting that fairseq would silently ignore.

    Unknown settings of the task, the model and the other registered parts are refused by fairseq itself.
    """
    from fairseq.dataclass.configs import FairseqConfig  # slow to import

    sections = FairseqConfig.__dataclass_fields__
    for section in config.keys() - {"hydra"}:
        if section not in sections:
            raise DataError(f"{section}: fairseq has no such section of settings: correct its name")
        known = getattr(sections[section].default, "__dataclass_fields__", None)
        if known and (unknown := config[section].keys() - known.keys()):
            raise DataError(f"{section}.{min(unknown)}: fairseq has no such setting: correct its name")


def gpu_settings(n_gpus: int, n_nodes: int) -> list[str]:
    """The settings that several GPUs need beside their number: a port for nodes, which Slurm lists, to meet on.

    Raises DataError when other GPUs or nodes are there: fairseq starts a process on each GPU that is visible.
    """
    import torch  # slow to import

    if (n_visible := torch.cuda.device_count()) != n_gpus:
        raise DataError(f"{n_visible} GPUs are visible, --gpus says {n_gpus}: correct it, or set CUDA_VISIBLE_DEVICES")
    if (n_allotted := int(os.environ.get("SLURM_NNODES", n_nodes))) != n_nodes:
        raise DataError(f"Slurm gives {n_allotted} nodes, --nodes says {n_nodes}: correct it")
    if n_nodes == 1:
        return []
    if "SLURM_JOB_ID" not in os.environ:
        raise SettingError("--nodes needs Slurm, or the distributed_training.* settings of each node after `--`")
    return [f"{DISTRIBUTED}distributed_port={20_000 + int(os.environ['SLURM_JOB_ID']) % 20_000}"]


def remove_checkpoints(run: Path, checkpoint: DictConfig, but: int = 0) -> None:
    """Remove the checkpoints of epochs that are not among the best so far, except epoch `but`, which fairseq may be writing."""
    best = best_epochs(read_log(run), checkpoint.best_checkpoint_metric, checkpoint.keep_best_checkpoints)
    for path in (run / "checkpoints").glob("checkpoint[0-9]*.pt"):
        if int(path.stem.removeprefix("checkpoint")) not in (*best, but):
            path.unlink()


def keep_log(run: Path, command: Sequence[str]) -> Iterator[Record]:
    """Run fairseq and yield its records of epochs, which are also printed; train.log gets its output, train.jsonl its records.

    Raises DataError with the last line of its output when it fails.
    """
    line = ""
    with open(run / "train.log", "a", encoding="utf-8") as log:
        pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "errors": "replace"}
        with subprocess.Popen(command, env=_environment(), **pipe) as process:
            for line in process.stdout:
                log.write(line)
                log.flush()
                record = parse_record(line)
                if record:
                    add_record(run, record)
                    if record["split"] != "train_inner":
                        print(progress(record), flush=True)
                        yield record
    if process.returncode:
        raise DataError(f"training failed: {line.strip().removeprefix('error: ')} (the whole log: {run / 'train.log'})")


def _environment() -> dict[str, str]:
    return os.environ | {"HYDRA_FULL_ERROR": "1"}  # otherwise Hydra wraps one-line errors


def _rank(distributed: Sequence[str]) -> int:
    """The rank of this process in distributed training."""
    ranks = [override.partition("=")[2] for override in distributed if _key(override) == f"{DISTRIBUTED}distributed_rank"]
    return int(ranks[0] if ranks else os.environ.get("SLURM_PROCID", 0) if distributed else 0)


def _setting(text: str) -> tuple[str, str]:
    """The parts of SETTING=FILE, with the absolute path of the file."""
    name, _, path = text.partition("=")
    return name, str(Path(path).absolute())


def _key(override: str) -> str:
    return override.lstrip("+~").partition("=")[0]


def _flat(settings: Mapping, prefix: str = "") -> list[tuple[str, object]]:
    nested = (_flat(value, f"{prefix}{name}.") if isinstance(value, dict) else [(f"{prefix}{name}", value)]
              for name, value in settings.items())  # fmt: skip
    return list(chain.from_iterable(nested))


def _sha256(path: str | Path) -> str:
    try:
        return file_sha256(path)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}: name another file") from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="training.py", description=__doc__.splitlines()[0])
    parser.add_argument("--config", metavar="FILE", type=Path, required=True, help="a YAML file of settings")
    parser.add_argument("--run", metavar="RUN", type=lambda path: Path(path).absolute(), required=True, help="folder of the run")
    parser.add_argument("--data", metavar="DATA", type=Path, required=True, help="folder of the manifests")
    parser.add_argument("--path", metavar="SETTING=FILE", action="append", default=[], help="a file of a setting")
    parser.add_argument("--seed", metavar="S", type=int, required=True)
    parser.add_argument("--precision", choices=PRECISIONS, default="fp32")
    parser.add_argument("--gpus", metavar="N", type=int, default=1, help="GPUs on each node")
    parser.add_argument("--nodes", metavar="N", type=int, default=1)
    parser.add_argument("--update-freq", metavar="K", type=int, default=1, help="batches per update")
    parser.add_argument("overrides", metavar="OVERRIDE", nargs="*", help="settings, such as common.cpu=true")
    return parser


if __name__ == "__main__":
    sys.exit(main())
