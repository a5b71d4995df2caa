"""The stages, one radiograph or one project at a time.

Only `stage_masks` is imported with the package: the window needs it at once, and it
needs no torch.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_wsseg.ops import geometry
from napari_wsseg.schema import StageMaps, StageSettings


def stage_masks(
    maps: StageMaps, settings: StageSettings, shape: tuple[int, int]
) -> NDArray[np.bool_]:
    """Cut a stage's maps into masks of the film.

    Parameters
    ----------
    settings
        Thresholds and gates per finding. A finding whose ``present`` is under its
        gate stays empty (*predicted* mode); gates of 0 give what training sees of a
        finding that the image-level label says is there (*label-conditioned*).
    shape
        Rows and columns of the film.

    Returns
    -------
    (K, H, W) bool
    """
    masks = np.zeros((len(maps.score), *shape), bool)
    for k, score in enumerate(maps.score):
        if maps.present[k] >= settings.gates[k]:
            masks[k] = geometry.unletterbox(score, shape) >= settings.thresholds[k]
    return masks
