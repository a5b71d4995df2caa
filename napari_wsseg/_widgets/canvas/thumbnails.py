"""Small pictures of a film with a stage or masks on it; numpy in, numpy out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from napari_wsseg.ops import geometry
from napari_wsseg.ops.windowing import reading_window

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


GROUND = 255
"""Value in a label map of what a number stands on."""

HALO = 254
"""Value in a label map of the dark rim round masks, that keeps them off the film."""

_MOST_NUMBERS = 3
"""Pieces of a mask, the largest ones, that carry its number."""


_BOLD = 16
"""Digits that are higher than so many pixels are drawn bold."""


def small_shape(shape: tuple[int, int], longest: int) -> tuple[int, int]:
    """Return `shape`, made smaller in proportion so that no side exceeds `longest`."""
    factor = min(1.0, longest / max(shape))
    return max(1, round(shape[0] * factor)), max(1, round(shape[1] * factor))


def shrink(pixels: NDArray[Any], shape: tuple[int, int]) -> NDArray[Any]:
    """Return every n-th pixel of a (H, W) array at about `shape`; quick, unfiltered."""
    rows = np.linspace(0, pixels.shape[0] - 1, shape[0]).round().astype(int)
    columns = np.linspace(0, pixels.shape[1] - 1, shape[1]).round().astype(int)
    return np.asarray(pixels[np.ix_(rows, columns)])


def cropped(
    score: NDArray[np.float32], shape: tuple[int, int], *, nearest: bool = False
) -> NDArray[np.float32]:
    """Cut the letterbox's empty margins off a (h, h) map of a film of `shape`.

    What is left covers the film from edge to edge, in pixels about as large.
    """
    grid = small_shape(shape, score.shape[-1])
    return geometry.unletterbox(score, shape, grid=grid, nearest=nearest)


def grey(
    pixels: NDArray[np.float32],
    shape: tuple[int, int],
    window: tuple[float, float] | None = None,
) -> Rgb:
    """Return a film in [0, 1] as an (h, w, 3) uint8 picture, in a grey window."""
    low, high = window or reading_window(pixels)
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
    enlarged = ndimage.zoom(score, factors, order=1, mode="nearest", grid_mode=True)
    values = np.clip(enlarged, 0, 1).astype(np.float32)
    steps = np.linspace(0, 1, len(HEAT))
    red, green, blue, alpha = (np.interp(values, steps, c) for c in HEAT.T)
    colour = np.stack([red, green, blue], axis=-1) * 255
    alpha = alpha[..., None] * strength
    return np.asarray(picture * (1 - alpha) + colour * alpha, np.uint8)


def with_numbers(
    picture: Rgb, masks: Sequence[tuple[NDArray[np.bool_], str]], least: int = 12
) -> Rgb:
    """Write the number of each (mask, #RRGGBB) pair, 1 for the first, beside it."""
    out, shape = picture.copy(), (picture.shape[0], picture.shape[1])
    labels = np.zeros(shape, np.uint8)
    small = [np.asarray(shrink(mask, shape), bool) for mask, _ in masks]
    number(labels, small, least)
    out[labels == GROUND] = 0
    for value, (_, colour) in enumerate(masks, 1):
        out[labels == value] = _rgb(colour)
    return out


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
        rgb = _rgb(colour)
        if filled:
            out[small] = (out[small] * 0.5 + rgb * 0.5).astype(np.uint8)
        width = max(1, max(picture.shape) // 400)
        out[edge(small, width)] = rgb.astype(np.uint8)
    return out


def outlines(
    masks: Iterable[NDArray[np.bool_]], shape: tuple[int, int], width: int
) -> NDArray[np.uint8]:
    """Return the rims of (h, w) masks as one label map: 1 for the first, and so on.

    Only rims share the map, so masks that overlap stay legible.
    """
    labels = np.zeros(shape, np.uint8)
    for value, mask in enumerate(masks, 1):
        labels[edge(mask, width)] = value
    return labels


def halo(
    labels: NDArray[np.uint8], masks: Iterable[NDArray[np.bool_]], width: int
) -> None:
    """Draw a rim of value `HALO` round (h, w) masks into a label map, outside them.

    Light outlines are told from bone by it, and fills from each other.
    """
    for mask in masks:
        rows, columns = np.nonzero(mask.any(1))[0], np.nonzero(mask.any(0))[0]
        if not len(rows):
            continue
        # Round the mask alone: a film has a million pixels, most masks few.
        box = tuple(
            slice(max(0, side[0] - width), side[-1] + 1 + width)
            for side in (rows, columns)
        )
        near = ndimage.binary_dilation(mask[box], iterations=width) & ~mask[box]
        part = labels[box]
        part[near & (part == 0)] = HALO


def number(
    labels: NDArray[np.uint8], masks: Iterable[NDArray[np.bool_]], least: int = 12
) -> None:
    """Write the number of each (h, w) mask into a label map, above its large pieces.

    The digits have the mask's value, 1 for the first, on a ground of value `GROUND`; no
    number is written over another. Their type is `least` pixels high or higher.
    """
    size = max(least, round(max(labels.shape) / 34))
    font = ImageFont.load_default(size)
    for value, mask in enumerate(masks, 1):
        sign = _sign(str(value), font)[: labels.shape[0], : labels.shape[1]]
        high, wide = sign.shape
        for row, column in _tops(mask):
            wanted = row - high - 1, round(column - wide / 2)
            y, x = _free(labels, wanted, (high, wide))
            labels[y : y + high, x : x + wide] = np.where(sign, value, GROUND)


def _tops(mask: NDArray[np.bool_]) -> list[tuple[int, float]]:
    """Return (row, column) of the highest point of each of a mask's large pieces."""
    # A coarse look is enough, and labelling holds up every other thread.
    step = max(1, max(mask.shape) // 256)
    coarse = mask[::step, ::step]
    if not coarse.any():
        step, coarse = 1, mask
    pieces, count = ndimage.label(coarse)
    areas = np.bincount(pieces.ravel(), minlength=1)[1:]
    order = np.argsort(-areas, kind="stable")[:_MOST_NUMBERS]
    found = []
    for piece in (order + 1) if count else ():
        if areas[piece - 1] >= areas.max() / 10:
            rows, columns = np.nonzero(pieces == piece)
            middle = float(columns[rows == rows[0]].mean())
            found.append((int(rows[0]) * step, middle * step))
    return found


def _free(
    labels: NDArray[np.uint8], wanted: tuple[int, int], size: tuple[int, int]
) -> tuple[int, int]:
    """Return (row, column) near `wanted` where no number stands yet, within the map."""
    (high, wide), (height, width) = size, labels.shape

    def within(row: int, column: int) -> tuple[int, int]:
        return min(max(row, 0), height - high), min(max(column, 0), width - wide)

    for step in range(6):
        for down, across in ((0, step), (0, -step), (step, 0)):
            y, x = within(wanted[0] + down * high, wanted[1] + across * wide)
            if not (labels[y : y + high, x : x + wide] == GROUND).any():
                return y, x
    return within(*wanted)


def _sign(
    text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont
) -> NDArray[np.bool_]:
    """Return words as black and white; a shade would be another finding's value."""
    box = font.getbbox(text)
    left, top, right, bottom = (round(side) for side in box)
    tile = Image.new("L", (right - left + 6, bottom - top + 6))
    place = (3 - left, 3 - top)
    # Small digits would run together when drawn bold.
    bold = int(box[3] - box[1] > _BOLD)
    ImageDraw.Draw(tile).text(place, text, fill=255, font=font, stroke_width=bold)
    return np.asarray(tile) > 127


def _rgb(colour: str) -> NDArray[np.float32]:
    """Return #RRGGBB as three values of 0 to 255."""
    return np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)], np.float32)
