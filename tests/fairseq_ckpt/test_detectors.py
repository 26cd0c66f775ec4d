"""The registry of published detectors: a file each, found by itself, and every fact in one place."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from omegaconf import OmegaConf

import fairseq_ckpt
from fairseq_ckpt.detectors import CARDS, DETECTORS, aasist, find_detector
from fairseq_ckpt.identification import LAYOUTS
from sls_plugin.models.aasist import AASISTConfig, aasist_l

ROOT = Path(__file__).parents[2]
FOLDER = Path(fairseq_ckpt.__file__).parent / "detectors"


def test_a_file_for_each_named_as_the_model() -> None:
    assert {path.stem for path in FOLDER.glob("*.py")} - {"__init__"} == {detector.name for detector in DETECTORS}
    assert sum(len(detector.cards) for detector in DETECTORS) == len(CARDS)
    assert len({layout.name for layout in LAYOUTS}) == len(LAYOUTS)
    for detector in DETECTORS:
        assert all(find_detector(name) is detector for name in detector.names)
        assert detector.citation
        assert detector.trained_on
    assert find_detector("wav2vec2") is None


def test_cards_need_no_torch() -> None:
    code = "import sys, fairseq_ckpt.detectors; print({'torch', 'fairseq', 'numpy', 'omegaconf'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


def test_the_light_aasist_is_the_same_everywhere() -> None:
    """The detector's file, the model's architecture, and the recipe's configuration."""
    light = OmegaConf.create({})
    aasist_l(light)
    assert OmegaConf.to_container(light) == aasist.AASIST_L
    (config,) = (ROOT / "recipes").rglob("aasist_l.yaml")
    model = yaml.safe_load(config.read_text())["model"]
    assert {name: value for name, value in model.items() if name != "_name"} == aasist.AASIST_L
    assert OmegaConf.create(AASISTConfig()) == aasist.AASIST | {"_name": None, "frequency_masking": False}


@pytest.mark.parametrize("detector", [detector for detector in DETECTORS if detector.layout], ids=lambda detector: detector.name)
def test_published_sizes_are_the_defaults(detector) -> None:
    """Of an empty file's tensors nothing shows: the shapes are then those of the published model, and stay so."""
    shapes = detector.tensors({})
    assert detector.tensors(shapes) == shapes
    config = detector.original_config(shapes, "the test")
    assert config["model"]["_name"] == detector.name
    assert config["task"]["max_samples"] == detector.max_samples
    assert all(config["model"].get(name, value) <= value for name, value in detector.largest(shapes).items())
