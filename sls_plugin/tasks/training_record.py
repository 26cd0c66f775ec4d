"""What a training depends on: its trials, weights to start from and settings, kept in every checkpoint."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from omegaconf import DictConfig, OmegaConf

from fairseq_ckpt.fingerprint import file_sha256
from protocols import SettingError, Trial

Record = dict[str, Any]  # what a checkpoint can hold

SECTIONS = ("task", "model", "criterion", "optimizer", "lr_scheduler")
# Where the data lie and what is written do not change the weights; other entries are the same setting again.
LEFT_OUT = {"task.data", "task.audio_root", "task.results_path", "task.skip_broken_audio", "task.resume_with_changes",
            "task.rebuild_batches", "task.reuse_dataloader", "task.persistent_workers", "task.train_subset",
            "model.w2v_args", "optimizer.lr", "lr_scheduler.lr"}  # fmt: skip
FILES = ("model.w2v_path", "criterion.teacher_path")
OTHERS = ("common.fp16", "common.bf16", "common.amp", "optimization.lr", "optimization.clip_norm", "ema.store_ema",
          "ema.ema_decay", "ema.ema_start_update", "ema.ema_update_freq", "checkpoint.best_checkpoint_metric")  # fmt: skip
SELECTION = ("checkpoint.best_checkpoint_metric", "validation trials")  # what the best checkpoint is chosen by


def settings_of(cfg: DictConfig) -> Record:
    """The settings that the weights depend on, and the paths of files, from the whole configuration of a training run."""
    whole = OmegaConf.to_container(cfg, resolve=True, enum_to_str=True)
    parts = {section: whole[section] if isinstance(whole[section], dict) else {"_name": whole[section]} for section in SECTIONS}
    names = [f"{section}.{name}" for section, values in parts.items() for name in values]
    record = {name: _value(whole | parts, name) for name in (*names, *OTHERS) if name not in LEFT_OUT}
    n_clips = cfg.dataset.batch_size if cfg.dataset.max_tokens is None else f"{cfg.dataset.max_tokens} frames"
    return record | {"batch": [n_clips, list(cfg.optimization.update_freq), cfg.distributed_training.distributed_world_size]}


def _value(whole: Record, name: str) -> Any:
    section, _, key = name.partition(".")
    return whole[section][key]


def hash_files(settings: Record) -> Record:
    """The settings with the SHA-256 of each file in place of its path."""
    return settings | {name: f"SHA-256 {file_sha256(settings[name])[:12]}" for name in FILES if settings.get(name)}


def summarise(trials: Sequence[Trial]) -> str:
    """The number of trials, and a hash of their ids and labels in order."""
    digest = sha256("".join(f"{trial.id}\t{trial.label}\n" for trial in trials).encode("utf-8", "surrogateescape"))
    return f"{len(trials):,} trials, SHA-256 {digest.hexdigest()[:12]}"


def changes(earlier: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs, such as `optimization.lr [1e-06] -> [1e-05]`; a setting that only one of the two knows is no change."""
    differing = [name for name in now if name in earlier and name != "batch" and earlier[name] != now[name]]
    found = [f"{name} {earlier[name]} -> {now[name]}" for name in differing]
    if "batch" in earlier and _differs(earlier["batch"], now["batch"]):
        found += [f"batch and --update-freq {earlier['batch'][:2]} -> {now['batch'][:2]}"]
    return found


def _differs(earlier: Sequence[Any], now: Sequence[Any]) -> bool:
    """Whether the batch of an update differs, for another reason than the number of processes."""
    if earlier[:2] == now[:2]:
        return False
    if isinstance(earlier[0], str) or isinstance(now[0], str):  # --max-tokens
        return True
    updates = [[clips * n_processes * freq for freq in freqs] for clips, freqs, n_processes in (earlier, now)]
    return updates[0] != updates[1]


def require_unchanged(earlier: Mapping[str, Any], now: Mapping[str, Any], save_dir: str) -> None:
    """Raise SettingError when a checkpoint that is resumed is of another training."""
    if found := changes(earlier, now):
        remedy = "repeat the earlier settings, give another --save-dir, or --resume-with-changes"
        raise SettingError(f"{save_dir}: a training that differs would be resumed: {'; '.join(found)}: {remedy}")
