"""What the commands that train share: settings, watching, adopting, ending."""

from __future__ import annotations

import argparse
import importlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from napari_wsseg import protocol
from napari_wsseg.cli import _launch as launch
from napari_wsseg.cli import _output
from napari_wsseg.io import project_files, stages
from napari_wsseg.io import runs as _runs
from napari_wsseg.io.project import Project, ProjectLocked
from napari_wsseg.jobs import DataError, UsageError
from napari_wsseg.pipeline.inference import places
from trainers import preset_notes, presets, recipes
from trainers.engine import cancellation as _cancellation
from trainers.settings.paper_presets import papers
from trainers.settings.suited import suited

End = dict[str, Any]


def add_settings(
    command: argparse.ArgumentParser,
    *,
    adopts: bool = True,
    preset: str | None = "fast",
) -> None:
    """Add ``--set``, ``--preset``, ``--parent`` and, if it `adopts`, ``--no-adopt``."""
    command.add_argument(
        "--set", nargs="+", action="extend", default=[], metavar="key=value"
    )
    command.add_argument(
        "--preset",
        default=preset,
        metavar="NAME",
        help=f"{', '.join(presets)} "
        f"(default: {preset or 'that of the runs in use, else fast'})",
    )
    if adopts:
        command.add_argument(
            "--no-adopt", action="store_true", help="leave the runs in use as they are"
        )
    command.add_argument("--parent", type=int, help="stop when this process is gone")


def preset_settings(preset: str, recipe: str) -> dict[str, Any]:
    """Return a preset's settings of a recipe.

    Raises
    ------
    UsageError
        If there is no such preset or recipe.
    """
    if preset not in presets:
        raise UsageError(f"no preset {preset!r}; there are: {', '.join(presets)}")
    if recipe not in recipes:
        raise UsageError(f"no recipe {recipe!r}; there are: {', '.join(recipes)}")
    return dict(presets[preset].get(recipe, {}))


def suited_settings(project: Path, preset: str, recipe: str) -> dict[str, Any]:
    """Return a preset's settings of a recipe, as they suit a project's findings.

    Raises
    ------
    UsageError
        As `preset_settings`.
    """
    settings = preset_settings(preset, recipe)
    if preset != "auto":
        return settings
    return dict(suited(lesions(project)).settings.get(recipe, {}))


def preset_in_use(project: Path) -> str:
    """Return the preset that the runs in use were trained by, ``fast`` if by none.

    Preset ``auto`` is known by its settings as they suit the project's findings.
    """
    with Project.open(project) as opened:
        used = set(opened.runs_in_use().values())
    infos = [info for info in _runs.listing(project) if info.id in used]
    known = {**presets, "auto": suited(lesions(project)).settings}
    return _runs.nearest_preset(infos, known) or "fast"


def lesions(project: Path) -> list[str]:
    """Return the findings of a project that are no organ grown too large."""
    with Project.open(project) as opened:
        return places.lesions(opened)


def report_notes(preset: str) -> None:
    """Tell a person where a paper's preset is not what its paper says."""
    for note in preset_notes.get(preset, ()) if preset in papers else ():
        _output.person(f"preset {preset}: {note}")


@contextmanager
def watched(
    arguments: argparse.Namespace, cancel: threading.Event
) -> Iterator[_output.Reporter]:
    """Tell a job's lines while signals, a stop file or the parent's end cancel it."""
    reporter = _output.Reporter(arguments.json)
    if arguments.parent is not None:
        with _cancellation.leaving_with(arguments.parent):
            importlib.import_module("trainers.engine.narrate")
    _cancellation.on_signals(cancel)
    stop = arguments.project / "runs" / "stop"
    project_files.remove(stop)
    beat = (lambda: _output.program(protocol.heartbeat())) if arguments.json else None
    over = _cancellation.watch(cancel, lambda: stop, parent=arguments.parent, beat=beat)
    try:
        yield reporter
    finally:
        over.set()
        reporter.close()


def execute(
    project: Path,
    recipe: str,
    settings: dict[str, Any],
    reporter: _output.Reporter,
    *,
    cancel: threading.Event,
    resume: str | None = None,
    processes: int = 1,
) -> End:
    """Train one recipe and compute its maps; return the ``finished`` line.

    Raises
    ------
    UsageError
        If `processes` is below 1.
    """
    if processes < 1:
        raise UsageError(f"--processes {processes}: there must be at least one")
    if processes > 1:
        given = [f"{key}={value}" for key, value in settings.items()]
        return launch.together(
            processes,
            [recipe, "-p", str(project), "--infer"]
            + (["--resume", resume] if resume else ["--set", *given] if given else []),
            reporter,
            cancel=cancel,
        )
    from trainers.engine.narrate import narrate
    from trainers.engine.run import Run

    run = Run.prepare(recipe, project, settings, cancel=cancel, resume=resume)
    over = _cancellation.watch(cancel, lambda: run.folder.stop_file)
    try:
        for line in narrate(run, with_maps=True):
            if protocol.is_a("finished", line):
                return line
            reporter(line)
    finally:
        over.set()
    raise RuntimeError("a job ended without a last word")


