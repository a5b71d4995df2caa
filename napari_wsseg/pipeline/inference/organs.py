"""Findings that are an organ grown too large, drawn by two networks together.

The anatomy stage has learnt synthetic chests, a segmenter the films of the project.
They err in different places, and their mean is nearer than either.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from skimage.morphology import convex_hull_image
from torch import Tensor, nn
from torch.nn import functional

from napari_wsseg.io import stages
from napari_wsseg.io.project import Project
from napari_wsseg.ops.masks import keep_largest
from napari_wsseg.pipeline.inference.places import structures_of
from napari_wsseg.pipeline.inference.work import resized
from napari_wsseg.schema import ANATOMY, Case

Map = NDArray[np.float32]

ZOOMS = (0.75, 1.0, 1.25)
"""Sizes at which a segmenter looks at a film for an organ."""

_DRAWN = 0.5


@torch.inference_mode()
def segmented(
    model: nn.Module,
    images: Tensor,
    cases: Sequence[Case],
    project: Project,
    findings: Sequence[str],
    *,
    flip: bool,
    run: str,
) -> Map:
    """Return a segmenter's probabilities (B, K, S, S), of organs joined with anatomy's.

    Parameters
    ----------
    model, cases, project
        The segmenter, the films, and their project, open.
    images : (B, C, S, S)
        Of the `cases`, as the network is used to them.
    findings
        K names, in the order of its outputs.
    flip
        Whether mirrored films are asked about, too.
    run
        Of the stage anatomy, which has seen the films; empty: no organ is joined.
    """
    organs = structures_of(project) if run else {}
    numbers = {k: organs[name] for k, name in enumerate(findings) if name in organs}
    seen = model(images)[0]
    masks = seen
    if flip and len(numbers) < len(findings):
        masks = (seen + model(images.flip(-1))[0].flip(-1)) / 2
    scores = masks.sigmoid().float().cpu().numpy()
    if not numbers:
        return np.asarray(scores)
    zoomed = _zoomed(model, images, seen).cpu().numpy()
    for k in numbers:
        scores[:, k] = zoomed[:, k]
    each = zip(cases, scores, strict=True)
    return np.stack(
        [joined(project, case, one, run=run, structures=numbers) for case, one in each]
    )


def _zoomed(model: nn.Module, images: Tensor, seen: Tensor) -> Tensor:
    """Return a segmenter's probabilities (B, K, S, S), mean over `ZOOMS`.

    `seen` are its logits of the images as they are.
    """
    size = list(images.shape[-2:])
    total = torch.zeros(())
    for zoom in ZOOMS:
        shape = [max(32, round(side * zoom / 32) * 32) for side in size]
        logits = seen if shape == size else model(_scaled(images, shape, zoom))[0]
        found = functional.interpolate(
            logits.float().sigmoid(), size, mode="bilinear", align_corners=False
        )
        total = total.to(found) + found / len(ZOOMS)
    return total


def _scaled(images: Tensor, shape: list[int], zoom: float) -> Tensor:
    return functional.interpolate(
        images, shape, mode="bilinear", align_corners=False, antialias=zoom < 1
    )


def joined(
    project: Project,
    case: Case,
    score: Map,
    *,
    run: str,
    structures: Mapping[int, Sequence[str]],
) -> Map:
    """Return a segmenter's maps, those of organs joined with the anatomy stage's.

    Each is the mean of both, its outline without dents where no lung is: organs bulge.

    Parameters
    ----------
    project
        Open.
    case
        A film, which the anatomy stage has seen; else the maps stay as they are.
    score : (K, S, S) in [0, 1]
    run
        Of the stage anatomy.
    structures
        Number of a finding to the structures that it is an enlargement of.
    """
    maps = stages.read(project.folder, ANATOMY, run, case.id)
    settings = stages.read_settings(project.folder, ANATOMY, run)
    if maps is None or settings is None:
        return score
    size = score.shape[-1]
    found = dict(zip(settings.findings, resized(maps.score, size), strict=True))
    lungs = np.maximum(found["left_lung"], found["right_lung"]) >= _DRAWN
    score = score.copy()
    for k, names in structures.items():
        organ = np.maximum.reduce([found[name] for name in names])
        score[k] = _without_dents((score[k] + organ) / 2, lungs)
    return score


def _without_dents(score: Map, lungs: NDArray[np.bool_]) -> Map:
    drawn = keep_largest(score >= _DRAWN)
    if not drawn.any():
        return score
    filled = np.asarray(convex_hull_image(drawn), bool) & (drawn | ~lungs)
    # A softened mask is at one half on its outline.
    soft = ndimage.gaussian_filter(filled.astype(np.float32), 1.0)
    return np.asarray(np.maximum(score, soft), np.float32)
