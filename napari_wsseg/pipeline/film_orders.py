"""Which film to read next: orders by what the maps on disk say, without a network.

Every order ranks the films that may hold a finding, and mixes in one negative film,
drawn by chance, after every two of them, so that orders differ in nothing else. None of
them has been shown to beat `random` on chest films: it is the default.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median

import numpy as np
from numpy.typing import NDArray

from napari_wsseg.io import stages
from napari_wsseg.io.index.effort import newest
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import UsageError
from napari_wsseg.pipeline.agreement import FINISHED
from napari_wsseg.pipeline.ordering.film_views import (
    Views,
    entropies,
    features,
    outline_doubt,
    stage_disagreement,
    views,
)
from napari_wsseg.pipeline.ordering.ranking import (
    cluster_order,
    in_turn,
    mixed,
    power_after,
    power_order,
)
from napari_wsseg.schema import Case

ORDERS: Mapping[str, str] = {
    "random": "by chance, a third of them negative: what every other is compared with",
    "outline": "where the draft is least sure of its outline",
    "disagreement": "where the stages differ most about the mask",
    "clasp": "finding by finding, by chance at first and by uncertainty later",
    "diverse": "as different as the classifier's maps can tell: for the first films",
}
"""Name to what comes first."""

DEFAULT = "random"

_FEW = 5
"""Efforts below which no expected seconds are told."""


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
    return list(dict.fromkeys([*in_turn(groups), *case_ids]))


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
    std = points.std(0)
    points = (points - points.mean(0)) / np.where(std > 0, std, 1)
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


def _negatives(project: Project) -> set[str]:
    """Return films of which a label is known, and none is positive."""
    known = project.case_columns()
    negative = (known.labels == 0).any(1) & ~(known.labels == 1).any(1)
    return {one for one, is_so in zip(known.ids, negative, strict=True) if is_so}


def _n_findings(case: Case) -> int:
    return sum(label == 1 for label in case.labels.values())
