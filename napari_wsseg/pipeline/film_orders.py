"""Which film to read next: orders by what the maps on disk say, without a network.

Every order ranks the films that may hold a finding, and mixes in one negative film,
drawn by chance, after every two of them, so that orders differ in nothing else. None of
them has been shown to beat `random` on chest films: it is the default.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, islice, pairwise
from statistics import median
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_wsseg import pipeline
from napari_wsseg.io import stages
from napari_wsseg.io.index.effort import newest
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import UsageError
from napari_wsseg.ops import geometry, seeds
from napari_wsseg.ops.tally import Overlap
from napari_wsseg.pipeline.agreement import FINISHED
from napari_wsseg.schema import STAGES, Case, Mask, StageMaps, StageSettings

ORDERS: Mapping[str, str] = {
    "random": "by chance, a third of them negative: what every other is compared with",
    "outline": "where the draft is least sure of its outline",
    "disagreement": "where the stages differ most about the mask",
    "clasp": "finding by finding, by chance at first and by uncertainty later",
    "diverse": "as different as the classifier's maps can tell: for the first films",
}
"""Name to what comes first."""

DEFAULT = "random"

SIDE = 128
"""Longest side, in cells, of the grid on which maps are compared."""

BAND = 3
"""Cells on either side of an outline in which its draft is asked how sure it is."""

CLUSTERS = 16
"""Films that `diverse` puts first, no two of one cluster."""

_GREEDY_AFTER = 64
"""Films that are read when `clasp` has become greedy."""

_Item = TypeVar("_Item")

_FEW = 5
"""Efforts below which no expected seconds are told."""


@dataclass(frozen=True, eq=False)
class Views:
    """What the stages in use say of one film, on a grid of `SIDE` cells.

    Parameters
    ----------
    masks
        Stage to (K, h, w) bool, its drafts with gates opened and shut by known labels.
    scores
        Stage to (K, h, w) float32 in [0, 1], so bent that its threshold is at 0.5.
    asked
        Places of findings that the film is labelled with, or that a stage marks.
    """

    masks: Mapping[str, NDArray[np.bool_]]
    scores: Mapping[str, NDArray[np.float32]]
    asked: tuple[int, ...]

    @property
    def last(self) -> str:
        """The last stage that has seen the film."""
        return [*self.masks][-1]


def ranked(
    project: Project,
    order: str = DEFAULT,
    *,
    case_ids: Sequence[str],
    seed: int = 0,
) -> list[str]:
    """Return films in one of `ORDERS`, the one to read first at the front.

    Parameters
    ----------
    project
        Open. The maps of the runs in use are read, one film at a time.
    order
        One of `ORDERS`. Where its maps are not there, it is `random`.
    case_ids
        Films to be ranked, each once.
    seed
        Of all chance; the same seed gives the same order.

    Returns
    -------
    list
        Every id of `case_ids`.

    Raises
    ------
    UsageError
        There is no such order.
    DataError
        A file of maps is damaged.
    """
    if order not in ORDERS:
        raise UsageError(f"no order {order!r}; there are: {', '.join(ORDERS)}")
    rng = np.random.default_rng(seed)
    shuffled = [case_ids[place] for place in rng.permutation(len(case_ids))]
    negative = _negatives(project)
    first = [one for one in shuffled if one not in negative]
    return mixed(
        _RANKS[order](project, first, rng), [one for one in shuffled if one in negative]
    )


def mixed(positives: Sequence[str], negatives: Sequence[str]) -> list[str]:
    """Return two of the first, one of the second, and so on until both are used up."""
    left, found = iter(negatives), list[str]()
    for number, one in enumerate(positives, 1):
        found.append(one)
        if number % 2 == 0:
            found += islice(left, 1)
    return [*found, *left]


def by_chance_because(project: Project, order: str) -> str:
    """Return why an order is `random` in this project so far, empty if it is not."""
    runs = project.runs_in_use()
    if order == "diverse" and "cam" not in runs:
        return "no classifier is in use yet, so films come by chance"
    if order in ("outline", "clasp") and not runs:
        return "no stage has run yet, so films come by chance"
    if order == "disagreement" and len(runs) < 2:
        return "fewer than two stages have run, so films come by chance"
    return ""


def unread(project: Project, split: str | None = "train") -> list[str]:
    """Return films of a split on which nobody has a final verdict, by their files."""
    done = {c for c, d in project.decisions().items() if d.verdict in FINISHED}
    return [one for one in project.case_ids(split) if one not in done]


def expected_seconds(project: Project) -> Callable[[Case], float]:
    """Return how long a film may take, from those that were read; else 1 for each.

    It is the median of active seconds of films with as many findings, and of all films
    where fewer than five were read.
    """
    found: dict[int, list[float]] = {}
    for one in newest(project.work_log.efforts()).values():
        found.setdefault(_n_findings(project.case(one.case)), []).append(one.seconds)
    every = [seconds for group in found.values() for seconds in group if seconds > 0]
    usual = median(every) if len(every) >= _FEW else 1.0
    by_number = {
        number: max(median(group), 1.0)
        for number, group in found.items()
        if len(group) >= _FEW
    }
    return lambda case: by_number.get(_n_findings(case), usual)


# What a film is asked ---------------------------------------------------------------


def outline_doubt(views: Views) -> float:
    """Return how unsure the last stage is near its outlines: 0 sure, 1 not at all.

    The mean binary entropy within `BAND` cells of the draft's outline, of the finding
    where it is highest. A film that is labelled with a finding of which there is no
    draft is as unsure as can be.
    """
    scores, masks = views.scores[views.last], views.masks[views.last]
    doubts = [_near_outline(scores[k], masks[k]) for k in views.asked]
    return max(doubts, default=0.0)


def stage_disagreement(views: Views) -> float:
    """Return 1 − the mean Dice of every two stages, of the finding with the most."""
    pairs = list(combinations(views.masks.values(), 2))
    found = [
        1 - float(np.mean([Overlap.between(a[k], b[k]).dice for a, b in pairs]))
        for k in views.asked
        if pairs
    ]
    return max(found, default=0.0)


def entropies(views: Views) -> dict[int, float]:
    """Return the mean binary entropy of the last stage's score, by finding asked."""
    scores = views.scores[views.last]
    return {k: float(_entropy(scores[k]).mean()) for k in views.asked}


