"""rwmu-data plot: one page or one picture, from good and from poor data."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from matplotlib.image import imread

from rwmu_deploy.cli.command_line import EXIT_BAD_INPUT
from rwmu_deploy.contract.transition_columns import TransitionColumns
from rwmu_train.cli.data import main

SVG = "{http://www.w3.org/2000/svg}"


def pictures_of(page: str) -> list[ElementTree.Element]:
    found = re.findall(r"<svg .*?</svg>", page, re.DOTALL)
    return [ElementTree.fromstring(picture) for picture in found]


@pytest.fixture(scope="module")
def page(small_folder: Path, tmp_path_factory) -> tuple[str, dict]:
    """The page of a data set that is its own reference, and its JSON."""
    folder = tmp_path_factory.mktemp("page")
    out, report = folder / "page.html", folder / "page.json"
    words = ["plot", str(small_folder), "--reference", str(small_folder), "--episode", "5"]
    assert main([*words, "--out", str(out), "--json", str(report)]) == 0
    return out.read_text(), json.loads(report.read_text())


def test_the_page_fetches_nothing_and_is_small(page) -> None:
    text, _ = page
    outside = re.findall(r'(?:src|href)="(?!data:|#)[^"]*"|url\((?!#)[^)]*\)|<script', text)
    assert outside == []
    assert len(text) < 2e6


def test_the_page_holds_four_whole_pictures(page) -> None:
    pictures = pictures_of(page[0])
    assert len(pictures) == 4
    for picture in pictures:
        assert picture.tag == f"{SVG}svg"
        assert len(list(picture.iter(f"{SVG}path"))) > 10


def test_the_page_says_the_verdict_and_its_reasons(page) -> None:
    text, document = page
    assert document["verdict"]["problems"], "gravity of the small data set never changes"
    assert "NOT usable" in text
    assert "channels never change" in text
    assert "joint_velocity_radps[LF_HAA]" in text
    assert "rows 750 to 899; ended: fell" in text


def test_a_set_is_at_no_distance_from_itself(page) -> None:
    distances = page[1]["distance_std"]
    assert len(distances) == 57
    assert set(distances.values()) == {0.0}


def test_a_bare_csv_of_one_row_is_one_tall_picture(spec, tmp_path) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    row = ",".join(["0"] * TransitionColumns.of(spec).count) + "\n"
    (bare / "state_action_data_0.csv").write_text(row)
    out = tmp_path / "all.png"
    assert main(["plot", str(bare), "--out", str(out)]) == 0
    height, width, _ = imread(out).shape
    assert width == 1440
    assert height > 2 * width


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--out", "page.pdf"], "allowed is a name that ends in .html or .png"),
        (["--out", "no/such/page.html"], "there is no folder no/such"),
        (["--out", "page.html", "--episode", "6"], "there are 6 episodes"),
        (["--out", "page.html", "--episode", "-1"], "there are 6 episodes"),
        (["--out", "page.html", "--reference", "nowhere"], "there is no file or folder nowhere"),
        (["--out", "page.html", "--robot", "spot"], "no robot 'spot'"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    small_folder, tmp_path, monkeypatch, capsys, words, said
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["plot", str(small_folder), *words]) == EXIT_BAD_INPUT
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
