"""Zip archives of films, read in place and guarded.

Nothing is ever unpacked to the disk: a member is read into memory, alone, and no
further than a film may be large. What could only serve an attack is refused by name.
"""

from __future__ import annotations

import os
import stat
import struct
import zipfile
import zlib
from functools import lru_cache
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import BinaryIO, NamedTuple

from napari_wsseg.io.films import limits as _limits
from napari_wsseg.jobs import DataError

MAX_MEMBERS = 100_000

MAX_RATIO = 200
"""Bytes of a member to its bytes in the archive; films seldom reach 20."""

_MOST_NAME, _MOST_PATH = 255, 1024
"""Bytes of a file's name, and of its path in an archive."""

_FREE_BYTES = 16 * 2**20
"""So few bytes are no bomb, whatever they were packed into."""

_LOCAL = struct.Struct("<4s22xHH")
"""Of a member's own header (APPNOTE 4.3.7): signature, lengths of name and extras."""

_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class Listing(NamedTuple):
    """Names of the members that may be read, and of the others with their reason."""

    names: list[str]
    refused: list[tuple[str, str]]


def split_archive_path(path: Path) -> tuple[Path, str] | None:
    """Split a path that leads through an archive into it and the member's name.

    ``None`` if it leads through none.
    """
    for place in path.parents:
        if place.is_dir():
            return None
        if place.is_file():
            inside = path.relative_to(place).as_posix()
            return (place, inside) if is_archive(place) else None
    return None


def is_archive(path: Path) -> bool:
    """Whether a file is named and begins as a zip archive."""
    if path.suffix.lower() != ".zip" or not path.is_file():  # a pipe is not waited for
        return False
    try:
        with open(path, "rb") as file:
            return file.read(4) in (b"PK\x03\x04", b"PK\x05\x06")
    except OSError:
        return False


def listing(path: Path) -> Listing:
    """Return what an archive holds; folders are not listed.

    Raises
    ------
    DataError
        It is damaged, has too many members, or claims to hold far more than can be
        packed into it.
    """
    names: dict[str, None] = {}
    refused: list[tuple[str, str]] = []
    with _opened(path) as archive:
        # Not by `is_dir`, which a member without any name breaks.
        members = [i for i in archive.infolist() if not i.filename.endswith("/")]
        total = sum(info.file_size for info in members)
        if total > _FREE_BYTES + MAX_RATIO * path.stat().st_size:
            raise DataError(
                f"{path}: claims to hold {total / 2**20:.0f} MiB, over {MAX_RATIO} "
                "times its size; unpack it yourself if you trust it"
            )
        for info in members:
            reason = _flaw(info)
            if reason is None and info.filename in names:
                reason = "is there twice; the last one is read"
            if reason is None:
                names[info.filename] = None
            else:
                refused.append((_shown(info.filename), reason))
    return Listing(list(names), refused)


def read(path: Path, name: str) -> bytes:
    """Return one member's bytes.

    Raises
    ------
    DataError
        The archive or the member is damaged, not there, refused, or too large.
    """
    shown = path / name
    info = _directory(path).get(name)
    if info is None:
        raise DataError(f"{shown}: cannot be read (not in the archive)")
    reason = _flaw(info)
    if reason is not None:
        raise DataError(f"{shown}: {reason}")
    try:
        with open(path, "rb") as file:
            data = _member(file, info)
    except Exception as error:  # damaged members raise many kinds
        raise DataError(f"{shown}: damaged in its archive ({error})") from error
    if not data:
        raise DataError(f"{shown}: empty file")
    return data


def _member(file: BinaryIO, info: zipfile.ZipInfo) -> bytes:
    """Read a member by its entry, without parsing the whole directory again."""
    file.seek(info.header_offset)
    header = file.read(_LOCAL.size)
    signature, names, extras = _LOCAL.unpack(header)
    if signature != b"PK\x03\x04":
        raise zipfile.BadZipFile("no member where the directory says")
    file.seek(names + extras, os.SEEK_CUR)
    data = file.read(info.compress_size)
    if info.compress_type == zipfile.ZIP_DEFLATED:
        # One byte more than promised would show that the promise was a lie.
        data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, info.file_size + 1)
    if len(data) != info.file_size or zlib.crc32(data) != info.CRC:
        raise zipfile.BadZipFile("its length or checksum is another")
    return data


def _directory(path: Path) -> dict[str, zipfile.ZipInfo]:
    """Return the entries of an archive by name, parsed once while it is the same."""
    try:
        state = path.stat()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    return _entries(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=2)
def _entries(path: Path, changed: int, size: int) -> dict[str, zipfile.ZipInfo]:
    with _opened(path) as archive:
        return {info.filename: info for info in archive.infolist()}


def _opened(path: Path) -> zipfile.ZipFile:
    try:
        archive = zipfile.ZipFile(path)
    except Exception as error:  # a damaged directory makes zipfile raise many kinds
        raise DataError(f"{path}: damaged zip archive ({error})") from error
    if len(archive.infolist()) > MAX_MEMBERS:
        count = len(archive.infolist())
        archive.close()
        raise DataError(f"{path}: {count} files, over the cap of {MAX_MEMBERS}")
    return archive


def _flaw(info: zipfile.ZipInfo) -> str | None:
    """Return why a member is not to be read, or ``None``."""
    name = info.filename
    windows = PureWindowsPath(name)
    outside = (
        windows.drive
        or windows.root
        or ".." in windows.parts
        or PurePosixPath(name).as_posix() != name
        or not name.isprintable()
    )
    if outside:
        return "its name leads out of the archive or is no plain name; left out"
    if _is_too_long(name):
        return "its name is longer than a file's can be; left out"
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        return "a link or device, not a file; left out"
    if info.flag_bits & 0x1:
        return "encrypted; unpack the archive with its password"
    if info.compress_type not in _METHODS:
        return "packed in an unusual way; unpack the archive and name the folder"
    if info.file_size > _limits.MAX_FILE_BYTES:
        return f"over the {_limits.MAX_FILE_BYTES // 2**20} MiB that one film may have"
    if info.file_size > _FREE_BYTES + MAX_RATIO * info.compress_size:
        return f"unpacks to over {MAX_RATIO} times its size; left out"
    return None


def _is_too_long(name: str) -> bool:
    """Whether no disk takes a name, or the path of a part of it."""
    data = name.encode()
    return len(data) > _MOST_PATH or max(map(len, data.split(b"/"))) > _MOST_NAME


def _shown(name: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in name)[:200]
