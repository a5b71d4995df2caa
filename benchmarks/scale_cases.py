"""How the worklist grows with the number of films, up to 224,000, as CheXpert has.

    python -m benchmarks.scale_cases [--cases 4000 16000 64000 224000]

writes rows of simulated cases straight into an index: no pixels, 14 findings, a third
of the films decided. Each size is measured in a process of its own. Printed are
processor milliseconds (the best of a few), memory in MiB beyond a project of one
case, and the slope over the sizes on log-log axes: 1 is in proportion.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import json
import random
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

FINDINGS = tuple(f"finding_{number:02d}" for number in range(14))
VERDICTS = ("accept", "accept with edits", "reject", "flag")
LIMITS = {"open": 2000, "filter": 100, "search": 100, "memory": 300, "targets": 4096}
"""Milliseconds, and MiB, that the largest size may take."""


def make(place: Path, count: int) -> None:
    """Make a project of so many cases without films."""
    from napari_wsseg.io.project import Project

    Project.create(place, findings=FINDINGS, images=place.parent).close()
    add_rows(place, count)


def add_rows(place: Path, count: int) -> None:
    """Write rows of so many cases without films, a third of them decided."""
    rng = random.Random(0)
    cases, decisions = [], []
    for number in range(count):
        case_id = hashlib.sha256(str(number).encode()).hexdigest()[:16]
        path = f"patient{number // 3:06d}/study{number % 3}/view{number}_frontal.png"
        labels = {name: int(rng.random() < 0.15) for name in FINDINGS}
        split = ("train", "train", "train", "val", "test")[number % 5]
        cases.append((case_id, path, 2500, 2048, split, json.dumps(labels)))
        if number % 3 == 0:
            decisions.append((case_id, VERDICTS[number % 4], "ann", "", 30.0, "2026"))
    with closing(sqlite3.connect(place / "index.sqlite")) as index, index:
        index.executemany(
            "INSERT INTO cases (id, path, height, width, split, labels) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            cases,
        )
        index.executemany(
            "INSERT INTO decisions (case_id, verdict, reader, comment, seconds, "
            "created) VALUES (?, ?, ?, ?, ?, ?)",
            decisions,
        )


class Nowhere:
    """A background that never comes to it: the films do not exist."""

    def submit(self, *what: object) -> None:
        """Leave it."""

    def drain(self) -> None:
        """Wait for nothing."""


def best(action: Callable[[], object], times: int = 3) -> float:
    """Return the least processor time of an action in milliseconds."""
    found = []
    for _ in range(times):
        began = time.process_time()
        action()
        found.append(time.process_time() - began)
    return 1000 * min(found)


def memory() -> float:
    """Return the process's memory now, in MiB."""
    gc.collect()
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 2**20


