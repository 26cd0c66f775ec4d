"""The cosines of every head with a backbone: between its embedding and the directions of its last layer, scored as they are."""

from pathlib import Path

import pytest
import torch
from detectors import waveforms, write_detector
from torch import Tensor, nn

from fairseq_ckpt import CheckpointError
from fairseq_ckpt.detectors import CARDS
from fairseq_ckpt.wav2vec.random_backbone import TINY, make_random
from sls_plugin.inference.load import load_detector
from sls_plugin.modules.output_layer import Cosines

HEADS = [arch for arch in CARDS if "xlsr" in arch]
WIDTHS = {"xlsr_mamba_300m": ("--mamba-layers", "4", "--mamba-features", "8")}


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("backbone") / "narrow.pt"
    make_random(TINY | {"encoder_layers": 2, "encoder_embed_dim": 64, "encoder_ffn_embed_dim": 16}, path)
    return path


@pytest.mark.parametrize("kind", ["cosine", "one_class"])
@pytest.mark.parametrize("arch", HEADS)
def test_every_head_gives_cosines(arch: str, kind: str, backbone: Path, tmp_path: Path) -> None:
    options = ("--w2v-path", str(backbone), "--output-layer", kind, *WIDTHS.get(arch, ()))
    write_detector(tmp_path / "detector.pt", arch, 4_000, *options)
    model = load_detector(tmp_path / "detector.pt").model
    (last,) = (module for module in model.modules() if isinstance(module, Cosines))
    embeddings: list[Tensor] = []
    last.register_forward_hook(lambda layer, inputs, output: embeddings.append(inputs[0]))
    with torch.no_grad():
        output = model(waveforms(4_000, 5))
        expected = torch.stack([nn.functional.cosine_similarity(embeddings[0], row.unsqueeze(0)) for row in last.weight], dim=1)
    torch.testing.assert_close(output[:, -len(last.weight) :], expected)
    assert output.shape == (5, 2)
    assert output.abs().max() <= 1
    assert kind == "cosine" or (output[:, 0] == 0).all()
    assert torch.equal(model.scores(output), output[:, 1])
    assert torch.equal(model.log_likelihood_ratios(output), output[:, 1] - output[:, 0])


def test_a_file_that_names_another_last_layer_than_it_holds(backbone: Path, tmp_path: Path) -> None:
    for named, held in (("linear", "cosine"), ("one_class", "linear"), ("cosine", "one_class")):
        path = tmp_path / f"{named}.pt"
        write_detector(path, "xlsr_nes2net_x_300m", 4_000, "--w2v-path", str(backbone), "--output-layer", held)
        content = torch.load(path, weights_only=False)
        content["cfg"]["model"]["output_layer"] = named
        torch.save(content, path)
        with pytest.raises(CheckpointError, match=r"its tensors do not fit its configuration .*: name another file$"):
            load_detector(path)


def test_a_last_layer_that_there_is_not(backbone: Path, tmp_path: Path) -> None:
    path = tmp_path / "detector.pt"
    write_detector(path, "xlsr_nes2net_x_300m", 4_000, "--w2v-path", str(backbone))
    content = torch.load(path, weights_only=False)
    content["cfg"]["model"]["output_layer"] = "quadratic"
    torch.save(content, path)
    with pytest.raises(CheckpointError, match=r"detector\.pt: its settings make no model"):
        load_detector(path)
