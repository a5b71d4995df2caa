"""A MONAI data set: films, a label picture a finding, ``dataset.json`` with the splits.

``monai.data.load_decathlon_datalist`` reads it, ``LoadImage`` stacks a film's labels:
a channel a finding, so that findings may overlap. ``drawn`` is an addition that MONAI
passes over: what a reader drew or found absent; all other findings are empty.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from napari_wsseg.export import File, Item, Note, chexlocalize, formats
from napari_wsseg.export.exporting.film_png import film_png, is_there, png
from napari_wsseg.export.exporting.selection import Selection

NAME = "dataset.json"

_KEYS = {"train": "training", "val": "validation", "test": "test"}


@formats.register("monai")
def write(chosen: Selection) -> Iterator[Item]:
    """Yield ``images``, ``labels/<finding>`` and ``dataset.json``."""
    lists: dict[str, list[dict[str, Any]]] = {key: [] for key in _KEYS.values()}
    for case, masks in chosen.each():
        yield case
        name = chosen.place(case, "").replace("/", "__")
        if not is_there(chosen.project, case):
            yield Note("skipped", f"{case.path}: the film is not there")
            continue
        image = f"images/{name}.png"
        yield File(image, partial(film_png, chosen.project, case))
        labels = []
        for number, finding in enumerate(chosen.findings, start=1):
            label = f"labels/{number}/{name}.png"
            mask = masks.get(finding, np.zeros(case.shape, bool))
            yield File(label, partial(png, mask.astype(np.uint8)))
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
