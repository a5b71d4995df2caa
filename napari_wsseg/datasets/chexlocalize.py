"""CheXlocalize: radiologists' masks of ten findings on films of CheXpert."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

from napari_wsseg.datasets import chexpert, datasets
from napari_wsseg.datasets.importing import build as _build
from napari_wsseg.datasets.importing import chexlocalize_masks as _chexlocalize_masks
from napari_wsseg.datasets.importing import chexpert_tables as _chexpert_tables
from napari_wsseg.datasets.importing import film_files as _film_files
from napari_wsseg.datasets.importing.report import ImportReport
from napari_wsseg.jobs import DataError, Progress


@datasets.register("chexlocalize")
def steps(
    folder: Path,
    *,
    images: Path,
    labels: Path | None = None,
    masks: Path | None = None,
    lateral: bool = False,
) -> Generator[Progress, None, ImportReport]:
    """Yield progress while a project is made of CheXlocalize; return the report.

    Findings are the ten that were drawn; ``Airspace Opacity`` of the masks is
    CheXpert's ``Lung Opacity``.

    Parameters
    ----------
    folder
        Of the new project.
    images
        The folder ``CheXpert`` of the download.
    labels
        A table, or the folder of several; default, ``val_labels.csv`` and
        ``test_labels.csv`` in or beside `images`.
    masks
        A JSON file or the folder of them; default, ``CheXlocalize`` in or beside
        `images`. Run lengths, if there are both, rather than contours.
    lateral
        Import lateral films as well.

    Raises
    ------
    DataError
        Masks or tables are missing or off, or no film can be read.
    """
    images = _film_files.folder(images)
    _build.check_free(Path(folder).absolute())
    with _chexlocalize_masks.opened(_place(masks, images)) as drawn:
        tables = _chexpert_tables.tables(labels, images)
        rows = _chexpert_tables.read(
            tables, _chexlocalize_masks.FINDINGS, blanks_absent=False
        )
        return (
            yield from chexpert.build(
                Path(folder),
                images,
                rows,
                drawn,
                findings=_chexlocalize_masks.FINDINGS,
                lateral=lateral,
            )
        )


def _place(masks: Path | None, images: Path) -> Path:
    if masks:
        return Path(masks)
    for place in (images / "CheXlocalize", images.parent / "CheXlocalize", images):
        if any(place.glob("gt_*.json")):
            return place
    raise DataError(
        f"{images}: neither in it nor beside it is a folder CheXlocalize with masks; "
        "name them with --masks"
    )
