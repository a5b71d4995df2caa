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
    top, left, height, width = geometry.exact_box(shape, size)
    # The first map pixel of the film begins at the film's first pixel's outer edge,
    # the last one ends at the last one's.
    for axis, (begin, count) in enumerate(((top, height), (left, width))):
        first = scale[axis] * (begin - 0.5) + translate[axis]
        last = scale[axis] * (begin + count - 0.5) + translate[axis]
        assert first == pytest.approx(-0.5)
        assert last == pytest.approx(shape[axis] - 0.5)


#: As large as radiographs come; what they are asked does not depend on their size.
LARGE = pytest.param((2500, 3000), marks=pytest.mark.slow)
FILMS = [LARGE, (1250, 1500), (390, 320), (600, 1000), (512, 614), (97, 60), (512, 512)]
GRIDS = [(128, 8), (256, 16), (128, 32), (128, 64), (96, 12), (320, 10)]


def blob(shape: tuple[int, int]) -> np.ndarray:
    """Return an ellipse off the middle, the size of a small heart."""
    yy, xx = np.mgrid[: shape[0], : shape[1]]
    y, x = (yy + 0.5) / shape[0] - 0.53, (xx + 0.5) / shape[1] - 0.47
    return ((y / 0.17) ** 2 + (x / 0.15) ** 2 < 1).astype(np.float32)


def area_means(film: np.ndarray, cells: int) -> np.ndarray:
    """Average a film, padded to a square, over the cells of a grid, exactly."""
    longest = max(film.shape)
    pads = [(longest - side) // 2 for side in film.shape]
    square = np.zeros((longest, longest))
    square[pads[0] : pads[0] + film.shape[0], pads[1] : pads[1] + film.shape[1]] = film
    for axis in (0, 1):
        sums = np.insert(np.cumsum(square, axis), 0, 0, axis)
        edges = np.linspace(0, longest, cells + 1)
        low = np.minimum(edges.astype(int), longest - 1)
        share = np.expand_dims(edges - low, 1 - axis)
        below, above = np.take(sums, low, axis), np.take(sums, low + 1, axis)
        square = np.diff(below + share * (above - below), axis=axis)
    return (square / (longest / cells) ** 2).astype(np.float32)


def centre(score: np.ndarray) -> np.ndarray:
    """Return the centre of mass as shares of the film's sides."""
    places = [np.arange(side) + 0.5 for side in score.shape]
    sums = [score.sum(1), score.sum(0)]
    return np.array(
        [
            np.average(place, weights=weight) / side
            for place, weight, side in zip(places, sums, score.shape, strict=True)
        ]
    )


def best_iou(score: np.ndarray, truth: np.ndarray) -> float:
    cuts = np.linspace(0.3, 0.7, 9)
    return max(
        float(
            ((score >= cut) & (truth > 0)).sum() / ((score >= cut) | (truth > 0)).sum()
        )
        for cut in cuts
    )


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("shape", FILMS)
@pytest.mark.parametrize(("size", "cells"), GRIDS)
def test_a_coarse_map_lies_where_its_film_is(
    shape: tuple[int, int], size: int, cells: int, turned: bool
) -> None:
    truth = blob(shape).T.copy() if turned else blob(shape)
    means = area_means(truth, cells)
    # Cells do not know where in them something is: their own centre is the best.
    pads = [(max(truth.shape) - side) // 2 for side in truth.shape]
    best = (centre(means) * max(truth.shape) - pads) / truth.shape
    back = geometry.unletterbox(means, truth.shape)
    assert np.abs(centre(back) - best).max() < 0.002
    # By way of the working size, as a network does it.
    each = size // cells
    square = geometry.letterbox(truth, size).reshape(cells, each, cells, each)
    there = geometry.unletterbox(square.mean((1, 3)), truth.shape)
    assert np.abs(centre(there) - best).max() < 0.002
    assert np.abs(there - back).max() < 0.06


@pytest.mark.parametrize("shape", FILMS)
def test_a_film_that_is_not_square_is_met_as_well_as_a_square_one(
    shape: tuple[int, int],
) -> None:
    """What is lost is the coarseness of cells, not their place."""
    truth = blob(shape)
    cells = 8 * max(shape) // min(shape)
    square = blob((512, 512))
    best = best_iou(geometry.unletterbox(area_means(square, 8), square.shape), square)
    there = geometry.unletterbox(area_means(truth, cells), shape)
    assert best_iou(there, truth) > best - 0.04


def test_a_film_is_padded_and_not_resampled_on_a_grid_as_long_as_it_is() -> None:
    film = np.random.default_rng(0).random((61, 64), np.float32)
    square = geometry.letterbox(film, 64)
    np.testing.assert_array_equal(square[1:62], film)
    np.testing.assert_array_equal(geometry.unletterbox(square, film.shape), film)


def test_the_margin_is_empty_and_says_nothing_of_the_films_rim() -> None:
    film = np.ones((500, 1000), np.float32)
    square = geometry.letterbox(film, 8)
    assert set(np.unique(square[[0, 1, 6, 7]])) == {0}
    np.testing.assert_array_equal(square[2:6], 1)
    square[[0, 1, 6, 7]] = 7
    np.testing.assert_array_equal(geometry.unletterbox(square, film.shape), 1)


def test_a_mask_is_on_where_at_least_half_a_pixel_is() -> None:
    def rows(height: int) -> list[bool]:
        return geometry.letterbox_mask(np.ones((height, 800), bool), 8)[:, 0].tolist()

    assert rows(480) == [False, False, *[True] * 4, False, False]  # 1.6 to 6.4
    assert rows(520) == [False, True, *[True] * 4, True, False]  # 1.4 to 6.6


def test_a_film_as_thin_as_a_thread_has_a_cell() -> None:
    square = geometry.letterbox(np.ones((4, 900), np.float32), 8)
    assert square.any()
    assert geometry.unletterbox(square, (4, 900)).min() == 1


def test_labels_stay_labels_and_a_map_can_be_had_on_any_grid_of_its_film() -> None:
    labels = np.zeros((8, 8), np.float32)
    labels[:, 4:] = 255
    found = geometry.unletterbox(labels, (500, 600), grid=(7, 8), nearest=True)
    assert found.shape == (7, 8)
    assert set(np.unique(found)) == {0, 255}
    ramp = np.tile(np.arange(8, dtype=np.float32)[:, None], (1, 8))
    coarse = geometry.unletterbox(ramp, (500, 600), grid=(5, 6))
    fine = geometry.unletterbox(ramp, (500, 600))
    np.testing.assert_allclose(coarse, fine[50::100, 50::100], atol=0.02)
