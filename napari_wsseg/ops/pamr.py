"""Pixel-adaptive refinement: what a CRF would say, at the speed of a slider.

PAMR (Araslanov & Roth 2020, arXiv:2005.08104): each pixel takes the average of its 48
neighbours (8 around it, at 6 distances), weighted by how alike the film is there,
``α_ij = softmax_j(−|x_i − x_j| / 0.1 σ_i)`` with σ the film's standard deviation among
them; ten times over. There is nothing to learn, and no term that holds the start.

numpy arrays never load torch, so that the window can use it while a slider moves.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

DILATIONS = (1, 2, 4, 8, 12, 24)
"""Distances of the eight neighbours, in pixels."""

ITERATIONS = 10

_AROUND = tuple((y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if y or x)

_SHARPNESS = 0.1
"""Difference, in standard deviations, at which a neighbour counts e times less. So the
published code has it; the paper prints σ² below the line, which has a unit."""

Array = TypeVar("Array", NDArray[np.floating[Any]], "torch.Tensor")


def refine(
    probabilities: Array,
    image: Array,
    *,
    dilations: Sequence[int] = DILATIONS,
    iterations: int = ITERATIONS,
) -> Array:
    """Refine probabilities once; keep a `Kernel` for many on one film.

    Parameters
    ----------
    probabilities : (K, H, W)
        Maps that are refined each by itself; numpy, or torch on any device.
    image : (H, W) or (H, W, 3)
        Of the same kind and device; any unit.
    dilations
        Distances of the neighbours, in pixels; beyond the border the film goes on as
        it ends.
    iterations
        Averages taken one after the other.

    Returns
    -------
    (K, H, W) float32
        Same kind and device. No value leaves the range of its map, and maps that sum
        to one still do.

    Raises
    ------
    ValueError
        If shapes differ, or `dilations` or `iterations` make no sense.
    """
    return Kernel(image, dilations=dilations).refine(
        probabilities, iterations=iterations
    )


class Kernel:
    """The weights of a film's neighbours, for any number of maps.

    Parameters
    ----------
    image, dilations
        As in `refine`.
    """

    def __init__(
        self,
        image: NDArray[Any] | torch.Tensor,
        *,
        dilations: Sequence[int] = DILATIONS,
    ) -> None:
        if not dilations or min(dilations) < 1:
            raise ValueError(
                f"dilations are {tuple(dilations)}; give pixels, 1 or more"
            )
        if image.ndim not in (2, 3) or not min(image.shape):
            raise ValueError(f"the image is {tuple(image.shape)}; give (H, W[, 3])")
        self._dilations = tuple(dilations)
        self._xp: Any = (
            np if isinstance(image, np.ndarray) else importlib.import_module("torch")
        )
        self.shape = tuple(image.shape[:2])
        film = self._single(image).reshape(*self.shape, -1)
        weights = self._unlikeness(film[..., 0])
        for channel in range(1, film.shape[2]):
            weights += self._unlikeness(film[..., channel])
        weights /= -film.shape[2]
        # The most alike neighbour may still be far: softmax without underflow.
        weights -= self._xp.amax(weights, 0)
        self._xp.exp(weights, out=weights)
        weights /= weights.sum(0)
        self.weights = weights

    def refine(self, probabilities: Array, *, iterations: int = ITERATIONS) -> Array:
        """Refine maps (K, H, W) as `napari_wsseg.ops.pamr.refine` does."""
        if probabilities.ndim != 3 or tuple(probabilities.shape[1:]) != self.shape:
            raise ValueError(
                f"probabilities are {tuple(probabilities.shape)} but the image is "
                f"{self.shape}; give (K, H, W), resized to the same grid"
            )
        if iterations < 0:
            raise ValueError(f"iterations is {iterations}; give 0 or more")
        refined = self._single(probabilities) + 0  # never the caller's own memory
        for place in range(len(refined)):  # one map after the other stays in cache
            for _ in range(iterations):
                refined[place] = self._average(refined[place])
        return cast(Array, refined)

    def _average(self, one: Any) -> Any:
        views = self._neighbours(one)
        total = self.weights[0] * next(views)
        product = self._xp.empty_like(total)
        for weight, view in zip(self.weights[1:], views, strict=True):
            total += self._xp.multiply(weight, view, out=product)
        return total

    def _unlikeness(self, channel: Any) -> Any:
        """Return |x_i − x_j| / 0.1 σ_i, (48, H, W)."""
        apart = self._xp.stack(list(self._neighbours(channel)))
        total, squares = channel * 0, channel * 0
        for one in apart:
            one -= channel
            total += one
            squares += one * one
        # The published σ counts the pixel itself once a dilation.
        count = 9 * len(self._dilations)
        variance = (squares - total * total / count).clip(0, None) / (count - 1)
        self._xp.abs(apart, out=apart)
        apart *= 1 / (_SHARPNESS * variance**0.5 + 1e-8)
        return apart

    def _neighbours(self, one: Any) -> Any:
        """Yield the map as each neighbour sees it, (H, W)."""
        far, (height, width) = max(self._dilations), self.shape
        rows = np.arange(-far, height + far).clip(0, height - 1)
        columns = np.arange(-far, width + far).clip(0, width - 1)
        wide = one[rows][:, columns]
        for distance in self._dilations:
            for down, along in _AROUND:
                top, left = far + down * distance, far + along * distance
                yield wide[top : top + height, left : left + width]

    def _single(self, values: Any) -> Any:
        if isinstance(values, np.ndarray):
            return values.astype(np.float32)
        return values.detach().to(self._xp.float32)
