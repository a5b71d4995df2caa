"""What an import asks of foreign files but pixels, parsed by a process of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from napari_wsseg.datasets.importing import labels_csv as _labels_csv
from napari_wsseg.datasets.importing import tables as _tables
from napari_wsseg.datasets.importing.labels_csv import LabelRow, LabelTable
from napari_wsseg.datasets.importing.tables import TableLine
from napari_wsseg.io import film_identity as _film_identity
from napari_wsseg.io.external import mask_files as _mask_files
from napari_wsseg.io.external.mask_values import PLAIN, Choice
from napari_wsseg.io.film_identity import FilmOwner
from napari_wsseg.io.films import archive as _archive
from napari_wsseg.io.films.archive import Listing
from napari_wsseg.io.guarded.answers import Drawing
from napari_wsseg.io.guarded.reader import Lost, borrowed
from napari_wsseg.jobs import DataError
from napari_wsseg.schema import Mask


def labels(path: Path) -> LabelTable:
    """Return a label table; raises as `labels_csv.read`."""
    with borrowed() as reader:
        answers = _lines(path, reader.each(f"{__name__}:label_rows", str(path)))
        key, names = next(answers)
        findings = tuple(str(name) for name in names)
        rows = {
            str(image): LabelRow(
                int(line), dict(zip(findings, values, strict=True)), split
            )
            for image, line, values, split in answers
        }
    return LabelTable(findings, rows, str(key))


def label_rows(path: str) -> Iterator[Any]:
    """Yield a label table as JSON values: what it goes by and its findings; rows."""
    table = _labels_csv.read(Path(path))
    yield [table.key, list(table.findings)]
    for image, row in table.rows.items():
        values = [row.labels[finding] for finding in table.findings]
        yield [image, row.line, values, row.split]


def table(path: Path, columns: Iterable[str]) -> Iterator[TableLine]:
    """Yield the lines of a data set's table; raises as `tables.read`."""
    with borrowed() as reader:
        rows = _lines(
            path, reader.each(f"{__name__}:table_lines", str(path), list(columns))
        )
        _, header = next(rows)
        for number, cells in rows:
            yield TableLine.under(header, int(number), tuple(cells))


def table_lines(path: str, columns: Sequence[str]) -> Iterator[Any]:
    """Yield the lines of a data set's table, its header first."""
    yield from _tables.lines(Path(path), columns)


def columns(path: Path) -> list[dict[str, Any]]:
    """Return what the columns of a label table say; raises as `labels_csv.columns`."""
    found: list[dict[str, Any]] = answer(path, f"{__name__}:table_columns")
    return found


def table_columns(path: str) -> list[dict[str, Any]]:
    """Return what the columns of a label table say, as JSON values."""
    return [asdict(column) for column in _labels_csv.columns(Path(path))]


def mask(
    path: Path,
    shape: tuple[int, int] | None,
    *,
    choice: Choice = PLAIN,
    remarks: list[str] | None = None,
) -> Mask:
    """Return the mask in a picture; raises as `mask_files.read`.

    Parameters
    ----------
    path
        Of the picture.
    shape
        Of the film; ``None`` if any size will do.
    choice
        How values are read that do not speak for themselves.
    remarks
        Gets a line for what deserves a look.
    """
    values = [choice.cut, choice.value, choice.soft]
    found, answer_remarks = drawn(path, f"{__name__}:mask_drawing", values, shape=shape)
    if remarks is not None:
        remarks += answer_remarks
    return found


def mask_drawing(
    path: str, choice: tuple[float | None, float | None, bool]
) -> Iterator[Drawing]:
    """Yield what draws the mask in a picture."""
    remarks: list[str] = []
    draw = partial(
        _mask_files.read, Path(path), choice=Choice(*choice), remarks=remarks
    )
    yield Drawing(None, draw, remarks)


