"""Oracles 10 and 11: path sets counted by hand, the walk against the full matrix."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_wsseg.ops import affinity
from napari_wsseg.ops.walks import walk as _walk
from napari_wsseg.schema import IGNORE


def slow_affinity(boundary: np.ndarray, radius: int) -> np.ndarray:
    """(N, N) path-max affinities by a double loop, in our own words of the paper."""
    height, width = boundary.shape
    full = np.zeros((height * width,) * 2)
    for y in range(height):
        for x in range(width):
            for v in range(height):
                for u in range(width):
                    if (y - v) ** 2 + (x - u) ** 2 < radius**2:
                        path = path_values(boundary, (y, x), (v, u))
                        full[y * width + x, v * width + u] = 1 - max(path)
    np.fill_diagonal(full, 1)
    return full


def path_values(
    boundary: np.ndarray, start: tuple[int, int], end: tuple[int, int]
) -> list[float]:
    (y, x), (v, u) = start, end
    length = np.hypot(v - y, u - x) or 1
    return [
        boundary[b, a]
        for b in range(min(y, v), max(y, v) + 1)
        for a in range(min(x, u), max(x, u) + 1)
        if abs((v - y) * (a - x) - (u - x) * (b - y)) / length < 1
    ]


def irn_walk(heat: np.ndarray, full: np.ndarray, beta: float, squarings: int):
    """The published formula: column-normalised powers, squared, heat from the left."""
    powered = full**beta
    transition = powered / powered.sum(0, keepdims=True)
    for _ in range(squarings):
        transition = transition @ transition
    return (heat.reshape(len(heat), -1) @ transition).reshape(heat.shape)


def wavy_boundary(size: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] / size
    boundary = 0.1 * rng.random((size, size))
    boundary[np.abs(x - 0.5 - 0.2 * np.sin(5 * y)) < 1.5 / size] = 0.95
    boundary[size // 3, : size // 4] = 1.0
    return boundary.astype(np.float32).astype(np.float64)


@pytest.mark.parametrize(
    ("radius", "offsets", "pixels", "longest"),
    [(3, 12, 56, 7), (5, 34, 242, 11), (10, 152, 2134, 22)],
)
def test_path_sets_have_the_published_sizes(
    radius: int, offsets: int, pixels: int, longest: int
) -> None:
    found = affinity.path_offsets(radius)
    lengths = [len(path) for _, path in found]
    assert (len(found), sum(lengths), max(lengths)) == (offsets, pixels, longest)


def test_paths_hold_both_ends_and_a_straight_one_is_straight() -> None:
    for offset, path in affinity.path_offsets(6):
        assert (0, 0) in path
        assert offset in path
    straight = dict(affinity.path_offsets(6))[(0, 4)]
    assert straight == ((0, 0), (0, 1), (0, 2), (0, 3), (0, 4))


def test_no_neighbour_is_the_mirror_of_another() -> None:
    offsets = [offset for offset, _ in affinity.path_offsets(10)]
    assert not set(offsets) & {(-dy, -dx) for dy, dx in offsets}


def test_a_wall_of_one_pixel_parts_its_sides_and_nothing_else() -> None:
    boundary = torch.zeros(9, 9)
    boundary[:, 4] = 1
    places = [offset for offset, _ in affinity.path_offsets(4)]
    across, along = places.index((0, 3)), places.index((3, 0))
    found = 1 - affinity.path_max(boundary, 4)
    assert found[across, :, 2:4].eq(0).all()
    assert found[across, :, :1].eq(1).all()
    assert found[along, :6, [0, 1, 2, 3, 5, 6, 7, 8]].eq(1).all()


def test_path_max_is_a_loop_over_pixels() -> None:
    boundary = torch.rand(7, 8, dtype=torch.float64)
    found = affinity.path_max(boundary, 4)
    for place, ((dy, dx), _) in enumerate(affinity.path_offsets(4)):
        for y in range(7):
            for x in range(8):
                if y + dy < 7 and 0 <= x + dx < 8:
                    values = path_values(boundary.numpy(), (y, x), (y + dy, x + dx))
                    assert found[place, y, x] == max(values)
                else:
                    assert found[place, y, x] == 1


def test_path_max_has_the_gradient_of_finite_differences() -> None:
    boundary = torch.rand(2, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda b: affinity.path_max(b, 3), boundary)


def test_path_max_is_the_same_number_with_and_without_a_gradient() -> None:
    boundary = torch.rand(2, 9, 9)
    boundary[0, 3] = 0
    tracked = affinity.path_max(boundary.clone().requires_grad_(), 5)
    assert torch.equal(tracked, affinity.path_max(boundary, 5))


def test_path_max_of_a_flat_map_sends_each_gradient_to_one_pixel() -> None:
    boundary = torch.full((6, 6), 0.5, requires_grad=True)
    found = affinity.path_max(boundary, 3)
    inside = found.detach() < 1
    found[inside].sum().backward()
    assert boundary.grad is not None
    assert boundary.grad.sum() == inside.sum()


def test_path_max_works_on_maps_smaller_than_the_radius() -> None:
    assert affinity.path_max(torch.zeros(1, 1), 5).eq(1).all()
    boundary = torch.rand(3, 2, requires_grad=True)
    affinity.path_max(boundary, 10).sum().backward()
    assert boundary.grad is not None


def test_pair_labels_are_a_double_loop() -> None:
    rng = np.random.default_rng(0)
    seed = torch.from_numpy(rng.choice([0, 1, 2, IGNORE], (2, 6, 7)).astype(np.uint8))
    labels = affinity.pair_labels(seed, 4)
    for place, ((dy, dx), _) in enumerate(affinity.path_offsets(4)):
        for image, y, x in np.ndindex(2, 6, 7):
            ends: set[int] = {IGNORE}
            if y + dy < 6 and 0 <= x + dx < 7:
                ends = {int(seed[image, y, x]), int(seed[image, y + dy, x + dx])}
            here = (place, image, y, x)
            known = IGNORE not in ends
            assert labels.background[here] == (ends == {0})
            assert labels.finding[here] == (known and len(ends) == 1 and ends != {0})
            assert labels.different[here] == (known and len(ends) == 2)


def test_the_walk_is_the_published_formula() -> None:
    boundary = wavy_boundary(12)
    heat = np.random.default_rng(1).random((3, 12, 12))
    reference = irn_walk(heat * (1 - boundary), slow_affinity(boundary, 4), 10, 5)
    for method in ("dense", "sparse", "chebyshev"):
        found = affinity.random_walk(heat, boundary, radius=4, steps=32, method=method)
        assert np.abs(found - reference).max() < 1e-5, method


@pytest.mark.parametrize(("method", "bound"), [("sparse", 3e-6), ("chebyshev", 1e-5)])
def test_256_steps_in_single_precision_stay_close_to_the_full_matrix(
    method: str, bound: float
) -> None:
    boundary = wavy_boundary(30)
    heat = np.zeros((2, 30, 30))
    heat[0, 5:20, 5:14] = 1
    heat[1] = np.random.default_rng(0).random((30, 30)).astype(np.float32)
    reference = affinity.random_walk(heat, boundary, method="dense")
    found = affinity.random_walk(
        heat.astype(np.float32), boundary.astype(np.float32), method=method
    )
    assert found.dtype == np.float32
    assert np.abs(found - reference).max() <= bound


@pytest.mark.parametrize("steps", [100, 256, 1000])
def test_the_series_keeps_within_its_bound(steps: int) -> None:
    weights = _walk.series(steps)
    x = np.linspace(-1, 1, 2001)
    found = np.polynomial.chebyshev.chebval(x, weights)
    assert np.abs(found - x**steps).max() < 2 * _walk.TAIL
    bound = 2 * np.exp(-((len(weights) - 1) ** 2) / (2 * steps))
    assert np.abs(found - x**steps).max() < bound
    assert sum(weights) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("method", ["dense", "sparse", "chebyshev"])
def test_a_constant_map_stays_constant(method: str) -> None:
    boundary = wavy_boundary(24).clip(0, 0.95).astype(np.float32)
    heat = (0.3 / (1 - boundary))[None]
    found = affinity.random_walk(heat, boundary, method=method)
    assert np.abs(found - 0.3).max() < 1e-5


@pytest.mark.parametrize("method", ["dense", "sparse", "chebyshev"])
def test_a_sealed_box_lets_nothing_out(method: str) -> None:
    boundary = np.zeros((20, 20), np.float32)
    boundary[5:15, [5, 14]] = boundary[[5, 14], 5:15] = 1
    heat = np.zeros((1, 20, 20), np.float32)
    heat[0, 9, 9] = 1
    found = affinity.random_walk(heat, boundary, method=method)[0]
    outside = np.ones((20, 20), bool)
    outside[6:14, 6:14] = False
    assert not found[outside].any()
    assert (found[6:14, 6:14] > 0).all()


@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (2, 7), (7, 4), (9, 8), (5, 3)])
def test_narrow_maps_walk_too(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    boundary, heat = rng.random(shape) ** 2, rng.random((2, *shape))
    expected = affinity.random_walk(heat, boundary, steps=30, method="dense")
    for method in ("sparse", "chebyshev"):
        found = affinity.random_walk(heat, boundary, steps=30, method=method)
        assert np.abs(found - expected).max() < 1e-4


def test_every_map_walks_by_itself() -> None:
    boundary = wavy_boundary(16)
    heat = np.random.default_rng(0).random((3, 16, 16))
    together = affinity.random_walk(heat, boundary)
    alone = [affinity.random_walk(one[None], boundary)[0] for one in heat]
    assert (together == np.stack(alone)).all()


def test_no_maps_are_no_walk() -> None:
    assert affinity.random_walk(np.zeros((0, 8, 8)), np.zeros((8, 8))).shape[0] == 0


def test_no_step_leaves_the_masked_heat() -> None:
    boundary = wavy_boundary(8)
    heat = np.random.default_rng(0).random((1, 8, 8))
    found = affinity.random_walk(heat, boundary, steps=0)
    assert np.allclose(found, heat * (1 - boundary))


def test_torch_in_is_torch_out_and_numpy_in_is_numpy_out() -> None:
    boundary, heat = np.zeros((6, 6), np.float32), np.ones((1, 6, 6), np.float32)
    heat.flags.writeable = boundary.flags.writeable = False
    ours = affinity.random_walk(heat[:, ::-1], boundary)
    assert isinstance(ours, np.ndarray)
    theirs = affinity.random_walk(torch.tensor(heat).half(), torch.tensor(boundary))
    assert isinstance(theirs, torch.Tensor)
    assert theirs.dtype == torch.float32
    assert np.allclose(ours, theirs.numpy())


def test_wrong_walks_are_refused_with_a_remedy() -> None:
    heat, boundary = np.ones((1, 4, 4)), np.zeros((4, 4))
    with pytest.raises(ValueError, match="same grid"):
        affinity.random_walk(heat, np.zeros((4, 5)))
    with pytest.raises(ValueError, match="sigmoid"):
        affinity.random_walk(heat, boundary + 1.5)
    with pytest.raises(ValueError, match="there are: chebyshev"):
        affinity.random_walk(heat, boundary, method="fast")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="backwards"):
        affinity.random_walk(heat, boundary, steps=-1)
    with pytest.raises(ValueError, match="first neighbour"):
        affinity.path_offsets(1)
