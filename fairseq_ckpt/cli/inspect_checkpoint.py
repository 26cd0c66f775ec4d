"""`fairseq_ckpt inspect`: what a checkpoint is."""

import argparse
import json
from typing import Any

HELP = "print what a checkpoint is: layout, sizes, types, configuration, hash"
EXAMPLE = "python -m fairseq_ckpt inspect MMpaper_model.pth"
SHOWN = (  # of the configuration; --json has all of it
    "encoder_layers",
    "encoder_embed_dim",
    "encoder_ffn_embed_dim",
    "encoder_attention_heads",
    "extractor_mode",
    "layer_norm_first",
    "dropout",
    "attention_dropout",
    "dropout_input",
    "encoder_layerdrop",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = f"example:\n  {EXAMPLE}"
    files = parser.add_argument_group("files")
    files.add_argument("file", metavar="FILE", help="checkpoint, or a folder in the layout of Hugging Face")
    output = parser.add_argument_group("output")
    output.add_argument("--json", action="store_true", help="print JSON, with the whole configuration")


def run(args: argparse.Namespace) -> int:
    from fairseq_ckpt.inspection import inspect  # slow to import: it brings torch

    facts = inspect(args.file)
    print(json.dumps(facts, indent=2, default=str) if args.json else _table(facts))
    return 0


def _table(facts: dict[str, Any]) -> str:
    rows = {name: facts[name] for name in ("file", "layout", "origin", "format", "sha256")}
    rows["layout"] = f"{facts['layout']} ({facts['title']})"
    if facts["prefix"]:
        rows["prefix"] = facts["prefix"]
    rows |= {name: f"{facts[name]:,}" for name in ("tensors", "parameters", "bytes")}
    rows["types"] = ", ".join(f"{dtype} ({n_tensors})" for dtype, n_tensors in facts["dtypes"].items())
    rows |= _settings(facts["config"] or {})
    width = max(map(len, rows))
    return "\n".join(f"{name:{width}}  {value}" for name, value in rows.items())


def _settings(config: dict[str, Any]) -> dict[str, Any]:
    """The settings that are asked for most: the backbone's, and the length of a clip."""
    model, task = (config.get(section) or {} for section in ("model", "task"))
    backbone = model.get("w2v_args") or model
    settings = {name: backbone[name] for name in SHOWN if name in backbone}
    return settings | ({"max_samples": task["max_samples"]} if "max_samples" in task else {})
