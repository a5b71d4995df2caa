"""CAM, CRF and walk of films at 512 px, beside the way they are done elsewhere.

    pip install grad-cam pydensecrf2
    python -m benchmarks.scale.peer_chain [--films 20] [--size 512] [--findings 2]

Elsewhere is: pytorch-grad-cam's Grad-CAM, a call for each finding; pydensecrf, two
passes for each finding with irn's settings; irn's walk, 2⁸ steps on a quarter of the
film, radius 5, paths' maxima by index tables as irn has them. irn squares the full
matrix of (128²)² numbers eight times, which is for a GPU: here every step is taken with
a sparse one, which is the same walk and far less work. Ours looks at the mirrored film
as well, as it does by default; elsewhere one look is taken. One network with random
weights and one synthetic film after another are given to both in turns. Printed are
processor seconds and seconds by the clock a film, and their ratios.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import pydensecrf.densecrf as dcrf
import torch
from numpy.typing import NDArray
from pydensecrf.utils import unary_from_labels
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from scipy import sparse

from napari_wsseg import phantom
from napari_wsseg.cam import fusion, methods
from napari_wsseg.nn import cell_centres, classifier
from napari_wsseg.nn.normalise import normalise
from napari_wsseg.ops import affinity, seeds
from napari_wsseg.pipeline.inference import scorers, serving
from napari_wsseg.pipeline.inference.work import resized

RADIUS, BETA, STEPS = 5, 10.0, 256
STEPS_NAMES = ("cam", "crf", "walk")
R = TypeVar("R")
Map = NDArray[np.float32]


@dataclass(slots=True)
class Spent:
    """Processor seconds and seconds by the clock, by step."""

    processor: dict[str, float] = field(default_factory=dict)
    wall: dict[str, float] = field(default_factory=dict)

    def timed(self, step: str, action: Callable[[], R]) -> R:
        """Do something, and add what it took."""
        began, clock = time.process_time(), time.perf_counter()
        found = action()
        for taken, seconds in (
            (self.processor, time.process_time() - began),
            (self.wall, time.perf_counter() - clock),
        ):
            taken[step] = taken.get(step, 0.0) + seconds
        return found


class Ours:
    """The parts of this program."""

    def __init__(self, model: classifier.Classifier, findings: int) -> None:
        self.model = serving.prepared(model)

    @torch.inference_mode()
    def cam(self, film: torch.Tensor) -> Map:
        """Return heat (K, S / 4, S / 4) by the film and its mirror image."""
        heat = fusion.multi_scale(
            methods["cam"],
            self.model,
            film,
            cells=cell_centres.levels(self.model)[-1],
            grid=film.shape[-1] // 4,
        )
        return seeds.normalise(heat.numpy())[0]

    def crf(self, heat: Map, grey: Map) -> Map:
        """Return probabilities by two passes for each finding."""
        return scorers.crf_seeds(resized(heat, len(grey)), grey)[0]

    @torch.inference_mode()
    def walk(self, heat: Map, edge: Map) -> Map:
        """Return heat that walked."""
        return affinity.random_walk(heat, edge, radius=RADIUS, beta=BETA, steps=STEPS)


class Elsewhere:
    """The parts that others use."""

    def __init__(self, model: classifier.Classifier, findings: int) -> None:
        self.cams = GradCAM(model, [model.backbone.layer4])
        self.findings = findings

    def cam(self, film: torch.Tensor) -> Map:
        """Return heat (K, S, S), a call for each finding."""
        return np.stack(
            [
                self.cams(film, [ClassifierOutputTarget(k)])[0]
                for k in range(self.findings)
            ]
        )

    def crf(self, heat: Map, grey: Map) -> Map:
        """Return probabilities as irn's ``crf_inference_label``, twice a finding."""
        image = np.ascontiguousarray(
            np.repeat((grey[..., None] * 255).astype(np.uint8), 3, -1)
        )
        found = []
        for one in heat:
            for cut in (seeds.FOREGROUND, seeds.BACKGROUND):
                labels = (one >= cut).astype(np.int32)
                field_ = dcrf.DenseCRF2D(*reversed(grey.shape), 2)
                field_.setUnaryEnergy(
                    unary_from_labels(labels, 2, gt_prob=0.7, zero_unsure=False)
                )
                field_.addPairwiseGaussian(sxy=3, compat=3)
                field_.addPairwiseBilateral(sxy=50, srgb=5, rgbim=image, compat=10)
                both = np.array(field_.inference(10)).reshape(2, *grey.shape)
            found.append(both[1])
        return np.stack(found)

    def walk(self, heat: Map, edge: Map) -> Map:
        """Return heat that walked, step by step."""
        matrix = transitions(edge)
        side = edge.shape[0]
        small = resized(heat, side) * (1 - edge)
        walked = small.reshape(len(small), -1).T
        for _ in range(STEPS):
            walked = matrix @ walked
        return walked.T.reshape(small.shape)


