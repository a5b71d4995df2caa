"""An archive that is killed, started again, and asked on: nothing lost or doubled."""

from __future__ import annotations

import random
import threading
from pathlib import Path
from typing import Any

import pydicom
import pytest

from helpers.archive import Archive, Liar, connect, sign_in
from helpers.named_dicom import COLUMNS, ROWS
from napari_wsseg.datasets import from_archive
from napari_wsseg.export import storing
from napari_wsseg.io.archives import query
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import JobFailed, finish

pytestmark = pytest.mark.programs

FILMS = 6


@pytest.fixture
def orthanc(server: Archive, tmp_path: Path) -> Archive:
    server.clear()
    for number in range(FILMS):
        names = {"PatientID": f"P{number}", "AccessionNumber": f"A{number}"}
        server.put_film(tmp_path / f"{number}.dcm", number, **names)
    return server


@pytest.fixture(autouse=True)
def signed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    sign_in(monkeypatch, tmp_path)


def _import(url: str, tmp_path: Path) -> Any:
    table = tmp_path / "labels.csv"
    rows = "".join(f"A{number},1\n" for number in range(FILMS))
    table.write_text(f"AccessionNumber,heart\n{rows}")
    job = from_archive.steps(
        tmp_path / "p",
        connect(url),
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


def _complete(films: Path) -> set[str]:
    found = set()
    for path in films.glob("*.dcm"):
        header = pydicom.dcmread(path)
        assert header.pixel_array.shape == (ROWS, COLUMNS)
        found.add(str(header.SOPInstanceUID))
    return found


@pytest.mark.parametrize("answered", [False, True])
def test_killed_in_mid_import_and_started_again_it_loses_and_doubles_nothing(
    orthanc: Archive, liar: Liar, tmp_path: Path, answered: bool
) -> None:
    liar.fault = _killing(orthanc, "GET", "/instances/", 3, answered=answered)
    with pytest.raises(JobFailed, match="2 of 6 films") as raised:
        _import(liar.web, tmp_path)
    assert "goes on" in str(raised.value)
    assert len(_complete(tmp_path / "films")) == 2
    assert not (tmp_path / "p").exists()
    orthanc.start()
    liar.seen.clear()
    assert _import(liar.web, tmp_path).imported == FILMS
    assert len(_complete(tmp_path / "films")) == FILMS
    fetched = [path for _, path, _ in liar.seen if "/instances/" in path]
    assert len(fetched) == FILMS - 2
    with Project.open(tmp_path / "p") as project:
        assert len(project.cases()) == FILMS


def _store(project: Project, url: str) -> storing.Stored:
    job = storing.steps(project, "dicom_seg", connect(url), identity="same-patient")
    return finish(job)


@pytest.mark.parametrize("answered", [False, True])
def test_killed_in_mid_store_and_started_again_it_loses_and_doubles_nothing(
    orthanc: Archive, liar: Liar, accepted: Project, answered: bool
) -> None:
    """Killed as it gets an instance, and when it has it but has not said so."""
    liar.fault = _killing(orthanc, "POST", "/studies", 3, answered=answered)
    with pytest.raises(JobFailed, match="2 instances are stored"):
        _store(accepted, liar.web)
    orthanc.start()
    again = _store(accepted, liar.web)
    assert again.count("already there") == (3 if answered else 2)
    assert again.count("refused") == 0
    assert orthanc.kinds() == [["DX", "SEG"]] * FILMS


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
    assert orthanc.kinds() == [["DX", "SEG"]] * FILMS
