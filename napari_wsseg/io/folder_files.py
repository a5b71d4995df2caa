"""Which files of a folder are worth a look."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

_LITTER = {"thumbs.db", "desktop.ini", "__macosx", "ehthumbs.db", "$recycle.bin"}


def is_litter(name: str) -> bool:
    """Whether a file or folder was left there by an operating system."""
    return name.startswith(".") or name.lower() in _LITTER


def files(folder: Path, *, without: Collection[Path] = ()) -> list[str]:
    """Return the POSIX paths, relative to `folder`, of all files but litter, sorted.

    Parameters
    ----------
    without
        Absolute paths of files and folders to leave out.
    """
    found: list[str] = []
    for place, folders, names in os.walk(folder):
        here = Path(place)
        folders[:] = [
            name
            for name in folders
            if not is_litter(name) and (here / name).absolute() not in without
        ]
        found += [
            (here / name).relative_to(folder).as_posix()
            for name in names
            if not is_litter(name) and (here / name).absolute() not in without
        ]
    return sorted(found)


def with_ending(folder: Path, endings: tuple[str, ...]) -> list[Path]:
    """Return the files in and below `folder` with such an ending, in whatever case."""
    return [folder / name for name in files(folder) if name.lower().endswith(endings)]
