"""Pictures as Qt draws them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from qtpy.QtGui import QImage, QPixmap


def pixmap(picture: NDArray[np.uint8]) -> QPixmap:
    """Return an (h, w, 3) uint8 picture as Qt draws it."""
    height, width = picture.shape[:2]
    data = np.ascontiguousarray(picture)
    image = QImage(data.data, width, height, 3 * width, QImage.Format.Format_RGB888)
    return QPixmap.fromImage(image.copy())
