"""``wsseg infer``: a stage's maps for every film."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_wsseg import protocol
from napari_wsseg.cli import _output, add_json, add_project
from napari_wsseg.schema import ACCEPTING, ANATOMY, STAGES, STORES

if TYPE_CHECKING:
    from napari_wsseg.io.project import Project
    from napari_wsseg.pipeline.infer import Shard

AUTO = "auto"
PRIORS = (
    *(AUTO, "none", "lungs", "heart", "mediastinum"),
    *("pleural rim", "costophrenic angle", "anywhere"),
)


def add(command: argparse.ArgumentParser) -> None:
    """Fill in the command's parser."""
    command.add_argument("stage", choices=(*STAGES, ANATOMY))
    add_project(command)
    _add_choice(command)
    _add_side_by_side(command)
    _add_making(command)
    _add_masks(command)
    add_json(command)


def _add_choice(command: argparse.ArgumentParser) -> None:
    """Add what says which maps of which films."""
    command.add_argument("--run", dest="run_id", help="default: the run in use")
    command.add_argument(
        "--map",
        metavar="VARIANT",
        help="another of the run's maps than its own, e.g. layer-cam@4 or tdn-2; "
        "all: every one of them",
    )
    command.add_argument(
        "--first", metavar="CASE_ID", help="the film to do before all others"
    )
    command.add_argument("--only", metavar="CASE_ID", help="one film and no other")


def _add_side_by_side(command: argparse.ArgumentParser) -> None:
    """Add what lets several jobs share the films."""
    command.add_argument(
        "--shard",
        metavar="I/N",
        help="only every N-th film, from the I-th, for one of N jobs side by side; a "
        "last call without it completes the stage",
    )
    command.add_argument(
        "--processes",
        type=int,
        default=1,
        metavar="N",
        help="N such jobs on this machine, then the last call",
    )
    command.add_argument(
        "--write-plan",
        type=Path,
        metavar="FILE",
        help="write what such jobs read of the index, which needs no lock on a network "
        "share, and do no more",
    )
    command.add_argument(
        "--plan",
        type=Path,
        metavar="FILE",
        help="with --shard: read that plan instead of the project's index",
    )
    command.add_argument(
        "--dask",
        metavar="ADDRESS",
        help="such jobs by Dask's workers, then the last call: local:N starts N on "
        "this machine, tcp://HOST:PORT is a scheduler's; needs napari-wsseg[dask]",
    )


def _add_making(command: argparse.ArgumentParser) -> None:
    """Add what says how maps are computed and kept."""
    command.add_argument(
        "--store",
        choices=STORES,
        help="npz: a file for each film, packed: a file for many, a byte a cell; "
        "default: as wsseg.toml has it under [defaults], else npz",
    )
    command.add_argument(
        "--keep",
        choices=("none", "accepted", "all"),
        default="all",
        help="whose maps stay once thresholds are set, the others are made again when "
        "they are asked for: nobody's, those of films that a reader accepted, or all",
    )
    command.add_argument("--again", action="store_true", help="also what is there")
    command.add_argument(
        "--precision",
        choices=("fp32", "bf16"),
        default="fp32",
        help="of the networks of cam and segmentation; bf16 takes half the time where "
        "the processor or the GPU has it, and its maps depend on the machine",
    )
    command.add_argument(
        "--parent", type=int, help="stop after the batch in hand when it is gone"
    )
    add_prior(command)


def _add_masks(command: argparse.ArgumentParser) -> None:
    """Add what lets masks from elsewhere be the anatomy."""
    command.add_argument(
        "--masks",
        type=Path,
        metavar="FOLDER",
        help="stage anatomy alone: masks of heart and lungs, by hand or by another "
        "network, take the place of what ours finds: heart/, left_lung/, right_lung/ "
        "or lungs/, in them <film>.png (docs/anatomy.md)",
    )
    command.add_argument("--name", default="masks", help="what drew them")


def add_prior(command: argparse.ArgumentParser) -> None:
    """Add the option that keeps all findings to one place."""
    command.add_argument(
        "--prior",
        choices=PRIORS,
        help="keep the maps of every finding to where it can be: lungs, …; none: to no "
        "place; auto: each finding to its own (docs/anatomy.md). Stays with the "
        "project",
    )


def set_prior(folder: Path, prior: str | None) -> bool:
    """Write down a prior, if one is given; return whether one was."""
    from napari_wsseg.io.project import Project

    if prior is None:
        return False
    with Project.open(folder, write=True) as project:
        project.set_prior("" if prior == AUTO else prior)
    return True