def features(maps: StageMaps) -> NDArray[np.float64]:
    """Return what the classifier makes of a film: K logits and its maps as 4 × 4.

    Returns
    -------
    (17 K,) float64
    """
    chance = np.clip(maps.present.astype(float), 1e-3, 1 - 1e-3)
    side = maps.score.shape[-1]
    edges = np.linspace(0, side, 5).astype(int)
    pooled = [
        maps.score[:, top:bottom, left:right].mean((1, 2))
        for top, bottom in pairwise(edges)
        for left, right in pairwise(edges)
    ]
    return np.concatenate([np.log(chance / (1 - chance)), *pooled])


# How films are ranked ---------------------------------------------------------------


def farthest_first(points: NDArray[np.float64], number: int) -> list[int]:
    """Return places of points, each as far as can be from those before it.

    Parameters
    ----------
    points : (N, D)
        The one nearest to their mean comes first.
    number
        How many are wanted, at most N.
    """
    if not len(points):
        return []
    away = ((points - points.mean(0)) ** 2).sum(1)
    chosen = [int(away.argmin())]
    near = ((points - points[chosen[0]]) ** 2).sum(1)
    while len(chosen) < min(number, len(points)) and near.max() > 0:
        chosen.append(int(near.argmax()))
        near = np.minimum(near, ((points - points[chosen[-1]]) ** 2).sum(1))
    return chosen


