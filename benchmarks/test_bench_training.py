"""How many films a second train beside a loader that decodes them anew every time.

``OMP_NUM_THREADS=2 python -m pytest -s benchmarks/test_bench_training.py``. Both train
the same network on the same films of 1024², in turns of whole epochs; medians are
compared. The plain way decodes and changes one film after another in two workers of a
loader and computes in single precision: once as the published code does, changing a
film at its own size and scaling it last, and once scaled first. Ours is the recipe
itself, as ``wsseg train classifier`` runs it, with all it does besides: films decoded
once, a batch changed as one tensor, bf16 where the processor computes that, weights
averaged.
"""

from __future__ import annotations

import csv
import random
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter
from scipy import ndimage
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from napari_wsseg.datasets import datasets
from napari_wsseg.nn.classifier import Classifier
from napari_wsseg.phantom import generate
from trainers import configure
from trainers.engine.run import Run

FILMS, SIDE, BATCH, TURNS = 64, 1024, 16, 3
NAMES = [f"f{number:02d}.png" for number in range(FILMS)]


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make films whose greys a PNG takes as long to unpack as a radiograph's."""
    folder = tmp_path_factory.mktemp("films")
    rng = np.random.default_rng(0)
    (folder / "images").mkdir()
    with (folder / "labels.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("image", "cardiomegaly", "split"))
        for number, name in enumerate(NAMES):
            found = ["cardiomegaly"] if number % 2 else []
            small = generate(number, size=SIDE // 4, findings=found).pixels / 16
            greys = ndimage.zoom(small, 4, order=1) + rng.normal(0, 2, (SIDE, SIDE))
            picture = greys.clip(0, 255).astype(np.uint8)
            Image.fromarray(picture).save(folder / "images" / name)
            writer.writerow((name, number % 2, "train"))
    return folder


class OneByOne(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """A film is opened, scaled, turned, lit and blurred whenever it is asked for."""

    def __init__(self, folder: Path, size: int, scaled_first: bool) -> None:
        self.folder, self.size, self.scaled_first = folder, size, scaled_first

    def __len__(self) -> int:
        return FILMS

    def __getitem__(self, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        film = Image.open(self.folder / "images" / NAMES[number]).convert("L")
        if self.scaled_first:
            film = self._scaled(film)
        shift = tuple(random.uniform(-0.08, 0.08) * film.width for _ in range(2))
        film = film.rotate(
            random.uniform(-10, 10), Image.Resampling.BILINEAR, translate=shift
        )
        if random.random() < 0.15:
            film = film.filter(ImageFilter.GaussianBlur(film.width / self.size))
        film = self._scaled(film)
        greys = np.asarray(film, np.float32) / 255
        greys = greys ** random.uniform(0.7, 1.3) + random.uniform(-0.08, 0.08)
        greys += torch.randn(greys.shape).numpy() * 0.02
        greys = (greys - greys.mean()) / (greys.std() + 1e-6)
        label = torch.tensor([number % 2], dtype=torch.float32)
        return torch.from_numpy(greys.astype(np.float32))[None], label

    def _scaled(self, film: Image.Image) -> Image.Image:
        return film.resize((self.size, self.size), Image.Resampling.BILINEAR)


def plain(folder: Path, size: int, scaled_first: bool) -> Callable[[], object]:
    """Return what trains one epoch the plain way."""
    torch.manual_seed(0)
    model = Classifier("resnet18", 1, output_stride=32).train()
    optimiser = torch.optim.AdamW(model.parameters(), 1e-4)
    films = OneByOne(folder, size, scaled_first)
    loader = DataLoader(films, BATCH, shuffle=True, num_workers=2, drop_last=True)

    def epoch() -> None:
        for images, labels in loader:
            optimiser.zero_grad()
            loss = functional.binary_cross_entropy_with_logits(model(images), labels)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimiser.step()

    return epoch


def ours(project: Path, size: int) -> Callable[[], object]:
    """Return what takes a run of the recipe one epoch further."""
    settings = {
        **{"arch": "resnet18", "output_stride": 32, "size": size, "batch": BATCH},
        **{"epochs": TURNS + 2, "checks": 1, "mixup": 0.5, "weights": ""},
        **{"learning_rate": 1e-4, "device": "cpu"},
    }
    run = iter(Run.prepare("classifier", project, configure("classifier", settings)))
    steps = (event for event in run if getattr(event, "message", "") == "training")

    def epoch() -> None:
        for _ in range(FILMS // BATCH):
            next(steps)

    return epoch


@pytest.mark.parametrize("size", [96, 128])
def test_training_throughput(films: Path, tmp_path: Path, size: int) -> None:
    _through(
        datasets["folder"](
            tmp_path / "project", images=films / "images", labels=films / "labels.csv"
        )
    )
    ways = {
        "the plain way": plain(films, size, scaled_first=False),
        "scaled first": plain(films, size, scaled_first=True),
        "ours": ours(tmp_path / "project", size),
    }
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(TURNS + 1):
        for name, way in ways.items():
            began = time.perf_counter()
            way()
            if turn:  # in the first one ours decodes, the others start up
                taken[name].append(time.perf_counter() - began)
    seconds = {name: statistics.median(times) for name, times in taken.items()}
    print(
        f"\nResNet-18 at {size}², films of {SIDE}²; {torch.get_num_threads()} threads"
    )
    for name, median in seconds.items():
        ratio = seconds["the plain way"] / median
        print(f"  {name:20} {FILMS / median:8.1f} films/s {ratio:8.2f} × the plain way")
    assert seconds["the plain way"] / seconds["ours"] >= 3


def _through(steps: Iterator[object]) -> None:
    for _ in steps:
        pass