def measure(folder: Path, count: int, *, targets: bool) -> dict[str, float]:
    """Measure a project of so many cases, and the masks that are learnt of them."""
    from napari_wsseg._widgets.worklist.model import COLUMNS, FILTERS, WorklistModel
    from napari_wsseg.io.project import Project
    from napari_wsseg.session import Session
    from napari_wsseg.session.case_list import reading_order

    small, place = folder / "small", folder / "large"
    make(small, 1)
    found: dict[str, float] = {}
    found["init"] = best(lambda: make(place, count), 1)
    index = place / "index.sqlite"
    found["index MiB"] = index.stat().st_size / 2**20
    session: Any = Session(reader="ann", background=Nowhere())
    model = WorklistModel(session)

    def opened(which: Path) -> None:
        session.open_project(which)
        model.refresh()
        for row in range(min(50, model.rowCount())):
            for column in range(len(COLUMNS)):
                model.data(model.index(row, column))

    opened(small)
    before = memory()
    found["open"] = best(lambda: opened(place), 1)
    found["memory"] = memory() - before
    slowest = 0.0
    for order in (reading_order.NAME, reading_order.UNCERTAIN, reading_order.RANDOM):
        for chip in FILTERS:
            model.order, model.filter = order, chip
            model.refresh()
            slowest = max(slowest, best(model.refresh))
    found["filter"] = slowest
    model.scores = {c: hash(c) % 997 / 997 for c in session.list.cases}
    model.order, model.filter = reading_order.UNCERTAIN, "All"
    found["by scores"] = best(model.refresh)
    model.scores = {}
    found["progress"] = best(lambda: _progress(session.list))
    model.order, model.filter = reading_order.NAME, "All"
    for name, search in (("search", "patient00012 finding_03"), ("short", "07")):
        model.terms = search
        found[name] = best(model.refresh)
    model.terms = ""
    model.refresh()
    session.list.decisions.update(dict.fromkeys(session.list.order, _decision()))
    found["next unread"] = best(lambda: session.list.unread_after(None))
    found["step"] = best(lambda: session.list.stepped(session.list.order[-1], 1), 50)
    session.close()
    with Project.open(place) as project:
        last = project.case_ids()[-1]
        found["one case"] = best(lambda: project.case(last), 50)
        found["count"] = best(project.n_cases)
        found["ids"] = best(project.case_ids)
        found["all cases"] = best(project.cases)
    return found | (_learning(count) if targets else {})


def _progress(reading: Any) -> tuple[int, float | None]:
    """Return what stands under the list after each verdict and filter."""
    return reading.n_finished(), reading.minutes_left()


def _decision() -> Any:
    from napari_wsseg.schema import Decision

    return Decision(1, "", "accept", "ann", None, "", 30.0, "2026")


def _learning(count: int, size: int = 512) -> dict[str, float]:
    """Hold the masks that a segmenter learns: two of 14 findings drawn on each film."""
    from trainers.data.targets import Targets

    before = memory()
    rows, columns = np.mgrid[:size, :size]
    blobs = [
        ((rows - 200) / (40 + 3 * n)) ** 2 + ((columns - 250) / 60) ** 2 < 1
        for n in range(20)
    ]
    nothing = np.zeros((size, size), bool)
    targets = Targets(size, len(FINDINGS))
    began = time.process_time()
    for row in range(count):
        for finding in range(len(FINDINGS)):
            mask = blobs[row % 20] if finding < 2 else nothing
            targets.put(row, finding, mask)
    found = {"targets put": 1000 * (time.process_time() - began)}
    found["targets"] = memory() - before
    return found


def slope(counts: list[int], values: list[float]) -> float:
    """Return the slope of a straight line through the logarithms."""
    kept = [(n, v) for n, v in zip(counts, values, strict=True) if v > 0]
    if len(kept) < 2:
        return float("nan")
    return float(np.polyfit(*np.log(np.array(kept, float).T), 1)[0])


def main(arguments: list[str]) -> int:
    """Measure each size and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, nargs="+")
    parser.add_argument("--no-targets", action="store_true", help="the list alone")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    counts = chosen.cases or [4000, 16000, 64000, 224000]
    if chosen.child:
        found = measure(chosen.child, counts[0], targets=not chosen.no_targets)
        print(json.dumps(found))
        return 0
    table: list[dict[str, float]] = []
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(
                [
                    *(sys.executable, "-m", "benchmarks.scale_cases"),
                    *("--cases", str(count), "--child", folder),
                    *(["--no-targets"] if chosen.no_targets else []),
                ],
                check=True,
                capture_output=True,
                text=True,
            )
        table.append(json.loads(done.stdout.splitlines()[-1]))
    print(f"{'':14}" + "".join(f"{count:>10}" for count in counts) + "     slope")
    for name in table[0]:
        values = [row[name] for row in table]
        cells = "".join(f"{value:10.2f}" for value in values)
        limit = f"  limit {LIMITS[name]}" if name in LIMITS else ""
        print(f"{name:14}{cells}{slope(counts, values):10.2f}{limit}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
