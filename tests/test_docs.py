"""The door: the docs say what the code is."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from benchmarks import house

ROOT = Path(__file__).resolve().parents[1]
PAGES = [*(ROOT / "docs").glob("*.md"), *ROOT.glob("*.md")]


def test_the_picture_of_the_floors_is_current() -> None:
    assert house.PICTURE.read_text("utf-8") == house.picture(), (
        "draw it again: python -m benchmarks.house"
    )


def test_every_arrow_of_the_picture_points_down() -> None:
    level = {room: n for n, row in enumerate(house.floors()) for room in row}
    found = house.arrows(set(level))
    assert ("napari_wsseg._widgets", "napari_wsseg.session") in found
    assert not [pair for pair in found if level[pair[0]] >= level[pair[1]]]


@pytest.mark.parametrize("page", ["docs/architecture.md", "CONTRIBUTING.md"])
def test_every_file_that_the_door_names_is_there(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    named = re.findall(
        r"(?<![\w/])((?:napari_wsseg|trainers|tests)/[\w./]*\.\w+)", text
    )
    assert len(named) >= 3
    assert not [one for one in named if not (ROOT / one).exists()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_files_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text("utf-8")):
        assert (page.parent / link).exists(), link


def test_the_version_is_one() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    cited = re.search(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(), re.M)
    assert cited is not None
    assert cited[1] == project["version"]
