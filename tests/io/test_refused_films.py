"""Films, and streams in them, that are not what they should be: said so."""

from __future__ import annotations

import errno
import os
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_wsseg.io import film_identity, images
from napari_wsseg.io.dicom import codestream
from napari_wsseg.io.films import archive, jsrt, limits, source
from napari_wsseg.jobs import DataError


def test_a_film_of_jsrt_has_its_size_and_twelve_bits(tmp_path: Path) -> None:
    path = tmp_path / "a.IMG"
    path.write_bytes(b"\0" * 100)
    with pytest.raises(DataError, match="not a film of the JSRT database"):
        images.read(path)
    grey = np.zeros((jsrt.SIDE, jsrt.SIDE), ">u2")
    grey[0, 0] = 4095
    path.write_bytes(grey.tobytes())
    pixels = images.read(path).pixels
    assert (pixels[0, 0], pixels[0, 1]) == (0, 1)  # dense is stored dark
    grey[0, 0] = 4096
    path.write_bytes(grey.tobytes())
    with pytest.raises(DataError, match="values up to 4096"):
        images.read(path)


@pytest.mark.parametrize("kind", [np.int32, np.float32])
def test_values_that_are_no_greys_are_refused(tmp_path: Path, kind: type) -> None:
    odd = np.full((20, 20), 70000 if kind is np.int32 else 2, kind)
    odd[0, 0] = 0
    Image.fromarray(odd).save(tmp_path / "a.tif")
    with pytest.raises(DataError, match=r"0 to 65535 are read|scale them first"):
        images.read(tmp_path / "a.tif")
    if kind is np.float32:
        Image.fromarray(odd / 2).save(tmp_path / "a.tif")
        assert images.read(tmp_path / "a.tif").pixels.max() == 1


def test_a_film_that_cannot_be_opened_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"film")

    def broken(*arguments: object, **more: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(source, "open", broken, raising=False)
    with pytest.raises(DataError, match="cannot be read"), source.opened(path):
        pass
    monkeypatch.setattr(archive, "open", broken, raising=False)
    assert not archive.is_archive(path)
    assert film_identity.read_owner(path) is None


def test_a_member_of_an_archive_is_read_once_and_never_empty(tmp_path: Path) -> None:
    path = tmp_path / "films.zip"
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("a.png", b"old")
        with pytest.warns(UserWarning, match="Duplicate name"):
            packed.writestr("a.png", b"new")
        packed.writestr("b.png", b"")
    listing = archive.listing(path)
    assert listing.refused == [("a.png", "is there twice; the last one is read")]
    with pytest.raises(DataError, match="empty file"):
        archive.read(path, "b.png")
    assert archive.split_archive_path(path / "b.png") == (path, "b.png")
    assert archive.split_archive_path(tmp_path / "none" / "b.png") is None
    assert archive.split_archive_path(Path(".")) is None
    path.unlink()
    with pytest.raises(DataError, match="cannot be read"):
        archive.read(path, "b.png")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\0\0\0\x0cjP  \r\n\x87\nftyp", "without a JPEG 2000 stream"),
        (b"\xff\xd8\xff\xda\0\0", "before the JPEG frame header"),
        (b"\xff\xd8\xff\xc0\0", "ends in its header"),
        (b"GIF89a", "neither JPEG"),
    ],
)
def test_a_stream_without_a_size_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        codestream.describe(data)


def test_markers_before_the_size_of_a_jpeg_are_passed_over() -> None:
    frame = struct.pack(">BBHBHHB", 0xFF, 0xC0, 17, 8, 30, 20, 1)
    found = codestream.describe(b"\xff\xd8" + b"\xff" + b"\xff\x01" + frame + bytes(9))
    assert (found.rows, found.columns, found.bits) == (30, 20, 8)


def test_limits_of_a_film_are_said_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"")
    with pytest.raises(DataError, match="empty file"):
        limits.check_file(path)
