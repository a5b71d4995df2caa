"""A project to export from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.archive import Archive, connect, running
from helpers.dicom_project import accepted_films
from helpers.export_project import make_project
from napari_wsseg.datasets import from_archive
from napari_wsseg.io.archives import query
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import finish


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


@pytest.fixture
def accepted(orthanc: Archive, tmp_path: Path) -> Iterator[Project]:
    """Make a project of the archive's films, all accepted."""
    films = tmp_path / "films"
    finish(from_archive.fetch(connect(orthanc.web), query.parse("Modality=DX"), films))
    with accepted_films(tmp_path / "q", films) as made:
        yield made
