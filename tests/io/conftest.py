"""A project to read and write."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.small_project import new_project
from napari_wsseg.io import film_names
from napari_wsseg.io.project import Project


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """Return a writable project of one case and two findings."""
    with new_project(tmp_path) as made:
        yield made


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder, not there yet, where this test's key files go."""
    place = tmp_path / "keys"
    monkeypatch.setenv(film_names.VARIABLE, str(place))
    return place
