"""What an importer yields, parsed by a process of its own; see `io.guarded`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from napari_wsseg.export.exporting.items import Found, Note
from napari_wsseg.io.external.mask_values import PLAIN, Choice
from napari_wsseg.io.guarded.answers import Drawing
from napari_wsseg.io.guarded.drawings import GuardedMasks
from napari_wsseg.io.guarded.reader import borrowed
from napari_wsseg.jobs import DataError


@contextmanager
def opened(
    name: str, path: Path, choice: Choice = PLAIN
) -> Iterator[Iterator[Found | Note]]:
    """Open a file of an import format; masks are drawn while it is open.

    Parameters
    ----------
    name
        One of `napari_wsseg.export.importers`.
    path
        The file, or the folder, as the format has it.
    choice
        How values are read that do not speak for themselves.

    Raises
    ------
    DataError
        Of the importer; or the file took more memory or time than one may.
    """
    arguments = (name, str(path), [choice.cut, choice.value, choice.soft])
    with opened_by(f"{__name__}:drawings", path, *arguments) as each:
        yield each


@contextmanager
def opened_by(
    function: str, path: Path, *arguments: Any
) -> Iterator[Iterator[Found | Note]]:
    """Open a file by a function as `drawings`; raises as `opened`."""
    with borrowed() as reader:
        yield _named(path, _found(GuardedMasks(reader, function, *arguments)))


def _named(path: Path, each: Iterator[Found | Note]) -> Iterator[Found | Note]:
    """Yield what there is; a refusal that does not say of what file says it."""
    try:
        yield from each
    except DataError as error:
        message = str(error)
        if path.name in message:
            raise
        raise DataError(f"{path}: {message}") from error


def _found(masks: GuardedMasks) -> Iterator[Found | Note]:
    number = 0
    for value in masks.listed():
        if "film" not in value:
            yield Note(**value)
            continue
        remarks: list[str] = []
        draw = masks.drawing(number, remarks)
        yield Found(**value, mask=draw, remarks=remarks)
        number += 1


def drawings(
    name: str, path: str, choice: tuple[float | None, float | None, bool]
) -> Iterator[Any]:
    """Yield an importer's words, and its masks to draw.

    Parameters
    ----------
    name
        One of `napari_wsseg.export.importers`.
    path
        The file, or the folder, as the format has it.
    choice
        `cut`, `value` and `soft` of a `Choice`, as JSON values.
    """
    from napari_wsseg.export import importers

    chosen = Choice(*choice)
    more: dict[str, Any] = {} if chosen == PLAIN else {"choice": chosen}
    for one in importers.alone(name)(Path(path), **more):
        if isinstance(one, Note):
            yield {"kind": one.kind, "text": one.text}
            continue
        value = {
            "film": one.film,
            "finding": one.finding,
            "sop_uid": one.sop_uid,
            "guess": one.guess,
        }
        yield Drawing(value, one.mask, one.remarks)
