"""What may be done with a run, and why not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from napari_wsseg._widgets.processes.run_history import can_resume
from napari_wsseg._widgets.training.outcome import stages_made
from napari_wsseg._widgets.training.setup import short_title
from napari_wsseg.io import runs
from napari_wsseg.io.project import Project
from napari_wsseg.io.runs import RunInfo
from napari_wsseg.jobs import DataError
from napari_wsseg.schema import STAGES
from napari_wsseg.session.state import ONLY_LOOKS


def stages(info: RunInfo) -> tuple[str, ...]:
    """Return the stages that adopting a run is for."""
    return stages_made(info)


def maps_of(info: RunInfo) -> tuple[str, ...]:
    """Return the stages that a run makes maps of."""
    return tuple(stage for stage in stages(info) if stage in STAGES)


def in_use(project: Project | None) -> dict[str, list[str]]:
    """Return run id to the stages that it is in use for."""
    used: dict[str, list[str]] = {}
    if project is not None:
        for stage in STAGES:
            if run := project.adopted(stage):
                used.setdefault(run, []).append(stage)
    return used


def before(
    project: Project, info: RunInfo | None, infos: Sequence[RunInfo]
) -> dict[str, str]:
    """Return what going one run back would use, by stage.

    Parameters
    ----------
    info
        The run to go back from, if it is in use; else the newest that is.
    infos
        Every run of the project, the newest first.
    """
    used = in_use(project)
    ids = [one.id for one in infos]
    newest = next((run for run in ids if run in used), None)
    leaving = info.id if info is not None and info.id in used else newest
    found = {}
    for stage in used.get(leaving or "", ()):
        run = project.adopted_before(stage)
        if run in ids:
            found[stage] = str(run)
    return found


def before_in_words(project: Project, back: Mapping[str, str]) -> str:
    """Say what going one run back does."""
    lines = []
    for run in dict.fromkeys(back.values()):
        stages_back = ", ".join(s for s, other in back.items() if other == run)
        try:
            name = short_title(runs.find(project.folder, run).info().recipe)
        except (DataError, KeyError):
            name = "run"
        lines.append(f"{stages_back}: {name} {run}")
    return "Use again what was used before\n" + "\n".join(lines)


def why_not_use(picked: Sequence[RunInfo], project: Project | None) -> str:
    """Return why the selected run cannot be put in use; empty when it can."""
    if len(picked) != 1 or project is None:
        return "Select one run"
    info = picked[0]
    if project.readonly:
        return ONLY_LOOKS
    if set(stages(info)) <= set(in_use(project).get(info.id, [])):
        return "It is in use already"
    if not stages(info):
        return "It makes no stage: other trainings start from it"
    places = [project.folder / "stages" / stage / info.id for stage in stages(info)]
    if info.state != "done" and not any(place.is_dir() for place in places):
        return "Its masks have not been made: the run did not finish"
    return ""


def why_not_roll_back(back: Mapping[str, str], project: Project | None) -> str:
    """Return why there is no way `before`; empty when there is."""
    if project is None or project.readonly:
        return ONLY_LOOKS
    return "" if back else "No other run was in use before"


def why_not_resume(
    picked: Sequence[RunInfo], project: Project | None, busy: bool
) -> str:
    """Return why the selected run cannot go on; empty when it can."""
    if len(picked) != 1 or project is None:
        return "Select one run"
    if project.readonly:
        return ONLY_LOOKS
    if busy:
        return "A training is under way"
    if not can_resume(project.folder, picked[0]):
        return "It is done, or left no saved state to go on from"
    return ""


def why_not_evaluate(
    picked: Sequence[RunInfo], project: Project | None, busy: bool
) -> str:
    """Return why the selected run cannot be evaluated; empty when it can."""
    if len(picked) != 1 or project is None:
        return "Select one run"
    if project.readonly:
        return ONLY_LOOKS
    if busy:
        return "An evaluation is under way"
    if picked[0].state != "done" or not maps_of(picked[0]):
        return "It made no masks that could be evaluated"
    if not split_to_score(project):
        return "No film of the val or test split has an expert mask to compare with"
    return ""


def why_not_compare(picked: Sequence[RunInfo], project: Project | None) -> str:
    """Return why the masks of two runs cannot be compared; empty when they can."""
    if len(picked) != 2 or project is None:
        return "Select two runs"
    if not all(stage_with_maps(project, info) for info in picked):
        return "One of them has made no masks"
    return ""


def split_to_score(project: Project) -> str:
    """Return the split that runs are evaluated on: val, or test for want of it."""
    return next((s for s in ("val", "test") if project.annotated(s)), "")


def stage_with_maps(project: Project, info: RunInfo) -> str:
    """Return the last stage that a run has maps of; empty where it has none."""
    made = [
        s for s in maps_of(info) if (project.folder / "stages" / s / info.id).is_dir()
    ]
    return made[-1] if made else ""
