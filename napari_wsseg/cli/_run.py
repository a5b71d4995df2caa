"""``wsseg run``: every stage in order; what is done for the same inputs is kept."""

from __future__ import annotations

import argparse
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_wsseg import protocol
from napari_wsseg.cli import _infer, _output, _training, add_json, add_project
from napari_wsseg.cli._whole_run import WholeRun
from napari_wsseg.io import runs

if TYPE_CHECKING:
    from trainers import Recipe


def add(command: argparse.ArgumentParser) -> None:
    """Fill in the command's parser."""
    add_project(command)
    _training.add_settings(command, preset="auto")
    _infer.add_prior(command)
    add_json(command)


@dataclass(slots=True)
class _Outcome:
    """How far the stages came: runs and metrics by recipe, and how the last ended."""

    runs: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    status: str = "done"
    code: int = 0
    message: str = ""


def run(arguments: argparse.Namespace) -> int:
    """Train what is missing, compute every stage's maps, and use them."""
    from trainers.__main__ import settings_from

    began = time.monotonic()
    cancel = threading.Event()
    given = settings_from(arguments.set)
    _infer.set_prior(arguments.project, arguments.prior)
    _report_choice(arguments)
    _training.report_notes(arguments.preset)
    with _training.watched(arguments, cancel) as reporter:
        outcome = _train_in_order(arguments, given, reporter, cancel)
    done = outcome.status == "done"
    warnings = []
    if done:
        warnings = _training.warnings(arguments.project, outcome.runs, reporter)
    chosen = _training.report_choices(arguments.project, outcome.runs)
    last = protocol.finished(
        outcome.status,
        choices=chosen,
        runs=outcome.runs,
        metrics=outcome.metrics,
        seconds=round(time.monotonic() - began, 1),
        message=outcome.message,
        exit_code=outcome.code,
        warnings=warnings,
    )
    if done:
        _output.person(f"every stage done in {last['seconds']:.0f} s")
    for each in warnings:
        _output.person(f"WARNING: {each['message']}")
    if arguments.json:
        _output.program(last)
    return outcome.code


def _train_in_order(
    arguments: argparse.Namespace,
    given: dict[str, Any],
    reporter: _output.Reporter,
    cancel: threading.Event,
) -> _Outcome:
    """Train each recipe that is missing, and use it, until one does not end well.

    Parameters
    ----------
    arguments, given
        Of the command, and the settings that it gives.
    reporter, cancel
        Told of the progress, and stops it.
    """
    project, outcome = arguments.project, _Outcome()
    order = _order(arguments.preset)
    reporter.amend = progress = WholeRun(order, _took(project))
    for recipe in [one.name for one in order]:
        progress.begin(recipe)
        settings = _training.suited_settings(project, arguments.preset, recipe)
        own = _settings_for(recipe, given)
        settings |= own
        settings = {**_upstream(recipe, settings, outcome.runs), **settings}
        end = _kept_or_trained(
            project, recipe, settings, reporter, cancel, imported=not own
        )
        reporter.close()
        outcome.metrics[recipe] = end["metrics"]
        outcome.status, outcome.message = end["status"], end.get("message", "")
        outcome.code = end.get("exit_code", 0)
        if outcome.status != "done":
            _training.report_end(end, project, recipe)
            break
        outcome.runs[recipe] = end["run"]
        if not arguments.no_adopt:
            _training.adopt(project, {recipe: end["run"]})
    return outcome


def _kept_or_trained(
    folder: Path,
    recipe: str,
    settings: dict[str, Any],
    reporter: _output.Reporter,
    cancel: threading.Event,
    *,
    imported: bool,
) -> _training.End:
    """Return how a recipe's training ended, which a run with the same inputs saves.

    Parameters
    ----------
    folder, recipe, settings
        The project's folder, and what is trained on it, how.
    reporter, cancel
        Told of the progress, and stops it.
    imported
        Whether a run that was imported and is in use saves it, too.
    """
    from napari_wsseg.io.project import Project
    from trainers.engine import fingerprint as _fingerprint

    with Project.open(folder) as project:
        known = _fingerprint.same(project, recipe, settings)
        why = "has the same inputs"
        brought = _fingerprint.imported(project, recipe) if imported else None
        if brought:
            known, why = brought, "was imported and is in use"
    if not known.done:
        return _training.execute(
            folder, recipe, settings, reporter, cancel=cancel, resume=known.resumable
        )
    reporter.close()
    _output.person(f"{recipe}: run {known.done} {why}; kept")
    _training.complete_maps(folder, recipe, known.done, reporter, cancel)
    return {"status": "done", "run": known.done, "metrics": dict(known.metrics)}


def _report_choice(arguments: argparse.Namespace) -> None:
    """Say which classifier preset auto trains, and why."""
    from trainers.settings.suited import suited

    if arguments.preset != "auto":
        return
    lesions = _training.lesions(arguments.project)
    note = suited(lesions).note.format(findings=", ".join(lesions))
    _output.person(f"auto: {note}")


def _took(project: Path) -> dict[str, float]:
    """Return the seconds of the last finished run of each recipe."""
    done = [info for info in runs.listing(project) if info.state == "done"]
    newest_last = sorted(done, key=lambda info: info.created)
    return {info.recipe: info.seconds for info in newest_last}


def _order(preset: str) -> list[Recipe]:
    """Return the recipes to train, in order."""
    from trainers import presets
    from trainers.engine.recipe import in_turn

    return in_turn(presets.get(preset, {}))


def _upstream(
    recipe: str, settings: dict[str, Any], done: dict[str, str]
) -> dict[str, str]:
    """Return the runs of this command that a recipe builds on, by setting.

    Parameters
    ----------
    done
        Recipe to the run that it made, in the order in which they were made.
    """
    from trainers import recipes

    made = {stage: run for name, run in done.items() for stage in recipes[name].stages}
    if "irnet" in made:
        # Of the weak stages to choose from, the one that has a run of its own.
        made["auto"] = made["irnet"]
    upstream = recipes[recipe].upstream(settings)
    return {key: made[stage] for key, stage in upstream.items() if stage in made}


def _settings_for(recipe: str, given: dict[str, str]) -> dict[str, str]:
    """Return what ``--set recipe.key=value`` says of one recipe."""
    prefix = recipe + "."
    return {
        key.removeprefix(prefix): value
        for key, value in given.items()
        if key.startswith(prefix)
    }
