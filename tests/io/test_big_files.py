"""Files that are made to take memory or time are refused within bounds; measured."""

from __future__ import annotations

import gzip
import json
import struct
import subprocess
import sys
import threading
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import psutil
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, MediaStorageDirectoryStorage

from helpers.small_project import grey, write_png
from napari_wsseg import cli
from napari_wsseg.export.dicom_seg import SOP_CLASSES

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

MOST_BYTES = 2**30
MOST_SECONDS = 30.0
GIB = 2**30
SHAPE = (64, 48)


class Cost(NamedTuple):
    """What a command said, and what it and its children took."""

    code: int
    output: str
    bytes: int
    seconds: float


def cost(*arguments: str) -> Cost:
    """Run a command; see `measured`."""
    return measured("-m", "napari_wsseg.cli", *arguments)


def measured(*arguments: str) -> Cost:
    """Run Python; measure the memory of its processes together, and computing."""
    script = [sys.executable, *arguments]
    process = psutil.Popen(
        script, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    peak = computing = 0.0
    spent: dict[int, float] = {}
    output: list[str] = []
    ear = threading.Thread(target=lambda: output.append(process.stdout.read()))
    ear.start()
    while process.poll() is None:
        held = 0
        try:
            for one in (process, *process.children(recursive=True)):
                held += one.memory_info().rss
                times = one.cpu_times()
                spent[one.pid] = times.user + times.system
        except psutil.NoSuchProcess:
            continue
        peak = max(peak, held)
        time.sleep(0.02)
    ear.join()
    computing = sum(spent.values())
    return Cost(process.returncode, output[0], int(peak), computing)


def print_row(name: str, size: int, found: Cost) -> None:
    """Print a row of the table in docs/trust.md."""
    sys.stdout.write(
        f"| {name} | {size / 2**20:.1f} MiB | {found.code} | "
        f"{found.bytes / 2**20:.0f} MiB | {found.seconds:.1f} s | "
        f"{found.output.strip().splitlines()[-1][-110:]} |\n"
    )


# What is refused ----------------------------------------------------------------------


def _packed(count: int, wbits: int, head: bytes = b"") -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, wbits)
    part = bytes(2**24)
    parts = [
        packer.compress(head),
        *(packer.compress(part) for _ in range(count >> 24)),
    ]
    return b"".join([*parts, packer.flush()])


def _deflated(path: Path, sop_class: str) -> Path:
    """Write 3 GiB of zeros in one private element, deflated."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = sop_class
    meta.MediaStorageSOPInstanceUID = "1.2.3"
    meta.TransferSyntaxUID = "1.2.840.10008.1.2.1.99"
    bare = Dataset()
    bare.file_meta = meta
    pydicom.dcmwrite(path, bare, enforce_file_format=True)
    data = path.read_bytes()
    head = struct.pack("<HH2sHI", 0x0009, 0x1001, b"OB", 0, 3 * GIB - 2**24)
    path.write_bytes(data[: _meta_end(data)] + _packed(3 * GIB, -15, head))
    return path


def _meta_end(data: bytes) -> int:
    (length,) = struct.unpack_from("<I", data, 140)
    return 144 + int(length)


def _dicomdir_bomb(place: Path) -> Path:
    return _deflated(place / "images" / "DICOMDIR", str(MediaStorageDirectoryStorage))


def _seg_bomb(place: Path) -> Path:
    return _deflated(place / "x.seg.dcm", SOP_CLASSES[0])


def _records(place: Path, count: int = 200_000) -> Path:
    record = Dataset()
    record.DirectoryRecordType = "IMAGE"
    record.ReferencedFileID = ["A", "FILM"]
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    dataset.DirectoryRecordSequence = Sequence([record])
    path = place / "images" / "DICOMDIR"
    pydicom.dcmwrite(path, dataset, enforce_file_format=True)
    data = path.read_bytes()
    begin = data.index(b"\xfe\xff\x00\xe0")
    item = data[begin:]
    head = bytearray(data[:begin])
    head[-4:] = struct.pack("<I", len(item) * count)
    path.write_bytes(bytes(head) + item * count)
    return path


def _long_line(place: Path) -> Path:
    path = place / "labels.csv"
    with path.open("wb") as file:
        file.write(b"image,nodule\n")
        for _ in range(64):
            file.write(b"a" * 2**24)
    return path


def _columns(place: Path) -> Path:
    path = place / "labels.csv"
    names = ",".join(f"f{number}" for number in range(100_000))
    path.write_text(f"image,{names}\na.png,{'1,' * 99_999}1\n")
    return path


def _coco(place: Path, segment: object) -> Path:
    path = place / "coco.json"
    image = {"id": 1, "file_name": "a.png", "height": SHAPE[0], "width": SHAPE[1]}
    one = {"id": 1, "image_id": 1, "category_id": 1, "segmentation": segment}
    document = {"images": [image], "categories": [{"id": 1, "name": "nodule"}]}
    path.write_text(json.dumps({**document, "annotations": [one]}))
    return path


def _counts(place: Path) -> Path:
    return _coco(place, {"size": SHAPE, "counts": "o" * 1_000_000})


def _corners(place: Path) -> Path:
    """Write a polygon of 200 000 corners, far outside of the film."""
    return _coco(place, [[900.0, 5000.0] * 200_000])


def _numbers(place: Path) -> Path:
    """Write a list of 100 million numbers where polygons are expected."""
    path = _coco(place, ["HERE"])
    head, _, tail = path.read_text().partition('"HERE"')
    with path.open("w") as file:
        file.write(f"{head}[0")
        for _ in range(200):
            file.write(",0.5" * 500_000)
        file.write(f"]{tail}")
    return path


def _nifti(begin: float, packed: bytes) -> bytes:
    head = bytearray(352)
    struct.pack_into("<i", head, 0, 348)
    struct.pack_into("<8h", head, 40, 3, 48, 1, 64, 1, 1, 1, 1)
    struct.pack_into("<2h", head, 70, 2, 8)
    struct.pack_into("<f", head, 108, begin)
    head[344:348] = b"n+1\0"
    head[348] = 1
    return gzip.compress(bytes(head)) + packed


def _extension(place: Path) -> Path:
    path = place / "a.nii.gz"
    path.write_bytes(_nifti(2.0**31, _packed(2 * GIB, 31)))
    return path


def _offset(place: Path) -> Path:
    path = place / "a.nii.gz"
    path.write_bytes(_nifti(3e9, _packed(3 * GIB, 31)))
    return path


def _nrrd(place: Path) -> Path:
    path = place / "a.seg.nrrd"
    head = "NRRD0004\ntype: uint8\ndimension: 2\nsizes: 48 64\nencoding: gzip\n\n"
    path.write_bytes(head.encode() + _packed(3 * GIB, 31))
    return path


def _laughs(place: Path) -> Path:
    """Write names that are lists of lists of lists, which grow when they are said."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    for number in range(1, 12):
        again = ", ".join([f"*a{number - 1}"] * 9)
        lines.append(f"a{number}: &a{number} [{again}]")
    (place / "data.yaml").write_text("\n".join([*lines, "names: [*a11]"]))
    path = place / "a.txt"
    path.write_text("0 0.1 0.1 0.5 0.1 0.5 0.5\n")
    return path


