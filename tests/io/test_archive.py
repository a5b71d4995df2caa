"""Zip archives: read in place, and what could only serve an attack is refused."""

from __future__ import annotations

import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from helpers.small_project import grey, write_png
from napari_wsseg.io import images
from napari_wsseg.io.films import archive as _archive
from napari_wsseg.jobs import DataError


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return write_png(tmp_path / "film.png", grey(1))


def test_a_film_in_an_archive_is_the_film_outside(tmp_path: Path, film: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(film, "study/1/film.png")
    inside = images.read(tmp_path / "a.zip" / "study" / "1" / "film.png")
    assert inside.uid == images.read(film).uid
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.zip", "film.png"]


def link(archive: zipfile.ZipFile) -> str:
    info = zipfile.ZipInfo("link.png")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    archive.writestr(info, "/etc/passwd")
    return info.filename


def named(name: str) -> Callable[[zipfile.ZipFile], str]:
    def add(archive: zipfile.ZipFile) -> str:
        archive.writestr(name, b"x")
        return name

    return add


def nameless(archive: zipfile.ZipFile) -> str:
    info = zipfile.ZipInfo("x")
    archive.writestr(info, b"x")
    info.filename = ""  # what the directory says, written at the end
    return ""


def bomb(archive: zipfile.ZipFile) -> str:
    archive.writestr("stored.bin", bytes(range(256)) * 2**13)
    archive.writestr("bomb.png", bytes(40 * 2**20), zipfile.ZIP_DEFLATED)
    return "bomb.png"


def unusual(archive: zipfile.ZipFile) -> str:
    archive.writestr("odd.png", b"x", zipfile.ZIP_LZMA)
    return "odd.png"


@pytest.mark.parametrize(
    ("add", "message"),
    [
        (named("../../outside.png"), "leads out"),
        (named("/etc/outside.png"), "leads out"),
        (named("C:\\outside.png"), "leads out"),
        (named("a\\..\\..\\outside.png"), "leads out"),
        (named("a//b.png"), "leads out"),
        (named("new\nline.png"), "leads out"),
        (nameless, "no plain name"),
        (named("a/" + "b" * 300 + ".png"), "longer than a file"),
        (named("a/" * 600 + "b.png"), "longer than a file"),
        (link, "a link"),
        (bomb, "200 times its size"),
        (unusual, "unusual way"),
    ],
)
def test_a_member_that_is_off_is_left_out_and_cannot_be_read(
    tmp_path: Path, film: Path, add: Callable[[zipfile.ZipFile], str], message: str
) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(film, "film.png")
        name = add(archive)
    listing = _archive.listing(path)
    assert "film.png" in listing.names
    assert name not in listing.names
    assert any(message in reason for _, reason in listing.refused)
    with pytest.raises(DataError, match=message):
        _archive.read(path, name)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.zip", "film.png"]


def test_an_encrypted_member_is_told(tmp_path: Path, film: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(film, "film.png")
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    assert "encrypted" in _archive.listing(path).refused[0][1]


def test_an_archive_that_claims_far_more_than_it_holds_is_refused(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for n in range(40):
            archive.writestr(f"{n}.png", bytes(16 * 2**20), zipfile.ZIP_DEFLATED)
    with pytest.raises(DataError, match="claims to hold 640 MiB"):
        _archive.listing(path)


def test_a_member_larger_than_it_says_is_not_read_on(
    tmp_path: Path, film: Path
) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("big.png", bytes(2**20))
    data = bytearray(path.read_bytes())
    central = data.index(b"PK\x01\x02")
    data[central + 24 : central + 28] = struct.pack("<I", 100)
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"big\.png"):
        images.read(path / "big.png")


def test_too_many_members_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_archive, "MAX_MEMBERS", 5)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for n in range(6):
            archive.writestr(f"{n}.png", b"x")
    with pytest.raises(DataError, match="6 files, over the cap"):
        _archive.listing(tmp_path / "a.zip")


@pytest.mark.parametrize("length", [0.0, 0.3, 0.6, 0.95])
def test_a_damaged_archive_is_told_in_one_line(
    tmp_path: Path, film: Path, length: float
) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(film, "film.png")
    data = path.read_bytes()
    path.write_bytes(data[: 4 + int(length * (len(data) - 4))])
    with pytest.raises(DataError, match="damaged zip archive") as raised:
        _archive.listing(path)
    assert "\n" not in str(raised.value)


def test_what_is_not_in_the_archive_is_told(tmp_path: Path, film: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(film, "film.png")
    with pytest.raises(DataError, match="not in the archive"):
        images.read(tmp_path / "a.zip" / "other.png")
