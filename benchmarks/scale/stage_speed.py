"""What a CAM and a segmentation cost a film, and what each saving is worth.

    python -m benchmarks.scale.stage_speed [--size 512] [--films 8] [--turns 5]

computes maps of noise films by networks with random weights as the stages do, and as
they did: networks as they were built, the classifier asked again for its
probabilities. Both take turns, so that what else the machine does falls on each alike.
Printed are processor milliseconds a film, the ratio, and the largest difference of a
map. Reading films and writing maps is no part of it.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from napari_wsseg.cam import fusion, methods
from napari_wsseg.nn import cell_centres, classifier, segmenter
from napari_wsseg.pipeline.inference import networks, serving

Way = Callable[[Tensor], Tensor]


def heat(model: classifier.Classifier, images: Tensor) -> Tensor:
    """Return CAMs (B, K, h, w) of films and their mirror images."""
    cells = cell_centres.levels(model)[-1]
    grid = images.shape[-1] // 4
    return fusion.multi_scale(methods["cam"], model, images, cells=cells, grid=grid)


def cam_before(model: classifier.Classifier) -> Way:
    """Return a CAM after which the classifier is asked for probabilities."""

    def way(images: Tensor) -> Tensor:
        with torch.no_grad():
            found = heat(model, images)
            model(images)
            model(images.flip(-1))
        return found

    return way


def cam_now(model: classifier.Classifier) -> Way:
    """Return a CAM whose looks give the probabilities, too."""
    return torch.inference_mode()(lambda images: heat(model, images))


def segmented(model: nn.Module) -> Way:
    """Return a segmenter's probabilities of films and their mirror images."""

    def way(images: Tensor) -> Tensor:
        found: Tensor = model(images)[0] + model(images.flip(-1))[0].flip(-1)
        return (found / 2).sigmoid()

    return torch.inference_mode()(way)


def compared(ways: dict[str, Way], images: Tensor, turns: int) -> dict[str, float]:
    """Return the median processor seconds a film of ways that take turns."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(turns):
        for name, way in ways.items():
            began = time.process_time()
            way(images)
            taken[name].append((time.process_time() - began) / len(images))
    return {name: statistics.median(each) for name, each in taken.items()}


def report(stage: str, ways: dict[str, Way], images: Tensor, turns: int) -> None:
    """Print what each way costs, beside the first."""
    first, *others = [way(images) for way in ways.values()]
    off = max(float((first - other).abs().max()) for other in others)
    seconds = compared(ways, images, turns)
    before = next(iter(seconds.values()))
    for name, each in seconds.items():
        print(f"{stage:20} {name:28} {1000 * each:8.1f} ms {before / each:6.2f} x")
    print(f"{stage:20} largest difference {off:.1e}", flush=True)


def main() -> None:
    """Compare both stages of the networks that presets take."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--films", type=int, default=8)
    parser.add_argument("--turns", type=int, default=5)
    options = parser.parse_args()
    torch.manual_seed(0)
    images = torch.randn(options.films, 1, options.size, options.size)
    for arch in ("resnet18", "densenet121"):
        model = classifier.build(arch, 14).eval()
        ready = copy.deepcopy(model)
        serving.prepared(ready)
        ways = {
            "before": cam_before(model),
            "probabilities from maps": cam_now(model),
            "and prepared": cam_now(ready),
        }
        report(f"cam {arch}", ways, images, options.turns)
    for arch in segmenter.ARCHITECTURES:
        net = segmenter.build(arch, "resnet18", 14).eval()
        ways = {
            "before": segmented(net),
            "prepared": segmented(serving.prepared(copy.deepcopy(net))),
        }
        report(f"segmentation {arch}", ways, images, options.turns)
    loading(options.turns)


def loading(turns: int) -> None:
    """Print what building a network costs whose weights are loaded next."""
    spec = {"kind": "segmenter", "arch": "unet", "encoder": "resnet18"}

    def drawn(_: Tensor) -> Tensor:
        networks.build({"network": spec})
        return torch.zeros(())

    def unfilled(_: Tensor) -> Tensor:
        with serving.Unfilled():
            return drawn(_)

    seconds = compared({"drawn": drawn, "unfilled": unfilled}, torch.zeros(1), turns)
    for name, each in seconds.items():
        print(f"building a U-Net     {name:28} {1000 * each:8.1f} ms")


if __name__ == "__main__":
    main()
