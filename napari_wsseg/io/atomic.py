"""Files that are either whole or not there: temp file, fsync, rename."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

from napari_wsseg.io import project_files, values
from napari_wsseg.jobs import DataError

MAX_JSON_BYTES = 2**26
"""No JSON file of a project of a hundred thousand films is larger."""

TEMPORARY = ".tmp"
"""Ending of a file that is still being written, or whose writer died."""


def write(
    path: Path,
    fill: Callable[[IO[bytes]], object],
    *,
    private: bool = False,
    staging: Path | None = None,
) -> None:
    """Write `path` by calling `fill` on an open binary file, or leave it untouched.

    Parameters
    ----------
    path
        Its folder is made where it is missing.
    fill
        Writes the bytes; what it raises leaves `path` as it was.
    private
        Let the owner alone read the file.
    staging
        Folder of the same disk in which the file lies until it is whole; by default
        beside `path`.

    Raises
    ------
    DataError
        If the disk is full, read-only or gone; what was there before is unharmed.
    """
    place = project_files.checked(staging or path.parent)
    project_files.checked(path.parent)
    temporary = place / f".{path.name}.{uuid4().hex[:8]}{TEMPORARY}"
    try:
        make_folder(place)
        make_folder(path.parent)
        with project_files.opened(temporary, "wb") as file:
            if private:
                temporary.chmod(0o600)
            fill(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync(path.parent)
    except OSError as error:
        raise DataError(
            f"{path} could not be written ({error.strerror or error}); "
            "free some space or check the folder's permissions, then try again"
        ) from error
    finally:
        with suppress(OSError):  # the first error is the one to tell
            project_files.remove(temporary)


def make_folder(folder: Path) -> None:
    """Make `folder` and its parents, each new entry forced to disk."""
    if project_files.checked(folder).is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync(folder.parent)


def _sync(folder: Path) -> None:
    """Force a folder's entries to disk; Windows has no such call and needs none."""
    if os.name == "nt":  # pragma: no cover - Windows
        return
    handle = os.open(project_files.checked(folder), os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_json(path: Path, value: Any, *, private: bool = False) -> None:
    """Write JSON for people: indented, keys in the order given.

    Parameters
    ----------
    path, value, private
        As in `write`; `value` is JSON, its numbers finite.

    Raises
    ------
    DataError
        If the disk is full, read-only or gone; what was there before is unharmed.
    TypeError, ValueError
        The value is not JSON, or holds a number that is not finite.
    """
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    write(path, lambda file: file.write(text.encode()), private=private)


def read_json(path: Path, form: values.Form = object) -> Any:
    """Read JSON of a form; see `napari_wsseg.io.values`.

    Raises
    ------
    DataError
        If the file is not there, is not JSON of the form, or is larger than any of
        ours.
    """
    try:
        found = values.parse(read_text(path, MAX_JSON_BYTES))
    except FileNotFoundError as error:
        raise DataError(f"{path} is missing") from error
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(
            f"{path} cannot be read as JSON ({error}); restore it from a backup"
        ) from error
    flaw = values.flaw(found, form)
    if flaw:
        raise DataError(f"{path} is damaged: {flaw}; restore it from a backup")
    return found


def read_text(path: Path, most: int) -> str:
    """Read a text file of at most `most` bytes: a foreign one may be endless.

    Raises
    ------
    ValueError
        It is larger, or not UTF-8.
    """
    with project_files.opened(path) as file:
        data: bytes = file.read(most + 1)
    if len(data) > most:
        raise ValueError(f"over {most >> 20} MiB")
    return data.decode("utf-8-sig")  # an editor of Windows puts its mark before
