"""An outline that snaps to edges: it follows them and ends where it is led."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from skimage.draw import polygon2mask

from napari_wsseg.ops import metrics
from napari_wsseg.ops.livewire import Livewire

SHAPE, MIDDLE = (240, 200), np.array([120.0, 95.0])


def blob(angle: np.ndarray) -> np.ndarray:
    """Return (N, 2) points of the rim of a shape that is no circle."""
    radius = 55 + 12 * np.sin(3 * angle)
    return MIDDLE + radius[:, None] * np.stack([np.sin(angle), np.cos(angle)], -1)


@pytest.fixture(scope="module")
def truth() -> np.ndarray:
    return polygon2mask(SHAPE, blob(np.linspace(0, 2 * np.pi, 400, endpoint=False)))


@pytest.fixture(scope="module")
def film(truth: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(0)
    return 100.0 + 60 * truth + rng.normal(0, 6, SHAPE)


def closed(wire: Livewire, anchors: np.ndarray) -> np.ndarray:
    parts = []
    for first, second in zip(anchors, np.roll(anchors, -1, axis=0), strict=True):
        wire.start(tuple(first))
        parts.append(wire.path(tuple(second)))
    return np.vstack(parts)


@pytest.mark.parametrize("side", [512, 120])
def test_six_points_on_a_rim_give_the_shape_and_straight_lines_do_not(
    film: np.ndarray, truth: np.ndarray, side: int
) -> None:
    anchors = blob(np.linspace(0.2, 2 * np.pi + 0.2, 6, endpoint=False))
    snapped = polygon2mask(SHAPE, closed(Livewire(film, side=side), anchors))
    straight = polygon2mask(SHAPE, anchors)
    assert metrics.iou(snapped, truth) > 0.95
    assert metrics.iou(straight, truth) < 0.9


def test_the_way_begins_and_ends_exactly_where_the_hand_is(film: np.ndarray) -> None:
    wire = Livewire(film)
    wire.start((10.25, 20.5))
    path = wire.path((60.75, 44.0))
    np.testing.assert_array_equal(path[[0, -1]], [[10.25, 20.5], [60.75, 44.0]])
    assert (np.abs(np.diff(path, axis=0)).max(1) <= 2).all(), "no gap in it"


def test_beyond_its_reach_and_beyond_the_film_the_way_still_ends(
    film: np.ndarray,
) -> None:
    wire = Livewire(film, reach=20)
    wire.start((100, 100))
    np.testing.assert_array_equal(wire.path((230, 190))[-1], (230, 190))
    np.testing.assert_array_equal(wire.path((-50, 1000))[-1], (0, 199))
    np.testing.assert_array_equal(wire.path((100, 100))[[0, -1]], [[100, 100]] * 2)


def test_a_flat_film_gives_straight_ways() -> None:
    wire = Livewire(np.full(SHAPE, 7.0))
    wire.start((50, 20))
    path = wire.path((50, 120))
    np.testing.assert_array_equal(np.unique(path[:, 0]), [50])


def test_a_way_is_asked_for_after_a_point_is_set(film: np.ndarray) -> None:
    with pytest.raises(ValueError, match="no point was set"):
        Livewire(film).path((3, 4))


def test_drawing_does_not_load_torch() -> None:
    code = "import sys, napari_wsseg.ops.livewire; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
