import pytest

from protocols import DataError
from protocols.files import find_file

PLACES = ("keys/LA/key.txt", "LA/key.txt", "key.txt")


def test_a_file_is_taken_as_it_is(tmp_path):
    (tmp_path / "other.txt").touch()
    assert find_file(tmp_path / "other.txt", PLACES, "keys") == tmp_path / "other.txt"
    assert find_file(tmp_path / "absent.txt", PLACES, "keys") == tmp_path / "absent.txt"


def test_the_likeliest_place_that_holds_a_file_is_taken(tmp_path):
    for place in reversed(PLACES):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).touch()
        assert find_file(tmp_path, PLACES, "keys") == tmp_path / place


def test_a_folder_without_the_file_says_what_to_name(tmp_path):
    (tmp_path / "key.txt").mkdir()
    with pytest.raises(DataError) as error:
        find_file(tmp_path, PLACES, "keys of LA")
    assert str(error.value) == f"{tmp_path}: no keys of LA in this folder: name the file, or a folder that holds keys/LA/key.txt"
