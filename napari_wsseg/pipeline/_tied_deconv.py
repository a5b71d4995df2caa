"""How a tied deconvolution network's maps are computed, film by film."""

from __future__ import annotations

from collections.abc import Iterator

from napari_wsseg.jobs import DataError
from napari_wsseg.pipeline._work import Work
from napari_wsseg.schema import Case, StageMaps


def maps(work: Work, batch: list[Case]) -> Iterator[StageMaps]:
    """Return the maps of the network's stage that `work.variant` names."""
    raise DataError(f"run {work.run}: maps of {work.variant} cannot be made yet")
