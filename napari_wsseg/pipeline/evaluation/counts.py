"""One pass over the films: every stage's masks counted against the truth."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from napari_wsseg.io import stages
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError, Progress
from napari_wsseg.ops.tally import Overlap, Tally
from napari_wsseg.pipeline import label_gates, stage_masks
from napari_wsseg.schema import Case, Mask, StageSettings

BACKGROUND = "background"


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


def count(
    project: Project, runs: Mapping[str, str], cases: Sequence[Case]
) -> Generator[Progress, None, Tallies]:
    """Yield progress film by film; no more than one film's masks are held.

    Parameters
    ----------
    project, cases
        Open; and the films that are counted.
    runs
        Run by stage.

    Raises
    ------
    DataError
        If a stage was never computed, has not seen a film, or does not know a
        finding that the truth has.
    """
    cuts = {stage: settings_of(project, stage, run) for stage, run in runs.items()}
    blank: list[dict[str, Overlap]] = []
    gated, opened, conditioned = (_rows(runs) for _ in range(3))
    background = _rows(runs)
    for number, case in enumerate(cases):
        yield Progress(number, len(cases), "comparing with expert masks")
        truths, void = project.expert_masks(case.id), project.void(case.id)
        nothing = np.zeros(case.shape, bool)
        blank.append(
            {f: Overlap.between(nothing, mask, void=void) for f, mask in truths.items()}
        )
        for stage, run in runs.items():
            masks = _open_masks(project, stage, run, cuts[stage], case, truths)
            row = {
                f: Overlap.between(masks[f][0], mask, void=void)
                for f, mask in truths.items()
            }
            opened[stage].append(row)
            predicted = {f: is_open for f, (_, is_open) in masks.items()}
            known = {**predicted, **label_gates(case.labels)}
            for rows, is_open in ((gated, predicted), (conditioned, known)):
                if not cuts[stage].exclusive:
                    rows[stage].append(_shut(row, is_open))
                    continue
                among, beside = _among(
                    project, stage, run, cuts[stage], case, truths, is_open
                )
                rows[stage].append(among)
                if rows is gated:
                    background[stage].append({BACKGROUND: beside})
    yield Progress(len(cases), len(cases), "comparing with expert masks")
    names = [
        finding.name
        for finding in project.findings
        if any(finding.name in row for row in blank)
    ]

    def tallies(counted: Mapping[str, list[dict[str, Overlap]]]) -> dict[str, Tally]:
        return {
            stage: Tally.from_rows(rows, findings=names)
            for stage, rows in counted.items()
        }

    return Tallies(
        truth=Tally.from_rows(blank, findings=names),
        gated=tallies(gated),
        open_gates=tallies(opened),
        conditioned=tallies(conditioned),
        background={
            stage: Tally.from_rows(rows) for stage, rows in background.items() if rows
        },
    )


def _rows(runs: Iterable[str]) -> dict[str, list[dict[str, Overlap]]]:
    return {stage: [] for stage in runs}


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
