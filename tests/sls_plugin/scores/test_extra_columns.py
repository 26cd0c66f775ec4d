"""Files with more columns than `id score`, where nothing else says what the ids are: refused, never misread."""

from pathlib import Path

import pytest

from protocols import DataError
from sls_plugin.__main__ import main
from sls_plugin.scores.extra_columns import refuse_extra_columns
from sls_plugin.scores.run_metadata import write_metadata
from sls_plugin.scores.score_file import read_scores


def written(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "scores.txt"
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


@pytest.mark.parametrize(
    ("lines", "remedy"),
    [
        (("a -1.5 1", "b 0.5 0", "c 2 1"), "column 3 has at most two numbers: use `awk '{print $1, $2}'`"),
        (("a 1 -1.5", "b 0 0.5", "c 1 2"), "column 2 has at most two numbers, column 3 has numbers: use `awk '{print $1, $3}'`"),
        (("a spoof 1", "b bonafide 2", "c spoof 3"), "column 3 has numbers: use `awk '{print $1, $3}'`"),
        (("a -1.5 1",), "keep the id and the score only"),
    ],
)
def test_ids_that_look_like_columns_are_refused(tmp_path: Path, lines: tuple, remedy: str) -> None:
    path = written(tmp_path, *lines)
    with pytest.raises(DataError) as error:
        refuse_extra_columns(path, read_scores(path))
    assert str(error.value).startswith(f"{path}: {len(lines)} ids look like `id number` or `id label`, the first is 'a ")
    assert str(error.value).endswith(remedy)


@pytest.mark.parametrize("lines", [("call 1 0.5", "call 2 -1"), ("a 1 1", "b x 2"), ("1 0.5", "2 0.25"), ("a A07 2", "b A1 3")])
def test_ids_that_are_names_are_taken(tmp_path: Path, lines: tuple) -> None:
    path = written(tmp_path, *lines)
    refuse_extra_columns(path, read_scores(path))


def test_what_sls_score_wrote_is_taken(tmp_path: Path) -> None:
    path = written(tmp_path, "anna 1 0.5", "bob 2 -1")
    with pytest.raises(DataError):
        refuse_extra_columns(path, read_scores(path))
    write_metadata(path, {})
    refuse_extra_columns(path, read_scores(path))


def test_no_command_without_keys_takes_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = ("a -1.5 1", "b 0.5 0", "c 2 1")
    path = str(written(tmp_path, *lines))
    keys, fit, output = tmp_path / "keys.txt", tmp_path / "fit.txt", str(tmp_path / "output")
    keys.write_text("d spoof\ne bonafide\nf spoof\ng bonafide\n")
    fit.write_text("d 1\ne 2\nf 3\ng 4\n")
    for command in (
        ["report", path, "--output", output],
        ["merge", path, "--output", output],
        ["calibrate", str(fit), "--keys", str(keys), "--apply", path, "--output", output],
    ):
        assert main(command) == 1
        error = capsys.readouterr().err
        assert "3 ids look like `id number` or `id label`, the first is 'a -1.5': a line is `id score`, but" in error
        assert error.count("\n") == 1
    assert not Path(output).exists()


def test_a_real_score_file_with_its_labels_as_numbers(shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of `id score label` the remedy names the score: the labels in its place would give an EER of 0."""
    import gzip

    rows = gzip.decompress((shared / "data/scores/la19_eval/RawGAT_ST_mul.txt.gz").read_bytes()).decode().splitlines()
    lines = [f"{name} {score} {int(label == 'bonafide')}" for name, _, label, score in map(str.split, rows)]
    keys = tmp_path / "keys.txt"
    keys.write_bytes(gzip.decompress((shared / "data/scores/la19_eval/cm_key.txt.gz").read_bytes()))
    assert main(["evaluate", "asvspoof2019-la", str(written(tmp_path, *lines)), "--keys", str(keys)]) == 1
    assert "use `awk '{print $1, $2}'`" in capsys.readouterr().err
