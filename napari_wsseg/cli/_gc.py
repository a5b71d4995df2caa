"""``wsseg gc``: delete what can be made again and nobody looks at."""

from __future__ import annotations

import argparse
import shutil

from napari_wsseg.cli import _say, add_project


def add(command: argparse.ArgumentParser) -> None:
    """Fill in the command's parser."""
    add_project(command)
    command.add_argument(
        "--dry-run", action="store_true", help="only say what would go"
    )


def run(arguments: argparse.Namespace) -> int:
    """Delete stage maps of runs that are not in use, and left-over temporary files.

    Weights, masks, decisions and the audit trail are never touched; a stage's maps
    come back with ``wsseg infer``.
    """
    from napari_wsseg.io.project import Project
    from napari_wsseg.schema import STAGES

    freed = 0
    with Project.open(arguments.project, write=True) as project:
        for stage in STAGES:
            used = project.adopted(stage)
            # Variants of a stage lie beside it, as stages/cam~layer-cam@4.
            kept = [project.folder / "stages" / stage]
            kept += (project.folder / "stages").glob(f"{stage}~*")
            for folder in sorted(run for place in kept for run in place.glob("*")):
                if folder.is_dir() and folder.name != used:
                    size = sum(
                        f.stat().st_size for f in folder.rglob("*") if f.is_file()
                    )
                    freed += size
                    _say.person(
                        f"{folder.relative_to(project.folder)}: {size >> 10} KiB"
                    )
                    if not arguments.dry_run:
                        shutil.rmtree(folder)
    _say.person(
        f"{freed / 2**20:.1f} MiB {'could be' if arguments.dry_run else ''} freed"
    )
    return 0
