"""How long the window takes with a worklist of thousands: five thousand films.

    xvfb-run -a python -m benchmarks.scale.long_worklist FOLDER [--films N] [--rows N]

makes a project of small synthetic films in FOLDER, where there is none yet, with
decisions on a third of them, opens the real window on it, and prints in milliseconds
how long its worklist takes to open, to filter, to search and to order. ``--rows``
writes rows of so many films besides that lie nowhere; they come behind the others.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from PIL import Image
from qtpy.QtCore import Qt

from benchmarks import scale_cases
from benchmarks.window.hands import Window
from benchmarks.window.timing import Table, Watch

FILMS = 5000
FINDINGS = scale_cases.FINDINGS


def make(folder: Path, count: int = FILMS, rows: int = 0) -> Path:
    """Make films, labels, masks and decisions, and rows of films that lie nowhere."""
    from napari_wsseg.io import images
    from napari_wsseg.io.project import Project
    from napari_wsseg.schema import Case

    films, place = folder / "films", folder / "project"
    films.mkdir(parents=True)
    rng = np.random.default_rng(0)
    verdicts = ("accept", "accept with edits", "reject", "flag")
    with Project.create(place, findings=FINDINGS, images=films) as project:
        for number in range(count):
            path = films / f"film{number:05d}.png"
            Image.fromarray(rng.integers(0, 255, (64, 64), np.uint8)).save(path)
            film = images.read(path)
            labels = {name: int(rng.integers(2)) for name in FINDINGS}
            case = Case(film.uid[:16], path.name, (64, 64), None, "train", labels)
            project.add_case(case)
            if number % 3 == 0:
                mask = np.zeros((64, 64), bool)
                mask[20:40, 20:40] = True
                project.put_mask(case.id, FINDINGS[0], mask, reader="ann", tool="brush")
                project.decide(case.id, verdicts[number % 4], reader="ann")
    if rows:
        scale_cases.add_rows(place, rows)
    return place


def measure(window: Window, table: Table, place: Path) -> None:
    """Use the worklist's chips, search field and orders."""
    from napari_wsseg._widgets.worklist.panel import Worklist

    session: Any = window.bench.session
    opened = []
    for _ in range(5):
        session.close()
        watch = Watch()
        session.open_project(place)
        window.app.processEvents()
        opened.append(watch.read())
        window.wait(lambda: session.case is not None)
        window.settle()
    table.add("worklist of a project that is opened", opened)
    accepted = []
    for _ in range(10):
        window.qtest.qWait(700)  # a film is seen before it is decided
        accepted.append(window.turn(Qt.Key.Key_A))
        window.settle()
    table.add("a verdict, and the next film", accepted)
    panel: Any = window.bench.main_window.findChild(Worklist)
    for chip in panel.chips.buttons():
        everything = panel.chips.buttons()[0]
        if chip is everything:
            continue
        times = []
        for _ in range(6):
            times.append(window.timed(chip.click))
            times.append(window.timed(everything.click))
            window.settle()
        table.add(f"filter: {chip.text()}", times)
    typed = []
    for search in ("12", "123", "film04", "zzz", "") * 3:
        panel.search.setText(search)
        panel._typed.stop()
        typed.append(window.timed(panel._filter))
        window.settle()
    table.add("search", typed)
    for number in range(panel.order.count()):
        times = []
        for _ in range(4):
            panel.order.setCurrentIndex(0)
            window.settle()
            times.append(window.timed(lambda n=number: panel.order.setCurrentIndex(n)))
            window.settle()
        table.add(f"order: {panel.order.itemText(number)}", times)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--films", type=int, default=FILMS)
    parser.add_argument("--rows", type=int, default=0)
    chosen = parser.parse_args(arguments)
    place = chosen.folder / "project"
    if not place.is_dir():
        make(chosen.folder, chosen.films, chosen.rows)
    window = Window(place)
    table = Table(f"{len(window.bench.session.list.cases)} films")
    table.add("window and first film on screen", [window.opened])
    measure(window, table, place)
    print(f"{psutil.Process().memory_info().rss / 2**20:.0f} MiB in all")
    window.bench.viewer.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