def cluster_order(points: NDArray[np.float64], clusters: int = CLUSTERS) -> list[int]:
    """Return places of points, one of every cluster in turn, the most typical first.

    Parameters
    ----------
    points : (N, D)
    clusters
        Their centres are points chosen by `farthest_first`; the largest cluster begins.
    """
    centres = farthest_first(points, clusters)
    if not centres:
        return []
    away = ((points[:, None] - points[centres]) ** 2).sum(-1)
    own = away.argmin(1)
    groups = []
    for number in range(len(centres)):
        members = np.flatnonzero(own == number)
        typical = ((points[members] - points[members].mean(0)) ** 2).sum(1)
        groups.append([int(one) for one in members[typical.argsort(kind="stable")]])
    groups.sort(key=len, reverse=True)
    return list(_in_turn(groups))


def power_order(
    scores: NDArray[np.float64], power: float, rng: np.random.Generator
) -> list[int]:
    """Return places drawn without replacement with chances that go by score ** power.

    Parameters
    ----------
    scores : (N,)
        At least 0. Power 0 shuffles, a large one sorts.
    power
        At least 0.
    rng
        Draws the Gumbel noise that is added to the logarithm.
    """
    noise = rng.gumbel(size=len(scores))
    keys = power * np.log(np.maximum(scores, 1e-9)) + noise
    return [int(place) for place in np.argsort(-keys, kind="stable")]


def power_after(n_read: int) -> float:
    """Return the power of `clasp`, from 1 to 100, when so many films are read.

    It rises evenly in its logarithm until 64 films are read; that schedule is ours.
    """
    return float(100 ** min(1.0, n_read / _GREEDY_AFTER))


def _by_chance(
    project: Project, case_ids: Sequence[str], rng: np.random.Generator
) -> list[str]:
    return list(case_ids)


def _by(measure: Callable[[Views], float]) -> _Rank:
    def rank(
        project: Project, case_ids: Sequence[str], rng: np.random.Generator
    ) -> list[str]:
        seconds = expected_seconds(project)
        scores = {
            case.id: measure(each) / seconds(case)
            for case, each in views(project, case_ids)
        }
        return sorted(case_ids, key=lambda one: -scores.get(one, -1.0))

    return rank


def _clasp(
    project: Project, case_ids: Sequence[str], rng: np.random.Generator
) -> list[str]:
    """Draw finding by finding; after ClaSP PE (class-stratified power sampling)."""
    seconds, strata = expected_seconds(project), dict[int, dict[str, float]]()
    for case, each in views(project, case_ids):
        for k, entropy in entropies(each).items():
            strata.setdefault(k, {})[case.id] = entropy / seconds(case)
    n_read = project.n_cases() - len(unread(project, None))
    groups = []
    for k in sorted(strata):
        names = list(strata[k])
        drawn = power_order(np.array([*strata[k].values()]), power_after(n_read), rng)
        groups.append([names[place] for place in drawn])
    # The drawn ones first, each once, then those that no stage has seen.
    return list(dict.fromkeys([*_in_turn(groups), *case_ids]))


def _diverse(
    project: Project, case_ids: Sequence[str], rng: np.random.Generator
) -> list[str]:
    run = project.runs_in_use().get("cam")
    rows: dict[str, NDArray[np.float64]] = {}
    for one in case_ids if run else ():
        maps = stages.read(project.folder, "cam", str(run), one)
        if maps is not None:
            rows[one] = features(maps)
    if not rows:
        return list(case_ids)
    points = np.stack([*rows.values()])
    spread = points.std(0)
    points = (points - points.mean(0)) / np.where(spread > 0, spread, 1)
    names = list(rows)
    found = [names[place] for place in cluster_order(points)]
    return found + [one for one in case_ids if one not in rows]


_Rank = Callable[[Project, Sequence[str], np.random.Generator], list[str]]

_RANKS: Mapping[str, _Rank] = {
    "random": _by_chance,
    "outline": _by(outline_doubt),
    "disagreement": _by(stage_disagreement),
    "clasp": _clasp,
    "diverse": _diverse,
}


# What is read -----------------------------------------------------------------------


