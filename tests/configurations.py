"""Configurations as a run of a recipe reads them."""

from argparse import Namespace
from pathlib import Path

from omegaconf import DictConfig
from recipe_runs import ROOT

from protocols import Trial, write_manifest
from recipes.tools.training import configuration


def composed(
    path: Path | str, *overrides: str, precision: str = "fp32", run: Path = Path("/run"), data: Path = Path("/data")
) -> DictConfig:
    """A YAML file below `recipes/` with the settings that a run with seed 7 adds."""
    args = Namespace(config=ROOT / "recipes" / path, run=run, data=data, seed=7, precision=precision, overrides=overrides)
    return configuration(args, {"model.w2v_path": "/xlsr2_300m.pt"})


def make_manifest(path: Path, n_trials: int) -> None:
    write_manifest(path, [Trial(f"{path.stem}{number}", "a.flac", "spoof") for number in range(n_trials)])
