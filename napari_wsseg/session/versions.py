"""Two masks of one finding laid side by side, and earlier versions brought back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from psygnal import Signal

from napari_wsseg.io.project import Project
from napari_wsseg.schema import Annotation, Mask


@dataclass(frozen=True, slots=True, eq=False)
class VersionComparison:
    """What is compared on the open case.

    Parameters
    ----------
    names
        What the first and the second mask are called on screen.
    first : each (H, W) bool, by finding
    second : each (H, W) bool, by finding
        ``None``: the mask that is being drawn, as it is now.
    version
        The version that `first` is, where it is one.
    """

    case: str
    names: tuple[str, str]
    first: Mapping[str, Mask]
    second: Mapping[str, Mask] | None = None
    version: Annotation | None = None


class Comparing:
    """The comparison on screen, if any."""

    changed = Signal()

    def __init__(self) -> None:
        self.now: VersionComparison | None = None

    def show(self, comparison: VersionComparison | None) -> None:
        """Compare something else, or nothing."""
        if comparison is not None or self.now is not None:
            self.now = comparison
            self.changed.emit()


def difference(first: Mask, second: Mask) -> np.ndarray:
    """Return (H, W) uint8: 1 where only the first mask is, 2 where only the second."""
    found = np.zeros(first.shape, np.uint8)
    found[first & ~second] = 1
    found[second & ~first] = 2
    return found


def restore(project: Project, version: Annotation, *, reader: str) -> Mask:
    """Make an earlier version's (H, W) mask the reader's newest, and return it.

    It becomes a version of its own; the ones in between stay.

    Parameters
    ----------
    project, version
        Open for writing, and what is brought back, whoever drew it.
    reader
        In whose name.

    Raises
    ------
    DataError
        The version's mask is lost, or the disk refuses; nothing changed.
    """
    mask = project.read_mask(version)
    project.put_mask(
        version.case,
        version.finding,
        mask,
        reader=reader,
        tool=f"restored {version.reader} {version.version}",
        parent=version.id,
    )
    return mask
