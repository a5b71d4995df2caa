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

AUTO = "auto"
PRIORS = (
    *(AUTO, "none", "lungs", "heart", "mediastinum"),
    *("pleural rim", "costophrenic angle", "anywhere"),
)


def add(command: argparse.ArgumentParser) -> None:
    """Fill in the command's parser."""
    command.add_argument("stage", choices=(*STAGES, ANATOMY))
    add_project(command)
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
    command.add_argument(
        "--masks",
        type=Path,
        metavar="FOLDER",
        help="stage anatomy alone: masks of heart and lungs, by hand or by another "
        "network, take the place of what ours finds: heart/, left_lung/, right_lung/ "
        "or lungs/, in them <film>.png (docs/anatomy.md)",
    )
    command.add_argument("--name", default="masks", help="what drew them")
    add_json(command)


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
    from napari_wsseg.io import runs, stages
    from napari_wsseg.io.project import Project
    from napari_wsseg.jobs import DataError, UsageError
    from napari_wsseg.pipeline import dask_client, dask_jobs
    from napari_wsseg.pipeline.infer import Shard, infer
    from napari_wsseg.pipeline.inference import anatomy, variants
    from trainers.engine import cancellation as _cancellation

    packed = arguments.store == "packed" if arguments.store else None
    shard = Shard(*_shard(arguments.shard)) if arguments.shard else None
    if arguments.processes < 1:
        raise UsageError(f"--processes {arguments.processes}: there must be one")
    if arguments.processes > 1 and (shard or arguments.only or arguments.first):
        raise UsageError("--processes goes without --shard, --first and --only")
    if arguments.dask:
        if arguments.processes > 1 or shard or arguments.only or arguments.first:
            raise UsageError(
                "--dask goes without --processes, --shard, --first and --only"
            )
        dask_client.check(arguments.dask)
    if arguments.keep != "all" and (shard or arguments.only):
        raise UsageError(
            "--keep goes without --shard and --only: the last call lets go"
        )
    if arguments.masks and (arguments.stage != ANATOMY or arguments.run_id):
        raise UsageError("--masks: only of the stage anatomy, and without --run")
    if arguments.prior and (arguments.processes > 1 or arguments.dask):
        raise UsageError("--prior goes without --processes and --dask")
    if arguments.plan and not shard:
        raise UsageError("--plan goes with --shard: the last call reads the index")
    if arguments.write_plan:
        return _write_plan(arguments)
    cancel = threading.Event()
    _cancellation.on_signals(cancel)
    _cancellation.watch(cancel, lambda: None, parent=arguments.parent)
    anew = set_prior(arguments.project, arguments.prior)
    with Project.open(arguments.project, plan=arguments.plan) as project:
        run_id = arguments.run_id or (
            (anatomy.SHIPPED if arguments.masks else anatomy.run_in_use(project))
            if arguments.stage == ANATOMY
            else project.adopted(arguments.stage)
        )
        if not run_id:
            raise DataError(
                f"no run is in use for the stage {arguments.stage}; train one, or "
                "name one with --run"
            )
        config: dict[str, Any] = {}
        every = [arguments.map]
        if run_id != anatomy.SHIPPED:
            config = runs.find(project.folder, run_id).config()
            if arguments.map == "all":
                every = list(variants.run_variants(config))
        if arguments.processes > 1:
            _side_by_side(arguments, run_id, cancel)
        counts: dict[str, int] = {}
        shared = arguments.processes > 1 or bool(arguments.dask)
        for variant in every:
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
            kept, what = arguments.stage, arguments.stage
            if variant:
                kept = variants.stage_name(variant, config)
                what = f"{arguments.stage} ({variants.variant_title(variant)})"
            if arguments.keep != "all" and not cancel.is_set():
                _let_go(project, kept, run_id, arguments.keep)
            counts[what] = len(stages.cases_with_maps(project.folder, kept, run_id))
        total = project.n_cases()
    if arguments.masks and not cancel.is_set():
        run_id = _take_masks(arguments)
    for what, seen in counts.items():
        _output.person(f"{what}: {seen} of {total} films by run {run_id}")
    end = protocol.finished(
        "stopped" if cancel.is_set() else "done",
        run=run_id,
        films=min(counts.values()),
        of=total,
    )
    if arguments.map:
        end["map"] = arguments.map
    if arguments.json:
        _output.program(end)
    return 130 if cancel.is_set() else 0


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


def _shard(text: str) -> tuple[int, int]:
    from napari_wsseg.jobs import UsageError

    number, slash, count = text.partition("/")
    if not (slash and number.isdecimal() and count.isdecimal()):
        raise UsageError(f"--shard {text} is not like 1/4, the first of four")
    return int(number), int(count)


def _side_by_side(
    arguments: argparse.Namespace, run_id: str, cancel: threading.Event
) -> None:
    """Let several processes make most of the maps; what they leave is made here."""
    count = arguments.processes
    words = ["infer", arguments.stage, "-p", str(arguments.project), "--run", run_id]
    words += ["--map", arguments.map] if arguments.map else []
    words += ["--again"] if arguments.again else []
    words += ["--store", arguments.store] if arguments.store else []
    words += ["--precision", arguments.precision, "--parent", str(os.getpid())]
    threads = max(1, (os.cpu_count() or 1) // count)
    command = [sys.executable, "-m", "napari_wsseg.cli", *words]
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
