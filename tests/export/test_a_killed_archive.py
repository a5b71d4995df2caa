"""An archive that is killed, started again, and asked on: nothing lost or doubled."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from helpers.archive import Archive, Liar, running, sign_in
from helpers.named_dicom import COLUMNS, ROWS, film
from napari_wsseg.datasets import from_archive
from napari_wsseg.export import storing
from napari_wsseg.io import images, pacs
from napari_wsseg.io.dicomweb import query
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import JobFailed, finish
from napari_wsseg.schema import Case

pytestmark = pytest.mark.programs

FILMS = 6


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    with running(tmp_path_factory.mktemp("archive")) as found:
        yield found


@pytest.fixture
def orthanc(server: Archive, tmp_path: Path) -> Archive:
    server.clear()
    for number in range(FILMS):
        path = tmp_path / f"{number}.dcm"
        film(path, number)
        header = pydicom.dcmread(path)
        header.PatientID, header.AccessionNumber = f"P{number}", f"A{number}"
        header.save_as(path)
        server.store(path)
    return server


@pytest.fixture
def line(liar: Liar) -> Liar:
    """What stands before the archive, to kill it at a request of its choice."""
    return liar


@pytest.fixture(autouse=True)
def signed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    sign_in(monkeypatch, tmp_path)


def _at(url: str) -> pacs.Archive:
    return pacs.at(url, wait=lambda seconds: None)


def _import(url: str, tmp_path: Path) -> Any:
    table = tmp_path / "labels.csv"
    rows = "".join(f"A{number},1\n" for number in range(FILMS))
    table.write_text(f"AccessionNumber,heart\n{rows}")
    job = from_archive.steps(
        tmp_path / "p",
        _at(url),
        query.parse("Modality=DX"),
        tmp_path / "films",
        labels=table,
    )
    return finish(job)


def _killing(archive: Archive, method: str, part: str, after: int, *, answered: bool):
    """Return what kills an archive at a request, before or after it is passed on."""
    seen = [0]

    def happens(how: str, path: str, number: int) -> Any:
        if how != method or part not in path:
            return None
        seen[0] += 1
        if seen[0] != after:
            return None
        if not answered:
            archive.kill()
            return None

        def cut(data: bytes) -> bytes:
            archive.kill()
            return data[: len(data) // 2]

        return cut

    return happens


def _whole(films: Path) -> set[str]:
    found = set()
    for path in films.glob("*.dcm"):
        header = pydicom.dcmread(path)
        assert header.pixel_array.shape == (ROWS, COLUMNS)
        found.add(str(header.SOPInstanceUID))
    return found


@pytest.mark.parametrize("answered", [False, True])
def test_killed_in_mid_import_and_started_again_it_loses_and_doubles_nothing(
    orthanc: Archive, line: Liar, tmp_path: Path, answered: bool
) -> None:
    line.fault = _killing(orthanc, "GET", "/instances/", 3, answered=answered)
    with pytest.raises(JobFailed, match="2 of 6 films") as told:
        _import(line.web, tmp_path)
    assert "goes on" in str(told.value)
    assert len(_whole(tmp_path / "films")) == 2
    assert not (tmp_path / "p").exists()
    orthanc.start()
    line.seen.clear()
    assert _import(line.web, tmp_path).imported == FILMS
    assert len(_whole(tmp_path / "films")) == FILMS
    fetched = [path for _, path, _ in line.seen if "/instances/" in path]
    assert len(fetched) == FILMS - 2
    with Project.open(tmp_path / "p") as project:
        assert len(project.cases()) == FILMS


@pytest.fixture
def accepted(orthanc: Archive, tmp_path: Path) -> Iterator[Project]:
    """Make a project of the archive's films, all accepted."""
    films = tmp_path / "films"
    finish(from_archive.fetch(_at(orthanc.web), query.parse("Modality=DX"), films))
    with Project.create(tmp_path / "q", findings=["heart"], images=films) as made:
        for path in sorted(films.iterdir()):
            read = images.read(path)
            case = Case(
                read.uid[:16], path.name, (ROWS, COLUMNS), read.spacing_mm, "train", {}
            )
            made.add_case(case)
            mask = np.zeros((ROWS, COLUMNS), bool)
            mask[:4, 2:11] = True
            made.put_mask(case.id, "heart", mask, reader="ann", tool="brush")
            made.decide(case.id, "accept", reader="ann")
        yield made


def _store(project: Project, url: str) -> storing.Stored:
    job = storing.steps(project, "dicom_seg", _at(url), identity="same-patient")
    return finish(job)


def _kinds(archive: Archive) -> list[list[str]]:
    return sorted(
        sorted(one["00080060"]["Value"][0] for one in archive.metadata(uid))
        for uid in (study["0020000D"]["Value"][0] for study in archive.studies())
    )


@pytest.mark.parametrize("answered", [False, True])
def test_killed_in_mid_store_and_started_again_it_loses_and_doubles_nothing(
    orthanc: Archive, line: Liar, accepted: Project, answered: bool
) -> None:
    """Killed as it gets an instance, and when it has it but has not said so."""
    line.fault = _killing(orthanc, "POST", "/studies", 3, answered=answered)
    with pytest.raises(JobFailed, match="2 instances are stored"):
        _store(accepted, line.web)
    orthanc.start()
    again = _store(accepted, line.web)
    assert again.count("already there") == (3 if answered else 2)
    assert again.count("refused") == 0
    assert _kinds(orthanc) == [["DX", "SEG"]] * FILMS


@pytest.mark.slow
def test_killed_at_any_moment_it_ends_with_each_mask_once(
    orthanc: Archive, accepted: Project
) -> None:
    rng = random.Random(1)
    killed = 0
    for _ in range(40):
        timer = threading.Timer(rng.uniform(0.02, 0.4), orthanc.kill)
        timer.start()
        try:
            _store(accepted, orthanc.web)
        except JobFailed:
            killed += 1
        finally:
            timer.join()
            orthanc.start()
    assert killed >= 5
    last = _store(accepted, orthanc.web)
    assert last.count("refused") == 0
    assert _kinds(orthanc) == [["DX", "SEG"]] * FILMS
