"""Synthetic films with what they show of everybody, to learn anatomy from."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_wsseg.jobs import Progress
from napari_wsseg.phantom import FINDINGS, STRUCTURES, generate

#: Half of the films show a large heart, a fifth each other finding: lungs are to be
#: found whatever is in them.
_SHARES = {"cardiomegaly": 0.5}
_SHARE = 0.2

_PARALLEL_FROM = 80  # films; below this, starting processes costs more than it saves


@dataclass(frozen=True, slots=True, eq=False)
class SyntheticFilms:
    """Films and the masks of their structures, eight pixels to the byte.

    Parameters
    ----------
    pixels : (N, S, S) uint8
    packed : (N, ceil(K S² / 8)) uint8
    """

    pixels: NDArray[np.uint8]
    packed: NDArray[np.uint8]

    def take(self, rows: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Return films (B, 1, S, S) in [0, 1] and masks (B, K, S, S) in {0, 1}."""
        size = self.pixels.shape[-1]
        picked = list(rows)
        count = len(STRUCTURES) * size**2
        flat = np.unpackbits(self.packed[picked], axis=1, count=count)
        masks = flat.reshape(len(picked), len(STRUCTURES), size, size)
        films = torch.from_numpy(self.pixels[picked])[:, None].float() / 255
        return films, torch.from_numpy(masks).float()


def films(seeds: Sequence[int], size: int) -> Generator[Progress, None, SyntheticFilms]:
    """Yield progress while making one film a seed; return `SyntheticFilms`.

    Lungs end at the heart, as readers draw them.
    """
    jobs = [(seed, size) for seed in seeds]
    if len(jobs) < _PARALLEL_FROM:
        made = yield from _one_by_one(jobs)
    else:
        try:
            made = yield from _in_parallel(jobs)
        except BrokenProcessPool:
            # A script without a main guard cannot start processes; slower is fine.
            made = yield from _one_by_one(jobs)
    pixels, packed = zip(*made, strict=True)
    return SyntheticFilms(np.stack(pixels), np.stack(packed))


def _one_by_one(
    jobs: list[tuple[int, int]],
) -> Generator[Progress, None, list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]]:
    made = []
    for job in jobs:
        made.append(_film(job))
        yield Progress(len(made), len(jobs), "making synthetic films")
    return made


def _in_parallel(
    jobs: list[tuple[int, int]],
) -> Generator[Progress, None, list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]]:
    made = []
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        for result in pool.map(_film, jobs, chunksize=8):
            made.append(result)
            yield Progress(len(made), len(jobs), "making synthetic films")
    return made


def _film(job: tuple[int, int]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    seed, size = job
    rng = np.random.default_rng(seed)
    present = [name for name in FINDINGS if rng.random() < _SHARES.get(name, _SHARE)]
    film = generate(seed, size=max(64, size), findings=present, wide=True)
    masks = dict(film.anatomy)
    for lung in ("left_lung", "right_lung"):
        masks[lung] = masks[lung] & ~masks["heart"]
    greys = np.round(film.pixels / 4095 * 255).astype(np.uint8)
    return greys, np.packbits(np.stack([masks[name] for name in STRUCTURES]))
