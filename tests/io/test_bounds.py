"""Files that would take memory or time without end are refused before they do."""

from __future__ import annotations

import gzip
import json
import resource
import sqlite3
import struct
import subprocess
import sys
import time
import zipfile
import zlib
from contextlib import closing
from pathlib import Path

import numpy as np
import pydicom
import pytest

from helpers.small_project import CASE, SHAPE, blot, forge, new_project
from napari_wsseg import cli
from napari_wsseg.datasets.importing import labels_csv
from napari_wsseg.export import nifti
from napari_wsseg.io import film_identity
from napari_wsseg.io.dicom import deflated, guard
from napari_wsseg.io.external import spreadsheet, tables
from napari_wsseg.io.films import archive
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError
from napari_wsseg.ops import outlines, run_lengths

MOST_BYTES = 2**30
MOST_SECONDS = 30.0


def _refused(place: Path, code: str) -> str:
    """Run code in a process of its own; return its refusal's words.

    It may take 1 GiB and 30 s of computing, and has to end with a `DataError`.
    """
    text = (
        "import sys\nfrom pathlib import Path\n"
        "from napari_wsseg.jobs import DataError\n"
        f"place = Path({str(place)!r})\n"
        f"try:\n    {code}\n"
        "except DataError as error:\n    print(error)\nelse:\n    sys.exit('taken')\n"
        # ru_maxrss would count what the process that started this one held.
        "status = Path('/proc/self/status').read_text()\n"
        "print(status.split('VmHWM:')[1].split()[0])\n"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    child = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, check=False
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert child.returncode == 0, child.stderr
    message, kilobytes = child.stdout.rsplit("\n", 2)[0], child.stdout.split()[-1]
    assert int(kilobytes) * 1024 < MOST_BYTES, kilobytes
    assert after.ru_utime - before.ru_utime < MOST_SECONDS
    return message


def _zeros(count: int, level: int = 9) -> bytes:
    """Return a gzip stream of that many zeros, made a mebibyte at a time."""
    packer = zlib.compressobj(level, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    part = bytes(2**20)
    parts = [packer.compress(part) for _ in range(count >> 20)]
    return b"".join([*parts, packer.flush()])


def _nifti_header(**values: object) -> bytearray:
    head = bytearray(352)
    struct.pack_into("<i", head, 0, 348)
    struct.pack_into("<8h", head, 40, 3, 30, 1, 40, 1, 1, 1, 1)
    struct.pack_into("<2h", head, 70, 2, 8)
    struct.pack_into("<f", head, 108, float(values.get("begin", 352)))  # type: ignore[arg-type]
    head[344:348] = b"n+1\0"
    if "extension" in values:
        head[348] = 1
    return head


@pytest.mark.parametrize("begin", [3e9, 1e30, -1.0, float("nan"), 2.0**31])
def test_values_that_begin_far_out_are_no_mask(tmp_path: Path, begin: float) -> None:
    path = tmp_path / "x.nii.gz"
    path.write_bytes(gzip.compress(_nifti_header(begin=begin) + bytes(2000)))
    with pytest.raises(DataError, match=r"not NIfTI|values begin"):
        nifti.values(path)


def test_a_nifti_slice_of_any_honest_kind_is_read(tmp_path: Path) -> None:
    mask = np.zeros((40, 30), bool)
    mask[3:9, 4:8] = True
    packed = nifti.encode(mask, (0.2, 0.1))
    for name, data in (("a.nii.gz", packed), ("a.nii", gzip.decompress(packed))):
        (tmp_path / name).write_bytes(data)
        assert np.array_equal(nifti.values(tmp_path / name)[0] != 0, mask)


def test_a_nifti_extension_of_two_gibibytes_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "x.nii.gz"
    head = _nifti_header(begin=2.0**31, extension=True)
    path.write_bytes(gzip.compress(head) + _zeros(2**28))
    code = "from napari_wsseg.export import nifti; nifti.values(place)"
    assert "values begin" in _refused(path, code)


def test_a_stroke_that_claims_more_than_its_film_is_not_unpacked(
    tmp_path: Path,
) -> None:
    with new_project(tmp_path) as project:
        project.journal.record(CASE, "nodule", "ann", blot() & False, blot())
    with sqlite3.connect(tmp_path / "project" / "index.sqlite") as index:
        index.execute(
            "UPDATE strokes SET height = 160000, width = 160000, flips = ?",
            (zlib.compress(bytes(2**24)),),
        )
    index.close()
    code = (
        "from napari_wsseg.io.project import Project; "
        f"Project.open(place).journal.recover({CASE!r}, 'nodule', 'ann')"
    )
    assert "not on the film" in _refused(tmp_path / "project", code)


def test_a_number_of_a_run_length_is_no_longer_than_a_film() -> None:
    began = time.process_time()
    with pytest.raises(DataError, match="not COCO"):
        run_lengths.coco_decode("o" * 1_000_000, (100, 100))
    assert time.process_time() - began < 5
    with pytest.raises(DataError, match="not COCO"):
        run_lengths.coco_decode([float("inf")], (100, 100))  # type: ignore[list-item]


def test_polygons_take_time_by_their_corners() -> None:
    rng = np.random.default_rng(0)
    began = time.process_time()
    outlines.filled([rng.uniform(0, 128, (50_000, 2))], (128, 128))
    outlines.filled(rng.uniform(0, 512, (3000, 5, 2)), (512, 512))
    assert time.process_time() - began < MOST_SECONDS


def test_a_table_of_many_columns_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    names = ",".join(f"f{n}" for n in range(100_000))
    path.write_text(f"image,{names}\na.png,{'1,' * 99_999}1\n")
    with pytest.raises(DataError, match="columns"):
        labels_csv.read(path)


def test_a_line_without_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("image," + "x" * 2**21)
    with pytest.raises(DataError, match="characters"):
        labels_csv.read(path)
    with path.open("wb") as file:
        file.truncate(2**30)
    with pytest.raises(DataError, match="1024 MiB"):
        tables.rows(path)


def test_a_film_of_zeros_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "film.dcm"
    with path.open("wb") as file:
        file.write(bytes(128) + b"DICM")
        file.truncate(500 * 2**20)
    began = time.process_time()
    assert film_identity.read_owner(path) == film_identity.FilmOwner()
    with path.open("rb") as file, pytest.raises(DataError, match="no order"):
        guard.check(file)
    assert time.process_time() - began < 10


def _dicomdir(path: Path, records: int, syntax: str = "1.2.840.10008.1.2.1") -> Path:
    meta = pydicom.dataset.FileMetaDataset()
    meta.MediaStorageSOPClassUID = "1.2.840.10008.1.3.10"
    meta.MediaStorageSOPInstanceUID = "1.2.3"
    meta.TransferSyntaxUID = syntax
    file = pydicom.dataset.FileDataset(str(path), {}, preamble=bytes(128))
    file.file_meta = meta
    one = pydicom.Dataset()
    one.DirectoryRecordType = "IMAGE"
    one.ReferencedFileID = ["A", "FILM"]
    file.DirectoryRecordSequence = [one] * records
    file.save_as(path, enforce_file_format=True)
    return path


def test_a_dicomdir_of_too_many_records_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_wsseg.io.dicom import dicomdir

    path = _dicomdir(tmp_path / "DICOMDIR", 300)
    assert dicomdir.images(path) == ["A/FILM"]
    monkeypatch.setattr(guard, "MAX_ITEMS", 200)
    with pytest.raises(DataError, match="over 200 items"):
        dicomdir.images(path)


def test_a_deflated_dicomdir_is_not_inflated_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_wsseg.io.dicom import dicomdir

    path = _dicomdir(tmp_path / "DICOMDIR", 300, "1.2.840.10008.1.2.1.99")
    monkeypatch.setattr(deflated, "MAX_BYTES", 2**10)
    with pytest.raises(DataError, match="inflates"):
        dicomdir.images(path)


def test_the_directory_of_an_archive_is_parsed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "films.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for number in range(50):
            made.writestr(f"{number}.png", str(number) * 100)
    parsed = []
    opened = archive._opened
    monkeypatch.setattr(
        archive, "_opened", lambda path: parsed.append(path) or opened(path)
    )
    for number in range(50):
        assert archive.read(path, f"{number}.png") == (str(number) * 100).encode()
    assert len(parsed) == 1


def test_a_member_that_is_not_what_the_directory_says_is_damaged(
    tmp_path: Path,
) -> None:
    path = tmp_path / "films.zip"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("a.png", b"x" * 1000)
    data = path.read_bytes()
    for odd in (data.replace(b"x" * 10, b"y" * 10, 1), b"PK\x03\x05" + data[4:]):
        path.write_bytes(odd)
        with pytest.raises(DataError, match="damaged"):
            archive.read(path, "a.png")


# The trail -------------------------------------------------------------------------


def _drawn(tmp_path: Path) -> Path:
    with new_project(tmp_path) as project:
        first = project.put_mask(CASE, "nodule", blot(), reader="ann")
        project.put_mask(CASE, "nodule", ~blot(), reader="ann")
        project.decide(CASE, "accept", reader="ann")
        project.decide(CASE, "flag", reader="bob")
        project.readers.settle(CASE, "nodule", first, actor="cid")
        project.labels.put(CASE, {"nodule": 0}, reader="ann")
        return project.folder


REWRITTEN = {
    "UPDATE decisions SET verdict = 'reject' WHERE id = 2": "decision 2",
    "UPDATE decisions SET reader = 'ann' WHERE id = 2": "decision 2",
    "DELETE FROM decisions WHERE id = 2": "decision of row",
    "INSERT INTO undone VALUES (1, 'x', '')": "decision 1",
    "UPDATE annotations SET mask_sha = 'abc' WHERE id = 2": "mask 2",
    "UPDATE annotations SET finding = 'effusion' WHERE id = 1": "mask 1",
    "UPDATE finals SET annotation = 2": "final mask 1",
    "UPDATE cases SET labels = '{\"nodule\": 1}'": "label 'nodule'",
}


@pytest.mark.parametrize("statement", REWRITTEN)
def test_a_row_that_is_not_what_the_trail_tells_is_named(
    tmp_path: Path, statement: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = _drawn(tmp_path)
    assert cli.main(["audit", "verify", "-p", str(folder)]) == 0
    with closing(sqlite3.connect(folder / "index.sqlite")) as index:
        forge(index, statement)
    assert cli.main(["audit", "verify", "-p", str(folder)]) == 3
    assert REWRITTEN[statement] in capsys.readouterr().err


# Spreadsheets ----------------------------------------------------------------------

FORMULAS = [
    *("=1+1", "+1", "-1", "@a", "\t=1", "\r=1", "\n=1", "x;=1+1", "x,=1", "x\n=1"),
    *("＝1+1", "＋1", "－1", "＠a", "x;＝1", '";=1', "'=1", "''=1", " =1", "x; =1"),
    *("\tx", "x|=1", "x\r\n@a", "'\t=1", ";=1;=2", ";';'=1"),
]


@pytest.mark.parametrize("text", [*FORMULAS, "", "x", "a-b", "it's", "a;b", "1=1"])
def test_a_cell_computes_nothing_and_comes_back(text: str) -> None:
    cell = str(spreadsheet.cell(text))
    assert spreadsheet.uncell(cell) == text
    for separator in (";", ",", "\n", "\r", "\t", "|"):
        for part in cell.split(separator):
            assert not part.strip(' "').startswith(tuple("=+-@＝＋－＠\t\r")), cell


def test_a_findings_name_computes_nothing_and_is_read_back(tmp_path: Path) -> None:
    name = "=cmd('a')!A1"
    images = tmp_path / "images"
    images.mkdir()
    with Project.create(tmp_path / "p", findings=[name], images=images) as project:
        from napari_wsseg.schema import Case

        project.add_case(Case(CASE, "-film.png", SHAPE, None, "train", {name: 1}))
        project.put_mask(CASE, name, blot(), reader="ann")
    for kind in ("png", "indexed_png", "csv", "siim_rle"):
        out = tmp_path / kind
        arguments = ["export", kind, "--out", str(out), "-p", str(tmp_path / "p")]
        assert cli.main(arguments) == 0
        for file in out.rglob("*.csv"):
            for line in file.read_text("utf-8").splitlines():
                cells = line.replace('"', "").split(",")
                assert not [one for one in cells if one.startswith(("=", "+", "@"))]
    table = labels_csv.read(tmp_path / "png" / "labels.csv")
    assert table.findings == (name,)
    assert json.dumps([*table.rows]) == '["-film.png"]'
