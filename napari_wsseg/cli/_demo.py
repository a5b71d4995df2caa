"""``wsseg demo``: the synthetic sample project, in the window or headless."""

from __future__ import annotations

import argparse
from pathlib import Path

from napari_wsseg.cli import _open, _say, add_json


def add(command: argparse.ArgumentParser) -> None:
    """Fill in the command's parser."""
    command.add_argument(
        "--headless", action="store_true", help="run the whole loop, write a report"
    )
    command.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="where films, project and report go; default: your cache folder",
    )
    command.add_argument("--films", type=int, default=64, help="how many films")
    add_json(command)


def run(arguments: argparse.Namespace) -> int:
    """Make the films and the project, then show them or work them through."""
    headless = arguments.headless or not _open.has_display()
    out = arguments.out or _default_folder()
    project = sample_project(out, arguments.films, as_json=arguments.json)
    if headless:
        return _whole_loop(project, out / "report", as_json=arguments.json)
    _say.person(f"opening {project}; its films are synthetic, not of patients")
    return _open.show(project, demo=True)


def sample_project(out: Path, films: int, *, as_json: bool = False) -> Path:
    """Make the sample films and their project under `out`; keep what is there."""
    from napari_wsseg.datasets import datasets
    from napari_wsseg.phantom import ensure_demo_dataset

    project = out / "synthetic-project"
    if (project / "wsseg.toml").exists():
        return project
    source = ensure_demo_dataset(out / "synthetic-films", n=films)
    job = datasets["folder"](
        project,
        images=source / "images",
        labels=source / "labels.csv",
        masks=source / "masks",
    )
    report = _say.through(job, _say.Teller(as_json))
    _say.person(f"{report.imported} synthetic films in {project}")
    return project


def _whole_loop(project: Path, report: Path, *, as_json: bool) -> int:
    """Every stage, then the mix with expert masks, then the page."""
    from napari_wsseg.cli import main

    project_words = ["-p", str(project)]
    told = ["--json"] if as_json else []
    for words in (
        ["run", *project_words, *told],
        ["train", "chexseg", *project_words, "--set", "p=0.8", "n_expert=16", *told],
        ["evaluate", *project_words, *told],
        ["report", *project_words, "-o", str(report), *told],
    ):
        _say.person(f"\n$ wsseg {' '.join(words)}")
        code = main(words)
        if code:
            return code
    return 0


def _default_folder() -> Path:
    import os
    import sys

    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home()))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    return base / "napari-wsseg"
