"""Accepted masks to look at again: those that the last stage finds least likely.

A mask's quality is the soft minimum, over pixels, of how likely the stage makes what
the reader decided there (Lad and Mueller, "Estimating label quality and errors in
semantic segmentation data via any model", 2023): a few pixels that are surely wrong
count for more than many that are a little unsure.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_wsseg.io.project import Project
from napari_wsseg.ops import masks
from napari_wsseg.ops.tally import Overlap
from napari_wsseg.pipeline.ordering import film_views
from napari_wsseg.schema import ACCEPTING, Mask

TEMPERATURE = 0.1
"""Of the soft minimum, as in the paper: the smaller, the nearer to the minimum."""

RULE = (
    "Quality is the soft minimum over pixels of the likelihood of the mask under the "
    "last stage in use, 0 to 1. A low one asks for a second look and is no verdict: a "
    "stage that was trained with these masks finds them likely, right or wrong."
)


@dataclass(frozen=True, slots=True)
class Quality:
    """How likely one accepted mask is.

    Parameters
    ----------
    quality
        As `quality_of`.
    dice
        To the draft of the same stage, with gates opened and shut by known labels.
    stage
        Which one.
    """

    case: str
    finding: str
    quality: float
    dice: float
    stage: str


def accepted(project: Project) -> list[Quality]:
    """Return every accepted mask that counts, the least likely first.

    Films whose verdict is not to accept, and those that no stage has seen, are left
    out; so are findings with neither a mask nor a draft.

    Parameters
    ----------
    project
        Open. The maps of the runs in use are read, one film at a time.

    Raises
    ------
    DataError
        A mask or a file of maps is damaged.
    """
    return sorted(_each(project), key=lambda one: one.quality)


def quality_of(mask: Mask, score: NDArray[np.float32]) -> float:
    """Return the soft minimum of a mask's likelihood, 0 to 1.

    Parameters
    ----------
    mask : (h, w) bool
    score : (h, w) in [0, 1]
        The probability of the finding; what is cut at the threshold stands at 0.5.
    """
    likely = np.where(mask, score, 1 - score).astype(float)
    weights = np.exp((likely.min() - likely) / TEMPERATURE)
    return float((weights * likely).sum() / weights.sum())


def _each(project: Project) -> Iterator[Quality]:
    verdicts = project.decisions()
    films = [c for c, one in verdicts.items() if one.verdict in ACCEPTING]
    findings = [finding.name for finding in project.findings]
    for case, seen in film_views.views(project, films):
        stage = seen.last
        drawn = project.expert_masks(case.id)
        for k, name in enumerate(findings):
            draft, score = seen.masks[stage][k], seen.scores[stage][k]
            given = drawn.get(name)
            mask = (
                np.zeros(draft.shape, bool)
                if given is None
                else masks.nearest(given, draft.shape)
            )
            if mask.any() or draft.any():
                yield Quality(
                    *(case.id, name, quality_of(mask, score)),
                    *(Overlap.between(draft, mask).dice, stage),
                )