def _zeros(place: Path) -> Path:
    path = place / "images" / "broken.dcm"
    with path.open("wb") as file:
        file.truncate(500 * 2**20)
    return path


IMPORTS: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "DICOM SEG, deflated, 3 GiB": ("dicom_seg", _seg_bomb),
    "NIfTI, header extension of 2 GiB": ("nifti", _extension),
    "NIfTI, `vox_offset` 3e9": ("nifti", _offset),
    "NRRD, 3 GiB in a slice of 48 × 64": ("seg_nrrd", _nrrd),
    "COCO, counts of a million characters": ("coco", _counts),
    "COCO, a polygon of 200 000 corners": ("coco", _corners),
    "COCO, a list of 100 million numbers": ("coco", _numbers),
    "YOLO, names that grow when they are said": ("yolo_seg", _laughs),
}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    write_png(tmp_path / "images" / "a.png", grey(1, SHAPE))
    return tmp_path


@pytest.mark.parametrize("name", IMPORTS)
def test_an_import_is_refused_within_bounds(name: str, place: Path) -> None:
    labels = place / "some.csv"
    labels.write_text("image,nodule\na.png,1\n")
    arguments = ["init", str(place / "p"), "--images", str(place / "images")]
    assert cli.main([*arguments, "--labels", str(labels)]) == 0
    kind, make = IMPORTS[name]
    path = make(place)
    found = cost("import", kind, str(path), "-p", str(place / "p"), "--reader", "ann")
    print_row(name, path.stat().st_size, found)
    assert found.code == 3, found.output
    _check(found)


INITS: dict[str, Callable[[Path], Path]] = {
    "DICOMDIR, deflated, 3 GiB": _dicomdir_bomb,
    "DICOMDIR of 200 000 records": _records,
    "labels.csv, one line of 1 GiB": _long_line,
    "labels.csv of 100 000 columns": _columns,
    "`.dcm` of 500 MiB of zeros": _zeros,
}


@pytest.mark.parametrize("name", INITS)
def test_an_init_refuses_a_file_within_bounds(name: str, place: Path) -> None:
    path = INITS[name](place)
    labels = place / "labels.csv"
    if not labels.exists():
        labels.write_text("image,nodule\na.png,1\n")
    arguments = ["init", str(place / "p"), "--images", str(place / "images")]
    found = cost(*arguments, "--labels", str(labels))
    print_row(name, path.stat().st_size, found)
    # A film or a disc that is off costs that one alone; a table is all there is.
    assert found.code == (3 if path == labels else 0), found.output
    assert path.name in found.output
    _check(found)


def _check(found: Cost) -> None:
    assert "Traceback" not in found.output
    assert found.bytes < MOST_BYTES
    assert found.seconds < MOST_SECONDS


