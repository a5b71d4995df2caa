"""How fast the walk, the CRF, growing and IRNet's step are beside what they replace.

``OMP_NUM_THREADS=2 python -m pytest -s benchmarks/test_bench_ops.py``. All ways of one
comparison take turns, so that what else the machine does falls on each alike, and
medians are compared; every line ends in a ratio. Memory is the peak of a process of its
own above what it held before. Not part of the tests: figures depend on the machine and
on what else it does.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage

sys.path.insert(0, str(Path(__file__).parent))
import _reference_irnet

from napari_wsseg.nn import irnet_loss
from napari_wsseg.nn.classifier import Classifier
from napari_wsseg.nn.irnet import IRNet
from napari_wsseg.ops import affinity, crf, pamr, scribble
from napari_wsseg.pipeline.inference.serving import native_bf16

Ways = Mapping[str, Callable[[], object]]


def take_turns(ways: Ways, rounds: int) -> dict[str, float]:
    """Return median seconds of each way, after one turn that does not count."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(rounds + 1):
        for name, way in ways.items():
            began = time.perf_counter()
            way()
            if turn:
                taken[name].append(time.perf_counter() - began)
    return {name: statistics.median(metrics) for name, metrics in taken.items()}


def show(title: str, seconds: Mapping[str, float], unit: str) -> None:
    print(f"\n{title}; {torch.get_num_threads()} threads")
    for name, median in seconds.items():
        ratio = seconds[unit] / median
        print(f"  {name:42} {1000 * median:12.2f} ms {ratio:10.2f} × {unit}")


