"""A new folder is there whole, or not at all."""

import pytest

from rwmu_deploy.contract.errors import LogError
from rwmu_train.transitions.new_folder import new_folder


def test_the_name_appears_when_the_block_is_over(tmp_path) -> None:
    out = tmp_path / "deep" / "out"
    with new_folder(out) as folder:
        (folder / "data").write_text("1")
        assert not out.exists()
    assert [path.name for path in out.iterdir()] == ["data"]
    assert [path.name for path in out.parent.iterdir()] == ["out"]


def test_an_empty_folder_may_be_filled(tmp_path) -> None:
    with new_folder(tmp_path) as folder:
        (folder / "data").write_text("1")
    assert (tmp_path / "data").exists()


def test_an_error_leaves_nothing(tmp_path) -> None:
    def fail_halfway() -> None:
        with new_folder(tmp_path / "out") as folder:
            (folder / "data").write_text("1")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_halfway()
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_place_is_refused(tmp_path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(LogError, match="out is a file"), new_folder(tmp_path / "out"):
        pass
    assert (tmp_path / "out").read_text() == "mine"
