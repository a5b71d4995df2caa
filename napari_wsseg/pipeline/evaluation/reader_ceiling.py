"""How far readers agree with each other: the ceiling for any stage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from napari_wsseg.io.project import Project
from napari_wsseg.ops import bootstrap
from napari_wsseg.ops.tally import Overlap, Tally
from napari_wsseg.pipeline.evaluation.result import (
    Intervals,
    ReaderScores,
    Scores,
)
from napari_wsseg.schema import Annotation, Case


@dataclass(frozen=True, slots=True, eq=False)
class Agreement:
    """Every ordered pair of independent readers of the same film and finding.

    Parameters
    ----------
    tally
        One row a comparison; `Tally.film` is the place in `cases`.
    twice
        (place of the film, finding) that were compared.
    left_out
        Pairs of readers of whom one began with what the other had, or both with what
        the same run had drawn.
    """

    tally: Tally
    twice: frozenset[tuple[int, str]]
    left_out: int


def between_readers(project: Project, cases: Sequence[Case]) -> Agreement:
    """Compare readers on every film and finding that two of them annotated."""
    rows: list[dict[str, Overlap]] = []
    film: list[int] = []
    twice: set[tuple[int, str]] = set()
    left_out, settled = 0, project.readers.settled()
    for place, case in enumerate(cases):
        void = project.void(case.id)
        for finding in (each.name for each in project.findings):
            versions = project.history(case.id, finding)
            judge = settled.get(case.id, {}).get(finding)
            newest = {one.reader: one for one in versions if one.reader != judge}
            pairs = list(permutations(newest.values(), 2))
            apart = [(a, b) for a, b in pairs if independent(a, b, versions)]
            left_out += (len(pairs) - len(apart)) // 2
            masks = {
                one.id: project.read_mask(one)
                for one in {a.id: a for a, _ in apart}.values()
            }
            for pred, truth in apart:
                rows.append(
                    {
                        finding: Overlap.between(
                            masks[pred.id], masks[truth.id], void=void
                        )
                    }
                )
                film.append(place)
                twice.add((place, finding))
    names = [f.name for f in project.findings if any(f.name in row for row in rows)]
    return Agreement(
        Tally.from_rows(rows, findings=names, film=film), frozenset(twice), left_out
    )


def ceiling(
    found: Agreement, stages: Mapping[str, Tally], *, n_resamples: int, seed: int
) -> ReaderScores | None:
    """Return figures of readers against readers, and of the stages on the same films.

    ``None`` where no film has two independent readers.

    Parameters
    ----------
    found
        As `between_readers` returns it.
    stages
        Counts by stage; row n is the film whose place `found` calls n.
    n_resamples, seed
        Resamples of the bootstrap and what they depend on.

    Returns
    -------
    ReaderScores or None
        ``None`` where no film has two independent readers.
    """
    if not found.twice:
        return None
    drawn = bootstrap.resample({"": found.tally}, n_resamples=n_resamples, seed=seed)[
        ""
    ]
    same_films = {}
    for stage, tally in stages.items():
        keep = np.zeros_like(tally.known)
        for place, finding in found.twice:
            keep[place, tally.findings.index(finding)] = True
        same_films[stage] = Scores.from_metrics(tally.only(keep).metrics()).mean
    return ReaderScores(
        n_films=len({place for place, _ in found.twice}),
        n_pairs=len(found.tally.film) // 2,
        n_left_out=found.left_out,
        scores=Scores.from_metrics(found.tally.metrics()),
        interval=Intervals.from_resamples(drawn.intervals()),
        stages=same_films,
    )


def independent(
    one: Annotation, other: Annotation, versions: Iterable[Annotation]
) -> bool:
    """Whether neither version came from what the other reader, or one run, had.

    Parameters
    ----------
    one, other
        Versions of one mask by two readers.
    versions
        Every version of that film and finding, to follow what each began with.
    """
    known = {version.id: version for version in versions}
    ours, theirs = _line(one, known), _line(other, known)
    borrowed = any(each.reader == other.reader for each in ours) or any(
        each.reader == one.reader for each in theirs
    )
    drafts = [{each.source_run for each in line} - {None} for line in (ours, theirs)]
    return not borrowed and not drafts[0] & drafts[1]


def _line(last: Annotation, known: Mapping[int, Annotation]) -> list[Annotation]:
    """Return the version and those it was made from."""
    line = [last]
    while (parent := line[-1].parent) is not None and parent in known:
        line.append(known[parent])
    return line