def run(arguments: argparse.Namespace) -> int:
    """Compute what is missing of the stage's maps."""
    from napari_wsseg.io import stages
    from napari_wsseg.io.project import Project
    from trainers.engine import cancellation

    shard = _shard(arguments.shard)
    _check_combinations(arguments, shard)
    if arguments.write_plan:
        return _write_plan(arguments)
    cancel = threading.Event()
    cancellation.on_signals(cancel)
    cancellation.watch(cancel, lambda: None, parent=arguments.parent)
    anew = set_prior(arguments.project, arguments.prior)
    with Project.open(arguments.project, plan=arguments.plan) as project:
        run_id = arguments.run_id or _run_in_use(project, arguments)
        config, names = _variants(project, run_id, arguments.map)
        if arguments.processes > 1:
            _side_by_side(arguments, run_id, cancel)
        counts: dict[str, int] = {}
        for variant in names:
            _compute(arguments, project, run_id, variant, shard, cancel, anew=anew)
            kept, title = _stage_and_title(arguments.stage, variant, config)
            if arguments.keep != "all" and not cancel.is_set():
                _let_go(project, kept, run_id, arguments.keep)
            counts[title] = len(stages.cases_with_maps(project.folder, kept, run_id))
        total = project.n_cases()
    if arguments.masks and not cancel.is_set():
        run_id = _take_masks(arguments)
    _report(arguments, run_id, counts, total, stopped=cancel.is_set())
    return 130 if cancel.is_set() else 0


def _check_combinations(arguments: argparse.Namespace, shard: Shard | None) -> None:
    """Refuse options that do not go together."""
    from napari_wsseg.jobs import UsageError
    from napari_wsseg.pipeline import dask_client

    several = arguments.processes > 1
    part = bool(shard or arguments.only or arguments.first)
    if arguments.processes < 1:
        raise UsageError(f"--processes {arguments.processes}: there must be one")
    refused = {
        "--processes goes without --shard, --first and --only": several and part,
        "--dask goes without --processes, --shard, --first and --only": (
            arguments.dask and (several or part)
        ),
        "--keep goes without --shard and --only: the last call lets go": (
            arguments.keep != "all" and (shard or arguments.only)
        ),
        "--masks: only of the stage anatomy, and without --run": (
            arguments.masks and (arguments.stage != ANATOMY or arguments.run_id)
        ),
        "--prior goes without --processes and --dask": (
            arguments.prior and (several or arguments.dask)
        ),
        "--plan goes with --shard: the last call reads the index": (
            arguments.plan and not shard
        ),
    }
    for message, met in refused.items():
        if met:
            raise UsageError(message)
    if arguments.dask:
        dask_client.check(arguments.dask)


def _run_in_use(project: Project, arguments: argparse.Namespace) -> str:
    from napari_wsseg.jobs import DataError
    from napari_wsseg.pipeline.inference import anatomy

    if arguments.masks:
        return anatomy.SHIPPED
    if arguments.stage == ANATOMY:
        return anatomy.run_in_use(project)
    run_id = project.adopted(arguments.stage)
    if not run_id:
        raise DataError(
            f"no run is in use for the stage {arguments.stage}; train one, or name "
            "one with --run"
        )
    return run_id


def _variants(
    project: Project, run_id: str, wanted: str | None
) -> tuple[dict[str, Any], list[str | None]]:
    """Return a run's settings, and the names of the maps that are asked for."""
    from napari_wsseg.io import runs
    from napari_wsseg.pipeline.inference import anatomy, variants

    if run_id == anatomy.SHIPPED:
        return {}, [wanted]
    config = runs.find(project.folder, run_id).config()
    return config, list(variants.run_variants(config)) if wanted == "all" else [wanted]


def _compute(
    arguments: argparse.Namespace,
    project: Project,
    run_id: str,
    variant: str | None,
    shard: Shard | None,
    cancel: threading.Event,
    *,
    anew: bool,
) -> None:
    """Compute one map of every film, by Dask's workers first where they are named."""
    from napari_wsseg.pipeline import dask_jobs
    from napari_wsseg.pipeline.infer import infer

    packed = arguments.store == "packed" if arguments.store else None
    if arguments.dask:
        shares = dask_jobs.share_out(
            *(project, arguments.stage, run_id, arguments.dask),
            cancel=cancel,
            variant=variant,
            again=arguments.again,
            packed=packed,
            precision=arguments.precision,
        )
        _output.through(shares, _output.Reporter(arguments.json))
    shared = arguments.processes > 1 or bool(arguments.dask)
    job = infer(
        project,
        arguments.stage,
        run_id,
        variant=variant,
        first=arguments.only or arguments.first,
        only=bool(arguments.only),
        cancel=cancel,
        # What the jobs side by side have just made is not made once more.
        again=anew or (arguments.again and not shared),
        deep=anew,
        shard=shard,
        packed=packed,
        precision=arguments.precision,
    )
    _output.through(job, _output.Reporter(arguments.json))


