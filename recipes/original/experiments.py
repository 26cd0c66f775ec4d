"""XLSR-Mamba and AASIST: both score an average of epochs, so their commands become those of recipes/train.sh, which makes it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .flags import Flag, UsageError, count, rawboost_algorithm


class FileError(Exception):
    """A configuration file that cannot be read: exit status 1."""


def truth(text: str) -> bool:
    """As XLSR-Mamba reads a truth value: every other word is false."""
    return text.lower() in ("true", "yes", "1")


MAMBA_FLAGS = {
    "--database_path": Flag("./data/", "--corpora"),
    "--protocols_path": Flag("./data/", dropped="`--corpora` is searched for the protocols too"),
    "--batch_size": Flag(20, "`dataset.batch_size`", kind=count),
    "--num_epochs": Flag(7, "`checkpoint.patience`: it counts epochs without a better one there too", kind=count),
    "--lr": Flag(1e-6, "`optimization.lr`"),
    "--weight_decay": Flag(1e-4, "`optimizer.weight_decay`"),
    "--loss": Flag("WCE", "names `--dest`"),
    "--emb-size": Flag(144, "`model.mamba_features`", kind=count),
    "--num_encoders": Flag(12, "`model.mamba_layers`", kind=count),
    "--FT_W2V": Flag(True, "`model.freeze_backbone`, the opposite", kind=truth),
    "--seed": Flag(1234, "--seed"),
    "--comment": Flag(None, "names `--dest`"),
    "--comment_eval": Flag(None, dropped="scores are in `--dest`"),
    "--train": Flag(True, "`--stage 3` when false", kind=truth),
    "--n_mejores_loss": Flag(5, "only 5", choices=(5,)),
    "--average_model": Flag(True, "only true", kind=truth),
    "--n_average_model": Flag(5, "only 5", choices=(5,)),
    "--algo": Flag(5, "`task.rawboost_algorithm`; 5 scores 2021 LA, any other 2021 DF", kind=rawboost_algorithm),
}
MAMBA_SETTINGS = {
    "batch_size": "dataset.batch_size={}",
    "num_epochs": "checkpoint.patience={}",
    "lr": "optimization.lr=[{}]",
    "weight_decay": "optimizer.weight_decay={}",
    "emb_size": "model.mamba_features={}",
    "num_encoders": "model.mamba_layers={}",
}
AASIST_FLAGS = {
    "--config": Flag(None, "`--config`, and settings after `--`"),
    "--output_dir": Flag("./exp_result", "parent of `--dest`"),
    "--seed": Flag(1234, "--seed"),
    "--eval": Flag(False, "`recipes/score.sh` instead of `recipes/train.sh`"),
    "--comment": Flag(None, "names `--dest`"),
    "--eval_model_weights": Flag(None, dropped="no original reads it"),
}


def mamba(values: Mapping[str, Any], script: str) -> tuple[list[str], list[str]]:
    """XLSR-Mamba's `python main.py`: the command, and remarks."""
    if not values["average_model"]:
        raise UsageError("--average_model false: leave it out, then score checkpoints/checkpoint_best.pt with recipes/score.sh")
    defaults = {flag.lstrip("-").replace("-", "_"): entry.default for flag, entry in MAMBA_FLAGS.items()}
    settings = [text.format(values[name]) for name, text in MAMBA_SETTINGS.items() if values[name] != defaults[name]]
    settings += [] if values["algo"] in (3, 5) else [f"task.rawboost_algorithm={values['algo']}"]
    settings += [] if values["FT_W2V"] else ["model.freeze_backbone=true"]
    tag = "Bmamba{algo}_LA_{loss}_{lr}_ES{emb_size}_NE{num_encoders}".format(**values)
    tag += f"_{values['comment']}" if values["comment"] else ""
    command = ["bash", script, "xlsr_mamba", "--corpora", values["database_path"], "--w2v-path", "xlsr2_300m.pt"]
    command += ["--dest", f"models/{tag}", "--config", "df" if values["algo"] == 3 else "la", "--seed", str(values["seed"])]
    command += ["--tracks", "2021la" if values["algo"] == 5 else "2021df"]
    command += [] if values["train"] else ["--stage", "3"]
    remark = "the average is the mean of the five best epochs; --averaging published weights them as the original does"
    return [*command, *(["--", *settings] if settings else [])], [remark]


