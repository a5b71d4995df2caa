"""Where films come from: folders, discs, archives; laterals; imports that go on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import psutil
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, MediaStorageDirectoryStorage

from helpers.noise_dicom import film
from helpers.small_project import save_dicom
from napari_wsseg.datasets.folder import import_folder
from napari_wsseg.datasets.importing import resume as _resume
from napari_wsseg.datasets.importing.report import ImportReport
from napari_wsseg.io import film_facts
from napari_wsseg.io.guarded import reader as _reader
from napari_wsseg.io.project import Project

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def imported(tmp_path: Path, images: Path) -> tuple[list[str], dict[str, str]]:
    report = run(tmp_path, images)
    with Project.open(report.project) as project:
        paths = [case.path for case in project.cases()]
        for case in project.cases():
            assert project.radiograph(case).uid.startswith(case.id)
    return sorted(paths), {entry.path: entry.reason for entry in report.rejected}


def run(tmp_path: Path, images: Path) -> ImportReport:
    (tmp_path / "masks" / "nodule").mkdir(parents=True, exist_ok=True)
    return import_folder(
        tmp_path / "project", images, masks=tmp_path / "masks", names="keep"
    )


def test_files_without_an_ending_are_told_by_content(tmp_path: Path) -> None:
    images = tmp_path / "images"
    save_dicom(film(1), images / "study" / "IM0001")
    bare = film(2)
    bare.file_meta = FileMetaDataset()
    path = images / "study" / "IM0002"
    pydicom.dcmwrite(path, bare, implicit_vr=True, little_endian=True)
    (images / "README").write_text("dear reader")
    paths, rejected = imported(tmp_path, images)
    assert paths == ["study/IM0001", "study/IM0002"]
    assert "not a PNG" in rejected["README"]


def directory(names: list[str], path: Path) -> None:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    records = []
    for name in names:
        record = Dataset()
        record.DirectoryRecordType = "IMAGE"
        record.ReferencedFileID = name.split("/")
        records.append(record)
    patient = Dataset()
    patient.DirectoryRecordType = "PATIENT"
    dataset.DirectoryRecordSequence = Sequence([patient, *records])
    path.parent.mkdir(parents=True, exist_ok=True)
    pydicom.dcmwrite(path, dataset, enforce_file_format=True)


@pytest.mark.parametrize("by_file", [False, True])
def test_a_dicomdir_says_what_is_a_film(tmp_path: Path, by_file: bool) -> None:
    disc = tmp_path / "disc"
    save_dicom(film(1), disc / "images" / "im1")
    save_dicom(film(2), disc / "images" / "im2")
    (disc / "viewer.exe").write_bytes(b"MZ" + bytes(100))
    directory(["IMAGES/IM1", "IMAGES/IM3"], disc / "DICOMDIR")
    paths, rejected = imported(tmp_path, disc / "DICOMDIR" if by_file else disc)
    assert paths == ["images/im1"]
    assert list(rejected) == ["IMAGES/IM3"]
    assert "DICOMDIR lists it" in rejected["IMAGES/IM3"]


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd"])
def test_a_dicomdir_that_leads_out_is_not_believed(tmp_path: Path, name: str) -> None:
    save_dicom(film(1), tmp_path / "disc" / "im1")
    save_dicom(film(2), tmp_path / "outside")
    directory([name], tmp_path / "disc" / "DICOMDIR")
    paths, rejected = imported(tmp_path, tmp_path / "disc")
    assert (paths, rejected) == (["im1"], {})


def test_a_damaged_dicomdir_costs_nothing(tmp_path: Path) -> None:
    save_dicom(film(1), tmp_path / "disc" / "im1")
    (tmp_path / "disc" / "DICOMDIR").write_bytes(bytes(128) + b"DICM" + b"\xff" * 50)
    report = run(tmp_path, tmp_path / "disc")
    assert (report.imported, report.rejected) == (1, ())
    assert "searched instead" in report.warnings[0]


@pytest.mark.parametrize("complete", [False, True])
def test_archives_are_looked_into(tmp_path: Path, complete: bool) -> None:
    save_dicom(film(1), tmp_path / "a.dcm")
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(
        tmp_path / "b.png"
    )
    images = tmp_path / "images"
    images.mkdir()
    with zipfile.ZipFile(images / "studies.zip", "w") as archive:
        archive.write(tmp_path / "a.dcm", "one/a.dcm")
        archive.write(tmp_path / "b.png", "two/b.png")
        archive.writestr("__MACOSX/two/._b.png", b"junk")
        archive.writestr("inner.zip", b"PK")
        archive.writestr("../evil.png", b"x")
    paths, rejected = imported(tmp_path, images / "studies.zip" if complete else images)
    prefix = "" if complete else "studies.zip/"
    assert paths == [f"{prefix}one/a.dcm", f"{prefix}two/b.png"]
    assert sorted(rejected) == [f"{prefix}../evil.png", f"{prefix}inner.zip"]


def test_a_damaged_archive_costs_the_others_nothing(tmp_path: Path) -> None:
    save_dicom(film(1), tmp_path / "images" / "a.dcm")
    (tmp_path / "images" / "b.zip").write_bytes(b"PK\x03\x04" + bytes(50))
    paths, rejected = imported(tmp_path, tmp_path / "images")
    assert paths == ["a.dcm"]
    assert "damaged zip archive" in rejected["b.zip"]


def test_laterals_are_left_out_and_told_unless_they_are_wanted(tmp_path: Path) -> None:
    save_dicom(film(1, ViewPosition="PA"), tmp_path / "images" / "pa.dcm")
    save_dicom(film(2, ViewPosition="LL"), tmp_path / "images" / "ll.dcm")
    paths, rejected = imported(tmp_path, tmp_path / "images")
    assert paths == ["pa.dcm"]
    assert "--set lateral=yes" in rejected["ll.dcm"]
    argv = [sys.executable, "-m", "napari_wsseg.cli", "init", "--set", "lateral=yes"]
    argv += [str(tmp_path / "both"), "--images", str(tmp_path / "images")]
    argv += ["--masks", str(tmp_path / "masks")]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert "2 films imported" in done.stderr


def test_one_remark_of_many_films_is_told_once(tmp_path: Path) -> None:
    for number in range(7):
        save_dicom(film(number, Modality="CT"), tmp_path / "images" / f"{number}.dcm")
    report = run(tmp_path, tmp_path / "images")
    assert report.imported == 7
    assert report.warnings == ("0.dcm and 6 more: modality CT is no radiograph's",)


SERVER = """
import json, os, signal, sys, time
print("ready", flush=True)
for line in sys.stdin:
    if "crash" in line:
        os.kill(os.getpid(), signal.SIGSEGV)
    if "hang" in line:
        time.sleep(60)
    print(json.dumps(["value", "was read", 0]), flush=True)
