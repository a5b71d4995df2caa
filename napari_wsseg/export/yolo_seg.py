"""YOLO's segments, one text file a film, polygons in shares of the film's sides.

``data.yaml`` names the classes. ``drawn.json`` is an addition that others pass over:
the findings of each film that a reader drew or found absent.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from napari_wsseg.export import (
    File,
    Found,
    Item,
    Note,
    Shape,
    chexlocalize,
    formats,
    importers,
)
from napari_wsseg.export.exporting import several_files
from napari_wsseg.export.exporting.selection import Selection
from napari_wsseg.io import folder_files as _folder_files
from napari_wsseg.io.external import json_masks
from napari_wsseg.io.films import limits as _limits
from napari_wsseg.jobs import DataError, one_line
from napari_wsseg.ops import outlines
from napari_wsseg.schema import Mask

NAMES, DRAWN, LABELS = "data.yaml", "drawn.json", "labels"
_BEYOND = 0.02
"""How far shares may lie beyond 0 and 1, as careless hands draw them."""
_TABLES = (NAMES, "data.yml", "dataset.yaml", "classes.txt")


@formats.register("yolo_seg")
def write(chosen: Selection) -> Iterator[Item]:
    """Yield ``labels/<film>.txt``, ``data.yaml`` and ``drawn.json``."""
    listed: dict[str, list[str]] = {}
    for case, masks in chosen.each():
        yield case
        place = chosen.place(case, "")
        listed[place] = [*masks]
        lines = partial(_lines, chosen.findings, masks)
        yield File(f"{LABELS}/{place}.txt", lines)
    yield from chexlocalize.unmarked(chosen)
    yield Note("lost", "the films' sizes: who reads the shares has to know them")
    yield File(NAMES, partial(_table, chosen.findings))
    yield File(DRAWN, partial(chexlocalize.dumped, listed))


@importers.register("yolo_seg")
def read(path: Path) -> Iterator[Found | Note]:
    """Yield the masks of a folder, or of one file with the names beside or above it."""
    root = path if path.is_dir() else path.parent
    names = _names(root)
    files = _folder_files.with_ending(path, (".txt",)) if path.is_dir() else [path]
    listed = _listed(root / DRAWN)

    def read_one(file: Path) -> Iterator[Found | Note]:
        parts = PurePosixPath(file.relative_to(root).as_posix()[: -len(".txt")]).parts
        film = "/".join(part for part in parts if part != LABELS)
        return _found(file, film, names, listed.get(film, ()))

    texts = (file for file in files if not _is_table(file))
    yield from several_files.each(path, texts, read_one)


def _is_table(file: Path) -> bool:
    return file.name in _TABLES or file.name.lower().startswith("readme")


def _lines(findings: Sequence[str], masks: Mapping[str, Mask]) -> bytes:
    lines = []
    for finding, mask in masks.items():
        number = findings.index(finding)
        for points in outlines.edges(mask):
            shares = (points / (mask.shape[1], mask.shape[0])).ravel().tolist()
            lines.append(" ".join([str(number), *map(repr, shares)]))
    return "".join(f"{line}\n" for line in lines).encode()


def _table(findings: Sequence[str]) -> bytes:
    named = "".join(
        f"  {number}: {json.dumps(finding, ensure_ascii=False)}\n"
        for number, finding in enumerate(findings)
    )
    return f"# Research use only\nnames:\n{named}".encode()


def _names(root: Path) -> dict[int, str]:
    """Return classes by number, of the first table in the folder or above it."""
    for folder in (root, *root.parents[:2]):
        for table in (folder / name for name in _TABLES):
            if table.is_file():
                return _read_names(table)
    raise DataError(f"{root}: neither in it nor above it is a {' or '.join(_TABLES)}")


def _read_names(table: Path) -> dict[int, str]:
    import yaml

    _limits.check_file(table)
    try:
        text = table.read_text(encoding="utf-8-sig")
        if table.suffix == ".txt":
            lines = enumerate(map(str.strip, text.splitlines()))
            return {number: name for number, name in lines if name}
        _check_once(yaml.compose(text, yaml.SafeLoader))
        record: Any = yaml.safe_load(text)
        if "kpt_shape" in record:
            raise DataError(
                f"{table}: of poses (kpt_shape): boxes and points are no masks"
            )
        names = record["names"]
        if not isinstance(names, dict | list):
            raise TypeError(f"names is {str(names)[:40]!r}, no list")
        pairs = names.items() if isinstance(names, dict) else enumerate(names)
        return {int(number): str(name) for number, name in pairs}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{table}: names no classes of YOLO ({error})") from error
    except yaml.YAMLError as error:
        raise DataError(f"{table}: not YAML ({one_line(error)})") from error


def _check_once(record: Any) -> None:
    """Refuse a table, or its names, that says one thing twice."""
    pairs = record.value if getattr(record, "id", "") == "mapping" else []
    names = [value for key, value in pairs if key.value == "names"]
    for node in (record, *names):
        if getattr(node, "id", "") == "mapping":
            keys = [key.value for key, _ in node.value if key.id == "scalar"]
            if len({*keys}) < len(keys):
                raise ValueError("it says one thing twice")


def _listed(path: Path) -> Mapping[str, Sequence[str]]:
    if not path.is_file():
        return {}
    record = json_masks.load(path, "the list of what was drawn")
    if not isinstance(record, dict):
        raise DataError(f"{path}: not findings by film")
    lists = {film: own for film, own in record.items() if isinstance(own, list)}
    return {film: [*map(str, own)] for film, own in lists.items()}


def _found(
    path: Path, film: str, names: Mapping[int, str], listed: Sequence[str]
) -> Iterator[Found | Note]:
    by_finding: dict[str, list[Sequence[float]]] = {name: [] for name in listed}
    _limits.check_plain(path)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not a text of YOLO ({error})") from error
    for place, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            number, *shares = (float(word) for word in line.split())
            finding = names[_whole_number(number)]
        except (ValueError, KeyError, OverflowError):
            yield Note("skipped", f"{film}, line {place}: no class and shares of YOLO")
            continue
        if len(shares) < 6 or len(shares) % 2:
            yield Note("skipped", f"{film}, line {place}: a box or less is no mask")
            continue
        by_finding.setdefault(finding, []).append(shares)
    for finding, own in by_finding.items():
        remarks: list[str] = []
        draw = partial(_united, film, own, remarks)
        yield Found(film, finding, draw, remarks=remarks)


def _whole_number(number: float) -> int:
    if number != int(number):
        raise ValueError("a class is a whole number")
    return int(number)


def _united(
    film: str,
    polygons: Sequence[Sequence[float]],
    remarks: list[str],
    shape: Shape | None,
) -> Mask:
    if shape is None:
        raise DataError(f"{film}: YOLO says no size; take it into a project")
    mask = np.zeros(shape, bool)
    bad = 0
    for shares in polygons:
        sides = np.asarray(shares).reshape(-1, 2) * (shape[1], shape[0])
        part = None
        if -_BEYOND <= np.min(shares) and np.max(shares) <= 1 + _BEYOND:
            # Shares are rounded when they are written: an edge stays where it was.
            corners = np.round(sides, 9).ravel().tolist()
            part = json_masks.polygons([corners], shape, shape)
        if part is None or not part.any():
            bad += 1
        else:
            mask |= part
    if bad and bad == len(polygons):
        raise DataError(f"{film}: its polygons hold no pixel, or are not shares")
    if bad:
        remarks.append(f"left out, {bad} polygons without a pixel, or not in shares")
    return mask
