"""Films that the files of others are of, and a place for those files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.export_project import indexed_films
from napari_wsseg.io.project import Project


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    names = ("a.png", "b.dcm", "c d.png", "scan_0000.png", "1.2.3.4.5.101.png")
    with indexed_films(tmp_path, names, {"nodule": 1, "mass": 0}) as made:
        yield made


@pytest.fixture
def place(tmp_path: Path) -> Path:
    made = tmp_path / "theirs"
    made.mkdir()
    return made
