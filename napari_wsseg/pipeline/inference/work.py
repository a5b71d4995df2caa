"""What a stage's scorer is given: a run, its network, and the films it sees."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from napari_wsseg.io import stages
from napari_wsseg.io.film_cache import DecodedFilms, Films
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError
from napari_wsseg.nn.normalise import as_input
from napari_wsseg.schema import Case, StageMaps


@dataclass(frozen=True, slots=True, eq=False)
class Work:
    """A run whose stage is being computed, and what it is computed from.

    Parameters
    ----------
    variant
        Which of the run's maps, see `napari_wsseg.pipeline.inference.variants`;
        empty for a stage that has no variants.
    again
        Nothing that is there already is to be relied on.
    """

    project: Project
    run: str
    model: nn.Module
    header: dict[str, Any]
    films: Films | DecodedFilms
    variant: str = ""
    again: bool = False

    @property
    def flip(self) -> bool:
        """Whether mirrored films are asked about: not if none was ever learnt from."""
        return bool(self.header.get("flip", True))

    def input(self, batch: list[Case]) -> Tensor:
        """Return films (B, C, S, S) as the network is used to them, on its device."""
        pixels = torch.from_numpy(self.films.take([case.id for case in batch]))
        images = as_input(
            pixels,
            self.header["normalisation"],
            int(self.header["network"].get("in_channels", 1)),
            detail=self.header.get("detail", 0),
        )
        return images.to(next(self.model.parameters()).device)

    def below(self, stage: str, case: Case, run: str | None = None) -> StageMaps:
        """Return the maps of a stage that this one builds on.

        Parameters
        ----------
        stage
            The one below.
        case
            The film.
        run
            Id of the run that computed it; this work's own without.

        Raises
        ------
        DataError
            If that stage has not seen the film; says what to run.
        """
        run = run or self.run
        maps = stages.read(self.project.folder, stage, run, case.id)
        if maps is None:
            raise DataError(
                f"stage {stage} of run {run} has not seen {case.path}; run: "
                f"wsseg infer {stage} -p {self.project.folder} --run {run}"
            )
        return maps


#: From a batch of cases to their maps, one by one and in order.
Scorer: TypeAlias = Callable[[Work, list[Case]], Iterator[StageMaps]]


def resized(maps: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Bring maps (K, h, h) to (K, size, size), bilinear, averaged where they shrink."""
    if maps.shape[-1] == size:
        return maps
    shrinks = size < maps.shape[-1]
    new = functional.interpolate(
        torch.from_numpy(np.ascontiguousarray(maps, np.float32))[None],
        (size, size),
        mode="bilinear",
        align_corners=False,
        antialias=shrinks,
    )
    return new[0].numpy()
