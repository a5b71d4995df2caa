"""What of a project still tells the films' file names after they were hidden."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from napari_wsseg.io import atomic, project_files
from napari_wsseg.io.film_names import are_hidden
from napari_wsseg.jobs import DataError

if TYPE_CHECKING:
    from napari_wsseg.io.project import Project

_OURS = ("masks", "stages", "runs", "cache", "void", "sweeps", ".trash")
"""Folders that are the project's own."""

_NUMBERS = (".npz", ".safetensors", ".pt", ".u8")
"""Weights and maps, by far the most bytes of a project, hold no text."""

_PART = 1 << 22


def left(project: Project, paths: Sequence[str]) -> list[str]:
    """Return what still has one of the films' `paths`, as a name of its own.

    Files by their path in the project, whether the name stands in it or in the path;
    of the index, each table. A name inside a longer one (1.png in film_0001.png) is
    none.
    """
    pattern = _pattern(paths)
    found = [f"index.sqlite: {table}" for table in _tables(project, pattern)]
    for file in sorted(project.folder.rglob("*")):
        path = file.relative_to(project.folder).as_posix()
        if not file.is_file() or file.is_symlink() or path.startswith("index.sqlite"):
            continue
        if pattern.search(path.encode()) or _reveals(file, pattern):
            found.append(path)
    return found


def is_external(path: str) -> bool:
    """Whether a file in a project is none of its own, such as an export."""
    parts = PurePosixPath(path).parts
    return len(parts) > 1 and parts[0] not in _OURS


def advice(path: str) -> str:
    """Return what to do about a file that tells names."""
    if path.startswith("index.sqlite: "):
        return "a comment or an old entry, which stays; do not pass the project on"
    if is_external(path):
        return "--hide --move-out DIR moves it out of the project"
    return "edit it, or do not pass it on"


def move_out(folder: Path, paths: Sequence[str], to: Path) -> None:
    """Move the foreign ones of `paths` to a folder outside, over nothing there.

    Parameters
    ----------
    folder
        The project's.
    paths
        Relative to `folder`, as `left` returns them; the project's own stay.
    to
        Made where it is missing; files keep their paths in it.

    Raises
    ------
    DataError
        The folder is inside the project, has such a file, or cannot be written to.
    """
    if to.resolve().is_relative_to(folder.resolve()):
        raise DataError(f"{to}: is inside the project; name a folder outside")
    for path in filter(is_external, paths):
        target = to / path
        if os.path.lexists(target):
            raise DataError(f"{target}: is there already; name another folder")
        source = folder / path
        data = project_files.read_bytes(source)
        atomic.write(target, lambda file, data=data: file.write(data))  # type: ignore[misc]
        project_files.remove(source)


def _pattern(paths: Sequence[str]) -> re.Pattern[bytes]:
    """Return what finds a path, or a file's name without its ending, as a word."""
    names = set(paths) | {PurePosixPath(path).name for path in paths}
    names |= {PurePosixPath(path).stem for path in paths}
    # Of a bare number, such as the stem of 1.png, no file is free.
    names = {word for word in names if not word.isdigit() and not are_hidden([word])}
    if not names:
        return re.compile(rb"(?!)")
    longest = sorted((re.escape(word.encode()) for word in names), key=len)[::-1]
    return re.compile(rb"(?<![\w.-])(?:" + b"|".join(longest) + rb")(?![\w-])")


def _reveals(file: Path, pattern: re.Pattern[bytes]) -> bool:
    if file.suffix in _NUMBERS:
        return False
    with project_files.opened(file) as stream:
        before = b""
        while part := stream.read(_PART):
            if pattern.search(before + part):
                return True
            before = part[-4096:]
    return False


def _tables(project: Project, pattern: re.Pattern[bytes]) -> Iterator[str]:
    for table, texts in project.texts():
        if any(pattern.search(text.encode("utf-8", "replace")) for text in texts):
            yield table