"""


def test_a_crash_or_a_hang_costs_one_film(monkeypatch: pytest.MonkeyPatch) -> None:
    real = subprocess.Popen

    def fake(arguments: list[str], **options: object) -> object:
        return real([arguments[0], "-c", SERVER], **options)

    monkeypatch.setattr(_reader.subprocess, "Popen", fake)
    reader = film_facts.FactsReader(seconds=1.5)
    start = time.monotonic()
    facts = [reader.facts(Path(name)) for name in ("a", "crash", "b", "hang", "c")]
    reader.close()
    assert time.monotonic() - start < 30
    assert facts[0] == facts[2] == facts[4] == "was read"
    assert "crash" in facts[1]
    assert "could not be read in 2 s" in facts[3]


def test_where_no_process_can_be_started_the_film_is_read_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save_dicom(film(1), tmp_path / "a.dcm")
    monkeypatch.setattr(_reader.sys, "executable", str(tmp_path / "nowhere"))
    found = film_facts.FactsReader().facts(path)
    assert found == film_facts.read_facts(path)


def test_a_reading_process_says_what_this_one_would(tmp_path: Path) -> None:
    good = save_dicom(film(1, ViewPosition="LL", Modality="CT"), tmp_path / "good.dcm")
    bad = tmp_path / "bad.dcm"
    bad.write_bytes(b"junk")
    reader = film_facts.FactsReader()
    try:
        assert reader.facts(good) == film_facts.read_facts(good)
        assert reader.facts(bad) == film_facts.read_facts(bad)
    finally:
        reader.close()


def test_an_import_that_was_stopped_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_resume, "WORTH_SECONDS", 0.0)
    images = tmp_path / "images"
    for number in range(8):
        save_dicom(film(number), images / f"{number}.dcm")
    masks = tmp_path / "masks"
    (masks / "nodule").mkdir(parents=True)
    from napari_wsseg.datasets import datasets

    job = datasets["folder"](tmp_path / "project", images=images, masks=masks)
    for _ in range(8 + 3):  # their headers, then three films
        next(job)
    job.close()
    left = sorted(p.name for p in tmp_path.iterdir())
    assert left == [".project.reading", "images", "masks"]
    assert b"dcm" not in (tmp_path / ".project.reading").read_bytes()
    save_dicom(film(99), images / "0.dcm")  # changed meanwhile: read again
    asked = []
    real = film_facts.FactsReader.facts

    def ask(self: film_facts.FactsReader, path: Path) -> object:
        asked.append(path.name)
        return real(self, path)

    monkeypatch.setattr(film_facts.FactsReader, "facts", ask)
    assert run(tmp_path, images).imported == 8
    assert "0.dcm" in asked
    assert not {"1.dcm", "2.dcm"} & set(asked)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["images", "masks", "project"]
    monkeypatch.undo()
    again = import_folder(tmp_path / "again", images, masks=masks, names="keep")
    with Project.open(again.project) as one, Project.open(tmp_path / "project") as two:
        assert one.cases() == two.cases()


def test_ctrl_c_leaves_no_project_and_no_process(tmp_path: Path) -> None:
    data = save_dicom(film(1, side=900), tmp_path / "images" / "a.dcm").read_bytes()
    for number in range(200):  # long enough for a busy machine to ask and to stop
        path = tmp_path / "images" / f"{number}.dcm"
        if number < 16:
            path.write_bytes(data[:-1] + bytes([number]))
        else:
            path.hardlink_to(tmp_path / "images" / f"{number % 16}.dcm")
    (tmp_path / "masks" / "nodule").mkdir(parents=True)
    argv = [sys.executable, "-m", "napari_wsseg.cli", "init", str(tmp_path / "p")]
    argv += ["--images", str(tmp_path / "images"), "--masks", str(tmp_path / "masks")]
    process = subprocess.Popen(
        [*argv, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert any('"reading films"' in line for line in process.stdout)
    children = children_of(process.pid)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in errors
    assert "Traceback" not in errors
    assert sorted(p.name for p in tmp_path.iterdir()) == ["images", "masks"]
    assert children
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]


def children_of(pid: int) -> list[int]:
    return [child.pid for child in psutil.Process(pid).children(recursive=True)]


def test_what_a_killed_import_left_is_swept_by_the_next(tmp_path: Path) -> None:
    save_dicom(film(1), tmp_path / "images" / "a.dcm")
    left = tmp_path / ".project.0123abcd.partial"
    left.mkdir()
    (left / "index.sqlite").write_bytes(b"half")
    run(tmp_path, tmp_path / "images")
    assert not left.exists()
    assert os.listdir(tmp_path / "project")
