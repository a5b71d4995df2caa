"""The chain from classifier to segmenter on a GPU, beside its CPU and plain loops.

    python -m benchmarks.gpu [--budget 480] [--json rows.json] [--size 512] [--films 64]

makes synthetic films, trains a classifier on them, makes its maps, draws them to edges
(CRF), lets them walk (IRNet's walk, on a drawn boundary), trains a segmenter and asks
it. Each step is done by our own parts on the device, by them on the CPU of the same
machine, and, where there is such a thing, by a plain PyTorch loop on the device, with
the same network and the same batches. Where there is no GPU the CPU does a tenth of it,
which the first line says. The plain walk takes every step.

Films a second are those of wall time after one batch to warm up; memory is the most
that torch held on a GPU, and the most that the process held on a CPU. A step that the
budget leaves no time for is named and left out.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from napari_wsseg import phantom
from napari_wsseg.cam import fusion, methods
from napari_wsseg.nn import cell_centres, classifier, losses, segmenter
from napari_wsseg.nn.normalise import normalise
from napari_wsseg.ops import affinity, crf
from napari_wsseg.pipeline.inference import serving
from trainers.engine.loop import Task, fit
from trainers.engine.recipe import Context, TrainingConfig

CPU = torch.device("cpu")
BUDGET = 480.0
SHARE = 10
"""What part of the films the CPU sees."""

DRAWN = 16
"""Films that the generator makes; more are these with noise of their own."""


@dataclass(frozen=True, slots=True)
class Films:
    """Synthetic films, what is on them, and where.

    Parameters
    ----------
    images : (N, 1, S, S) float32
        Normalised film by film.
    greys : (N, S, S) float32
        In [0, 1].
    labels : (N, K) float32
    masks : (N, K, S, S) float32
    """

    images: Tensor
    greys: Tensor
    labels: Tensor
    masks: Tensor

    def __len__(self) -> int:
        """Return how many films there are."""
        return len(self.images)

    def some(self, count: int) -> Films:
        """Return the first films, at least one."""
        return Films(*(getattr(self, name)[: max(1, count)] for name in self.__slots__))

    def to(self, device: torch.device) -> Films:
        """Return the films on a device."""
        return Films(*(getattr(self, name).to(device) for name in self.__slots__))

    def batches(self, size: int) -> Iterator[slice]:
        """Yield which films go through a network together."""
        for start in range(0, len(self), size):
            yield slice(start, start + size)


@dataclass(frozen=True, slots=True)
class Row:
    """What one way of one step took."""

    step: str
    way: str
    device: str
    films: int
    seconds: float
    peak_mib: float

    @property
    def rate(self) -> float:
        """Return films a second."""
        return self.films / max(self.seconds, 1e-9)


def films(count: int, size: int) -> Films:
    """Make films without a patient, of every finding of the generator."""
    made = [phantom.generate(seed, size=size) for seed in range(min(count, DRAWN))]
    rng = np.random.default_rng(0)
    chosen = [made[number % len(made)] for number in range(count)]
    greys = np.stack([one.pixels for one in chosen]).astype(np.float32) / 4095
    greys = (greys + rng.normal(0, 0.01, greys.shape)).clip(0, 1).astype(np.float32)
    masks = np.stack([list(one.masks.values()) for one in chosen]).astype(np.float32)
    pixels = torch.from_numpy(greys)
    drawn = torch.from_numpy(masks)
    labels = drawn.amax((-2, -1))
    return Films(normalise(pixels[:, None], "film"), pixels, labels, drawn)


Loss = Callable[[nn.Module, Films, slice], Tensor]


class Chain:
    """The steps, each as ways of doing them to films on a device.

    Parameters
    ----------
    size, findings
        Side of the films in pixels, and how many findings they have.
    batch
        Films that go through a network together.
    precision
        ``"fp32"``, or ``"bf16"`` for both trainings, ours and the plain ones.
    """

    def __init__(self, size: int, findings: int, batch: int, precision: str) -> None:
        torch.manual_seed(0)
        self.size, self.batch, self.precision = size, batch, precision
        self.classifier = classifier.build("resnet18", findings).eval()
        self.segmenter = segmenter.build("unet", "resnet18", findings).eval()
        self.heat = torch.zeros(())

    def steps(self) -> dict[str, dict[str, Callable[[Films], None]]]:
        """Return what is done, in order, and by which ways; ours is the first."""
        return {
            "train classifier": {
                "ours": lambda f: self._fit(self.classifier, _image_loss, f),
                "plain": lambda f: self._loop(self.classifier, _image_loss, f),
            },
            "cam": {"ours": self._cam, "plain": self._plain_cam},
            "crf": {"ours": self._crf},
            "walk": {"ours": self._walk, "plain": self._plain_walk},
            "train segmenter": {
                "ours": lambda f: self._fit(self.segmenter, _mask_loss, f),
                "plain": lambda f: self._loop(self.segmenter, _mask_loss, f),
            },
            "segmentation": {"ours": self._segment, "plain": self._plain_segment},
        }

    def _fit(self, model: nn.Module, loss: Loss, seen: Films) -> None:
        parts = list(seen.batches(self.batch))
        task = Task(
            model=copy.deepcopy(model),
            loss=lambda net, step, _: loss(net, seen, parts[step]),
            validate=lambda *_: {},
            steps=len(parts),
            header={},
            criterion="loss",
        )
        where = "cpu" if seen.images.device == CPU else "auto"
        config = TrainingConfig(
            device=where, precision=self.precision, average=0.0, checks=1
        )
        # No recipe: the loop asks a project for nothing.
        nowhere: Any = None
        for _ in fit(task, config, Context(nowhere, threading.Event()), alone=True):
            pass

    def _loop(self, model: nn.Module, loss: Loss, seen: Films) -> None:
        device = seen.images.device
        net = copy.deepcopy(model).to(device).train()
        optimiser = torch.optim.AdamW(net.parameters(), 1e-3, weight_decay=1e-2)
        for part in seen.batches(self.batch):
            optimiser.zero_grad(set_to_none=True)
            half = self.precision == "bf16"
            with torch.autocast(device.type, torch.bfloat16, enabled=half):
                found = loss(net, seen, part)
            found.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 5.0)
            optimiser.step()

    @torch.inference_mode()
    def _cam(self, seen: Films) -> None:
        net = copy.deepcopy(self.classifier).to(seen.images.device)
        serving.prepared(net)
        cells, grid = cell_centres.levels(net)[-1], self.size // 4
        found = [
            fusion.multi_scale(
                methods["cam"], net, seen.images[part], cells=cells, grid=grid
            )
            for part in seen.batches(self.batch)
        ]
        self.heat = _relative(torch.cat(found))

    @torch.inference_mode()
    def _plain_cam(self, seen: Films) -> None:
        net = copy.deepcopy(self.classifier).to(seen.images.device)
        for part in seen.batches(self.batch):
            images = seen.images[part]
            for looked in (images, images.flip(-1)):
                maps = net.features(looked)
                torch.einsum("kc,bchw->bkhw", net.linear.weight, maps).relu()

    def _crf(self, seen: Films) -> None:
        for heat, grey in zip(self._heats(seen, self.size), seen.greys, strict=True):
            crf.dense_crf_binary(heat, grey)

    def _walk(self, seen: Films) -> None:
        for heat, edge in zip(self._heats(seen), _edges(seen.greys), strict=True):
            affinity.random_walk(heat, edge)

    def _plain_walk(self, seen: Films) -> None:
        for heat, edge in zip(self._heats(seen), _edges(seen.greys), strict=True):
            affinity.random_walk(heat, edge, method="sparse")

    def _heats(self, seen: Films, side: int = 0) -> Tensor:
        count, device = len(seen), seen.images.device
        rows = torch.arange(count) % len(self.heat)
        heat = self.heat[rows.to(self.heat.device)].to(device)
        shape = (side, side) if side else heat.shape[-2:]
        return nn.functional.interpolate(heat, shape, mode="bilinear").clamp(0, 1)

    @torch.inference_mode()
    def _segment(self, seen: Films) -> None:
        net = copy.deepcopy(self.segmenter).to(seen.images.device)
        self._asked(serving.prepared(net), seen)

    @torch.inference_mode()
    def _plain_segment(self, seen: Films) -> None:
        self._asked(copy.deepcopy(self.segmenter).to(seen.images.device), seen)

    def _asked(self, net: nn.Module, seen: Films) -> None:
        for part in seen.batches(self.batch):
            images = seen.images[part]
            masks = net(images)[0] + net(images.flip(-1))[0].flip(-1)
            (masks / 2).sigmoid().cpu()


def _image_loss(net: nn.Module, seen: Films, part: slice) -> Tensor:
    return losses.bce(net(seen.images[part]).float(), seen.labels[part])


def _mask_loss(net: nn.Module, seen: Films, part: slice) -> Tensor:
    masks, present = net(seen.images[part])
    return losses.bce(masks.float(), seen.masks[part]) + losses.bce(
        present.float(), seen.labels[part]
    )


def _relative(heat: Tensor) -> Tensor:
    peaks = heat.amax((-2, -1), keepdim=True)
    return heat / peaks.clamp_min(torch.finfo(heat.dtype).tiny)


def _edges(greys: Tensor) -> Tensor:
    """Return boundaries (N, S / 4, S / 4): how steep the greys are."""
    small = nn.functional.avg_pool2d(greys[:, None], 4)[:, 0]
    down, across = torch.gradient(small, dim=(-2, -1))
    steep = (down.square() + across.square()).sqrt()
    return (steep / steep.amax((-2, -1), keepdim=True).clamp_min(1e-6)).clamp(0, 1)


def timed(way: Callable[[Films], None], seen: Films, batch: int) -> tuple[float, float]:
    """Return seconds that a way took, and peak MiB, after a batch to warm up."""
    way(seen.some(min(batch, len(seen))))
    device = seen.images.device
    _forget_peak(device)
    _wait(device)
    began = time.perf_counter()
    way(seen)
    _wait(device)
    return time.perf_counter() - began, _peak_mib(device)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _forget_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif sys.platform == "linux":
        Path("/proc/self/clear_refs").write_text("5")


def _peak_mib(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    if sys.platform != "linux":
        return float("nan")
    lines = Path("/proc/self/status").read_text().splitlines()
    peak = next(line for line in lines if line.startswith("VmHWM"))
    return int(peak.split()[1]) / 1024


def measured(
    chain: Chain, made: Films, device: torch.device, until: float
) -> list[Row]:
    """Return a row for every step and way that there is time for, printing each.

    Parameters
    ----------
    chain
        Whose steps are taken.
    made
        Films on the CPU.
    device
        Where ours and the plain ways are timed.
    until
        `time.monotonic` after which nothing is begun.
    """
    on_device, few = made.to(device), made.some(len(made) // SHARE)
    rows: list[Row] = []
    for step, ways in chain.steps().items():
        turns = [(way, on_device) for way in ways]
        if device != CPU:
            # After ours on the device, whose maps the next steps start from.
            turns.append(("ours", few))
        for way, seen in turns:
            where = seen.images.device.type
            if time.monotonic() > until:
                print(f"{step}, {way}, {where}: left out, the budget is spent")
                continue
            seconds, peak = timed(ways[way], seen, chain.batch)
            row = Row(step, way, where, len(seen), seconds, peak)
            rows.append(row)
            print(_line(row, rows), flush=True)
    return rows


def _line(row: Row, rows: list[Row]) -> str:
    ours = next(
        (one for one in rows if one.step == row.step and one.way == "ours"), row
    )
    ratio = "" if ours is row else f"   ours {ours.rate / row.rate:.2f} x"
    return (
        f"{row.step:17} {row.way:6} {row.device:5} {row.films:5} films "
        f"{row.rate:9.2f} films/s {row.peak_mib:8.0f} MiB{ratio}"
    )


def main(argv: list[str] | None = None) -> None:
    """Print the table, and write it where it is wanted."""
    options = _options(argv)
    until = time.monotonic() + options.budget
    gpu = torch.cuda.is_available()
    device = torch.device("cuda") if gpu else CPU
    count = options.films if gpu else max(1, options.films // SHARE)
    name = torch.cuda.get_device_name(device) if gpu else "no GPU"
    print(
        f"{name}: {count} synthetic films of {options.size} px"
        + ("" if gpu else f", on the CPU, a tenth of {options.films}"),
        flush=True,
    )
    made = films(count, options.size)
    chain = Chain(options.size, made.labels.shape[1], options.batch, options.precision)
    rows = measured(chain, made, device, until)
    if options.json:
        rates = [{**asdict(row), "films_per_second": row.rate} for row in rows]
        head = {"machine": name, "torch": torch.__version__, "size": options.size}
        options.json.write_text(json.dumps({**head, "rows": rates}, indent=1) + "\n")


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--budget", type=float, default=BUDGET, metavar="SECONDS")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--size", type=int, default=512, help="px, a multiple of 32")
    parser.add_argument("--films", type=int, default=64, help="on a GPU")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    options = parser.parse_args(argv)
    if options.size < 64 or options.size % 32:
        parser.error(f"--size is {options.size}; give a multiple of 32 from 64 on")
    if min(options.films, options.batch) < 1 or options.budget <= 0:
        parser.error("--films, --batch and --budget must be above 0")
    return options


if __name__ == "__main__":
    main()
