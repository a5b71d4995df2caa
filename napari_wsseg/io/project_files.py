"""The one way to a file of a project: never through a link, and only to plain files.

A forged project could make ``masks/<case>/<finding>``, ``runs/<run>/stop`` or a file's
own name a link to something of the user's, for the program to fill, overwrite or tidy
up. So nothing below a project's folder may be a link, at any depth, for reading and for
writing: every module comes through here, and `tests/io/test_links.py` looks for those
that do not. The project's folder itself may lie behind a link: its user chose it.
"""

from __future__ import annotations

import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from napari_wsseg.jobs import DataError

MARKER = "wsseg.toml"
"""The file that makes a folder a project."""

MAX_BYTES = 2**32
"""Larger files are refused whatever they are read for: weights are the largest."""

_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_NO_WAIT = getattr(os, "O_NONBLOCK", 0)  # a named pipe would wait for its writer
_BINARY = getattr(os, "O_BINARY", 0)
_HOW = {
    "rb": os.O_RDONLY,
    "wb": os.O_WRONLY | os.O_CREAT | os.O_TRUNC,
    "xb": os.O_WRONLY | os.O_CREAT | os.O_EXCL,
    "ab": os.O_WRONLY | os.O_CREAT | os.O_APPEND,
}


def checked(path: Path) -> Path:
    """Return `path`, for a library that opens files by name.

    A path in no project is returned as it is.

    Raises
    ------
    DataError
        It leads through a link inside a project; names the link.
    """
    if "\0" in str(path):
        raise DataError(f"{str(path)!r}: no name of a file; refused")
    absolute = os.path.abspath(path)
    root = _root(absolute)
    link = None if root is None else _link_below(root, absolute)
    if link is None:
        return path
    raise DataError(
        f"{link}: is a link to {os.path.realpath(link)}, and nothing in a project is; "
        "put the file or folder itself in its place"
    )


def plain(name: str) -> str:
    """Return a name that a row or file gives to a folder, if it is a single one.

    Raises
    ------
    DataError
        It leads elsewhere, or no file can be called that.
    """
    if not name.strip(". ") or len(name) > 200 or any(c in "\0/\\:" for c in name):
        raise DataError(f"{name[:80]!r} is no name of a run or folder; refused")
    return name


def opened(path: Path, mode: str = "rb") -> IO[Any]:
    """Open a plain file: ``"rb"`` to read, ``"wb"`` to write, ``"ab"`` to append.

    With ``"xb"``, the file is new.

    Raises
    ------
    DataError
        It is reached through a link inside a project, or is no plain file.
    OSError
        As `open`.
    """
    handle = os.open(checked(path), _HOW[mode] | _NO_WAIT | _BINARY | _link(path))
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise DataError(f"{path}: not a plain file; refused")
        return os.fdopen(handle, mode)
    except BaseException:
        os.close(handle)
        raise


def read_bytes(path: Path, most: int = MAX_BYTES) -> bytes:
    """Return what a file holds.

    Raises
    ------
    DataError
        As `opened`, or it is larger than `most` bytes.
    OSError
        As `open`.
    """
    with opened(path) as file:
        if os.fstat(file.fileno()).st_size <= most:
            data: bytes = file.read(most + 1)
            if len(data) <= most:
                return data
    raise DataError(f"{path}: over {most / 2**20:.0f} MiB; refused")


def append(path: Path, text: str) -> None:
    """Add text to a file's end, as UTF-8; raises as `opened`."""
    with opened(path, "ab") as file:
        file.write(text.encode("utf-8", "replace"))


def touch(path: Path) -> None:
    """Make an empty file, or leave one as it is; raises as `opened`."""
    opened(path, "ab").close()


def remove(path: Path) -> None:
    """Delete a file, or nothing if there is none.

    Raises
    ------
    DataError
        The folder that it is in is reached through a link inside a project.
    OSError
        As `os.unlink`.
    """
    checked(path.parent)
    path.unlink(missing_ok=True)


def remove_tree(folder: Path) -> None:
    """Delete a folder; links in it are deleted, not followed. Raises as `remove`."""
    shutil.rmtree(checked(folder))


def move(path: Path, target: Path) -> None:
    """Move a file or link to `target`, whose folder is made. Raises as `remove`."""
    checked(path.parent)
    checked(target.parent).mkdir(parents=True, exist_ok=True)
    os.replace(path, target)


def make_folder(folder: Path) -> None:
    """Make a folder and its parents; raises `DataError` as `checked`."""
    checked(folder).mkdir(parents=True, exist_ok=True)


def links(folder: Path) -> list[Path]:
    """Return the links in a project, at any depth; none of them is followed."""
    found: list[Path] = []
    todo = [str(folder)]
    while todo:
        with suppress(OSError), os.scandir(todo.pop()) as entries:
            for entry in entries:
                if entry.is_symlink():
                    found.append(Path(entry.path))
                elif entry.is_dir(follow_symlinks=False):
                    todo.append(entry.path)
    return sorted(found)


def _link_below(root: str, absolute: str) -> str | None:
    """Return the first part of a path below `root` that is a link, if one is."""
    place = root
    for part in os.path.relpath(absolute, root).split(os.sep):
        place = os.path.join(place, part)
        if _is_link(place):
            return place
    return None


def _is_link(place: str) -> bool:
    if os.name == "nt":  # pragma: no cover - Windows
        # It has more kinds of links than it tells of: the system resolves them.
        folder, name = os.path.split(place)
        itself = os.path.join(os.path.realpath(folder), name)
        return os.path.normcase(os.path.realpath(place)) != os.path.normcase(itself)
    return os.path.islink(place)


def _link(path: Path) -> int:
    """Refuse a link in the last place at the opening itself, inside a project."""
    return 0 if _root(os.path.abspath(path)) is None else _NO_LINK


def _root(absolute: str) -> str | None:
    """Return the project's folder that a path lies below: the outermost.

    A forged project may have ``wsseg.toml`` in its inner folders, too.
    """
    above: list[str] = []
    place = os.path.dirname(absolute)
    while not above or above[-1] != place:
        above.append(place)
        place = os.path.dirname(place)
    for folder in reversed(above):
        if os.path.lexists(os.path.join(folder, MARKER)):
            return folder
    return None
