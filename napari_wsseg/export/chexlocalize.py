"""CheXlocalize's JSON of run lengths, one file for all films.

``{film: {finding: {size, counts}}}``, as ``gt_segmentations_val.json``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from napari_wsseg.export import File, Found, Item, Note, formats, importers
from napari_wsseg.export.exporting import several_files
from napari_wsseg.export.exporting.selection import Selection
from napari_wsseg.io import folder_files as _folder_files
from napari_wsseg.io.external import json_masks
from napari_wsseg.jobs import DataError
from napari_wsseg.ops import run_lengths
from napari_wsseg.schema import Case, Mask, without_ending

_CHEXPERT = re.compile(r"patient\d+/study\d+/view\d+_\w+")


@formats.register("chexlocalize")
def write(chosen: Selection) -> Iterator[Item]:
    """Yield ``gt_segmentations_wsseg.json``."""
    films: dict[str, dict[str, Any]] = {}
    for case, masks in chosen.each():
        yield case
        films[key(chosen, case)] = {
            written_name(chosen, finding): _encoded(mask)
            for finding, mask in masks.items()
        }
    yield from unmarked(chosen)
    yield File("gt_segmentations_wsseg.json", partial(dumped, films))


@importers.register("chexlocalize")
def read(path: Path) -> Iterator[Found | Note]:
    """Yield the masks of a file of either form, or of the folder of such files."""
    files = [path]
    if path.is_dir():
        listed = _folder_files.with_ending(path, (".json",))
        files = [file for file in listed if file.name.lower().startswith("gt_")]
    yield from several_files.each(path, files, _found)


def _found(file: Path) -> Iterator[Found | Note]:
    for film, entry in json_masks.by_film(file).items():
        try:
            for finding, draw in json_masks.localised(file, film, entry):
                other = json_masks.CHEXPERT_NAMES.get(finding, "")
                yield Found(film, finding, draw, guess=other)
        except DataError as error:
            yield Note("skipped", str(error))


def key(chosen: Selection, case: Case) -> str:
    """Return what the file calls a film, CheXpert's in the publishers' way."""
    path = PurePosixPath(without_ending(case.path))
    last = "/".join(path.parts[-3:])
    return last.replace("/", "_") if _CHEXPERT.fullmatch(last) else chosen.name(case)


def written_name(chosen: Selection, finding: str) -> str:
    """Return what the file calls a finding."""
    for theirs, ours in json_masks.CHEXPERT_NAMES.items():
        if ours == finding and theirs not in chosen.findings:
            return theirs
    return finding


def unmarked(chosen: Selection) -> Iterator[Note]:
    """Warn that others read a finding that nobody drew as absent."""
    count = chosen.unmarked()
    if count:
        yield Note(
            "lost",
            f"{count} findings of these films were not drawn; other programs take "
            "them for absent",
        )


def dumped(document: object) -> bytes:
    """Return JSON in one line."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def _encoded(mask: Mask) -> dict[str, Any]:
    return {"size": list(mask.shape), "counts": run_lengths.coco_encode(mask)}
