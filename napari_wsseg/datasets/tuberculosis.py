"""Montgomery and Shenzhen: PNG films whose name ends in ``_0`` or, ill, in ``_1``.

``CXR_png`` holds the films of either set. Montgomery's ``ManualMask`` has the lungs in
``leftMask`` and ``rightMask``; Shenzhen's, made later by others, are both lungs in one
file, ``<film>_mask.png``.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from pathlib import Path, PurePosixPath

from napari_wsseg.datasets import datasets
from napari_wsseg.datasets.importing import build as _build
from napari_wsseg.datasets.importing import film_files as _film_files
from napari_wsseg.datasets.importing import splits as _splits
from napari_wsseg.datasets.importing.report import ImportReport, Rejected
from napari_wsseg.jobs import DataError, Progress

FINDING = "tuberculosis"
_FILM_FOLDER = "CXR_png"
_NAME = re.compile(r".+_([01])")
_LUNGS = {"leftmask": "left_lung", "rightmask": "right_lung"}
_BOTH = "lungs"
_BOTH_ENDING = "_mask"


@datasets.register("tuberculosis")
def steps(
    folder: Path,
    *,
    images: Path,
    labels: Path | None = None,
    masks: Path | None = None,
) -> Generator[Progress, None, ImportReport]:
    """Yield progress while a project is made of these sets; return the report.

    The sets come without splits: 70 % are dealt to train, 15 % each to val and test.

    Parameters
    ----------
    folder
        Of the new project.
    images
        One set, or a folder with both.
    labels
        None: the label is in the name.
    masks
        The folder of lung masks, to have ``left_lung`` and ``right_lung``, or
        ``lungs``, as findings; default, none.

    Raises
    ------
    DataError
        No film can be read, or there are no lung masks where some were named.
    """
    images = _film_files.folder(images)
    if labels:
        raise DataError(f"{labels}: not needed; the label is in the film's name")
    _build.check_free(Path(folder).absolute())
    masks = _film_files.folder(masks, "mask folder") if masks else None
    found = _film_files.paths(images, without=(folder, masks))
    if any(_FILM_FOLDER in PurePosixPath(path).parts for path in found):
        found = [p for p in found if _FILM_FOLDER in PurePosixPath(p).parts]
    films, left_out = _film_files.by_key(found, lambda path: PurePosixPath(path).stem)
    nameless = [
        Rejected(path, "its name ends neither in _0 (normal) nor in _1 (ill)")
        for stem, path in films.items()
        if not _NAME.fullmatch(stem)
    ]
    films = {stem: path for stem, path in films.items() if _NAME.fullmatch(stem)}
    lungs, strays = _lungs(masks, films) if masks else ({}, [])
    drawn = sorted({finding for own in lungs.values() for finding in own})
    rows = {
        stem: {FINDING: int(stem[-1])} | dict.fromkeys(lungs.get(stem, ()), 1)
        for stem in films
    }
    splits = _splits.assign(
        {stem: {FINDING: row[FINDING]} for stem, row in rows.items()}
    )
    return (
        yield from _build.build(
            Path(folder),
            images=images,
            findings=(FINDING, *drawn),
            films=[
                _build.Film(path, rows[stem], splits[stem], lungs.get(stem, {}))
                for stem, path in films.items()
            ],
            rejected=[*left_out, *nameless, *strays],
        )
    )


def _lungs(
    masks: Path, films: Mapping[str, str]
) -> tuple[dict[str, dict[str, Path]], list[Rejected]]:
    """Return the mask files by film and finding, and those of no film."""
    lungs: dict[str, dict[str, Path]] = {}
    strays = []
    for path in _film_files.paths(masks):
        pure = PurePosixPath(path)
        stem = pure.stem.removesuffix(_BOTH_ENDING)
        side = _LUNGS.get((masks / path).parent.name.lower(), _BOTH)
        if stem in films:
            lungs.setdefault(stem, {})[side] = masks / path
        else:
            strays.append(Rejected(path, f"no film is called {stem}"))
    if not lungs:
        raise DataError(f"{masks}: holds no lung mask of these films")
    return lungs, strays
