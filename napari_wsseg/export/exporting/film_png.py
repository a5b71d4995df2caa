"""Films and values as PNG."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image

from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError
from napari_wsseg.schema import Case


def png(values: ArrayLike) -> bytes:
    """Return a PNG of (H, W) bool, uint8 or uint16 values as they are."""
    file = BytesIO()
    Image.fromarray(np.asarray(values)).save(file, "PNG")
    return file.getvalue()


def film_png(project: Project, case: Case) -> bytes:
    """Return a PNG of a film, in 16 bits."""
    levels = np.rint(project.radiograph(case).pixels * np.float32(65535))
    return png(levels.astype(np.uint16))


def is_there(project: Project, case: Case) -> bool:
    """Whether a film's own file is where the project has it."""
    try:
        return project.image_path(case).exists()
    except DataError:
        return False
