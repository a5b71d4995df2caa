"""What ten Grad-CAM++ maps cost beside one forward pass, and beside pytorch-grad-cam.

``OMP_NUM_THREADS=2 python -m pytest -s benchmarks/test_bench_cam.py``. A DenseNet-121
of ten findings sees one film of 320². All ways take turns, so that what else the
machine does falls on each alike, and medians are compared. Memory is the peak of a
process of its own above what it held before. Not part of the tests: figures depend on
the machine and on what else it does.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from pytorch_grad_cam import GradCAMPlusPlus
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

from napari_wsseg.cam import fusion, methods
from napari_wsseg.cam.level import AtLevel
from napari_wsseg.nn.classifier import Classifier, build

FINDINGS, SIZE, ROUNDS = 10, 320, 7

FORWARD, OURS, PEER = "one forward", "ten maps", "pytorch-grad-cam's ten maps"
LEVEL_4, FUSED = "ten LayerCAMs of level 4", "ten of levels 3 + 4 + 5"

Way = Callable[[Classifier, torch.Tensor], object]


def forward(net: Classifier, film: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return net(film)


def ours(net: Classifier, film: torch.Tensor) -> torch.Tensor:
    return methods["grad-cam++"](net, film)


def peer(net: Classifier, film: torch.Tensor) -> list[object]:
    with GradCAMPlusPlus(net, [net.backbone.features.norm5]) as cam:
        return [cam(film, [ClassifierOutputTarget(k)]) for k in range(FINDINGS)]


def level_4(net: Classifier, film: torch.Tensor) -> torch.Tensor:
    return methods["layer-cam"](AtLevel(net, 4), film)


def fused(net: Classifier, film: torch.Tensor) -> torch.Tensor:
    return fusion.multi_level(net, film, flip=False)


WAYS: dict[str, Way] = {
    FORWARD: forward,
    OURS: ours,
    LEVEL_4: level_4,
    FUSED: fused,
    PEER: peer,
}


def subject() -> tuple[Classifier, torch.Tensor]:
    torch.manual_seed(0)
    net = build("densenet121", FINDINGS, output_stride=32).eval()
    return net, torch.rand(1, 1, SIZE, SIZE)


def seconds(way: Way, net: Classifier, film: torch.Tensor) -> float:
    began = time.perf_counter()
    way(net, film)
    return time.perf_counter() - began


def medians(names: list[str], rounds: int) -> dict[str, float]:
    """Return each way's median seconds, of turns taken one after another."""
    net, film = subject()
    taken: dict[str, list[float]] = {name: [] for name in names}
    for way in (WAYS[name] for name in names):
        way(net, film)
    for _ in range(rounds):
        for name in names:
            taken[name].append(seconds(WAYS[name], net, film))
    return {name: statistics.median(metrics) for name, metrics in taken.items()}


def report(metrics: dict[str, float], unit: str) -> dict[str, float]:
    """Print figures and how many forwards each is; return the latter."""
    print()
    times = {name: value / metrics[FORWARD] for name, value in metrics.items()}
    for name, value in metrics.items():
        print(f"{name:28} {value:9.1f} {unit} {times[name]:7.2f} forwards")
    return times


@pytest.mark.timeout(0)
@pytest.mark.parametrize(
    ("names", "rounds"),
    [([FORWARD, OURS], 15), ([FORWARD, OURS, PEER], 5), ([FORWARD, LEVEL_4, FUSED], 3)],
    ids=["forward", "peer", "earlier levels"],
)
def test_time(names: list[str], rounds: int) -> None:
    print(f"\n{torch.get_num_threads()} threads, medians of {rounds} turns", end="")
    taken = {name: 1000 * value for name, value in medians(names, rounds).items()}
    assert report(taken, "ms").get(OURS, 0) <= 1.5


def peak_mib(name: str) -> float:
    """Return how far one way raises the memory of a process that does nothing else."""
    ran = subprocess.run(
        [sys.executable, __file__, name], capture_output=True, text=True, check=True
    )
    return float(json.loads(ran.stdout.splitlines()[-1]))


@pytest.mark.timeout(0)
@pytest.mark.skipif(sys.platform != "linux", reason="peaks are read from /proc")
def test_memory() -> None:
    assert report({name: peak_mib(name) for name in WAYS}, "MiB")[OURS] <= 1.5


def _held(what: str) -> int:
    """Return ``VmRSS`` (now) or ``VmHWM`` (at most) of this process in KiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(what)).split()[1])


def _measure(name: str) -> float:
    net, film = subject()
    forward(net, film[..., :64, :64])  # libraries are loaded on first use
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = _held("VmRSS")
    WAYS[name](net, film)
    return (_held("VmHWM") - before) / 1024


if __name__ == "__main__":
    print(json.dumps(_measure(sys.argv[1])))
