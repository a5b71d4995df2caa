"""The same archive over DIMSE: C-FIND, C-GET, C-MOVE, C-STORE on loopback."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
import pytest

from helpers.archive import NAME, PASSWORD, Archive, connect, filled, free_port
from helpers.dicom_project import accepted_films
from helpers.named_dicom import COLUMNS, ROWS
from napari_wsseg.cli import main
from napari_wsseg.datasets import from_archive
from napari_wsseg.io import pacs
from napari_wsseg.io.archives import query
from napari_wsseg.io.archives.archive_client import TRIES
from napari_wsseg.io.archives.replies import Instance
from napari_wsseg.io.dimse.place import MOVE, TITLE
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError, JobFailed, UsageError, finish

pytestmark = pytest.mark.programs

FILMS = 4
ASK = "Modality=DX,CR;StudyDate=20260101-;BodyPartExamined=CHEST"


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """An archive with four films: three chests, one of them old, and a hand."""
    with filled(tmp_path_factory.mktemp("archive"), FILMS) as found:
        yield found


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WSSEG_KEYS", str(tmp_path / "keys"))
    monkeypatch.delenv(MOVE, raising=False)


def _arguments(orthanc: Archive, tmp_path: Path) -> list[str]:
    table = tmp_path / "labels.csv"
    rows = "".join(f"00{number},1\n" for number in range(FILMS))
    table.write_text(f"AccessionNumber,heart\n{rows}")
    arguments = ["init", str(tmp_path / "P"), "--from-pacs", orthanc.dimse, "--json"]
    arguments += ["--query", ASK, "--films", str(tmp_path / "films")]
    return [*arguments, "--labels", str(table)]


@pytest.mark.parametrize("way", ["get", "move"])
def test_films_are_found_and_come_by_either_way(
    orthanc: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    if way == "move":
        monkeypatch.setenv(MOVE, f"WSSEG:{orthanc.landing_port}")
    assert main(_arguments(orthanc, tmp_path)) == 0
    with Project.open(tmp_path / "P") as project:
        assert len(project.cases()) == 2
    films = sorted((tmp_path / "films").iterdir())
    assert len(films) == 2
    for path in films:
        header = pydicom.dcmread(path)
        rng = np.random.default_rng(int(header.PatientID[1:]))
        assert (
            header.pixel_array == rng.integers(0, 256, (ROWS, COLUMNS), np.uint8)
        ).all()


def test_both_languages_find_and_give_the_same(
    orthanc: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WSSEG_PACS_USER", NAME)
    monkeypatch.setenv("WSSEG_PACS_PASSWORD", PASSWORD)
    ask = query.parse("Modality=DX,CR")
    web, own = connect(orthanc.web), connect(orthanc.dimse)
    found = sorted(own.find(ask), key=lambda one: one.uid)
    assert found == sorted(web.find(ask), key=lambda one: one.uid)
    assert len(found) == FILMS
    for one in found:
        assert own.series(one.study, one.series) == web.series(one.study, one.series)
        ours, theirs = own.header(one), web.header(one)
        assert ours is not None
        assert theirs is not None
        assert (ours.PatientID, ours.PatientName) == (
            theirs.PatientID,
            theirs.PatientName,
        )
        assert own.fetch(one).header.PixelData == web.fetch(one).header.PixelData


@pytest.fixture
def accepted(orthanc: Archive, tmp_path: Path) -> Iterator[Project]:
    films = tmp_path / "films"
    finish(
        from_archive.fetch(connect(orthanc.dimse), query.parse("Modality=DX"), films)
    )
    with accepted_films(tmp_path / "q", films) as made:
        yield made


def test_masks_are_stored_once_and_join_their_patients(
    orthanc: Archive, accepted: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["export", "dicom_sr", "-p", str(accepted.folder), "--json"]
    arguments += ["--to-pacs", orthanc.dimse, "--identity", "same-patient"]
    for status in ("stored", "already there"):
        assert main(arguments) == 0
        answers = json.loads(capsys.readouterr().out.splitlines()[-1])["answers"]
        assert [each["status"] for each in answers] == [status] * 6
    assert orthanc.kinds() == [["CR"], *[["DX", "SEG", "SR"]] * 3]


def test_a_film_that_it_has_not_is_no_film(orthanc: Archive) -> None:
    line, one = connect(orthanc.dimse), Instance("1.2.3", "1.2.4", "1.2.5")
    assert not line.holds(one)
    assert line.header(one) is None
    with pytest.raises(DataError, match="no film"):
        line.fetch(one)


def test_one_whose_title_it_does_not_know_is_told_what_to_do(
    orthanc: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TITLE, "STRANGER")
    with pytest.raises((JobFailed, DataError), match=r"STRANGER|title"):
        list(connect(orthanc.dimse).find(query.parse("Modality=DX")))


def test_a_place_to_move_to_that_it_does_not_know_is_told(
    orthanc: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = connect(orthanc.dimse)
    (one, *_) = line.find(query.parse("Modality=CR"))
    monkeypatch.setenv(MOVE, f"NOBODY:{free_port()}")
    monkeypatch.setenv(TITLE, "WSSEG")
    with pytest.raises((JobFailed, DataError), match=r"NOBODY|no film"):
        connect(orthanc.dimse).fetch(one)


def test_nobody_there_is_told_after_a_few_tries() -> None:
    tried: list[float] = []
    line = pacs.at(f"dimse://X@127.0.0.1:{free_port()}", wait=tried.append)
    with pytest.raises(JobFailed, match="does not answer"):
        list(line.find(query.parse("Modality=DX")))
    assert len(tried) == TRIES - 1


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("dimse://127.0.0.1:4242", "title"),
        ("dimse://ORTHANC@127.0.0.1", "title"),
        ("dimse://ORTHANC:secret@127.0.0.1:4242", "title"),
        ("dimse://ATITLETHATISTOOLONG@127.0.0.1:4242", "16 characters"),
        ("dimse://ORTHANC@pacs.example.org:4242", "not encrypted"),
        ("dimse://ORTHANC@127.0.0.1:99999", "not the address"),
    ],
)
def test_addresses_that_are_off_or_not_safe(url: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as raised:
        pacs.at(url)
    assert "secret" not in str(raised.value)


def test_certificates_are_of_the_web_alone(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--ca"):
        pacs.at("dimse://ORTHANC@127.0.0.1:4242", ca=tmp_path)


def test_without_the_extra_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pynetdicom", None)
    arguments = ["init", str(tmp_path / "P"), "--from-pacs", "dimse://X@127.0.0.1:1"]
    arguments += ["--query", "Modality=DX", "--films", str(tmp_path / "f")]
    assert main(arguments) == 4
    assert "napari-wsseg[dimse]" in capsys.readouterr().err


def test_titles_and_places_that_are_off_are_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in ((MOVE, "WSSEG"), (TITLE, "a\\b")):
        with monkeypatch.context() as only:
            only.setenv(name, value)
            with pytest.raises(UsageError, match=name):
                pacs.at("dimse://ORTHANC@127.0.0.1:4242")
