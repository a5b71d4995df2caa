"""Growing strokes: the full linear system, and what a hand must be able to rely on."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from napari_wsseg.ops import affinity, scribble

NOTHING = scribble.NOTHING


def rough(shape: tuple[int, int], seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).random(shape) ** 3).astype(np.float32)


def strokes_on(shape: tuple[int, int], **marks: list[tuple[int, int]]) -> np.ndarray:
    strokes = np.full(shape, NOTHING, np.uint8)
    for place in marks.get("inside", []):
        strokes[place] = 1
    for place in marks.get("outside", []):
        strokes[place] = 0
    return strokes


def dense_solution(
    strokes: np.ndarray, boundary: np.ndarray, heat: np.ndarray | None, steps: float
) -> np.ndarray:
    """The same chance from the full matrix, in double precision."""
    size = boundary.size
    highest = affinity.path_max(torch.from_numpy(boundary).double(), 5)
    full = np.eye(size)
    for ((dy, dx), _), pairs in zip(affinity.path_offsets(5), highest, strict=True):
        for y, x in np.ndindex(*boundary.shape):
            if y + dy < len(boundary) and 0 <= x + dx < boundary.shape[1]:
                here, there = (
                    np.ravel_multi_index(place, boundary.shape)
                    for place in ((y, x), (y + dy, x + dx))
                )
                full[here, there] = full[there, here] = (1 - pairs[y, x]) ** 10
    degree = full.sum(1)
    system = np.diag((1 + 1 / steps) * degree) - full
    given = np.zeros(size) if heat is None else degree * heat.ravel() / steps
    held = strokes.ravel() != NOTHING
    system[held] = np.eye(size)[held]
    given[held] = strokes.ravel()[held]
    return np.linalg.solve(system, given).reshape(boundary.shape)


@pytest.mark.parametrize("warm", [False, True])
@pytest.mark.parametrize("shape", [(24, 20), (7, 5), (30, 8)])
@pytest.mark.parametrize("steps", [16.0, 256.0, 1000.0])
def test_growing_is_the_full_linear_system(
    shape: tuple[int, int], steps: float, warm: bool
) -> None:
    boundary = rough(shape)
    heat = rough(shape, 1) if warm else None
    strokes = strokes_on(shape, inside=[(2, 2), (3, 2)], outside=[(6, 4)])
    expected = dense_solution(strokes, boundary, heat, steps)
    found = scribble.grow(strokes, boundary, heat, steps=steps)
    assert found.dtype == np.float32
    assert np.abs(found - expected).max() <= 1e-4


def test_strokes_keep_their_values_on_the_grid_and_on_the_film() -> None:
    for shape in ((32, 32), (128, 128), (101, 130)):
        strokes = strokes_on(shape)
        strokes[10:12, 5:20], strokes[20:22, 5:20] = 1, 0
        found = scribble.grow(strokes, rough((32, 32)), rough((32, 32), 1))
        assert found.shape == shape
        assert (found[strokes == 1] == 1).all()
        assert (found[strokes == 0] == 0).all()
        assert found.min() >= 0
        assert found.max() <= 1


def test_a_wall_stops_growth() -> None:
    boundary = np.zeros((40, 40), np.float32)
    boundary[8:32, [8, 31]] = boundary[[8, 31], 8:32] = 1
    strokes = strokes_on((40, 40), inside=[(20, 20)])
    found = scribble.grow(strokes, boundary)
    within = np.zeros((40, 40), bool)
    within[9:31, 9:31] = True
    assert (found[within] > 0.1).all()
    assert not found[~within].any()


def test_a_stroke_outside_takes_its_side_of_a_wall() -> None:
    boundary = np.zeros((30, 30), np.float32)
    boundary[:, 15] = 0.8
    strokes = strokes_on((30, 30), inside=[(15, 3)], outside=[(15, 27)])
    found = scribble.grow(strokes, boundary, np.full((30, 30), 0.5))
    assert (found[:, :15] > 0.5).all()
    assert (found[:, 16:] < 0.5).all()


def test_without_a_stroke_inside_there_is_nothing_to_propose() -> None:
    outside = strokes_on((12, 12), outside=[(4, 4)])
    for strokes in (outside, strokes_on((12, 12))):
        found = scribble.grow(strokes, rough((12, 12)), np.ones((12, 12)))
        assert not found.any()


def test_a_stroke_alone_fades_with_distance() -> None:
    strokes = strokes_on((41, 41), inside=[(20, 20)])
    found = scribble.grow(strokes, np.zeros((41, 41), np.float32))
    line = found[20, 20:]
    assert (np.diff(line) < 0).all()
    assert line[-1] < 0.25


def test_heat_is_believed_where_no_stroke_is_near() -> None:
    boundary = np.zeros((20, 60), np.float32)
    boundary[:, 30] = 1
    heat = np.zeros((20, 60), np.float32)
    heat[:, 31:] = 0.9
    strokes = strokes_on((20, 60), inside=[(10, 5)])
    found = scribble.grow(strokes, boundary, heat)
    assert np.abs(found[:, 31:] - 0.9).max() < 1e-3


@pytest.mark.parametrize("size", [24, 96])
def test_more_inside_and_less_outside_never_lower_the_chance(size: int) -> None:
    rng = np.random.default_rng(0)
    graph = scribble.Graph(rough((24, 24)))
    heat = rough((24, 24), 1)
    strokes = strokes_on((size, size), inside=[(3, 3)])
    strokes[rng.random(strokes.shape) < 0.05] = 0
    before = graph.grow(strokes, heat)
    for _ in range(5):
        more = strokes.copy()
        more[rng.random(more.shape) < 0.02] = 1
        after = graph.grow(more, heat)
        assert (after >= before - 1e-4).all()
        strokes, before = more, after


def test_a_graph_grows_the_same_as_growing_once() -> None:
    boundary, heat = rough((16, 16)), rough((16, 16), 1)
    strokes = strokes_on((16, 16), inside=[(8, 8)], outside=[(1, 1)])
    graph = scribble.Graph(boundary)
    graph.grow(strokes_on((16, 16), inside=[(3, 3)]))
    assert (graph.grow(strokes, heat) == scribble.grow(strokes, boundary, heat)).all()


def test_the_films_own_edges_stop_growth_where_nothing_was_learnt() -> None:
    y, x = np.mgrid[:256, :250]
    disc = np.hypot(y - 128, x - 120) < 60
    film = 0.3 + 0.4 * disc + np.random.default_rng(0).normal(0, 0.01, disc.shape)
    boundary = scribble.edges(film)
    assert boundary.shape == (64, 63)
    strokes = strokes_on(film.shape)
    strokes[120:136, 100:140], strokes[4:10, 10:240] = 1, 0
    found = scribble.grow(strokes, boundary) > 0.5
    assert (found & disc).sum() / (found | disc).sum() > 0.88


def test_edges_do_not_depend_on_the_films_unit_and_a_flat_film_has_none() -> None:
    film = rough((32, 32)).astype(np.float64)
    assert np.allclose(scribble.edges(film), scribble.edges(film * 4095 + 7), atol=1e-4)
    assert not scribble.edges(np.full((30, 30), 0.3)).any()
    assert scribble.edges((film * 255).astype(np.uint8)).shape == (8, 8)


def test_growing_does_not_load_torch() -> None:
    code = "import sys, napari_wsseg.ops.scribble; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_what_cannot_be_grown_is_refused_with_a_remedy() -> None:
    strokes, boundary = strokes_on((8, 8), inside=[(2, 2)]), rough((8, 8))
    with pytest.raises(ValueError, match="255 nothing"):
        scribble.grow(strokes.astype(int), boundary)
    with pytest.raises(ValueError, match="255 nothing"):
        scribble.grow(np.full((8, 8), 7, np.uint8), boundary)
    with pytest.raises(ValueError, match=r"boundary .* probabilities"):
        scribble.grow(strokes, boundary + 1)
    with pytest.raises(ValueError, match=r"heat .* probabilities"):
        scribble.grow(strokes, boundary, np.full((8, 8), np.nan))
    with pytest.raises(ValueError, match="at least one"):
        scribble.Graph(boundary, steps=0)
    with pytest.raises(ValueError, match="grey film"):
        scribble.edges(np.zeros((8, 8, 3)))


def disc(at: tuple[int, int], radius: float, side: int = 96) -> np.ndarray:
    rows, columns = np.ogrid[:side, :side]
    return (rows - at[0]) ** 2 + (columns - at[1]) ** 2 <= radius**2


@pytest.fixture(scope="module")
def flat() -> scribble.Graph:
    """Return ground without edges, at half the resolution of the strokes."""
    edge = np.zeros((48, 48), np.float32)
    return scribble.Graph(edge, steps=scribble.CORRECTING_STEPS)


def test_without_strokes_a_draft_stays_to_the_pixel(flat: scribble.Graph) -> None:
    draft = disc((40, 40), 17) & ~disc((36, 44), 5)
    nothing = np.full(draft.shape, scribble.NOTHING, np.uint8)
    assert ((flat.correct(nothing, draft) >= 0.5) == draft).all()


@pytest.mark.parametrize("inside", [True, False])
def test_a_stroke_corrects_a_draft_near_it_and_leaves_the_rest(
    flat: scribble.Graph, inside: bool
) -> None:
    draft = disc((48, 30), 16) | disc((48, 80), 10)
    strokes = np.full(draft.shape, scribble.NOTHING, np.uint8)
    stroke = disc((24, 30), 3) if inside else disc((36, 30), 3)
    strokes[stroke] = scribble.INSIDE if inside else scribble.OUTSIDE
    found = flat.correct(strokes, draft) >= 0.5
    assert (found[stroke] == inside).all()
    changed = found != draft
    assert changed.sum() > stroke.sum(), "more than the stroke itself"
    assert (found[changed] == inside).all()
    assert not changed[:, 60:].any(), "the other piece is far away"


def test_a_graph_that_corrected_one_draft_corrects_another_as_if_it_were_the_first(
    flat: scribble.Graph,
) -> None:
    first, other = disc((48, 48), 20), disc((40, 60), 14)
    strokes = np.where(disc((48, 74), 4), scribble.INSIDE, scribble.NOTHING)
    strokes = strokes.astype(np.uint8)
    edge, steps = np.zeros((48, 48), np.float32), scribble.CORRECTING_STEPS
    fresh = {
        soft: scribble.Graph(edge, steps=steps).correct(strokes, other, soft=soft)
        for soft in (2.0, 4.0)
    }
    changed = first.copy()
    flat.correct(strokes, changed)
    changed[:] = other  # the same array with another draft in it
    for soft in (4.0, 2.0):
        found = flat.correct(strokes, changed, soft=soft)
        np.testing.assert_array_equal(found, fresh[soft])


def test_strokes_and_draft_of_two_shapes_are_refused(flat: scribble.Graph) -> None:
    strokes = np.full((96, 96), scribble.NOTHING, np.uint8)
    with pytest.raises(ValueError, match="the draft"):
        flat.correct(strokes, np.zeros((48, 48), bool))
