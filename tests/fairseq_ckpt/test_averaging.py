"""Averages: each file counts once, in the precision of float64, running statistics included."""

from pathlib import Path

import pytest
import torch
from made_checkpoints import aasist_tensors, write_original_sls

from fairseq_ckpt import CheckpointError
from fairseq_ckpt.averaging import average
from fairseq_ckpt.conversion import convert
from fairseq_ckpt.detector import read_detector, read_for_fairseq
from fairseq_ckpt.reading import read_checkpoint
from fairseq_ckpt.wav2vec.random_backbone import TINY, make_random
from fairseq_ckpt.writing import write_pickled


def write(folder: Path, n_files: int) -> tuple[list[Path], list[dict[str, torch.Tensor]]]:
    """Originals that differ in every value."""
    paths = [folder / f"{number}.pth" for number in range(n_files)]
    contents = []
    for number, path in enumerate(paths):
        generator = torch.Generator().manual_seed(number)
        tensors = {
            name: torch.tensor(10 * number) if name.endswith("tracked") else torch.randn(tensor.shape, generator=generator).abs()
            for name, tensor in aasist_tensors().items()
        }
        torch.save(tensors, path)
        contents.append(tensors)
    return paths, contents


def test_every_file_counts_once(tmp_path: Path) -> None:
    paths, contents = write(tmp_path, 5)
    average(paths, tmp_path / "mean.pt")
    checkpoint = read_detector(tmp_path / "mean.pt")
    assert checkpoint.config == read_detector(paths[0]).config
    for name, tensor in checkpoint.tensors.items():
        values = torch.stack([content[name] for content in contents])
        if name.endswith("tracked"):
            assert tensor == 40
        else:
            assert torch.equal(tensor, values.double().mean(dim=0).float()), name


def test_sums_are_not_rounded_on_the_way(tmp_path: Path) -> None:
    """In float16 a sum of three would overflow, and in float32 a small weight would vanish beside large ones."""
    for number, value in enumerate((60_000.0, 60_000.0, 60_000.0)):
        tensors = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in aasist_tensors().items()}
        torch.save(tensors | {"out_layer.bias": torch.tensor([value, 0.5]).half()}, tmp_path / f"{number}.pth")
    average([tmp_path / f"{number}.pth" for number in range(3)], tmp_path / "mean.pt")
    bias = read_checkpoint(tmp_path / "mean.pt")["model"]["out_layer.bias"]
    assert bias.dtype == torch.float16
    assert bias.tolist() == [60_000.0, 0.5]
    for number, value in enumerate((3e8, 1.0, -3e8)):
        torch.save(aasist_tensors() | {"out_layer.bias": torch.tensor([value, 0.0])}, tmp_path / f"{number}.pth")
    average([tmp_path / f"{number}.pth" for number in range(3)], tmp_path / "mean.pt")
    assert read_checkpoint(tmp_path / "mean.pt")["model"]["out_layer.bias"][0].item() == pytest.approx(1 / 3)


def test_the_order_does_not_matter_and_one_file_is_its_own_mean(tmp_path: Path) -> None:
    paths, contents = write(tmp_path, 3)
    average(paths[:1], tmp_path / "one.pt")
    assert all(torch.equal(tensor, contents[0][name]) for name, tensor in read_checkpoint(tmp_path / "one.pt")["model"].items())
    average(paths, tmp_path / "a.pt")
    average(paths[::-1], tmp_path / "b.pt")
    a, b = (read_checkpoint(tmp_path / name)["model"] for name in ("a.pt", "b.pt"))
    assert all(torch.allclose(a[name], b[name], rtol=1e-6, atol=0) for name in a)


def test_a_mean_may_take_the_place_of_one_of_its_files(tmp_path: Path) -> None:
    paths, contents = write(tmp_path, 2)
    average(paths, paths[0])
    expected = (contents[0]["pos_S"].double() + contents[1]["pos_S"].double()) / 2
    assert torch.equal(read_checkpoint(paths[0])["model"]["pos_S"], expected.float())


def test_pre_trained_networks(tmp_path: Path) -> None:
    for seed in (1, 2):
        make_random(TINY, tmp_path / f"{seed}.pt", seed)
    average([tmp_path / "1.pt", tmp_path / "2.pt"], tmp_path / "mean.pt")
    first, second, mean = (read_checkpoint(tmp_path / f"{name}.pt") for name in ("1", "2", "mean"))
    assert mean["cfg"] == first["cfg"]
    torch.testing.assert_close(mean["model"]["mask_emb"], (first["model"]["mask_emb"] + second["model"]["mask_emb"]) / 2)


def test_models_that_do_not_go_together(tmp_path: Path) -> None:
    torch.save(aasist_tensors(), tmp_path / "a.pth")
    torch.save(aasist_tensors(24), tmp_path / "light.pth")
    write_original_sls(tmp_path / "sls.pth")
    with pytest.raises(CheckpointError, match=r"light\.pth: .* is not as in .*a\.pth"):
        average([tmp_path / "a.pth", tmp_path / "light.pth"], tmp_path / "mean.pt")
    with pytest.raises(CheckpointError, match=r"sls\.pth: sls, but .*a\.pth is aasist"):
        average([tmp_path / "a.pth", tmp_path / "sls.pth"], tmp_path / "mean.pt")
    assert not (tmp_path / "mean.pt").exists()


def test_values_and_settings_that_have_no_mean_are_refused(tmp_path: Path) -> None:
    paths, contents = write(tmp_path, 2)
    torch.save(contents[1] | {"out_layer.bias": torch.tensor([0.0, float("nan")])}, paths[1])
    with pytest.raises(CheckpointError, match=r"1\.pth: out_layer\.bias has values that are NaN"):
        average(paths, tmp_path / "mean.pt")
    paths, _ = write(tmp_path, 2)
    for number, path in enumerate(paths):
        content = read_for_fairseq(path)
        content["cfg"]["model"]["joint_pool_ratio"] = 0.5 + number / 10
        write_pickled(content, tmp_path / f"{number}.pt")
    with pytest.raises(CheckpointError, match=r"1\.pt: joint_pool_ratio of the model differ from .*0\.pt"):
        average([tmp_path / "0.pt", tmp_path / "1.pt"], tmp_path / "mean.pt")
    assert not (tmp_path / "mean.pt").exists()


def test_a_damaged_archive_is_not_given_new_check_sums(tmp_path: Path) -> None:
    (path, other), contents = write(tmp_path, 2)
    data = bytearray(path.read_bytes())
    place = data.find(contents[0]["out_layer.weight"].numpy().tobytes())
    data[place + 2] ^= 1
    path.write_bytes(data)
    for write_new in (lambda: convert(path, tmp_path / "new.pt", "fairseq"), lambda: average([other, path], tmp_path / "new.pt")):
        with pytest.raises(CheckpointError, match=r"0\.pth: .* in the archive is damaged"):
            write_new()
    assert not (tmp_path / "new.pt").exists()
