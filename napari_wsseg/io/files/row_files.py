"""A JSON list of as many rows as there are films: one row a line, read one by one.

It is a list like any other, so that any program can read it; one that knows of the
lines never holds more than a row of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from napari_wsseg.io import atomic, project_files, values
from napari_wsseg.jobs import DataError

MAX_ROW_BYTES = 2**20


def write(path: Path, rows: Iterable[Any]) -> None:
    """Write rows as a JSON list, or leave the file untouched."""

    def fill(file: IO[bytes]) -> None:
        file.write(b"[")
        between = b"\n"
        for row in rows:
            file.write(between + json.dumps(row, ensure_ascii=False).encode())
            between = b",\n"
        file.write(b"\n]\n")

    atomic.write(path, fill)


def read(path: Path, form: values.Form = object) -> Iterator[Any]:
    """Yield the rows of a list, each of a form; see `napari_wsseg.io.values`.

    Lists that are not written a row a line are read whole, as they were before.

    Raises
    ------
    DataError
        If the file is not there, is no list, or a row is not of the form.
    """
    try:
        with project_files.opened(path, "rb") as file:
            if file.readline(MAX_ROW_BYTES).strip() == b"[":
                first = file.readline(MAX_ROW_BYTES)
                if first.startswith(b"{") and first.rstrip().endswith((b"}", b"},")):
                    yield from _rows(path, first, file, form)
                    return
    except FileNotFoundError as error:
        raise DataError(f"{path} is missing") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error})") from error
    yield from atomic.read_json(path, [form])


def _rows(path: Path, line: bytes, file: IO[bytes], form: values.Form) -> Iterator[Any]:
    number = 2
    while line.strip() != b"]":
        try:
            row = values.parse(line.rstrip().removesuffix(b",").decode())
        except (ValueError, RecursionError) as error:
            raise DataError(
                f"{path} cannot be read as JSON (line {number}: {error})"
            ) from error
        flaw = values.flaw(row, form)
        if flaw:
            raise DataError(
                f"{path} is damaged: line {number}: {flaw}; restore it from a backup"
            )
        yield row
        line, number = file.readline(MAX_ROW_BYTES), number + 1
        if not line:
            raise DataError(f"{path} is damaged: it ends in mid-list")