def transitions(edge: Map) -> sparse.csr_matrix:
    """Return irn's random walk as a sparse matrix, each row a mean."""
    side, reach = edge.shape[0], RADIUS - 1
    padded = np.pad(edge, reach, constant_values=1.0)
    grid = np.arange(padded.size).reshape(padded.shape)
    inside = grid[reach:-reach, reach:-reach].ravel()
    place = np.full(padded.size, -1)
    place[inside] = np.arange(side * side)
    flat = padded.ravel()
    rows, columns, values = [], [], []
    for (down, across), path in affinity.path_offsets(RADIUS):
        steps = [inside + dy * padded.shape[1] + dx for dy, dx in path]
        affine = (1 - np.max(flat[np.stack(steps)], axis=0)) ** BETA
        target = place[inside + down * padded.shape[1] + across]
        known = target >= 0
        rows.append(np.flatnonzero(known))
        columns.append(target[known])
        values.append(affine[known])
    half = sparse.coo_matrix(
        (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))),
        shape=(side * side, side * side),
    ).tocsr()
    symmetric = half + half.T + sparse.identity(side * side, format="csr")
    return (
        (sparse.diags(1 / symmetric.sum(1).A1) @ symmetric).tocsr().astype(np.float32)
    )


def boundary(grey: Map) -> Map:
    """Return how steep a quarter of the film is, in [0, 1]: where an IRNet would be."""
    side = len(grey) // 4
    down, across = np.gradient(resized(grey[None], side)[0])
    steep = np.hypot(down, across)
    return (steep / steep.max()).astype(np.float32)


def chain(way: Ours | Elsewhere, grey: Map, spent: Spent) -> tuple[Map, Map]:
    """Take one film through the chain; return its CRF's maps and what walked."""
    film = normalise(torch.from_numpy(grey)[None, None], "film")
    heat = spent.timed("cam", lambda: way.cam(film))
    refined = spent.timed("crf", lambda: way.crf(heat, grey))
    return refined, spent.timed("walk", lambda: way.walk(heat, boundary(grey)))


def main() -> None:
    """Print what both take."""
    options = _options()
    torch.manual_seed(0)
    model = classifier.build("resnet18", options.findings).eval()
    plain = classifier.build("resnet18", options.findings).eval()
    plain.load_state_dict(model.state_dict())
    ways = {
        "elsewhere": Elsewhere(plain, options.findings),
        "ours": Ours(model, options.findings),
    }
    spent = {name: Spent() for name in ways}
    edge = boundary(phantom.generate(0, size=options.size).pixels.astype(np.float32))
    heat = np.random.default_rng(0).random((2, *edge.shape)).astype(np.float32)
    apart = np.abs(
        ways["ours"].walk(heat, edge) - ways["elsewhere"].walk(heat, edge)
    ).max()
    print(f"walks of the same heat differ by {apart:.1e} at most", flush=True)
    for number in range(options.films + 1):
        grey = (phantom.generate(number, size=options.size).pixels / 4095).astype(
            np.float32
        )
        for name, way in ways.items():
            # The first film warms up.
            chain(way, grey, spent[name] if number else Spent())
    for step in (*STEPS_NAMES, "chain"):
        for name in ways:
            took, before = (
                _a_film(spent[w], step, options) for w in (name, "elsewhere")
            )
            ratios = [each / other for each, other in zip(before, took, strict=True)]
            print(
                f"{step:6} {name:10} {took[0]:8.2f} s of processor {took[1]:8.2f} s by "
                f"the clock a film, {ratios[0]:6.1f} x {ratios[1]:6.1f} x"
            )


def _a_film(
    spent: Spent, step: str, options: argparse.Namespace
) -> tuple[float, float]:
    steps = STEPS_NAMES if step == "chain" else (step,)
    processor = sum(spent.processor[each] for each in steps)
    wall = sum(spent.wall[each] for each in steps)
    return processor / options.films, wall / options.films


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--films", type=int, default=20)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--findings", type=int, default=2)
    return parser.parse_args()


if __name__ == "__main__":
    main()
