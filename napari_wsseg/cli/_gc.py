"""``wsseg gc``: delete what can be made again and nobody looks at."""

from __future__ import annotations

import argparse

from napari_wsseg.cli import _output, add_project


def add(command: argparse.ArgumentParser) -> None:
    """Fill in the command's parser."""
    add_project(command)
    command.add_argument(
        "--dry-run", action="store_true", help="only say what would go"
    )


def run(arguments: argparse.Namespace) -> int:
    """Delete maps and caches that are not in use, and what was left half written.

    Weights, masks, decisions and the audit trail are never touched; a stage's maps
    come back with ``wsseg infer``.
    """
    from napari_wsseg.io.project import Project
    from napari_wsseg.io.project_folder import gc as _gc
    from napari_wsseg.schema import STAGES

    with Project.open(arguments.project, write=True) as project:
        adopted = {stage: project.adopted(stage) for stage in STAGES}
        # A study that has begun goes on with the drafts that it began with.
        in_study = any(
            spell.arm in ("draft", "loop") for spell in project.work_log.spells()
        )
        studied = project.runs_used_first() if in_study else {}
        found = _gc.waste(project.folder, adopted, studied)
        for each in found:
            place = each.path.relative_to(project.folder).as_posix()
            _output.person(f"{place}: {each.why}, {each.bytes >> 10} KiB")
        if not arguments.dry_run:
            _gc.clear(found)
    freed = sum(each.bytes for each in found) / 2**20
    _output.person(f"{freed:.1f} MiB {'could be ' if arguments.dry_run else ''}freed")
    return 0
