"""The anatomy stage: heart, lungs and the rest, on any film, without training.

Its weights come with the program; a run of the recipe ``anatomy`` may replace them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_wsseg.io import checkpoints, runs
from napari_wsseg.io.anatomy import SHIPPED, run_in_use
from napari_wsseg.io.project import Project
from napari_wsseg.nn.anatomy import build
from napari_wsseg.pipeline.inference import networks
from napari_wsseg.pipeline.inference.serving import Unfilled
from napari_wsseg.pipeline.inference.work import Work
from napari_wsseg.schema import Case, StageMaps

__all__ = ["SHIPPED", "WEIGHTS", "maps", "probabilities", "run_in_use", "shipped"]

WEIGHTS = Path(__file__).with_name("anatomy.safetensors")
"""What comes with the program; ``anatomy.md`` beside it says how it was made."""

ZOOMS = (0.85, 1.0, 1.15)
"""Sizes at which a film is looked at; what is drawn is averaged."""


def shipped(device: torch.device | None = None) -> tuple[nn.Module, dict[str, Any]]:
    """Return the network that comes with the program, in eval mode, and its header."""
    header, halves = checkpoints.read(WEIGHTS)
    with Unfilled():
        network = build(int(header["network"]["n_structures"]))
    network.load_state_dict(halves)  # which copies half precision into single
    return network.eval().to(device or torch.device("cpu")), header


def network_in_use(project: Project) -> tuple[nn.Module, dict[str, Any], str]:
    """Return the network of the run in use, its header, and the run.

    Where that run has none, its masks being somebody else's, the one that comes with
    the program.
    """
    run = run_in_use(project)
    if run != SHIPPED and runs.find(project.folder, run).best.exists():
        network, header = networks.load(project.folder, run)
        if header["network"]["kind"] == "anatomy":
            return network, header, run
    return *shipped(), SHIPPED


@torch.inference_mode()
def maps(work: Work, batch: list[Case]) -> Iterator[StageMaps]:
    """Find every structure on films, of any label and none."""
    found = probabilities(work.model, work.input(batch)).cpu().numpy()
    present = np.ones(found.shape[1], np.float32)
    for score in found:
        yield StageMaps(score=score.astype(np.float32), present=present)


@torch.inference_mode()
def probabilities(model: nn.Module, images: Tensor) -> Tensor:
    """Return what a network finds (B, K, S, S) in normalised films (B, 1, S, S)."""
    size = list(images.shape[-2:])
    total = torch.zeros(())
    for zoom in ZOOMS:
        shape = [max(32, round(side * zoom / 32) * 32) for side in size]
        scaled = functional.interpolate(
            images, shape, mode="bilinear", align_corners=False, antialias=zoom < 1
        )
        logits = functional.interpolate(
            model(scaled).float(), size, mode="bilinear", align_corners=False
        )
        total = total.to(logits) + logits.sigmoid() / len(ZOOMS)
    return total
