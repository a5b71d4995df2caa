"""A project to read and write."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.small_project import new_project
from napari_wsseg.io.project import Project


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """Return a writable project of one case and two findings."""
    with new_project(tmp_path) as made:
        yield made
