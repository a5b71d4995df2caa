"""A project to export from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.archive import Archive, running
from helpers.export_project import make_project
from napari_wsseg.io.project import Project


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """Return a project of special masks of two findings that overlap."""
    with make_project(tmp_path, overlap=True) as made:
        yield made


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """Start an archive that holds nothing."""
    with running(tmp_path_factory.mktemp("archive")) as found:
        yield found
