"""What a finished training is worth, beside what is in use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from napari_wsseg._widgets.parts.formatting import format_metric, metric_name, telling
from napari_wsseg._widgets.processes.events import Ended
from napari_wsseg._widgets.processes.failure_messages import is_memory
from napari_wsseg._widgets.processes.recipes import facts_of
from napari_wsseg._widgets.processes.requests import Request, Sweep
from napari_wsseg._widgets.training.setup import short_title
from napari_wsseg.io import runs
from napari_wsseg.io.project import Project
from napari_wsseg.io.runs import RunInfo
from napari_wsseg.jobs import DataError, counted
from napari_wsseg.protocol import bounds_in_words

_HEADLINES: Mapping[str, str] = {
    "stopped": "stopped",
    "failed": "failed",
    "killed": "was ended",
    "lost": "was lost",
}


def stages_of(recipe: str, known: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return the stages that adopting a run of `recipe` is for.

    Parameters
    ----------
    known
        What to say of a recipe that is not installed.
    """
    facts = facts_of(recipe)
    return facts.stages if facts.summary else known


def stages_made(info: RunInfo) -> tuple[str, ...]:
    """Return the stages that adopting a run is for, as it says itself."""
    return info.facts.stages or stages_of(info.recipe)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a job went, in words, and what may be done with its runs.

    Parameters
    ----------
    headline
        In a word or two.
    text
        For a person.
    usable
        Stage to run id: what [Use] would put in use; empty when there is nothing.
    resumable
        Run that can go on, or ``None``.
    unevaluated
        Nobody's word stands behind what is usable: it should not be used by default.
    smaller
        Settings with which it may fit into memory after all; empty when it did not
        fail for want of it.
    """

    headline: str
    text: str = ""
    usable: Mapping[str, str] = field(default_factory=dict)
    resumable: str | None = None
    unevaluated: bool = False
    smaller: Mapping[str, int] = field(default_factory=dict)


def judge(
    end: Ended,
    request: Request,
    made: Mapping[str, str],
    project: Project | None,
    checked: int,
    swept: int = 0,
) -> Outcome:
    """Judge a job that has ended.

    Parameters
    ----------
    made
        Recipe to run id.
    swept
        How many trainings of a sweep are done.
    project
        The open project, when it is the job's.
    checked
        Expert films of the val split.
    """
    if request.sweep is not None:
        return _swept(end, request.sweep, bool(made), swept)
    if end.state != "done":
        return _unfinished(end, request, made, project)
    usable: dict[str, str] = {}
    scores = []
    for recipe, run in made.items():
        info = _info(request, run)
        stages = stages_made(info) if info is not None else stages_of(recipe)
        usable.update(dict.fromkeys(stages, run))
        scores.append(_score(recipe, run, end, project, checked, request))
    if project is None:
        return Outcome("Done", "Open its project again to use the result.")
    infos = [_info(request, run) for run in made.values()]
    stamped = any(info is not None and not info.evaluated for info in infos)
    if stamped:
        scores.append(
            "Unevaluated: not compared with held-out expert masks. The Runs panel "
            "evaluates it."
        )
    text = "\n".join(scores)
    return Outcome("Done", text, usable=usable, unevaluated=stamped)


def _unfinished(
    end: Ended, request: Request, made: Mapping[str, str], project: Project | None
) -> Outcome:
    """Judge a job that was stopped or failed."""
    last = next(reversed(list(made.items())), None)
    info = _info(request, last[1]) if last else None
    if last is not None and info is not None and info.state == "done":
        # Ended while it computed maps: there is nothing to resume.
        stages = stages_made(info) if project is not None else ()
        return Outcome(
            f"{short_title(last[0])} is done, its maps are not",
            f"{end.message}\nWhen it is used, the rest is computed.".strip(),
            usable=dict.fromkeys(stages, last[1]),
        )
    resumable = _resumable(request, last[1] if last else None)
    kept = "\nResume goes on from the last saved state." if resumable else ""
    headline = f"{short_title(last[0] if last else request.recipe)} "
    headline += _HEADLINES[end.state]
    return Outcome(
        headline,
        (end.message + kept).strip(),
        resumable=resumable,
        smaller=_smaller(end, request, *last) if last else {},
    )


def _swept(end: Ended, sweep: Sweep, begun: bool, done: int) -> Outcome:
    """Judge a sweep; what it found is drawn, and every run is in the list.

    Parameters
    ----------
    begun
        Whether a training was begun.
    done
        Trainings that are done; those of an earlier call are counted again.
    """
    if end.state == "done":
        text = "Every run is in the list of runs; none was put in use."
        return Outcome("Sweep done", text)
    button = "Go on" if done or sweep.name else "Start sweep"
    if not begun and not done:
        then = f"Nothing was trained. Once this is mended, press “{button}”."
        if end.state == "stopped":
            then = f"Nothing was trained. “{button}” begins it."
        return Outcome("Sweep not begun", f"{end.message}\n{then}".strip())
    headline = f"Sweep {_HEADLINES[end.state]}"
    if end.state == "stopped":
        kept = "What is done is kept" if done else "No training of it is done yet"
        then = f"{kept}: “{button}” with the same settings goes on."
        if button == "Go on":
            then = f"{kept}: “Go on” does the rest."
        return Outcome(headline, f"{end.message}\n{then}".strip())
    where = f"{sweep.setting} = {sweep.values[done % len(sweep.values)]}"
    what = f"The training at {where} {_HEADLINES[end.state]}"
    what += f": {end.message}" if end.message else "."
    then = "What is done is kept: “Go on” tries this one again and does the rest."
    if button != "Go on":
        then = (
            "It was the first, so there is nothing to go on with. Change the settings "
            "or leave this value out, then press “Start sweep”."
        )
    return Outcome(headline, f"{what}\n{then}")


def _smaller(end: Ended, request: Request, recipe: str, run: str) -> dict[str, int]:
    """Return half the batch of a run that ran out of memory."""
    info = _info(request, run)
    if info is None or end.state not in ("failed", "killed"):
        return {}
    batch = int(info.config.get("batch", 1))
    if batch < 2 or not is_memory(end.message):
        return {}
    return {"batch" if request.recipe else f"{recipe}.batch": batch // 2}


def _score(
    recipe: str,
    run: str,
    end: Ended,
    project: Project | None,
    checked: int,
    request: Request,
) -> str:
    info = _info(request, run)
    metrics: Mapping[str, Any] = info.metrics if info else {}
    metrics = metrics or (end.metrics if end.run == run else {})
    name = telling(metrics)
    if name is None:
        return f"{short_title(recipe)}: not validated"
    text = f"{metric_name(name)} {format_metric(metrics[name])}"
    text += bounds_in_words(metrics, name)
    before = _before(recipe, run, name, project, request)
    if before is not None:
        text += f" (before {format_metric(before)})"
    if name == "val_dice" and facts_of(recipe).judged_by == name:
        text += f" on {counted(checked, 'expert film')}"
    elif name == "val_dice":
        # A weak recipe is compared with weak masks: it must not pass for more.
        text += " against weak masks"
    return f"{short_title(recipe)}: {text}"


def _before(
    recipe: str, run: str, name: str, project: Project | None, request: Request
) -> float | None:
    """Return the figure of the run in use, if it was measured the same way."""
    if project is None:
        return None
    stages = stages_of(recipe)
    used = project.adopted(stages[-1]) if stages else None
    info = _info(request, used) if used and used != run else None
    if info is None or info.recipe != recipe:
        return None
    value = info.metrics.get(name)
    return float(value) if value is not None else None


def _info(request: Request, run: str) -> RunInfo | None:
    try:
        return runs.find(request.project, run).info()
    except (DataError, KeyError):
        # A run folder that was removed meanwhile has nothing to be compared with.
        return None


def _resumable(request: Request, run: str | None) -> str | None:
    if run is None:
        return None
    last = request.project / "runs" / run / "last.pt"
    return run if last.exists() else None
