"""Make the sample project that ships: films, readings, two runs, a sweep.

    python -m benchmarks.window.sample_project [-o sample_data/project.zip]

All by the program's own commands, those that the window gives in the background where
nothing ships (`sample_stages.requests`); some ten minutes on two quiet cores. Weights
are left out, and scores of maps rounded to steps of a thirtieth: megabytes that nobody
would look at. Nor are the maps of the sweep's runs there, whose figures are.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from napari_wsseg._widgets.opening import sample_stages
from napari_wsseg.datasets import _sample_readings
from napari_wsseg.io import runs, stages
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import finish
from napari_wsseg.schema import ANATOMY, STAGES, StageMaps

STEPS = 30
LEFT_OUT = ("best.safetensors", "last.pt", "cache", ".lock", "index.sqlite-")
WHEN = (2020, 1, 1, 0, 0, 0)
"""Of every member: files that did not change stay as they are."""


def make(out: Path) -> Path:
    """Return a sample project with everything in it, below `out`."""
    project = _sample_readings.place(out)
    if not project.exists():
        finish(_sample_readings.make_half_read(out))
    for request in sample_stages.missing(project):
        began = time.monotonic()
        arguments = [sys.executable, *request.command()[1:]]
        subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL)
        print(
            f"{request.recipe or 'run'}: {time.monotonic() - began:.0f} s", flush=True
        )
        adopt(project)
    infos = [info for info in runs.listing(project) if info.state == "done"]
    for info in (info for info in infos if not info.evaluation):
        arguments = [
            "evaluate",
            "-p",
            str(project),
            "--split",
            "test",
            "--run",
            info.id,
        ]
        subprocess.run(
            [sys.executable, "-m", "napari_wsseg.cli", *arguments], check=True
        )
    return project


def adopt(project: Path) -> None:
    """Put what came first in use, as the window does."""
    with Project.open(project, write=True) as opened:
        for info in runs.listing(project):
            for stage in info.facts.stages:
                if info.state == "done" and opened.adopted(stage) is None:
                    opened.adopt(stage, info.id, actor="wsseg")


def slim(project: Path) -> None:
    """Round the scores of maps, and leave out those of the sweep's runs."""
    for stage in (*STAGES, ANATOMY):
        for place in sorted((project / "stages" / stage).glob("*")):
            if place.name.startswith("chexseg"):
                shutil.rmtree(place)
                continue
            for case in stages.cases_with_maps(project, stage, place.name):
                maps = stages.read(project, stage, place.name, case)
                assert maps is not None
                score = np.round(maps.score * STEPS) / STEPS
                rounded = StageMaps(score, maps.present, maps.extra)
                stages.write(project, stage, place.name, case, rounded)


def loose(path: Path) -> bytes:
    """Return a file without a compression of its own, so that all is packed well."""
    made = io.BytesIO()
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as arrays:
            np.savez(made, allow_pickle=False, **dict(arrays))
    elif path.suffix == ".png" and "images" in path.parts:
        with Image.open(path) as film:
            about = PngInfo()
            for name, text in film.text.items():  # type: ignore[attr-defined]
                about.add_text(name, text)
            film.save(
                made, "png", pnginfo=about, dpi=film.info["dpi"], compress_level=0
            )
    else:
        return path.read_bytes()
    return made.getvalue()


def pack(folder: Path, target: Path) -> None:
    """Write a folder as an archive, without weights and what a window leaves."""
    index = folder / "synthetic-project" / "index.sqlite"
    # Whole and without a journal.
    kept = index.with_name("kept.sqlite")
    with sqlite3.connect(index) as database:
        database.execute("VACUUM INTO ?", (str(kept),))
    database.close()
    kept.replace(index)
    with zipfile.ZipFile(target, "w") as archive:
        for path in sorted(folder.rglob("*")):
            place = path.relative_to(folder).as_posix()
            if path.is_dir() or any(f"/{name}" in place for name in LEFT_OUT):
                continue
            member = zipfile.ZipInfo(place, WHEN)
            film = "images" in path.parts
            member.compress_type = zipfile.ZIP_BZIP2 if film else zipfile.ZIP_LZMA
            archive.writestr(member, loose(path))
    print(f"{target}: {target.stat().st_size / 1e6:.1f} MB", flush=True)


def main() -> None:
    """Make it and pack it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "-o", "--out", type=Path, default=_sample_readings.SHIPPED, metavar="ZIP"
    )
    parser.add_argument(
        "--place", type=Path, help="where it is made and stays; goes on from there"
    )
    wanted = parser.parse_args()
    # Whose account made it is nobody's business.
    os.environ.update(LOGNAME="wsseg", USER="wsseg")
    with tempfile.TemporaryDirectory(prefix="wsseg-sample-") as scratch:
        folder = make(wanted.place or Path(scratch) / "made").parent
        packed = Path(shutil.copytree(folder, Path(scratch) / "packed"))
        slim(packed / "synthetic-project")
        pack(packed, wanted.out)


if __name__ == "__main__":
    main()
