"""A MONAI data set: films, a label picture a finding, ``dataset.json`` with the splits.

``monai.data.load_decathlon_datalist`` reads it, ``LoadImage`` stacks a film's labels:
a channel a finding, so that findings may overlap. ``drawn`` is an addition that MONAI
passes over: what a reader drew or found absent; all other findings are empty.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_wsseg.export import File, Item, Note, chexlocalize, formats
from napari_wsseg.export.exporting.selection import Selection
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError
from napari_wsseg.schema import Case

NAME = "dataset.json"

_KEYS = {"train": "training", "val": "validation", "test": "test"}


@formats.register("monai")
def write(chosen: Selection) -> Iterator[Item]:
    """Yield ``images``, ``labels/<finding>`` and ``dataset.json``."""
    lists: dict[str, list[dict[str, Any]]] = {key: [] for key in _KEYS.values()}
    for case, masks in chosen.each():
        yield case
        name = chosen.place(case, "").replace("/", "__")
        if not _is_there(chosen.project, case):
            yield Note("skipped", f"{case.path}: the film is not there")
            continue
        image = f"images/{name}.png"
        yield File(image, partial(_pixels, chosen.project, case))
        labels = []
        for number, finding in enumerate(chosen.findings, start=1):
            label = f"labels/{number}/{name}.png"
            mask = masks.get(finding, np.zeros(case.shape, bool))
            yield File(label, partial(_png, mask.astype(np.uint8)))
            labels.append(f"./{label}")
        lists[_KEYS[case.split]].append(
            {"image": f"./{image}", "label": labels, "drawn": [*masks]}
        )
    yield from chexlocalize.unmarked(chosen)
    metadata = {
        "name": chosen.project.name,
        "description": "Research use only",
        "modality": {"0": "radiograph"},
        "labels": {str(n): one for n, one in enumerate(chosen.findings, start=1)},
        **{f"num{key.title()}": len(rows) for key, rows in lists.items()},
        **lists,
    }
    text = json.dumps(metadata, indent=1, ensure_ascii=False)
    yield File(NAME, text.encode)


def _is_there(project: Project, case: Case) -> bool:
    try:
        return project.image_path(case).exists()
    except DataError:
        return False


def _pixels(project: Project, case: Case) -> bytes:
    levels = np.rint(project.radiograph(case).pixels * np.float32(65535))
    return _png(levels.astype(np.uint16))


def _png(values: NDArray[Any]) -> bytes:
    file = BytesIO()
    Image.fromarray(values).save(file, "PNG")
    return file.getvalue()
