"""`python -m fairseq_ckpt`: what it prints, its exit status, and that a full disk harms no old file."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from made_checkpoints import aasist_tensors, write_original_sls

from fairseq_ckpt.__main__ import COMMANDS, main
from fairseq_ckpt.cli.convert import LAYOUTS
from fairseq_ckpt.conversion import WRITERS
from fairseq_ckpt.fingerprint import file_sha256
from fairseq_ckpt.wav2vec.random_backbone import TINY, make_random


@pytest.fixture
def original(tmp_path: Path) -> Path:
    torch.save(aasist_tensors(), tmp_path / "original.pth")
    return tmp_path / "original.pth"


def printed(capsys: pytest.CaptureFixture[str], *arguments: str | Path, status: int = 0) -> str:
    assert main([str(argument) for argument in arguments]) == status
    captured = capsys.readouterr()
    return captured.err if status else captured.out


def problem(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    message = printed(capsys, *arguments, status=1)
    assert message.startswith("error: ")
    assert message.count("\n") == 1
    return message


def test_inspect_as_json(original: Path, capsys: pytest.CaptureFixture[str]) -> None:
    facts = json.loads(printed(capsys, "inspect", original, "--json"))
    n_values = sum(tensor.numel() for name, tensor in torch.load(original).items())
    n_buffers = sum(t.numel() for name, t in torch.load(original).items() if "running" in name or "tracked" in name)
    assert facts == {
        "file": str(original),
        "layout": "aasist",
        "title": "AASIST or AASIST-L",
        "origin": "state dict",
        "format": "PyTorch archive",
        "prefix": "",
        "tensors": 229,
        "parameters": n_values - n_buffers,
        "dtypes": {"float32": 211, "int64": 18},
        "bytes": original.stat().st_size,
        "sha256": file_sha256(original),
        "config": None,
    }
    assert facts["parameters"] == 297_866


def test_inspect_for_people(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_original_sls(tmp_path / "sls.pth")
    table = printed(capsys, "inspect", tmp_path / "sls.pth")
    assert "sls (XLS-R + SLS)" in table
    assert "module." in table
    main(["convert", str(tmp_path / "sls.pth"), str(tmp_path / "sls.pt"), "--to", "fairseq"])
    capsys.readouterr()
    rows = dict(line.split(maxsplit=1) for line in printed(capsys, "inspect", tmp_path / "sls.pt").splitlines())
    assert rows["origin"] == "trained with --task asvspoof"
    assert (rows["encoder_layers"], rows["encoder_embed_dim"], rows["max_samples"]) == ("2", "768", "3920")


def test_inspect_what_is_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.pt").write_text("<!DOCTYPE html>")
    assert "a web page" in problem(capsys, "inspect", tmp_path / "a.pt")
    assert "no such checkpoint" in problem(capsys, "inspect", tmp_path / "none.pt")


def test_convert_and_verify(original: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hashes = set()
    path = original
    for number, layout in enumerate(["fairseq", "safetensors", "original"]):
        output = tmp_path / f"{number}.out"
        said = printed(capsys, "convert", path, output, "--to", layout)
        assert said.startswith(f"{output}: {layout}, 229 tensors, their SHA-256 ")
        verified = printed(capsys, "verify", output)
        assert "aasist, complete, finite" in verified
        hashes |= {said.split()[-1], verified.split()[-1]}
        path = output
    assert len(hashes) == 1


def test_verify_says_what_is_wrong_and_exits_with_1(original: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(original), "--sha256", file_sha256(original)]) == 0
    capsys.readouterr()
    assert main(["verify", str(original), "--sha256", "0" * 64]) == 1
    assert f"{original}: its SHA-256 is another one" in capsys.readouterr().out
    torch.save(torch.load(original) | {"pos_S": torch.full((1, 23, 64), float("nan"))}, original)
    assert main(["verify", str(original)]) == 1
    assert f"{original}: pos_S has 1,472 values that are NaN or infinite\n" in capsys.readouterr().out


def test_average(original: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "the mean of 2 checkpoints" in printed(capsys, "average", original, original, tmp_path / "mean.pt")
    assert "aasist, complete" in printed(capsys, "verify", tmp_path / "mean.pt")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["convert", "a.pt", "b.pt"],
        ["convert", "a.pt", "b.pt", "--to", "onnx"],
        ["verify", "a.pt", "--sha256", "abc"],
        ["average"],
    ],
)
def test_wrong_usage(arguments: list[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)


def test_the_command_line_offers_every_layout() -> None:
    assert list(LAYOUTS) == list(WRITERS)


def test_help_is_quick() -> None:
    code = "import sys, fairseq_ckpt.__main__; sys.exit(bool({'torch', 'fairseq', 'numpy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert set(COMMANDS) == {"inspect", "convert", "verify", "average", "download", "make-random"}


# A full disk: no file of a process may grow past 20 kB

FULL_DISK = """
import json, resource, sys
from fairseq_ckpt.__main__ import main
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
sys.exit(sum(main(command) != 1 for command in json.loads(sys.argv[1])))
"""


def test_a_full_disk_leaves_old_files_as_they_were(original: Path, tmp_path: Path) -> None:
    pretrained, folder = tmp_path / "tiny.pt", tmp_path / "out"
    make_random(TINY, pretrained)
    folder.mkdir()
    commands = [["convert", original, folder / layout, "--to", layout] for layout in ("fairseq", "original", "safetensors")]
    commands += [["average", original, original, folder / "mean"], ["make-random", folder / "random"]]
    commands += [["convert", pretrained, folder, "--to", "huggingface"]]
    targets = [command[3] if command[0] == "average" else command[-1] for command in commands[3:5]]
    targets = [*(command[2] for command in commands[:3]), *targets, folder / "model.safetensors"]
    for target in targets:
        target.write_bytes(b"old")
    as_text = json.dumps([[str(argument) for argument in command] for command in commands])
    outcome = subprocess.run([sys.executable, "-c", FULL_DISK, as_text], capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stderr
    errors = [line for line in outcome.stderr.splitlines() if line.startswith("error: ")]
    for target, error in zip(targets, errors, strict=True):
        assert error.startswith(f"error: {target}: not written (")
        assert "File too large" in error
        assert target.read_bytes() == b"old"
    assert sorted(folder.iterdir()) == sorted(targets)


def test_an_output_that_cannot_be(original: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "a folder: name a file" in problem(capsys, "convert", original, tmp_path, "--to", "fairseq")
    assert "not written (" in problem(capsys, "convert", original, original / "out.pt", "--to", "fairseq")
