"""How fast the walk and the CRF are beside what they replace.

``OMP_NUM_THREADS=2 python -m pytest benchmarks/test_bench_ops.py``; one group a
comparison, read the ratios in parentheses. Not part of the tests: figures depend on
the machine and on what else it does.
"""

from __future__ import annotations

import importlib.util
import math

import numpy as np
import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from scipy import ndimage

from napari_wsseg.ops import affinity, crf


def boundary(size: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    rough = ndimage.gaussian_filter(rng.random((size, size)), 1.5)
    rough -= rough.min()
    return ((rough / rough.max()) ** 2).astype(np.float32)


def film(size: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:size, :size] / size
    waves = 0.5 + 0.3 * np.sin(9 * x) + 0.15 * np.cos(14 * y)
    return (waves + rng.normal(0, 0.015, (size, size))).clip(0, 1).astype(np.float32)


def heats(count: int, size: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    rough = ndimage.gaussian_filter(
        rng.random((count, size, size)), (0, *[size / 10] * 2)
    )
    rough -= rough.min((1, 2), keepdims=True)
    return (rough / rough.max((1, 2), keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("method", ["chebyshev", "sparse", "dense"])
@pytest.mark.benchmark(group="walk of one finding at 64²")
def test_walk_small(benchmark: BenchmarkFixture, method: str) -> None:
    rounds = 1 if method == "dense" else 20
    benchmark.pedantic(
        affinity.random_walk,
        (heats(1, 64), boundary(64)),
        {"method": method},
        rounds=rounds,
        warmup_rounds=min(1, rounds - 1),
    )


@pytest.mark.parametrize("method", ["chebyshev", "sparse"])
@pytest.mark.parametrize("findings", [1, 10])
@pytest.mark.benchmark(group="walk at 128²")
def test_walk(benchmark: BenchmarkFixture, method: str, findings: int) -> None:
    heat, edges = heats(findings, 128), boundary(128)
    benchmark.pedantic(
        affinity.random_walk,
        (heat, edges),
        {"method": method},
        rounds=5,
        warmup_rounds=1,
    )


@pytest.mark.benchmark(group="walk at 128²")
def test_walk_one_dense_squaring(benchmark: BenchmarkFixture) -> None:
    """One of the eight squarings that the dense way needs at 128², on a quarter."""
    quarter = torch.rand(8192, 8192)  # (128² / 2)²: an eighth of one squaring's work
    benchmark.pedantic(torch.mm, (quarter, quarter), rounds=1)
    benchmark.extra_info["dense walk, extrapolated, s"] = (
        benchmark.stats.stats.mean * 8 * math.log2(256)
    )


@pytest.mark.parametrize("backend", ["grid", "pydensecrf"])
@pytest.mark.parametrize("findings", [1, 10])
@pytest.mark.parametrize("size", [256, 512])
def test_crf(
    benchmark: BenchmarkFixture, size: int, findings: int, backend: crf.Backend
) -> None:
    if backend == "pydensecrf" and importlib.util.find_spec("pydensecrf") is None:
        pytest.skip("pip install pydensecrf2")
    benchmark.group = f"CRF of {findings} findings at {size}²"
    benchmark.pedantic(
        crf.dense_crf_binary,
        (heats(findings, size), film(size)),
        {"backend": backend},
        rounds=3,
        warmup_rounds=1,
    )


@pytest.mark.parametrize("way", ["shifted slices", "gathers by index"])
@pytest.mark.benchmark(group="path maxima and their gradient, radius 10, 4 × 128²")
def test_path_max(benchmark: BenchmarkFixture, way: str) -> None:
    edges = torch.from_numpy(np.stack([boundary(128)] * 4)).requires_grad_()

    def slices() -> None:
        affinity.path_max(edges, 10).sum().backward()

    def gathers() -> None:
        flat = edges.flatten(1)
        y, x = torch.meshgrid(torch.arange(119), torch.arange(9, 119), indexing="ij")
        best = [
            torch.stack(
                [flat[:, ((y + v) * 128 + x + u).flatten()] for v, u in path], 1
            ).amax(1)
            for _, path in affinity.path_offsets(10)
        ]
        torch.stack(best).sum().backward()

    benchmark.pedantic(slices if way == "shifted slices" else gathers, rounds=3)