def boundary(size: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    rough = ndimage.gaussian_filter(rng.random((size, size)), 1.5)
    rough -= rough.min()
    return ((rough / rough.max()) ** 2).astype(np.float32)


def film(size: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:size, :size] / size
    waves = 0.5 + 0.3 * np.sin(9 * x) + 0.15 * np.cos(14 * y)
    noisy = (waves + rng.normal(0, 0.015, (size, size))).clip(0, 1)
    return (noisy * 255).round().astype(np.uint8)


def heats(count: int, size: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    rough = ndimage.gaussian_filter(
        rng.random((count, size, size)), (0, *[size / 10] * 2)
    )
    rough -= rough.min((1, 2), keepdims=True)
    return (rough / rough.max((1, 2), keepdims=True)).astype(np.float32)


def walk(method: str, size: int, count: int) -> np.ndarray:
    return affinity.random_walk(heats(count, size), boundary(size), method=method)


def walks(size: int, count: int) -> Ways:
    heat, edges = heats(count, size), boundary(size)
    return {
        method: partial(affinity.random_walk, heat, edges, method=method)
        for method in ("chebyshev", "sparse")
    }


def test_walk_at_64() -> None:
    began = time.perf_counter()
    exact = walk("dense", 64, 10)
    dense = time.perf_counter() - began
    for count in (1, 10):
        seconds = {**take_turns(walks(64, count), 15), "dense, once": dense}
        show(f"walk of {count} findings at 64²", seconds, "dense, once")
    apart = np.abs(walk("chebyshev", 64, 10) - exact).max()
    print(f"  furthest from dense {apart:.1e}")
    assert apart <= 1e-4
    assert dense / seconds["chebyshev"] >= 100


def test_walk_at_128() -> None:
    """One squaring has eight products of half its size; the walk has eight of them."""
    half = torch.rand(8192, 8192)
    began = time.perf_counter()
    torch.mm(half, half)
    dense = (time.perf_counter() - began) * 8 * 8
    for count in (1, 10):
        seconds = {**take_turns(walks(128, count), 9), "dense, extrapolated": dense}
        show(f"walk of {count} findings at 128²", seconds, "dense, extrapolated")
    apart = np.abs(walk("chebyshev", 128, 10) - walk("sparse", 128, 10)).max()
    print(f"  furthest from 256 single steps {apart:.1e}")
    assert apart <= 1e-4
    assert dense / seconds["chebyshev"] >= 1000


@pytest.mark.skipif(sys.platform != "linux", reason="peaks are read from /proc")
def test_walk_memory() -> None:
    ours, dense = peak_mib("chebyshev", 64, 10), peak_mib("dense", 64, 10)
    large = peak_mib("chebyshev", 128, 10)
    print(f"\nwalk of 10 findings: 64² {ours:.0f} MiB, dense {dense:.0f} MiB;")
    print(f"  128² {large:.0f} MiB, one of its dense matrices 1024 MiB")
    assert ours <= dense / 10
    assert large <= 2 * 1024 / 10  # a squaring holds two at the least


@pytest.mark.parametrize("count", [1, 10])
def test_crf_at_512(count: int) -> None:
    densecrf = pytest.importorskip("pydensecrf.densecrf", exc_type=ImportError)
    image, heat = film(512), heats(count, 512)
    rgb = np.repeat(image[..., None], 3, axis=2)

    def theirs() -> None:
        for one in heat.clip(1e-5, 1 - 1e-5):
            solver = densecrf.DenseCRF2D(512, 512, 2)
            energy = -np.log(np.stack([1 - one, one]).reshape(2, -1))
            solver.setUnaryEnergy(np.ascontiguousarray(energy))
            solver.addPairwiseGaussian(sxy=3, compat=3)
            solver.addPairwiseBilateral(sxy=50, srgb=5, rgbim=rgb, compat=10)
            solver.inference(10)

    noisy = (image / 255 + np.random.default_rng(1).random(image.shape) / 255) / 1.01
    ways = {
        "grid, 8 bits": lambda: crf.dense_crf_binary(heat, image),
        "grid, float": lambda: crf.dense_crf_binary(heat, noisy),
        "pydensecrf": theirs,
    }
    seconds = take_turns(ways, 3)
    show(f"CRF of {count} findings at 512²", seconds, "pydensecrf")
    least = 3 if count == 10 else 1
    assert seconds["pydensecrf"] / seconds["grid, 8 bits"] >= least


def test_grow_at_512() -> None:
    graph = scribble.Graph(boundary(128))
    heat = heats(1, 128)[0]
    strokes = np.full((512, 512), scribble.NOTHING, np.uint8)
    strokes[40:56, 80:360] = scribble.OUTSIDE
    place = iter(range(10_000))

    def one_more_stroke() -> None:
        strokes[232:248, 220 + next(place)] = scribble.INSIDE
        graph.grow(strokes, heat)

    kernel, maps = pamr.Kernel(film(512)), heats(1, 512)
    # A hand paints stroke after stroke: nothing else comes between them.
    seconds = take_turns({"grow": one_more_stroke}, 50)
    ways = {
        "a film's graph": lambda: scribble.Graph(boundary(128)),
        "a film's edges": lambda: scribble.edges(film(512)),
        "PAMR": lambda: kernel.refine(maps),
        "a film's PAMR kernel": lambda: pamr.Kernel(film(512)),
    }
    seconds |= take_turns(ways, 5)
    show("while the hand paints, film of 512²", seconds, "grow")
    assert seconds["grow"] <= 0.05


@pytest.mark.parametrize(
    ("arch", "films", "side"), [("resnet18", 2, 512), ("resnet50", 2, 512)]
)
def test_irnet_step(arch: str, films: int, side: int) -> None:
    torch.manual_seed(0)
    net = IRNet(Classifier(arch, 1)).train()
    images, places = torch.rand(films, 1, side, side), side // 32
    choice = torch.tensor([0, 1, 255], dtype=torch.uint8)
    seeds = choice[torch.randint(0, 3, (films, 1, places, places))]
    seeds = seeds.repeat_interleave(8, 2).repeat_interleave(8, 3)

    def ours(displacement: bool, half: bool) -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            edge, field = net(images, displacement=displacement)
            pairs = irnet_loss.pairs(seeds, radius=10)
            loss = irnet_loss.boundary(edge, pairs).total
            if field is not None:
                loss = loss + irnet_loss.displacement(field, pairs).total
        loss.backward()

    def frozen(half: bool) -> None:
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=half):
            net.backbone.stages(images)

    reference = _reference_irnet.Step(side // 4, 10)
    ways: dict[str, Callable[[], object]] = {
        "the usual way": lambda: reference(net, images, seeds)
    }
    # Then precision=auto, the default, computes so.
    native = native_bf16(torch.device("cpu"))
    for half, name in ((False, "fp32"), (True, "bf16")):
        if native or not half:
            ways[f"ours, both branches, {name}"] = partial(ours, True, half)
            ways[f"ours, boundary alone (default), {name}"] = partial(ours, False, half)
            ways[f"the frozen backbone alone, {name}"] = partial(frozen, half)
    seconds = take_turns(ways, 3)
    show(f"IRNet step, {arch}, {films} films of {side}²", seconds, "the usual way")
    print("  the frozen backbone is the same work in all of them, and bounds the ratio")
    if native:
        default = seconds["ours, boundary alone (default), bf16"]
        assert seconds["the usual way"] / default >= 3


def peak_mib(method: str, size: int, count: int) -> float:
    """Return how far one walk raises the memory of a process that does nothing else."""
    arguments = [sys.executable, __file__, method, str(size), str(count)]
    ran = subprocess.run(arguments, capture_output=True, text=True, check=True)
    return float(json.loads(ran.stdout.splitlines()[-1]))


def _held(what: str) -> int:
    """Return ``VmRSS`` (now) or ``VmHWM`` (at most) of this process in KiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(what)).split()[1])


def _measure(method: str, size: int, count: int) -> float:
    walk(method, 8, 1)  # libraries are loaded on first use
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = _held("VmRSS")
    walk(method, size, count)
    return (_held("VmHWM") - before) / 1024


if __name__ == "__main__":
    print(json.dumps(_measure(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
