"""Two readers of the same films: where they agree, told only when both are done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np

from napari_wsseg.io.project import Project
from napari_wsseg.ops import agreement
from napari_wsseg.ops.tally import Overlap
from napari_wsseg.pipeline.evaluation import reader_ceiling as _reader_ceiling
from napari_wsseg.schema import ACCEPTING, Annotation, Case, Decision, Mask, Verdict

FINISHED: tuple[Verdict, ...] = (*ACCEPTING, "reject")
"""Verdicts after which a reader is done with a film."""

SAME_DICE = 0.8
"""Two masks of a finding that overlap less are told as a disagreement."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One finding on one film as two readers left it.

    Parameters
    ----------
    dice
        1 where both left it empty.
    hd95
        In `unit`; ``None`` where either mask is empty.
    unit
        ``"mm"`` where the film's spacing is known, else ``"px"``.
    present
        Whether the finding is there, by each reader.
    independent
        Whether neither began with what the other had drawn.
    """

    case: str
    finding: str
    readers: tuple[str, str]
    dice: float
    hd95: float | None
    unit: str
    present: tuple[bool, bool]
    independent: bool

    @property
    def differs(self) -> bool:
        """Whether somebody should look again."""
        return self.present[0] != self.present[1] or self.dice < SAME_DICE


def done_readers(
    readings: Mapping[str, Decision], settled: Mapping[str, str]
) -> tuple[str, ...]:
    """Return who is done with a film, in alphabetical order, adjudicators left out.

    Parameters
    ----------
    readings
        Each reader's verdict that holds on the film.
    settled
        Finding to the adjudicator who made its mask final.
    """
    judges = set(settled.values())
    done = (name for name, one in readings.items() if one.verdict in FINISHED)
    return tuple(sorted(name for name in done if name not in judges))


def double_read(project: Project) -> dict[str, tuple[str, ...]]:
    """Return who is done, by case id, of the films that two readers or more are."""
    settled = project.readers.settled()
    done = {
        case_id: done_readers(readings, settled.get(case_id, {}))
        for case_id, readings in project.readings(at_least=2).items()
    }
    return {case_id: names for case_id, names in done.items() if len(names) > 1}


def compare(
    project: Project, case: Case, first: str, second: str
) -> dict[str, Compared]:
    """Compare two readers on every finding of a film.

    A finding that a reader who is done has not drawn is taken as empty; one that
    neither has drawn is left out.

    Parameters
    ----------
    project
        Open.
    case
        A film that both readers are done with.
    first, second
        Names of the readers.

    Returns
    -------
    dict
        By finding, in the project's order.
    """
    ours, theirs = (
        project.expert_annotations(case.id, reader=name) for name in (first, second)
    )
    void = project.void(case.id)
    found: dict[str, Compared] = {}
    for finding in (each.name for each in project.findings):
        pair = ours.get(finding), theirs.get(finding)
        if any(pair):
            found[finding] = _compared(
                project, case, finding, (first, second), pair, void
            )
    return found


def pairs(
    project: Project, case_ids: Sequence[str] | None = None
) -> Iterator[list[Compared]]:
    """Yield, film by film, every comparison between readers who are both done."""
    for case_id, names in double_read(project).items():
        if case_ids is not None and case_id not in case_ids:
            continue
        case = project.case(case_id)
        yield [
            one
            for first, second in combinations(names, 2)
            for one in compare(project, case, first, second).values()
        ]


def report(project: Project) -> dict[str, Any]:
    """Return the dictionary that ``wsseg agreement --json`` prints.

    Per pair of readers and finding: films both are done with and one has drawn on,
    mean Dice (both empty: 1), median HD95 of the films where both see the finding, in
    mm and, of films without spacing, in px, Cohen's kappa on presence over every film
    both are done with. Films on which somebody began with another's mask are counted
    in ``n_borrowed`` and left out of all figures. A film that either rejected as a
    whole is left out and counted in ``n_rejected``.
    """
    verdicts, read = project.readings(), double_read(project)
    table = [one for film in pairs(project) for one in film]
    rows = []
    for first, second in sorted({p for n in read.values() for p in combinations(n, 2)}):
        films = [c for c, names in read.items() if {first, second} <= set(names)]
        rejected = {
            c
            for c in films
            if "reject" in (verdicts[c][first].verdict, verdicts[c][second].verdict)
        }
        ours = [one for one in table if one.readers == (first, second)]
        rows.append(
            {
                "readers": [first, second],
                "n_films": len(films),
                "n_rejected": len(rejected),
                "findings": {
                    finding.name: _pair_metrics(
                        [one for one in ours if one.finding == finding.name],
                        [c for c in films if c not in rejected],
                    )
                    for finding in project.findings
                },
            }
        )
    settled = project.readers.settled()
    return {
        "n_double_read": len(read),
        "n_adjudicated": len(settled),
        "pairs": rows,
        "disagreements": [
            {**asdict(one), "film": project.case(one.case).name}
            for one in table
            if one.differs and one.finding not in settled.get(one.case, {})
        ],
    }


def disagreement(project: Project) -> dict[str, float]:
    """Return 1 − the lowest Dice between readers, by id of each double-read film.

    Films whose differing masks were adjudicated are left out.
    """
    settled = project.readers.settled()
    found: dict[str, float] = {}
    for film in pairs(project):
        for one in film:
            if one.finding not in settled.get(one.case, {}):
                found[one.case] = max(found.get(one.case, 0.0), 1 - one.dice)
    return found


def _pair_metrics(compared: Sequence[Compared], films: Sequence[str]) -> dict[str, Any]:
    counted = [one for one in compared if one.case in films]
    free = {one.case: one for one in counted if one.independent}
    borrowed = {one.case for one in counted} - set(free)
    asked = [case_id for case_id in films if case_id not in borrowed]
    answers = [free[c].present if c in free else (False, False) for c in asked]
    metrics: dict[str, Any] = {
        "n": len(free),
        "n_borrowed": len(borrowed),
        "dice": _mean([one.dice for one in free.values()]),
        "kappa": agreement.kappa(*zip(*answers, strict=True)) if answers else None,
        "n_kappa": len(answers),
    }
    for unit in ("mm", "px"):
        known = [
            one.hd95
            for one in free.values()
            if one.unit == unit and one.hd95 is not None
        ]
        metrics[f"hd95_{unit}"] = float(np.median(known)) if known else None
        metrics[f"n_hd95_{unit}"] = len(known)
    return metrics


def _compared(
    project: Project,
    case: Case,
    finding: str,
    readers: tuple[str, str],
    pair: tuple[Annotation | None, Annotation | None],
    void: Mask | None,
) -> Compared:
    areas = [one.area_px if one else 0 for one in pair]
    dice, distance = (1.0 if not any(areas) else 0.0), None
    if pair[0] and pair[1] and all(areas):
        masks = [project.read_mask(one) for one in pair if one]
        if void is not None:
            masks = [mask & ~void for mask in masks]
        dice = Overlap.between(masks[0], masks[1]).dice
        distance = agreement.hd95(*masks, spacing=case.spacing_mm or (1.0, 1.0))
    return Compared(
        case.id,
        finding,
        readers,
        dice,
        distance,
        "mm" if case.spacing_mm else "px",
        (areas[0] > 0, areas[1] > 0),
        _apart(project, case.id, finding, pair),
    )


def _apart(
    project: Project,
    case_id: str,
    finding: str,
    pair: tuple[Annotation | None, Annotation | None],
) -> bool:
    first, second = pair
    if first is None or second is None:
        return True
    return _reader_ceiling.independent(first, second, project.history(case_id, finding))


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None
