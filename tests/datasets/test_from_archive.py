"""Films from a real archive: asked for, fetched, imported; and whatever goes wrong."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from helpers.archive import (
    NAME,
    PASSWORD,
    Archive,
    Liar,
    connect,
    filled,
    free_port,
    sign_in,
)
from napari_wsseg.cli import main
from napari_wsseg.datasets import from_archive
from napari_wsseg.io.archives import query
from napari_wsseg.io.archives.replies import Instance
from napari_wsseg.io.dicomweb import access, sessions
from napari_wsseg.io.dicomweb.access import Access
from napari_wsseg.io.dicomweb.dicomweb_archive import DicomWebArchive
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError, JobFailed, UsageError, finish

pytestmark = pytest.mark.programs

FILMS = 6


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """An archive with six films: five chests, one of them old, and a hand."""
    with filled(tmp_path_factory.mktemp("archive"), FILMS) as found:
        yield found


@pytest.fixture(autouse=True)
def signed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    sign_in(monkeypatch, tmp_path)


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    path = tmp_path / "labels.csv"
    rows = "".join(f"00{number},{number % 2}\n" for number in range(FILMS))
    path.write_text(f"AccessionNumber,heart\n{rows}")
    return path


def _steps(url: str, tmp_path: Path, labels: Path, ask: str = "Modality=DX,CR") -> Any:
    return from_archive.steps(
        tmp_path / "project",
        connect(url),
        query.parse(ask),
        tmp_path / "films",
        labels=labels,
    )


def _fetched(url: str, tmp_path: Path) -> from_archive.Fetched:
    ask = query.parse("Modality=DX,CR")
    return finish(from_archive.fetch(connect(url), ask, tmp_path / "films"))


def _complete(films: Path) -> set[str]:
    """Return the films in a folder, each read to its last pixel."""
    found = set()
    for path in films.iterdir():
        header = pydicom.dcmread(path)
        assert header.pixel_array.shape == (header.Rows, header.Columns)
        assert path.name == f"{header.SOPInstanceUID}.dcm"
        found.add(path.name)
    return found


def test_the_command_makes_a_project_of_what_is_asked_for(
    orthanc: Archive, tmp_path: Path, labels: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["init", str(tmp_path / "P"), "--from-pacs", orthanc.web, "--json"]
    argv += ["--query", "Modality=DX,CR;StudyDate=20260101-;BodyPartExamined=CHEST"]
    argv += ["--films", str(tmp_path / "films"), "--labels", str(labels)]
    assert main(argv) == 0
    output = capsys.readouterr()
    assert json.loads(output.out.splitlines()[-1])["imported"] == 4
    assert len(_complete(tmp_path / "films")) == 4
    with Project.open(tmp_path / "P") as project:
        cases = project.cases()
        assert sorted(case.labels["heart"] for case in cases) == [0, 0, 1, 1]
        # Films that do not say that identity was removed have other names there.
        assert all(case.path.startswith("film_") for case in cases)
    assert PASSWORD not in output.out + output.err
    for path in (tmp_path / "P").rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert b"Somebody" not in data, path
            assert PASSWORD.encode() not in data, path
            assert b"dicom-web" not in data, path


@pytest.mark.parametrize(
    "key", ["AccessionNumber", "StudyInstanceUID", "SOPInstanceUID"]
)
def test_labels_are_by_study_or_film(
    orthanc: Archive, tmp_path: Path, key: str
) -> None:
    rows = []
    for study in orthanc.studies():
        header = pydicom.Dataset.from_json(
            orthanc.metadata(study["0020000D"]["Value"][0])[0]
        )
        rows.append(f"{header[key].value},{int(header.PatientID[1:]) % 2}")
    table = tmp_path / "labels.csv"
    table.write_text("\n".join([f"{key},heart", *rows]) + "\n")
    report = finish(_steps(orthanc.web, tmp_path, table))
    assert (report.imported, report.rejected) == (FILMS, ())
    with Project.open(tmp_path / "project") as project:
        for case in project.cases():
            patient = pydicom.dcmread(project.image_path(case)).PatientID
            assert case.labels["heart"] == int(patient[1:]) % 2


def test_such_labels_serve_a_plain_folder_of_films_too(
    orthanc: Archive, tmp_path: Path, labels: Path
) -> None:
    finish(
        from_archive.fetch(
            connect(orthanc.web), query.parse("Modality=CR"), tmp_path / "f"
        )
    )
    arguments = ["init", str(tmp_path / "P"), "--images", str(tmp_path / "f")]
    assert main([*arguments, "--labels", str(labels)]) == 0
    with Project.open(tmp_path / "P") as project:
        assert [dict(case.labels) for case in project.cases()] == [{"heart": 1}]


def test_a_limit_is_kept_and_a_second_call_fetches_only_what_is_missing(
    liar: Liar, tmp_path: Path
) -> None:
    ask = query.parse("Modality=DX,CR")
    films = tmp_path / "films"
    first = finish(from_archive.fetch(connect(liar.web), ask, films, limit=2))
    assert (len(first.paths), first.new) == (2, 2)
    assert len(_complete(films)) == 2
    liar.seen.clear()
    second = finish(from_archive.fetch(connect(liar.web), ask, films))
    assert (len(second.paths), second.new) == (FILMS, FILMS - 2)
    fetched = [path for _, path, _ in liar.seen if "/instances/" in path]
    assert len(fetched) == FILMS - 2
    assert len(_complete(films)) == FILMS


def test_an_import_that_is_stopped_leaves_whole_films_and_goes_on(
    orthanc: Archive, tmp_path: Path, labels: Path
) -> None:
    job = _steps(orthanc.web, tmp_path, labels)
    for progress in job:
        if progress.message == "fetching films" and progress.step == 3:
            break
    job.close()
    assert len(_complete(tmp_path / "films")) == 3
    assert not (tmp_path / "project").exists()
    assert finish(_steps(orthanc.web, tmp_path, labels)).imported == FILMS


def _from(
    first: int, fault: Any, *, address: str = "/instances/"
) -> Callable[..., Any]:
    """Return a fault of every film from a number on."""
    count = [0]

    def happens(method: str, path: str, number: int) -> Any:
        if address not in path:
            return None
        count[0] += 1
        return fault if count[0] > first else None

    return happens


@pytest.mark.parametrize("fault", [503, 500, "cut", "lost", "short"])
def test_an_archive_that_fails_for_a_moment_is_asked_again(
    liar: Liar, tmp_path: Path, fault: Any
) -> None:
    failed: set[str] = set()

    def once(method: str, path: str, number: int) -> Any:
        if path in failed:
            return None
        failed.add(path)
        return fault

    liar.fault = once
    found = _fetched(liar.web, tmp_path)
    assert (found.new, found.left_out) == (FILMS, ())
    assert len(_complete(tmp_path / "films")) == FILMS


@pytest.mark.parametrize(
    ("fault", "message"),
    [(503, "503"), (401, "401"), (403, "403"), ("lost", "no connection")],
)
def test_an_archive_that_stays_away_in_mid_import_loses_nothing(
    liar: Liar, tmp_path: Path, fault: Any, message: str
) -> None:
    liar.fault = _from(2, fault)
    with pytest.raises(JobFailed, match=message) as raised:
        _fetched(liar.web, tmp_path)
    assert f"2 of {FILMS} films" in str(raised.value)
    assert "goes on" in str(raised.value)
    assert len(_complete(tmp_path / "films")) == 2
    liar.fault = lambda *asked: None
    assert _fetched(liar.web, tmp_path).new == FILMS - 2
    assert len(_complete(tmp_path / "films")) == FILMS


def _another_uid(data: bytes) -> bytes:
    at = data.rindex(b"1.2.826.0.1", 0, data.index(b"\x08\x00\x18\x00") + 60)
    return data[: at + 20] + bytes([data[at + 20] ^ 1]) + data[at + 21 :]


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (409, "409"),
        (404, "404"),
        ("nonsense", "not as DICOMweb"),
        (lambda data: data[:-120] + data[-60:], "break off|damaged"),
        (_another_uid, "another film"),
    ],
    ids=["409", "404", "nonsense", "pixels break off", "another film"],
)
def test_a_film_that_is_refused_or_damaged_costs_itself_alone(
    liar: Liar, tmp_path: Path, fault: Any, message: str
) -> None:
    liar.fault = _from(FILMS - 1, fault)
    found = _fetched(liar.web, tmp_path)
    assert found.new == FILMS - 1
    assert [bool(re.search(message, each.reason)) for each in found.left_out] == [True]
    assert len(_complete(tmp_path / "films")) == FILMS - 1


def test_films_that_were_not_asked_for_are_not_kept(
    liar: Liar, tmp_path: Path, labels: Path
) -> None:
    """Archives may ignore a key that they do not know."""
    asked = query.parse("Modality=DX;BodyPartExamined=HAND")
    blind = connect(liar.web)
    searched = blind._client.search_for_series
    blind._client.search_for_series = lambda *a, search_filters, **k: searched(*a, **k)
    films = tmp_path / "films"
    found = finish(from_archive.fetch(blind, asked, films))
    assert len(found.paths) == 1 == len(_complete(films))
    assert all("BodyPartExamined is CHEST" in each.reason for each in found.left_out)


def test_a_trickle_and_a_flood_end(
    liar: Liar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "_MOST_BYTES", 100)
    with pytest.raises(DataError, match="MiB"):
        _fetched(liar.web, tmp_path)
    monkeypatch.undo()
    monkeypatch.setenv("WSSEG_PACS_USER", NAME)
    monkeypatch.setenv("WSSEG_PACS_PASSWORD", PASSWORD)
    monkeypatch.setattr(sessions, "WHOLE_SECONDS", -1.0)
    with pytest.raises(JobFailed, match="too slow"):
        _fetched(liar.web, tmp_path)


def test_an_archive_that_says_nothing_is_left_after_a_while(
    tmp_path: Path, labels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "SILENT_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}/dicom-web"
        with pytest.raises(JobFailed, match="too slow"):
            finish(_steps(url, tmp_path, labels))
    with pytest.raises(JobFailed, match="no connection"):
        finish(_steps(f"http://127.0.0.1:{free_port()}/dicom-web", tmp_path, labels))


def test_the_password_goes_to_the_archive_and_nowhere_else(
    liar: Liar, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("DEBUG"):
        _fetched(liar.web, tmp_path)
    assert all(signed for _, _, signed in liar.seen)
    assert PASSWORD not in caplog.text
    assert "Somebody" not in caplog.text
    assert PASSWORD not in repr(access.to(liar.web))


def test_the_keyring_is_asked_where_the_environment_says_nothing(
    liar: Liar, monkeypatch: pytest.MonkeyPatch
) -> None:
    import keyring
    from keyring.credentials import SimpleCredential

    monkeypatch.delenv("WSSEG_PACS_PASSWORD")
    asked: list[tuple[str, str | None]] = []

    def get_credential(service: str, user: str | None) -> SimpleCredential:
        asked.append((service, user))
        return SimpleCredential("ann", "secret")

    monkeypatch.setattr(keyring, "get_credential", get_credential)
    found = access.to("https://pacs.example.org:8443/dicom-web/")
    assert asked == [("napari-wsseg pacs.example.org:8443", NAME)]
    assert (found.user, found.password) == ("ann", "secret")
    assert found.url == "https://pacs.example.org:8443/dicom-web"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("https://ann:secret@pacs.example.org/dicom-web", "seen by others"),
        ("http://pacs.example.org/dicom-web", "not encrypted"),
        ("pacs.example.org", "not the address"),
        ("ftp://pacs.example.org", "not the address"),
        ("https://pacs.example.org/dicom-web?x=1", "no \\?"),
        ("https://[::1/", "not the address"),
    ],
)
def test_addresses_that_are_off_or_not_safe(url: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as raised:
        access.to(url)
    assert "secret" not in str(raised.value)


def test_a_certificate_that_nobody_signed_is_not_believed(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as plain:
        threading.Thread(
            target=lambda: plain.accept()[0].sendall(b"no TLS here"), daemon=True
        ).start()
        url = f"https://127.0.0.1:{plain.getsockname()[1]}/dicom-web"
        line = DicomWebArchive(Access(url), wait=lambda seconds: None)
        with pytest.raises(JobFailed, match="--ca"):
            list(line.find(query.parse("Modality=DX")))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "nothing is asked"),
        ("Modality", "not Keyword=value"),
        ("Modalty=DX", "did you mean Modality"),
        ("Modality=DX;Modality=CR", "twice"),
        ("StudyDate=2026", "20260101-"),
    ],
)
def test_queries_that_are_off_are_told(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        query.parse(text)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--from-pacs URL"),
        (["--images", "a", "--from-pacs", "http://127.0.0.1:1"], "--from-pacs URL"),
        (["--images", "a", "--query", "Modality=DX"], "only with --from-pacs"),
        (["--from-pacs", "http://127.0.0.1:1"], "--query"),
        (
            ["--from-pacs", "http://127.0.0.1:1", "--query", "Modality=DX"],
            "--films",
        ),
    ],
)
def test_words_that_do_not_go_together_are_refused(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["init", str(tmp_path / "P"), *arguments]) == 2
    assert message in capsys.readouterr().err


def test_films_do_not_land_in_the_project(orthanc: Archive, tmp_path: Path) -> None:
    job = from_archive.steps(
        tmp_path / "P",
        connect(orthanc.web),
        query.parse("Modality=DX"),
        tmp_path / "P/films",
    )
    with pytest.raises(UsageError, match="outside"):
        next(job)


def test_a_table_that_is_off_is_told_before_anything_is_fetched(
    liar: Liar, tmp_path: Path, labels: Path
) -> None:
    labels.write_text("AccessionNumber,heart\n001,perhaps\n,1\n")
    with pytest.raises(DataError, match="perhaps"):
        finish(_steps(liar.web, tmp_path, labels))
    assert liar.seen == []


def test_a_uid_that_is_none_leads_nowhere(tmp_path: Path) -> None:
    one = Instance("1", "2", "../../evil")
    with pytest.raises(DataError, match="no UID"):
        from_archive._name(one)


def test_pixels_are_those_that_the_archive_was_given(
    orthanc: Archive, tmp_path: Path
) -> None:
    found = finish(
        from_archive.fetch(connect(orthanc.web), query.parse("Modality=CR"), tmp_path)
    )
    header = pydicom.dcmread(tmp_path / found.paths[0])
    rng = np.random.default_rng(1)
    assert (header.pixel_array == rng.integers(0, 256, (20, 13), np.uint8)).all()
