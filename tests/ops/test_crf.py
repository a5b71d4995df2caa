"""Oracle 9: what any CRF must keep; refusals; the child process."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
import torch

from helpers.crf_films import ONCE, film, heats, labels, needs_pydensecrf
from napari_wsseg.jobs import JobFailed, UsageError
from napari_wsseg.ops import crf
from napari_wsseg.ops.crf_solvers import external
from napari_wsseg.ops.crf_solvers import grid as _grid


@pytest.mark.parametrize("backend", ["grid", "exact"])
def test_beliefs_sum_to_one_and_keep_their_labels_when_these_change_places(
    backend: crf.Backend,
) -> None:
    image, heat = film(24), heats(24)
    found = crf.dense_crf(heat, image, backend=backend)
    assert np.abs(found.sum(0) - 1).max() < 1e-6
    swapped = crf.dense_crf(heat[[2, 0, 1]], image, backend=backend)
    assert np.abs(swapped - found[[2, 0, 1]]).max() < 1e-6


@pytest.mark.parametrize("backend", ["grid", "exact"])
def test_labels_that_are_equally_likely_stay_so(backend: crf.Backend) -> None:
    image, even = film(24), np.full((4, 24, 24), 0.25)
    found = crf.dense_crf(even, image, backend=backend)
    assert np.abs(found - 0.25).max() < 1e-6
    found = crf.dense_crf_binary(2 * even, image, backend=backend)
    assert np.abs(found - 0.5).max() < 1e-6


@pytest.mark.parametrize("backend", ["grid", "exact"])
def test_one_finding_against_background_is_a_crf_of_two_labels(
    backend: crf.Backend,
) -> None:
    image, heat = film(24), heats(24)
    alone = crf.dense_crf_binary(heat, image, params=ONCE, backend=backend)
    for finding, found in zip(heat, alone, strict=True):
        both = np.stack([1 - finding, finding])
        pair = crf.dense_crf(both, image, params=ONCE, backend=backend)
        assert np.abs(pair[1] - found).max() < 1e-5


@pytest.mark.parametrize("backend", ["grid", "exact"])
def test_grey_repeated_in_three_colours_is_the_same_image(
    backend: crf.Backend,
) -> None:
    image, heat = film(20), heats(20)
    colour = np.repeat(image[..., None], 3, axis=2)
    one = crf.dense_crf_binary(heat, image, backend=backend)
    three = crf.dense_crf_binary(heat, colour, backend=backend)
    assert np.abs(one - three).max() < 1e-6


def test_the_exact_backend_is_the_formula_written_out() -> None:
    image, heat = film(6), heats(6)[:2]
    y, x = (axis.ravel() for axis in np.mgrid[:6, :6])
    near = np.subtract.outer(y, y) ** 2 + np.subtract.outer(x, x) ** 2
    grey = np.subtract.outer(image.ravel(), image.ravel()) ** 2 * 255**2
    total = np.zeros((36, 36))
    for weight, kernel in (
        (3, np.exp(-near / 2 / 3**2)),
        (10, np.exp(-near / 2 / 50**2 - grey / 2 / (25 / 3))),
    ):
        scale = np.diag(kernel.sum(1) ** -0.5)
        total += weight * scale @ kernel @ scale
    energy = np.log(heat.reshape(2, -1)) + heat.reshape(2, -1) / heat.sum(0).ravel() @ (
        total
    )
    expected = np.exp(energy) / np.exp(energy).sum(0)
    found = crf.dense_crf(heat, image, params=ONCE, backend="exact")
    assert np.abs(found.reshape(2, -1) - expected).max() < 1e-12


def test_a_noisy_start_follows_the_edge_of_the_film() -> None:
    size = 96
    image = film(size)
    y, x = np.mgrid[:size, :size] / size
    disc = np.hypot(y - 0.45, x - 0.55) < 0.25
    blurred = np.where(np.hypot(y - 0.45, x - 0.55) < 0.30, 0.7, 0.3)
    found = labels(crf.dense_crf_binary(blurred[None], image))[0]
    assert (found != disc).sum() < 0.25 * ((blurred > 0.5) != disc).sum()


def test_no_iteration_and_no_weight_change_nothing() -> None:
    image, heat = film(16), heats(16)
    for params in (
        crf.CrfParams(iterations=0),
        crf.CrfParams(smooth_compat=0, bilateral_compat=0),
    ):
        found = crf.dense_crf_binary(heat, image, params=params)
        assert np.abs(found - heat).max() < 2e-5


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (3, 2), (70, 9)])
def test_films_of_any_shape_pass(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    image, heat = rng.random(shape), rng.random((2, *shape))
    exact = crf.dense_crf_binary(heat, image, params=ONCE, backend="exact")
    assert np.abs(crf.dense_crf_binary(heat, image, params=ONCE) - exact).max() < 0.02


def test_no_findings_are_no_work() -> None:
    assert crf.dense_crf_binary(np.zeros((0, 8, 8)), film(8)).shape == (0, 8, 8)


def test_a_flat_film_is_only_smoothed() -> None:
    found = crf.dense_crf_binary(heats(16), np.full((16, 16), 0.5))
    assert np.isfinite(found).all()


@pytest.mark.parametrize("threads", [2, 3])
def test_the_number_of_threads_does_not_change_the_result(threads: int) -> None:
    image, heat = film(25), heats(25)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        expected = crf.dense_crf_binary(heat, image)
        torch.set_num_threads(threads)
        assert np.abs(crf.dense_crf_binary(heat, image) - expected).max() < 1e-5
    finally:
        torch.set_num_threads(before)


def test_what_a_gpu_would_do_is_what_the_cpu_does() -> None:
    levels = torch.from_numpy(film(20)) * 255
    axes = _grid._axes(levels, crf.DEFAULTS)
    index, weight = _grid._shares(axes, 20, 20)
    cells = math.prod(axis.cells for axis in axes)
    here = _grid._Pixels(index, weight, cells)
    there = _grid._Pixels(index, weight, cells)
    there._parts = []
    maps = torch.rand(2, 400)
    assert torch.allclose(here.share_out(maps), there.share_out(maps), atol=1e-4)
    grid = torch.rand(2, cells)
    assert torch.allclose(here.read_back(grid), there.read_back(grid), atol=1e-5)
    # Adjoint: what comes back of what was given weighs the same from both ends.
    left = (here.share_out(maps) * grid).sum()
    assert float(left) == pytest.approx(
        float((maps * here.read_back(grid)).sum()), rel=1e-5
    )


def test_torch_in_is_torch_out_and_numpy_in_is_numpy_out() -> None:
    image, heat = film(16), heats(16)
    ours = crf.dense_crf_binary(heat, image)
    single = crf.dense_crf_binary(heat.astype(np.float32)[:, ::-1], image[::-1])
    assert (ours.dtype, single.dtype) == (np.float64, np.float32)
    theirs = crf.dense_crf_binary(torch.from_numpy(heat), torch.from_numpy(image))
    assert isinstance(theirs, torch.Tensor)
    assert np.abs(theirs.numpy() - ours).max() < 1e-6
    assert np.abs(single[:, ::-1] - ours).max() < 1e-2


def test_wrong_input_is_refused_with_a_remedy() -> None:
    image, heat = film(16), heats(16)
    with pytest.raises(ValueError, match="dense_crf_binary"):
        crf.dense_crf(heat[:1], image)
    with pytest.raises(ValueError, match="same grid"):
        crf.dense_crf(heat, image[:8])
    with pytest.raises(ValueError, match="after the sigmoid"):
        crf.dense_crf(heat * 3, image)
    with pytest.raises(ValueError, match=r"float in \[0, 1\] or uint8"):
        crf.dense_crf(heat, image * 255)
    with pytest.raises(ValueError, match="backend='grid'"):
        crf.dense_crf(np.ones((2, 90, 90)) / 2, np.zeros((90, 90)), backend="exact")
    with pytest.raises(ValueError, match="there are: exact"):
        crf.dense_crf(heat, image, backend="fast")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"\(H, W, 3\)"):
        crf.dense_crf(heat, np.zeros((16, 16, 4)))
    # Smaller pictures are summed in full, which any sigma suits.
    colours = np.random.default_rng(0).random((80, 80, 3))
    short = crf.CrfParams(bilateral_sigma_grey=1e-5, bilateral_sigma_xy=1e-3)
    with pytest.raises(ValueError, match="sigmas longer"):
        crf.dense_crf(heats(80), colours, params=short)
    with pytest.raises(ValueError, match="above 0"):
        crf.CrfParams(smooth_sigma_xy=0)


def test_a_missing_pydensecrf_is_named_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(external.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UsageError, match="pip install pydensecrf2"):
        crf.dense_crf(heats(8), film(8), backend="pydensecrf")


@needs_pydensecrf
def test_a_dying_child_is_reported_with_its_last_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(external, "__name__", "no_such_module")
    with pytest.raises(JobFailed, match="no_such_module"):
        crf.dense_crf(heats(8), film(8), backend="pydensecrf")


@needs_pydensecrf
def test_pydensecrf_is_never_loaded_here_nor_torch_in_the_child() -> None:
    crf.dense_crf(heats(8), film(8), backend="pydensecrf")
    assert "pydensecrf" not in sys.modules
    child = "napari_wsseg.ops.crf_solvers.external"
    code = f"import sys, {child}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