def _stage_and_title(
    stage: str, variant: str | None, config: dict[str, Any]
) -> tuple[str, str]:
    """Return the stage that a map is kept under, and what it is called."""
    from napari_wsseg.pipeline.inference import variants

    if not variant:
        return stage, stage
    title = f"{stage} ({variants.variant_title(variant)})"
    return variants.stage_name(variant, config), title


def _report(
    arguments: argparse.Namespace,
    run_id: str,
    counts: dict[str, int],
    total: int,
    *,
    stopped: bool,
) -> None:
    """Say of how many films there are maps now."""
    for title, films in counts.items():
        _output.person(f"{title}: {films} of {total} films by run {run_id}")
    end = protocol.finished(
        "stopped" if stopped else "done",
        run=run_id,
        films=min(counts.values()),
        of=total,
    )
    if arguments.map:
        end["map"] = arguments.map
    if arguments.json:
        _output.program(end)


def _write_plan(arguments: argparse.Namespace) -> int:
    from napari_wsseg.io.project import Project

    with Project.open(arguments.project) as project:
        project.write_plan(arguments.write_plan)
        films = project.n_cases()
    _output.person(f"{arguments.write_plan}: a plan of {films} films, for --plan")
    if arguments.json:
        plan = str(arguments.write_plan)
        _output.program(protocol.finished("done", plan=plan, films=films))
    return 0


def _let_go(project: Project, stage: str, run_id: str, keep: str) -> None:
    """Delete the maps of films that nobody accepted, or of all."""
    from napari_wsseg.io import stages

    kept: set[str] = set()
    if keep == "accepted":
        decisions = project.decisions().items()
        kept = {case_id for case_id, d in decisions if d.verdict in ACCEPTING}
    stages.keep(project.folder, stage, run_id, kept)
    _output.person(f"{stage}: kept {keep}; the others are made again when asked for")


def _take_masks(arguments: argparse.Namespace) -> str:
    """Let masks from elsewhere be the anatomy; return the run that stands for them."""
    from napari_wsseg.io.project import Project
    from napari_wsseg.pipeline.inference import external_anatomy

    with Project.open(arguments.project, write=True) as project:
        job = external_anatomy.steps(project, arguments.masks, called=arguments.name)
        taken = _output.through(job, _output.Reporter(arguments.json))
        project.adopt(ANATOMY, taken.run, actor="command line")
    for reason in taken.rejected:
        _output.person(f"rejected: {reason}")
    _output.person(
        f"{', '.join(taken.structures)} of {taken.films} films are those of "
        f"{arguments.masks}; elsewhere our own network's"
    )
    return str(taken.run)


def _shard(text: str | None) -> Shard | None:
    from napari_wsseg.jobs import UsageError
    from napari_wsseg.pipeline.infer import Shard

    if not text:
        return None
    number, slash, count = text.partition("/")
    if not (slash and number.isdecimal() and count.isdecimal()):
        raise UsageError(f"--shard {text} is not like 1/4, the first of four")
    return Shard(int(number), int(count))


def _side_by_side(
    arguments: argparse.Namespace, run_id: str, cancel: threading.Event
) -> None:
    """Let several processes make most of the maps; what they leave is made here."""
    count = arguments.processes
    options = ["infer", arguments.stage, "-p", str(arguments.project), "--run", run_id]
    options += ["--map", arguments.map] if arguments.map else []
    options += ["--again"] if arguments.again else []
    options += ["--store", arguments.store] if arguments.store else []
    options += ["--precision", arguments.precision, "--parent", str(os.getpid())]
    threads = max(1, (os.cpu_count() or 1) // count)
    command = [sys.executable, "-m", "napari_wsseg.cli", *options]
    jobs = [
        subprocess.Popen(
            [*command, "--shard", f"{number}/{count}"],
            stdout=subprocess.DEVNULL,
            # The first of them tells how it goes; all go alike.
            stderr=None if number == 1 else subprocess.DEVNULL,
            env={"OMP_NUM_THREADS": str(threads), **os.environ},
        )
        for number in range(1, count + 1)
    ]
    for job in jobs:
        while job.poll() is None:
            if cancel.wait(0.1):
                job.terminate()
                job.wait()