def _cut_off(place: Path) -> Path:
    """Write 49 million pixels of four channels of 16 bits, all but the last of them."""
    row = bytes(1 + 7000 * 8)
    packer = zlib.compressobj(1)
    packed = b"".join([*(packer.compress(row) for _ in range(7000)), packer.flush()])
    head = struct.pack(">IIBBBBB", 7000, 7000, 16, 6, 0, 0, 0)
    path = place / "film.png"
    chunks = [(b"IHDR", head), (b"IDAT", packed[:-2000]), (b"IEND", b"")]
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(data))
            + kind
            + data
            + struct.pack(">I", zlib.crc32(kind + data))
            for kind, data in chunks
        )
    )
    return path


_FILM, _VOLUME = "io.images.read", "export.nifti.values"
SHOWN: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "a film on screen, cut off at its end": (_FILM, _cut_off),
    "a NIfTI dropped on the viewer, header extension of 2 GiB": (_VOLUME, _extension),
    "a NIfTI dropped on the viewer, `vox_offset` 3e9": (_VOLUME, _offset),
}


@pytest.mark.parametrize("name", SHOWN)
def test_what_the_window_itself_reads_is_refused_within_bounds(
    name: str, place: Path
) -> None:
    """A process of its own would cost each film that is turned to a copy of it."""
    reads, make = SHOWN[name]
    path = make(place)
    module, _, function = f"napari_wsseg.{reads}".rpartition(".")
    code = (
        f"import pathlib, {module}\n"
        "from napari_wsseg.jobs import DataError\n"
        f"try: {module}.{function}(pathlib.Path({str(path)!r}))\n"
        "except DataError as error: raise SystemExit(f'refused: {error}')"
    )
    found = measured("-c", code)
    print_row(name, path.stat().st_size, found)
    assert found.output.startswith("refused: "), found.output
    _check(found)


# What takes time by its length --------------------------------------------------------


def _archive(place: Path, members: int) -> Path:
    film = write_png(place / "b.png", grey(2, SHAPE)).read_bytes()
    path = place / "images" / "many.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(members):
            archive.writestr(f"{number:06}.txt", f"no film {number}")
        archive.writestr("film.png", film)
    return path


def test_an_archive_of_99_000_members_takes_time_by_its_length(place: Path) -> None:
    (place / "labels.csv").write_text("image,nodule\na.png,1\n")
    seconds = []
    for count in (9_900, 99_000):
        path = _archive(place, count)
        argv = ["init", str(place / f"p{count}"), "--images", str(place / "images")]
        found = cost(*argv, "--labels", str(place / "labels.csv"))
        print_row(f"zip archive of {count:,} members", path.stat().st_size, found)
        assert found.code == 0, found.output
        assert found.bytes < MOST_BYTES
        seconds.append(found.seconds)
    assert seconds[1] < 20 * seconds[0]


def _polygons(place: Path, count: int) -> Path:
    corners = [5.0, 10.0, 25.0, 10.0, 25.0, 20.0, 5.0, 20.0]
    return _coco(place, [corners] * count)


def _strokes(place: Path, count: int) -> Path:
    zigzag = [value for n in range(count) for value in (n % 48, (n * 7) % 64)]
    return _coco(place, [zigzag])


@pytest.mark.parametrize("make", [_polygons, _strokes])
def test_polygons_take_time_by_their_length(
    make: Callable[[Path, int], Path], place: Path
) -> None:
    labels = place / "some.csv"
    labels.write_text("image,nodule\na.png,1\n")
    arguments = ["init", str(place / "p"), "--images", str(place / "images")]
    assert cli.main([*arguments, "--labels", str(labels)]) == 0
    seconds = []
    for count in (1, 20_000, 200_000):
        path = make(place, count if make is _strokes else count // 10 or 1)
        found = cost(
            "import", "coco", str(path), "-p", str(place / "p"), "--reader", "a"
        )
        print_row(f"COCO, {make.__name__[1:]} {count:,}", path.stat().st_size, found)
        assert found.bytes < MOST_BYTES
        seconds.append(found.seconds)
    start, fewer, more = seconds
    assert more - start < 20 * max(fewer - start, 0.5)


def test_pictures_of_the_largest_size_are_read(place: Path) -> None:
    """The bounds leave room for the largest honest film and its mask."""
    shape = (7000, 7000)
    write_png(place / "images" / "large.png", grey(3, shape))
    mask = grey(3, shape) > 127
    file = place / "large.png"
    Image.fromarray(mask).save(file)
    labels = place / "some.csv"
    labels.write_text("image,nodule\nlarge.png,1\n")
    argv = ["init", str(place / "p"), "--images", str(place / "images")]
    assert cli.main([*argv, "--labels", str(labels)]) == 0
    for name, path in (("png", file),):
        argv = ["import", name, str(path), "-p", str(place / "p"), "--reader", "ann"]
        found = cost(*argv, "--finding", "nodule")
        print_row("PNG mask of 49 million pixels, taken", path.stat().st_size, found)
        assert found.code == 0, found.output
