"""One pass over the films: every stage's masks counted against the truth."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from napari_wsseg.io import stages
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError, Progress
from napari_wsseg.ops.tally import Overlap, Tally
from napari_wsseg.pipeline import label_gates, stage_masks
from napari_wsseg.pipeline.film_workers import HERE, Workers, over_films
from napari_wsseg.schema import Case, Mask, StageSettings

BACKGROUND = "background"

Row: TypeAlias = dict[str, Overlap]
"""Overlap by finding."""


@dataclass(frozen=True, slots=True, eq=False)
class Tallies:
    """Counts of every stage on the same films, in the same order.

    Parameters
    ----------
    truth
        Blank masks against the truth: what there is to find.
    gated, open_gates, conditioned
        By stage: with each stage's own gates, with every gate open, and with the
        gates that the films' image-level labels open or shut.
    background
        With each stage's own gates, what is no finding, of the stages whose findings
        exclude each other.
    """

    truth: Tally
    gated: dict[str, Tally]
    open_gates: dict[str, Tally]
    conditioned: dict[str, Tally]
    background: dict[str, Tally]


@dataclass(frozen=True, slots=True, eq=False)
class FilmCounts:
    """Counts of one film: `Tallies` before they are gathered."""

    truth: Row
    gated: dict[str, Row]
    open_gates: dict[str, Row]
    conditioned: dict[str, Row]
    background: dict[str, Row]


def count(
    project: Project,
    runs: Mapping[str, str],
    cases: Sequence[Case],
    workers: Workers = HERE,
) -> Generator[Progress, None, Tallies]:
    """Yield progress film by film; no more than one film's masks are held.

    Parameters
    ----------
    project, cases
        Open; and the films that are counted.
    runs
        Run by stage.
    workers
        Who counts them.

    Raises
    ------
    DataError
        If a stage was never computed, has not seen a film, or does not know a
        finding that the truth has.
    """
    cuts = {stage: settings_of(project, stage, run) for stage, run in runs.items()}
    films = yield from over_films(
        workers,
        count_film,
        project,
        cases,
        "comparing with expert masks",
        dict(runs),
        cuts,
    )
    names = [
        finding.name
        for finding in project.findings
        if any(finding.name in film.truth for film in films)
    ]

    def tallies(part: str, stages: Iterable[str]) -> dict[str, Tally]:
        rows = {
            stage: [getattr(film, part)[stage] for film in films] for stage in stages
        }
        return {
            stage: Tally.from_rows(each, findings=names) for stage, each in rows.items()
        }

    exclusive = [stage for stage in runs if cuts[stage].exclusive and films]
    return Tallies(
        truth=Tally.from_rows([film.truth for film in films], findings=names),
        gated=tallies("gated", runs),
        open_gates=tallies("open_gates", runs),
        conditioned=tallies("conditioned", runs),
        background={
            stage: Tally.from_rows([film.background[stage] for film in films])
            for stage in exclusive
        },
    )


def count_film(
    project: Project,
    case: Case,
    runs: Mapping[str, str],
    cuts: Mapping[str, StageSettings],
) -> FilmCounts:
    """Count one film.

    Parameters
    ----------
    project, case
        Open; and a film with expert masks.
    runs, cuts
        Run, and how its maps are cut, by stage.
    """
    truths, void = project.expert_masks(case.id), project.void(case.id)
    nothing = np.zeros(case.shape, bool)
    found = FilmCounts(
        {f: Overlap.between(nothing, mask, void=void) for f, mask in truths.items()},
        *({} for _ in range(4)),
    )
    for stage, run in runs.items():
        masks = _open_masks(project, stage, run, cuts[stage], case, truths)
        row = {
            f: Overlap.between(masks[f][0], mask, void=void)
            for f, mask in truths.items()
        }
        found.open_gates[stage] = row
        predicted = {f: is_open for f, (_, is_open) in masks.items()}
        known = {**predicted, **label_gates(case.labels)}
        for rows, is_open in ((found.gated, predicted), (found.conditioned, known)):
            if not cuts[stage].exclusive:
                rows[stage] = _shut(row, is_open)
                continue
            rows[stage], beside = _among(
                project, stage, run, cuts[stage], case, truths, is_open
            )
            if rows is found.gated:
                found.background[stage] = {BACKGROUND: beside}
    return found


def _shut(
    row: Mapping[str, Overlap], is_open: Mapping[str, bool]
) -> dict[str, Overlap]:
    """Return a film's overlaps with the masks behind shut gates left empty."""
    return {
        finding: one if is_open[finding] else replace(one, both=0, pred=0)
        for finding, one in row.items()
    }


def _among(
    project: Project,
    stage: str,
    run: str,
    settings: StageSettings,
    case: Case,
    truths: Mapping[str, Mask],
    is_open: Mapping[str, bool],
) -> tuple[dict[str, Overlap], Overlap]:
    """Return overlaps where only findings behind open gates contend for a pixel.

    The second is that of the background: pixels of no finding.
    """
    gates = tuple(
        0.0 if is_open.get(finding, False) else np.inf for finding in settings.findings
    )
    behind = replace(settings, gates=gates)
    masks = _open_masks(project, stage, run, behind, case, truths, gates=gates)
    void = project.void(case.id)
    among = {
        finding: Overlap.between(masks[finding][0], truth, void=void)
        for finding, truth in truths.items()
    }
    blank = np.zeros(case.shape, bool)
    drawn, true = (
        np.logical_or.reduce([blank, *each])
        for each in ((mask for mask, _ in masks.values()), truths.values())
    )
    return among, Overlap.between(~drawn, ~true, void=void)


def settings_of(project: Project, stage: str, run: str) -> StageSettings:
    """Return how a stage's maps are cut.

    Parameters
    ----------
    project
        Open.
    stage
        A stage, or a variant of one.
    run
        Id of the run that computed it.

    Raises
    ------
    DataError
        If the run never computed the stage.
    """
    settings = stages.read_settings(project.folder, stage, run)
    if settings is None:
        raise DataError(
            f"stage {stage} of run {run} was never computed; infer it first: "
            f"wsseg infer {stage} -p {project.folder} --run {run}"
        )
    return settings


def _open_masks(
    project: Project,
    stage: str,
    run: str,
    settings: StageSettings,
    case: Case,
    truths: Mapping[str, Mask],
    *,
    gates: tuple[float, ...] | None = None,
) -> dict[str, tuple[Mask, bool]]:
    """Return each finding's mask, and whether its gate is open.

    Parameters
    ----------
    gates
        Those that the masks are cut behind; ``None``: open ones.
    """
    maps = stages.read(project.folder, stage, run, case.id)
    if maps is None:
        raise DataError(
            f"stage {stage} of run {run} has not seen {case.path}; "
            f"run: wsseg infer {stage} -p {project.folder} --run {run}"
        )
    strange = sorted(set(truths) - set(settings.findings))
    if strange:
        raise DataError(
            f"run {run} does not know {', '.join(strange)}, which experts have drawn; "
            "train it again"
        )
    always = replace(settings, gates=gates or (0.0,) * len(settings.gates))
    masks = stage_masks(maps, always, case.shape)
    is_open = maps.present >= np.asarray(settings.gates)
    return {
        finding: (masks[k], bool(is_open[k]))
        for k, finding in enumerate(settings.findings)
    }