def answer(path: Path, function: str) -> Any:
    """Return what a function says of a file; raises as it, with the file's name.

    Parameters
    ----------
    path
        Of the file.
    function
        ``package.module:name``; takes the path as text and returns JSON.
    """
    with borrowed() as reader:
        try:
            return reader.ask(function, str(path))
        except Lost as error:
            raise DataError(f"{path}: {error}") from error


def drawn(
    path: Path, function: str, *arguments: Any, shape: tuple[int, int] | None = None
) -> tuple[NDArray[Any], list[str]]:
    """Return what a function's one drawing of a file draws, and its remarks.

    Parameters
    ----------
    path
        Of the file.
    function
        ``package.module:name``; takes the path as text and `arguments`, and yields a
        `Drawing`.
    shape
        Of the film, if it is known.

    Returns
    -------
    values : (H, W) bool or float32, remarks
        See `GuardedReader.draw`, also for what is raised.
    """
    with borrowed() as reader:
        try:
            for _ in reader.each(function, str(path), *arguments):
                pass
            return reader.draw(0, shape)
        except Lost as error:
            raise DataError(f"{path}: {error}") from error


def dicomdir_images(path: Path) -> list[str]:
    """Return the files that a DICOMDIR lists; raises as `dicomdir.images`."""
    with borrowed() as reader:
        return [*_lines(path, reader.each(f"{__name__}:listed_images", str(path)))]


def listed_images(path: str) -> Iterator[str]:
    """Yield the files that a DICOMDIR lists."""
    # pydicom takes half a second to import, which other questions need not wait for.
    from napari_wsseg.io.dicom import dicomdir as _dicomdir

    yield from _dicomdir.images(Path(path))


def archive_listing(path: Path) -> Listing:
    """Return what an archive holds; raises as `archive.listing`."""
    names: list[str] = []
    refused: list[tuple[str, str]] = []
    with borrowed() as reader:
        for name, reason in _lines(
            path, reader.each(f"{__name__}:archive_members", str(path))
        ):
            if reason is None:
                names.append(name)
            else:
                refused.append((name, reason))
    return Listing(names, refused)


def archive_members(path: str) -> Iterator[tuple[str, str | None]]:
    """Yield the members of an archive, with the reason why one is refused."""
    names, refused = _archive.listing(Path(path))
    for name in names:
        yield name, None
    yield from refused


def owners(paths: Sequence[Path]) -> Iterator[FilmOwner | None]:
    """Yield whose each film is; one that ends the reader is nobody's."""
    for answer in _each(paths, "film_owners"):
        yield (
            FilmOwner()
            if answer is _LOST
            else None
            if answer is None
            else FilmOwner(*answer)
        )


def film_owners(paths: Sequence[str]) -> Iterator[FilmOwner | None]:
    """Yield whose each film is, as JSON values."""
    for path in paths:
        yield _film_identity.read_owner(Path(path))


def elements(paths: Sequence[Path], keyword: str) -> Iterator[str]:
    """Yield an element of each film's header, empty where there is none."""
    for answer in _each(paths, "header_elements", keyword):
        yield "" if answer is _LOST else str(answer)


def header_elements(paths: Sequence[str], keyword: str) -> Iterator[str]:
    """Yield an element of each film's header."""
    for path in paths:
        yield _film_identity.element(Path(path), keyword)


_LOST = object()


def _each(paths: Sequence[Path], function: str, *arguments: str) -> Iterator[Any]:
    """Yield what is told of each film; of one that ends the reader, `_LOST`."""
    names = [str(path) for path in paths]
    done = 0
    with borrowed() as reader:
        while done < len(names):
            try:
                for answer in reader.each(
                    f"{__name__}:{function}", names[done:], *arguments
                ):
                    done += 1
                    yield answer
            except Lost:
                done += 1
                yield _LOST


def _lines(path: Path, answers: Iterator[Any]) -> Iterator[Any]:
    """Yield what is told of a file; a reader that was lost is told with its name."""
    try:
        yield from answers
    except Lost as error:
        raise DataError(f"{path}: {error}") from error