def complete_maps(
    project: Path,
    recipe: str,
    run: str,
    reporter: _output.Reporter,
    cancel: threading.Event,
) -> None:
    """Compute the maps that a run lacks because it was stopped, or films were added."""
    from napari_wsseg.pipeline import infer

    with Project.open(project) as opened:
        films = opened.case_ids()
        for stage in recipes[recipe].stages:
            if stages.missing(opened.folder, stage, run, films):
                _output.through(
                    infer.infer(opened, stage, run, cancel=cancel), reporter
                )


def adopt(project: Path, runs: dict[str, str]) -> None:
    """Use these runs, by recipe, for their stages.

    A run that nobody can evaluate never takes the place of one that was: that is for
    ``wsseg adopt`` to say.
    """
    try:
        with Project.open(project, write=True) as opened:
            for recipe, run in runs.items():
                for stage in recipes[recipe].stages:
                    used = opened.adopted(stage)
                    if used == run:
                        continue
                    if used and _worth_less(opened, run, used):
                        _output.person(
                            f"{stage}: run {run} is unevaluated, and {used}, which is "
                            f"not, stays in use; wsseg adopt {run} uses it all the same"
                        )
                        continue
                    opened.adopt(stage, run, actor="command line")
    except ProjectLocked as error:
        _output.person(
            f"{error}\nThe run is finished; use it from the window's Runs tab."
        )


def _worth_less(project: Project, run: str, used: str) -> bool:
    """Whether `run` is unevaluated for good, unlike `used`."""
    if project.annotated("val"):
        # It can be evaluated at any time.
        return False
    infos = {info.id: info for info in _runs.listing(project.folder)}
    if run not in infos or used not in infos:
        return False
    return infos[used].evaluated and not infos[run].evaluated


def warnings(
    project: Path, runs: dict[str, str], reporter: _output.Reporter
) -> list[dict[str, Any]]:
    """Return what is wrong with the stages of these runs, by recipe, on val.

    A stage that scores below the one before it should not be found out weeks later.
    Without expert masks on validation films nothing can be said.
    """
    from napari_wsseg.pipeline.evaluate import evaluate, scored_cases
    from napari_wsseg.schema import STAGES

    made = {stage: run for name, run in runs.items() for stage in recipes[name].stages}
    with Project.open(project) as opened:
        if not scored_cases(opened, "val"):
            return []
        in_order = {stage: made[stage] for stage in STAGES if stage in made}
        try:
            result = _output.through(evaluate(opened, "val", runs=in_order), reporter)
        except DataError as error:
            # The runs are done all the same; `wsseg evaluate` says the same again.
            _output.person(f"the stages could not be compared on val: {error}")
            return []
    return [{**each, "split": "val"} for each in result.to_json()["warnings"]]


def report_choices(project: Path, runs: dict[str, str]) -> dict[str, dict[str, str]]:
    """Tell a person what runs, by recipe, chose for each finding; return it."""
    reporter = {
        recipe: choices
        for recipe, run in runs.items()
        if (choices := _runs.find(project, run).choices())
    }
    for recipe, choices in reporter.items():
        for finding, why in choices.items():
            _output.person(f"{recipe}, {finding}: weak masks from {why}")
    return reporter


def report_end(end: End, project: Path, recipe: str) -> None:
    """Tell a person how a run ended and what to do next."""
    known = end["metrics"]
    summary = ", ".join(
        f"{name} {value:.3f}{protocol.bounds_in_words(known, name)}"
        for name, value in protocol.metrics_alone(known).items()
    )
    if end["status"] == "done":
        _output.person(
            f"{recipe} done in {end['seconds']:.0f} s; {summary or 'unevaluated'}"
        )
    elif end["status"] == "stopped" and end.get("message"):
        _output.person(
            f"stopped: {end['message']}; compute the rest with: wsseg infer "
            f"{end['stages'][-1]} -p {project} --run {end['run']}"
        )
    elif end["status"] == "stopped":
        _output.person(
            f"stopped; go on with: wsseg train {recipe} -p {project} "
            f"--resume {end['run']}"
        )
    else:
        _output.person(f"wsseg: {recipe} failed: {end['message']}")
