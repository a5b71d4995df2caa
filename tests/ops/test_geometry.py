"""A map of the letterboxed square lies on its film to a fraction of a pixel."""

from __future__ import annotations

import numpy as np
import pytest

from napari_wsseg.ops import geometry

SHAPES = [(512, 512), (440, 520), (2500, 3000), (97, 60), (61, 64)]


@pytest.mark.parametrize("shape", SHAPES)
def test_the_long_side_fills_the_square(shape: tuple[int, int]) -> None:
    top, left, height, width = geometry.content_box(shape, 128)
    assert max(height, width) == 128
    assert abs(height / width - shape[0] / shape[1]) < 0.02 * shape[0] / shape[1] + 0.01
    assert abs((128 - height) - 2 * top) <= 1
    assert abs((128 - width) - 2 * left) <= 1


@pytest.mark.parametrize("shape", SHAPES)
def test_there_and_back_keeps_a_smooth_film(shape: tuple[int, int]) -> None:
    yy, xx = np.mgrid[: shape[0], : shape[1]]
    film = (0.5 + 0.3 * np.sin(3 * yy / shape[0]) * np.cos(2 * xx / shape[1])).astype(
        np.float32
    )
    square = geometry.letterbox(film, 128)
    back = geometry.unletterbox(square, shape)
    assert back.shape == shape
    assert np.abs(back - film).max() < 0.02


@pytest.mark.parametrize("shape", SHAPES)
def test_a_disc_stays_where_it_is(shape: tuple[int, int]) -> None:
    yy, xx = np.mgrid[: shape[0], : shape[1]]
    radius = min(shape) / 5
    centre = (shape[0] * 0.4, shape[1] * 0.6)
    disc = (yy - centre[0]) ** 2 + (xx - centre[1]) ** 2 < radius**2
    square = geometry.letterbox_mask(disc, 256)
    back = geometry.unletterbox(square.astype(np.float32), shape) >= 0.5
    assert (disc & back).sum() / (disc | back).sum() > 0.95


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", [16, 64, 100])
def test_placement_puts_a_map_pixel_on_what_it_was_made_from(
    shape: tuple[int, int], size: int
) -> None:
    scale, translate = geometry.placement(shape, size)
    top, left, height, width = geometry.content_box(shape, size)
    # The first map pixel of the film begins at the film's first pixel's outer edge,
    # the last one ends at the last one's.
    for axis, (begin, count) in enumerate(((top, height), (left, width))):
        first = scale[axis] * (begin - 0.5) + translate[axis]
        last = scale[axis] * (begin + count - 0.5) + translate[axis]
        assert first == pytest.approx(-0.5)
        assert last == pytest.approx(shape[axis] - 0.5)
