"""JSRT: films of 12 bits without a header, with or without a nodule.

``JPCLN001.IMG`` to ``JPCLN154.IMG`` have a lung nodule, ``JPCNN001.IMG`` to
``JPCNN093.IMG`` have none. SCR, made later by others, has lungs, heart and clavicles in
``fold1`` and ``fold2``, ``masks/<organ>/<film>.gif``, at half the films' size.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np

from napari_wsseg.datasets import datasets
from napari_wsseg.datasets.importing import build as _build
from napari_wsseg.datasets.importing import film_files as _film_files
from napari_wsseg.datasets.importing import guarded as _guarded
from napari_wsseg.datasets.importing import splits as _splits
from napari_wsseg.datasets.importing.report import ImportReport, Rejected
from napari_wsseg.io import folder_files as _folder_files
from napari_wsseg.io.external import mask_files
from napari_wsseg.jobs import DataError, Progress
from napari_wsseg.schema import Mask

FINDING = "nodule"
_NAME = re.compile(r"JPC([LN])N\d{3}")
_ENDINGS = (".img", *_film_files.ENDINGS)


@datasets.register("jsrt")
def steps(
    folder: Path,
    *,
    images: Path,
    labels: Path | None = None,
    masks: Path | None = None,
) -> Generator[Progress, None, ImportReport]:
    """Yield progress while a project is made of JSRT films; return the report.

    The set comes without splits: 70 % are dealt to train, 15 % each to val and test.

    Parameters
    ----------
    folder, images
        Of the new project; and that of the ``.IMG`` files.
    labels
        None: the label is in the name.
    masks
        The folder of SCR's masks, to have its organs as findings; default, none.

    Raises
    ------
    DataError
        No film can be read, or there are no masks where some were named.
    """
    images = _film_files.folder(images)
    if labels:
        raise DataError(f"{labels}: not needed; the label is in the film's name")
    _build.check_free(Path(folder).absolute())
    masks = _film_files.folder(masks, "mask folder") if masks else None
    without = {Path(path).absolute() for path in (folder, masks) if path}
    found = [
        path
        for path in _folder_files.files(images, without=without)
        if path.lower().endswith(_ENDINGS)
    ]
    films, left_out = _film_files.by_key(found, lambda path: _stem(path).upper())
    strange = [stem for stem in films if not _NAME.fullmatch(stem)]
    left_out += [
        Rejected(films.pop(stem), "its name is not JPCLN or JPCNN and a number")
        for stem in strange
    ]
    organs = _organs(masks, films, left_out) if masks else {}
    names = sorted({name for own in organs.values() for name in own})
    rows = {
        stem: {FINDING: int(stem[3] == "L")} | dict.fromkeys(organs.get(stem, ()), 1)
        for stem in films
    }
    splits = _splits.assign(
        {stem: {FINDING: row[FINDING]} for stem, row in rows.items()}
    )
    return (
        yield from _build.build(
            Path(folder),
            images=images,
            findings=(FINDING, *names),
            films=[
                _build.Film(
                    path,
                    {name: rows[stem].get(name) for name in (FINDING, *names)},
                    splits[stem],
                    organs.get(stem, {}),
                )
                for stem, path in films.items()
            ],
            rejected=left_out,
        )
    )


def _stem(path: str) -> str:
    return PurePosixPath(path).stem


def _organs(
    masks: Path, films: Mapping[str, str], left_out: list[Rejected]
) -> dict[str, dict[str, _build.MaskSource]]:
    """Return masks by film and organ, which is the folder that they lie in."""
    organs: dict[str, dict[str, _build.MaskSource]] = {}
    for path in _folder_files.files(masks):
        pure = PurePosixPath(path)
        stem = pure.stem.upper()
        if not path.lower().endswith(mask_files.ENDINGS) or len(pure.parts) < 2:
            left_out.append(Rejected(path, "not <organ>/<film>.gif"))
        elif stem not in films:
            left_out.append(Rejected(path, f"no film is called {stem}"))
        else:
            organ = pure.parent.name.lower().replace(" ", "_")
            organs.setdefault(stem, {})[organ] = partial(_doubled, masks / path)
    if not organs:
        raise DataError(f"{masks}: has no <organ>/<film>.gif of these films")
    return organs


def _doubled(path: Path, shape: tuple[int, int]) -> Mask:
    """Read a mask at its film's size, or at half of it."""
    mask = _guarded.mask(path, None)
    if (2 * mask.shape[0], 2 * mask.shape[1]) == shape:
        mask = np.repeat(np.repeat(mask, 2, axis=0), 2, axis=1)
    if mask.shape != shape:
        raise DataError(
            f"the mask is {mask.shape[0]} × {mask.shape[1]}, neither as its film "
            f"({shape[0]} × {shape[1]}) nor half of it"
        )
    return mask
