"""One pass over the films: every stage's masks counted against the truth."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from napari_wsseg.io import stages
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError, Progress
from napari_wsseg.ops.tally import Overlap, Tally
from napari_wsseg.pipeline import stage_masks
from napari_wsseg.schema import Case, Mask, StageSettings


@dataclass(frozen=True, slots=True, eq=False)
class Tallies:
    """Counts of every stage on the same films, in the same order.

    Parameters
    ----------
    truth
        Blank masks against the truth: what there is to find.
    gated, open_gates
        By stage: with each stage's own gates, and with every gate open.
    """

    truth: Tally
    gated: dict[str, Tally]
    open_gates: dict[str, Tally]


def count(
    project: Project, runs: Mapping[str, str], cases: Sequence[Case]
) -> Generator[Progress, None, Tallies]:
    """Yield progress film by film; no more than one film's masks are held.

    Parameters
    ----------
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
    gated: dict[str, list[dict[str, Overlap]]] = {stage: [] for stage in runs}
    opened: dict[str, list[dict[str, Overlap]]] = {stage: [] for stage in runs}
    for number, case in enumerate(cases):
        yield Progress(number, len(cases), "comparing with expert masks")
        truths, void = project.expert_masks(case.id), project.void(case.id)
        nothing = np.zeros(case.shape, bool)
        blank.append(
            {f: Overlap.of(nothing, mask, void=void) for f, mask in truths.items()}
        )
        for stage, run in runs.items():
            masks = _open_masks(project, stage, run, cuts[stage], case, truths)
            row = {
                f: Overlap.of(masks[f][0], mask, void=void)
                for f, mask in truths.items()
            }
            opened[stage].append(row)
            gated[stage].append(
                {
                    f: one if masks[f][1] else replace(one, both=0, pred=0)
                    for f, one in row.items()
                }
            )
    yield Progress(len(cases), len(cases), "comparing with expert masks")
    names = [
        finding.name
        for finding in project.findings
        if any(finding.name in row for row in blank)
    ]
    return Tallies(
        Tally.of(blank, findings=names),
        {stage: Tally.of(rows, findings=names) for stage, rows in gated.items()},
        {stage: Tally.of(rows, findings=names) for stage, rows in opened.items()},
    )


def settings_of(project: Project, stage: str, run: str) -> StageSettings:
    """Return how a stage's maps are cut.

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
) -> dict[str, tuple[Mask, bool]]:
    """Return each finding's mask with its gate open, and whether the gate is open."""
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
    always = replace(settings, gates=(0.0,) * len(settings.gates))
    masks = stage_masks(maps, always, case.shape)
    is_open = maps.present >= np.asarray(settings.gates)
    return {
        finding: (masks[k], bool(is_open[k]))
        for k, finding in enumerate(settings.findings)
    }
