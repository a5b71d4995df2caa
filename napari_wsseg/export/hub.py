"""A folder as huggingface_hub has them: ``README.md``, ``model.safetensors``, config.

``huggingface_hub.upload_folder`` takes it as it is; ``wsseg import model FOLDER`` makes
it a run of another project. Nothing is uploaded here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

from napari_wsseg.export import File, Note, model, models
from napari_wsseg.io import project_files
from napari_wsseg.io.project import Project
from napari_wsseg.io.runs import RunFolder

CARD, WEIGHTS, CONFIG = "README.md", "model.safetensors", "config.json"


@models.register("hub")
def write(project: Project, run: str) -> Iterator[File | Note]:
    """Yield the card, the weights and what is needed to build them again."""
    folder = model.finished(project, run)
    yield File(WEIGHTS, partial(project_files.read_bytes, folder.best))
    yield File(CONFIG, partial(_config, folder))
    for item in model.beside(project, folder):
        if isinstance(item, Note):
            yield item
        elif item.path.endswith(".md"):
            yield File(CARD, partial(_card, item))
        else:
            yield File("data.json", item.data)


def _config(folder: RunFolder) -> bytes:
    frozen = folder.config()
    from napari_wsseg.io import checkpoints  # torch, which no other format needs

    header, _ = checkpoints.read(folder.best)
    config: dict[str, Any] = {
        "library_name": "napari-wsseg",
        "recipe": frozen["recipe"],
        "settings": frozen["settings"],
        **header,
    }
    return json.dumps(config, indent=2, ensure_ascii=False).encode()


def _card(item: File) -> bytes:
    front = """---
library_name: napari-wsseg
pipeline_tag: image-segmentation
tags: [chest-radiograph, weak-supervision, segmentation, research-use-only]
---

"""
    return front.encode() + item.data()