# What AASIST's own configurations have in common, and what each has of its own, by the settings that train.sh has for it.
AASIST_TRAINING = {
    "batch_size": "dataset.batch_size={}",
    "num_epochs": "optimization.max_epoch={}",
    "base_lr": "optimization.lr=[{}]",
    "lr_min": "lr_scheduler.min_lr={}",
    "weight_decay": "optimizer.weight_decay={}",
}
AASIST_COMMON = {"batch_size": 24, "num_epochs": 100, "base_lr": 1e-4, "lr_min": 5e-6, "weight_decay": 1e-4}
AASIST_FIXED = {"track": "LA", "freq_aug": "False", "scheduler": "cosine", "optimizer": "adam", "amsgrad": "False"}
AASIST_CONFIGS = {
    "AASIST.conf": ("aasist", {}),
    "AASIST-L.conf": ("aasist_l", {}),
    "RawGATST_baseline.conf": ("rawgat_st", {}),
    "RawNet2_baseline.conf": ("rawnet2", {"batch_size": 32}),
}
_AASIST = {"architecture": "AASIST", "nb_samp": 64_600, "first_conv": 128, "temperatures": [2.0, 2.0, 100.0, 100.0]}
AASIST_MODELS = {
    "aasist": _AASIST
    | {"filts": [70, [1, 32], [32, 32], [32, 64], [64, 64]], "gat_dims": [64, 32], "pool_ratios": [0.5, 0.7, 0.5, 0.5]},
    "aasist_l": _AASIST
    | {"filts": [70, [1, 32], [32, 32], [32, 24], [24, 24]], "gat_dims": [24, 32], "pool_ratios": [0.4, 0.5, 0.7, 0.5]},
    "rawgat_st": {
        "architecture": "RawNetGatSpoofST", "nb_samp": 64_600, "first_conv": 128,
        "filts": [70, [1, 32], [32, 32], [32, 64], [64, 64]],
    },
    "rawnet2": {
        "architecture": "RawNet2Spoof", "nb_samp": 64_600, "first_conv": 1_024, "in_channels": 1, "blocks": [2, 4],
        "filts": [20, [20, 20], [20, 128], [128, 128]], "nb_fc_node": 1_024, "gru_node": 1_024, "nb_gru_layer": 3,
        "nb_classes": 2,
    },
}  # fmt: skip


def aasist(values: Mapping[str, Any], train: str, score: str) -> tuple[list[str], list[str]]:
    """AASIST's `python main.py --config FILE.conf`: the command, and remarks."""
    if not values["config"]:
        raise UsageError("--config is missing: name AASIST's configuration, such as ./config/AASIST.conf")
    path = Path(values["config"])
    name, training, content, remarks = _aasist_configuration(path)
    corpora = content.get("database_path", "./LA/")
    tag = f"LA_{path.stem}_ep{training['num_epochs']}_bs{training['batch_size']}"
    tag += f"_{values['comment']}" if values["comment"] else ""
    dest = f"{values['output_dir']}/{tag}"
    if values["eval"]:
        checkpoint = content.get("model_path", f"./models/weights/{path.stem}.pth")
        return ["bash", score, "2019la", "--checkpoint", checkpoint, "--corpora", corpora, "--dest", dest], remarks
    published = AASIST_COMMON | next(own for config, own in AASIST_CONFIGS.values() if config == name)
    settings = [text.format(training[key]) for key, text in AASIST_TRAINING.items() if training[key] != published[key]]
    command = ["bash", train, "aasist", "--corpora", corpora, "--dest", dest, "--config", name, "--seed", str(values["seed"])]
    return [*command, *(["--", *settings] if settings else [])], remarks


def _aasist_configuration(path: Path) -> tuple[str, dict[str, Any], dict[str, Any], list[str]]:
    """Our name of a configuration of AASIST's, its training settings, its content, and remarks."""
    if not path.exists() and path.name in AASIST_CONFIGS:
        name, own = AASIST_CONFIGS[path.name]
        return name, AASIST_COMMON | own, {}, [f"{path} is not here: its settings are those that AASIST's authors published"]
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        model, optimiser = content["model_config"], content["optim_config"]
        training = {key: (content if key in content and key not in optimiser else optimiser)[key] for key in AASIST_TRAINING}
    except OSError as error:
        raise FileError(f"{path}: {error.strerror}: name the configuration file from this folder") from None
    except (ValueError, KeyError, TypeError):
        remedy = "the reproduction's YAML file goes with `python -m sls_asvspoof.train`"
        raise FileError(f"{path}: not a configuration of AASIST: name its .conf file; {remedy}") from None
    for key, fixed in AASIST_FIXED.items():
        if (found := content.get(key, optimiser.get(key, fixed))) != fixed:
            raise UsageError(f"{path}: {key} {found}: only {fixed} has a counterpart here")
    names = [name for name, known in AASIST_MODELS.items() if known == model]
    if not names:
        raise UsageError(f"{path}: its model_config is none of AASIST's authors: give fairseq-train the model's options")
    return names[0], training, content, []