def views_on(
    case: Case,
    maps: Mapping[str, StageMaps],
    settings: Mapping[str, StageSettings],
    findings: Sequence[str],
) -> Views | None:
    """Return what stages say of a film; ``None`` without any that knows `findings`.

    Parameters
    ----------
    case
        The film.
    maps, settings
        By stage, in the order of `STAGES`.
    findings
        The project's K; a stage that was trained on others is left out.
    """
    shape = small_shape(case.shape)
    labels = [case.labels.get(name) for name in findings]
    masks, scores = {}, {}
    for stage, own in maps.items():
        rules = settings[stage]
        if tuple(rules.findings) != tuple(findings):
            continue
        masks[stage] = pipeline.label_conditioned_masks(own, rules, shape, labels)
        scores[stage] = np.stack(
            [
                _bent(geometry.unletterbox(score, case.shape, grid=shape), rules, k)
                for k, score in enumerate(own.score)
            ]
        )
    if not masks:
        return None
    marked = np.any([m.any((1, 2)) for m in masks.values()], axis=0)
    asked = [k for k, label in enumerate(labels) if label == 1 or marked[k]]
    return Views(masks, scores, tuple(asked))


def small_shape(shape: tuple[int, int], side: int = SIDE) -> tuple[int, int]:
    """Return rows and columns of a film whose longer side is at most `side`."""
    factor = min(1.0, side / max(shape))
    return max(1, round(shape[0] * factor)), max(1, round(shape[1] * factor))


def views(project: Project, case_ids: Sequence[str]) -> Iterator[tuple[Case, Views]]:
    """Yield what the runs in use say of films; those that none has seen are left out.

    Parameters
    ----------
    project
        Open. Maps are read one film at a time.
    case_ids
        Whose.

    Raises
    ------
    DataError
        A file of maps is damaged.
    """
    folder, in_use = project.folder, project.runs_in_use()
    runs = {stage: in_use[stage] for stage in STAGES if stage in in_use}
    read = {s: stages.read_settings(folder, s, run) for s, run in runs.items()}
    settings = {stage: one for stage, one in read.items() if one is not None}
    findings = [finding.name for finding in project.findings]
    for one in case_ids if settings else ():
        found = {s: stages.read(folder, s, runs[s], one) for s in settings}
        maps = {stage: each for stage, each in found.items() if each is not None}
        case = project.case(one)
        seen = views_on(case, maps, settings, findings) if maps else None
        if seen is not None:
            yield case, seen


def _bent(
    score: NDArray[np.float32], rules: StageSettings, k: int
) -> NDArray[np.float32]:
    """Return a score so bent that what is cut at the threshold is cut at 0.5."""
    at = seeds.otsu(score) if rules.rule == "otsu" else rules.thresholds[k]
    at = min(max(at, 1e-3), 1 - 1e-3)
    return np.interp(score, [0, at, 1], [0, 0.5, 1]).astype(np.float32)


def _near_outline(score: NDArray[np.float32], mask: Mask) -> float:
    if not mask.any():
        return 1.0
    away = ndimage.distance_transform_edt(mask) + ndimage.distance_transform_edt(~mask)
    return float(_entropy(score)[away <= BAND].mean())


def _entropy(score: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the binary entropy, in bits, of each probability."""
    p = np.clip(score.astype(float), 1e-6, 1 - 1e-6)
    return np.asarray(-p * np.log2(p) - (1 - p) * np.log2(1 - p))


def _negatives(project: Project) -> set[str]:
    """Return films of which a label is known, and none is positive."""
    known = project.case_columns()
    negative = (known.labels == 0).any(1) & ~(known.labels == 1).any(1)
    return {one for one, is_so in zip(known.ids, negative, strict=True) if is_so}


def _n_findings(case: Case) -> int:
    return sum(label == 1 for label in case.labels.values())


def _in_turn(groups: Sequence[Sequence[_Item]]) -> Iterator[_Item]:
    """Yield the first of every group, then the second, and so on."""
    for place in range(max(map(len, groups), default=0)):
        for group in groups:
            if place < len(group):
                yield group[place]
