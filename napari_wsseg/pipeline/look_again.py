"""Accepted masks to look at again: those that are least as they could be expected.

With few masks, or where that says no more, those that the last stage finds least
likely.

A mask's quality is the soft minimum, over pixels, of how likely the stage makes what
the reader decided there (Lad and Mueller, "Estimating label quality and errors in
semantic segmentation data via any model", 2023): a few pixels that are surely wrong
count for more than many that are a little unsure.

From enough masks a project learns how far readers go from drafts like this one: a ridge
regression of the Dice of draft and mask on what the maps say of the draft. A mask that
is further from its draft than that comes first. Each film is told by the others alone
(leave one out), and where that is hardly nearer than their mean, it is not used.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_wsseg.io.project import Project
from napari_wsseg.ops import masks
from napari_wsseg.ops.tally import Overlap
from napari_wsseg.pipeline.ordering import film_views
from napari_wsseg.schema import ACCEPTING, Mask

ENOUGH = 20
"""Masks, with drafts, from which on the Dice to expect is learnt."""

BETTER = 0.9
"""Share of the mean's error that the regression's must be under; chance is not."""

RIDGE = 1.0
"""Weight of the squared coefficients, of features of mean 0 and variance 1."""

TEMPERATURE = 0.1
"""Of the soft minimum, as in the paper: the smaller, the nearer to the minimum."""

RULE = (
    "Quality is the soft minimum over pixels of the likelihood of the mask under the "
    "last stage in use, 0 to 1. A low one asks for a second look and is no verdict: a "
    "stage that was trained with these masks finds them likely, right or wrong."
)

LEARNED_RULE = (
    "First come masks that are further from the draft of the last stage than readers "
    "of this project went from drafts like it: a ridge regression of Dice on how "
    "unsure the outline is, how far stages differ, the draft's area and its own "
    "likelihood. It asks for a second look and is no verdict."
)

Features = NDArray[np.float64]
"""(4,): see `LEARNED_RULE`."""


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
    expected
        The Dice that drafts like this one let expect, where that could be learnt.
    """

    case: str
    finding: str
    quality: float
    dice: float
    stage: str
    expected: float | None = None

    @property
    def doubt(self) -> float:
        """What masks are ordered by, the highest first: 1 at most."""
        if self.expected is None:
            return 1 - self.quality
        return self.expected - self.dice


@dataclass(frozen=True, slots=True)
class Learned:
    """What was learnt from a project's own drafts and masks.

    Parameters
    ----------
    pairs
        Masks with a draft.
    error
        Mean error of the Dice expected, each told by the others alone.
    plain_error
        The same of the others' mean.
    """

    pairs: int
    error: float
    plain_error: float

    @property
    def helps(self) -> bool:
        """Whether it tells more than the mean does."""
        return self.pairs >= ENOUGH and self.error < BETTER * self.plain_error


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
    return look(project)[0]


def look(project: Project) -> tuple[list[Quality], Learned]:
    """Return the same, and what was learnt from the project's drafts and masks.

    Where that does not help, masks have no Dice to expect, and the least likely come
    first.
    """
    every = list(_each(project))
    pairs = [place for place, (_, features) in enumerate(every) if features is not None]
    known = np.array([every[place][1] for place in pairs], float).reshape(-1, 4)
    dices = np.array([every[place][0].dice for place in pairs])
    expected, learned = expect(known, dices)
    found = [one for one, _ in every]
    if learned.helps:
        for place, value in zip(pairs, expected, strict=True):
            found[place] = replace(found[place], expected=float(value.clip(0, 1)))
    # Of a mask without a draft there is nothing to expect.
    by_doubt = sorted(found, key=lambda one: -one.doubt)
    return sorted(by_doubt, key=lambda one: one.expected is None), learned


def expect(
    features: NDArray[np.float64], dices: NDArray[np.float64]
) -> tuple[NDArray[np.float64], Learned]:
    """Return the Dice to expect of each draft, from the others, and how well that goes.

    Parameters
    ----------
    features : (N, F)
    dices : (N,) in [0, 1]

    Returns
    -------
    expected : (N,)
        By a ridge regression that has not seen the row; NaN for fewer than 3 rows.
    learned : Learned
    """
    count = len(dices)
    if count < 3:
        return np.full(count, np.nan), Learned(count, np.nan, np.nan)
    spread = features.std(0)
    rows = (features - features.mean(0)) / np.where(spread > 0, spread, 1)
    design = np.column_stack([np.ones(count), rows])
    weight = np.diag([0.0, *[RIDGE] * rows.shape[1]])
    hat = design @ np.linalg.solve(design.T @ design + weight, design.T)
    # What a row is away from a fit without it, without fitting again (PRESS).
    away = (dices - hat @ dices) / (1 - np.diag(hat))
    plain = (dices - dices.mean()) * count / (count - 1)
    errors = float(np.abs(away).mean()), float(np.abs(plain).mean())
    return dices - away, Learned(count, *errors)


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


def _each(project: Project) -> Iterator[tuple[Quality, Features | None]]:
    """Yield every accepted mask, and what its draft was like if there is one."""
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
                quality = Quality(
                    *(case.id, name, quality_of(mask, score)),
                    *(Overlap.between(draft, mask).dice, stage),
                )
                yield quality, _features(seen, k) if draft.any() else None


def _features(seen: film_views.Views, k: int) -> Features:
    """Return what the maps say of a finding's draft, before a reader has seen it."""
    draft, score = seen.masks[seen.last][k], seen.scores[seen.last][k]
    one = replace(seen, asked=(k,))
    return np.array(
        [
            film_views.outline_doubt(one),
            film_views.stage_disagreement(one),
            np.log(draft.mean()),
            quality_of(draft, score),
        ]
    )
