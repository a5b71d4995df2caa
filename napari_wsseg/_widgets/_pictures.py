"""Small pictures of a film with a stage or masks on it; numpy in, numpy out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_wsseg.ops import geometry

Rgb = NDArray[np.uint8]

#: Magma (matplotlib, CC0) at 9 equal steps, and how opaque each is: nothing where
#: there is no heat, so that the film is not darkened.
HEAT = np.array(
    [
        [0.001, 0.000, 0.014, 0.00],
        [0.110, 0.065, 0.277, 0.35],
        [0.316, 0.072, 0.485, 0.60],
        [0.512, 0.149, 0.508, 0.75],
        [0.717, 0.215, 0.475, 0.85],
        [0.905, 0.328, 0.382, 0.92],
        [0.986, 0.536, 0.382, 0.96],
        [0.997, 0.740, 0.501, 1.00],
        [0.987, 0.991, 0.750, 1.00],
    ]
)


def small_shape(shape: tuple[int, int], longest: int) -> tuple[int, int]:
    """Return `shape`, made smaller in proportion so that no side exceeds `longest`."""
    factor = min(1.0, longest / max(shape))
    return max(1, round(shape[0] * factor)), max(1, round(shape[1] * factor))


def shrink(pixels: NDArray[Any], shape: tuple[int, int]) -> NDArray[Any]:
    """Return every n-th pixel of a (H, W) array at about `shape`; quick, unfiltered."""
    rows = np.linspace(0, pixels.shape[0] - 1, shape[0]).round().astype(int)
    columns = np.linspace(0, pixels.shape[1] - 1, shape[1]).round().astype(int)
    return np.asarray(pixels[np.ix_(rows, columns)])


def cropped(score: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Cut the letterbox's empty margins off a (h, h) map of a film of `shape`."""
    top, left, height, width = geometry.content_box(shape, score.shape[-1])
    return score[top : top + height, left : left + width]


def window(pixels: NDArray[np.float32]) -> tuple[float, float]:
    """Return the grey window, (low, high), that shows a film's tissue well.

    A burnt-in marker or a white border would otherwise make the film itself dark.
    """
    small = shrink(pixels, small_shape(pixels.shape, 256))
    low, high = (float(value) for value in np.percentile(small, (0.5, 99.5)))
    if high - low < 0.02:
        return 0.0, 1.0
    # Some room above keeps the densest tissue from turning into flat white.
    return low, min(1.0, high + 0.15 * (high - low))


def grey(pixels: NDArray[np.float32], shape: tuple[int, int]) -> Rgb:
    """Return a film in [0, 1] as an (h, w, 3) uint8 picture."""
    low, high = window(pixels)
    step = max(1, min(pixels.shape[0] // shape[0], pixels.shape[1] // shape[1]))
    # Averaging over blocks keeps fine noise from turning into grain.
    if step > 1:
        rows, columns = (side // step * step for side in pixels.shape)
        blocks = pixels[:rows, :columns].reshape(
            rows // step, step, columns // step, step
        )
        pixels = blocks.mean((1, 3), dtype=np.float32)
    shown = (shrink(pixels, shape) - low) / (high - low)
    values = (np.clip(shown, 0, 1) * 255).astype(np.uint8)
    return np.repeat(values[..., None], 3, axis=2)


def with_heat(picture: Rgb, score: NDArray[np.float32], strength: float = 0.7) -> Rgb:
    """Lay a film-shaped (h, w) score over a picture in magma."""
    factors = np.divide(picture.shape[:2], score.shape)
    # Between pixels of the map as the outline runs, not in blocks.
    spread = ndimage.zoom(score, factors, order=1, mode="nearest", grid_mode=True)
    values = np.clip(spread, 0, 1).astype(np.float32)
    steps = np.linspace(0, 1, len(HEAT))
    red, green, blue, alpha = (np.interp(values, steps, c) for c in HEAT.T)
    colour = np.stack([red, green, blue], axis=-1) * 255
    alpha = alpha[..., None] * strength
    return np.asarray(picture * (1 - alpha) + colour * alpha, np.uint8)


def edge(mask: NDArray[np.bool_], width: int = 1) -> NDArray[np.bool_]:
    """Return the inner rim of a (h, w) mask, `width` pixels wide.

    A mask that touches the border of the film is closed there too.
    """
    inside = ndimage.binary_erosion(mask, iterations=width, border_value=0)
    return np.asarray(mask & ~inside, bool)


def with_masks(
    picture: Rgb,
    masks: Iterable[tuple[NDArray[np.bool_], str]],
    *,
    filled: bool,
) -> Rgb:
    """Draw (mask, #RRGGBB) pairs on a picture, filled and see-through or as rims."""
    out = picture.copy()
    for mask, colour in masks:
        small = np.asarray(shrink(mask, picture.shape[:2]), bool)
        rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)], np.float32)
        if filled:
            out[small] = (out[small] * 0.5 + rgb * 0.5).astype(np.uint8)
        width = max(1, max(picture.shape) // 400)
        out[edge(small, width)] = rgb.astype(np.uint8)
    return out


def outlines(masks: Iterable[NDArray[np.bool_]], width: int) -> NDArray[np.uint8]:
    """Return the rims of masks as one label map: 1 for the first mask, and so on.

    Only rims share the map, so masks that overlap stay legible.
    """
    labels: NDArray[np.uint8] | None = None
    for value, mask in enumerate(masks, 1):
        if labels is None:
            labels = np.zeros(mask.shape, np.uint8)
        labels[edge(mask, width)] = value
    return np.zeros((1, 1), np.uint8) if labels is None else labels
