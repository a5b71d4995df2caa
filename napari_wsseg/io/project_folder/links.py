"""A project is one folder: nothing in it is a link to somewhere else.

A forged project could make ``masks`` a link to a folder of the user's, for ``wsseg
fsck --repair`` and ``wsseg gc`` to tidy up.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from napari_wsseg.jobs import DataError

_DEEP = 1
"""Down to ``masks/<case>`` and ``runs/<run>``: five thousand films, 10 ms."""


def check(folder: Path) -> None:
    """Refuse to write where a folder or file of the project is a link.

    Raises
    ------
    DataError
        It names the link.
    """
    for entry in _entries(folder, _DEEP):
        if entry.is_symlink():
            raise DataError(
                f"{entry.path}: is a link to {os.readlink(entry.path)}, and a project "
                "that is written to has none; put the folder itself in its place, or "
                "open the project read-only"
            )


def _entries(folder: Path | str, deep: int) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as found:
        for entry in found:
            yield entry
            if deep and not entry.is_symlink() and entry.is_dir():
                yield from _entries(entry.path, deep - 1)
