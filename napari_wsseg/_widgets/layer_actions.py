"""Layers ▸ Annotate ▸ Finding mask: clean-up for any labels layer, as one undo."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from napari.layers import Labels
from napari.utils.notifications import show_info
from napari.viewer import Viewer

from napari_wsseg.ops import masks
from napari_wsseg.schema import Mask


def fill_holes(viewer: Viewer) -> None:
    """Fill every hole in the selected label of the active labels layer."""
    _change(viewer, masks.fill_holes)


def keep_largest(viewer: Viewer) -> None:
    """Keep only the largest piece of the selected label of the active labels layer."""
    _change(viewer, masks.keep_largest)


def _change(viewer: Viewer, change: Callable[[Mask], Mask]) -> None:
    layer = viewer.layers.selection.active
    if not isinstance(layer, Labels) or not layer.editable:
        show_info("Select the labels layer of a finding first")
        return
    if layer.ndim != 2 or not isinstance(layer.data, np.ndarray):
        show_info("This works on masks of one film, with two dimensions")
        return
    label = layer.selected_label
    before = layer.data == label
    after = change(before)
    with layer.block_history():
        layer.data_setitem(np.nonzero(after & ~before), label)
        layer.data_setitem(np.nonzero(before & ~after), 0)
