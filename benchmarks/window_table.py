"""How long the window takes on large films: 2500 x 3000 pixels, ten findings.

    xvfb-run -a -s "-screen 0 1920x1080x24" python -m benchmarks.window_table FOLDER

makes a synthetic project in FOLDER, where there is none yet, opens the real window on
it, drives it with mouse and key events, and prints medians, 95th percentiles and the
longest of each in milliseconds, and the median of the processor time, which other work
on the machine disturbs less. The film always has the same height on screen: without a
graphics card, what is drawn costs by its area. ``--train`` lets a classifier train
meanwhile, ``--crf`` a dense CRF run on a film at full size.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from qtpy.QtCore import Qt

from benchmarks.window.hands import Window
from benchmarks.window.large_project import FILMS, make
from benchmarks.window.timing import Table, Took, Watch
from napari_wsseg._widgets.canvas.layer_updates import show
from napari_wsseg._widgets.processes.jobs import Job, jobs_of
from napari_wsseg._widgets.processes.requests import Request

CRF = """
import numpy as np
from napari_wsseg.ops.crf import dense_crf
rng = np.random.default_rng(0)
film = rng.random((3000, 2500), np.float32)
background = rng.random((3000, 2500), np.float32)
while True:
    dense_crf(np.stack([background, 1 - background]), film)
"""


def measure(window: Window, table: Table) -> None:
    """Take every row but those of memory and training."""
    window.key(Qt.Key.Key_2)
    window.settle()
    strokes(window, table)
    table.add("undo", [undo(window) for _ in range(6)])
    window.settle()
    shown_and_hidden(window, table)
    window.settle()
    turning(window, table)


def strokes(window: Window, table: Table) -> None:
    """Paint with three sizes of the brush."""
    layers = window.bench.layers
    for size in (40, 200, 1000):
        layers.active.brush_size = size
        window.drag(0)
        window.settle()
        times = [took for seed in range(4) for took in window.drag(seed)]
        table.add(f"mouse drag to painted, brush {size}", times)
        window.settle()
    layers.active.brush_size = 40


def undo(window: Window) -> Took:
    """Take back a stroke that was just drawn."""
    window.drag(9)
    window.settle()
    control = Qt.KeyboardModifier.ControlModifier
    return window.timed(
        lambda: window.qtest.keyClick(window.canvas, Qt.Key.Key_Z, control)
    )


def shown_and_hidden(window: Window, table: Table) -> None:
    """Change what is seen of one film: masks, everything, greys, opacity."""
    layers = window.bench.layers
    other = next(layer for layer in layers.experts.values() if layer.visible)
    times = [
        window.timed(lambda s=state: show(other, s)) for state in [False, True] * 8
    ]
    table.add("one mask hidden, shown", times)
    held = []
    for _ in range(6):
        held.append(window.timed(lambda: window.commands.hide(True)))
        held.append(window.timed(lambda: window.commands.hide(False)))
    table.add("everything hidden, shown (H)", held)
    film = layers.film
    low, high = film.contrast_limits
    table.add(
        "window/level",
        [
            window.timed(
                lambda k=k: setattr(film, "contrast_limits", (low + 0.005 * k, high))
            )
            for k in range(12)
        ],
    )
    film.contrast_limits = (low, high)
    table.add(
        "opacity of a mask",
        [
            window.timed(lambda k=k: setattr(other, "opacity", 0.3 + 0.02 * k))
            for k in range(12)
        ],
    )


def turning(window: Window, table: Table) -> None:
    """Turn to films that were read ahead, and to others, from disk."""
    for _ in range(2):
        window.turn(Qt.Key.Key_PageDown)
        window.settle()
        window.qtest.qWait(1200)
    cached = []
    for key in [Qt.Key.Key_PageDown, Qt.Key.Key_PageUp] * 5:
        cached.append(window.turn(key))
        window.settle()
        window.qtest.qWait(1000)
    table.add("next case, read ahead", cached)
    order = window.bench.session.list.order
    cold = []
    for number in range(6):
        target = order[(number * 3 + 5) % len(order)]
        if target == window.bench.session.case.id:
            continue
        window.bench.session.loader.forget()
        watch = Watch()
        window.bench.session.go_to(target)
        window.wait(lambda t=target: window.bench.session.case.id == t)
        window.drawn()
        cold.append(watch.read())
        window.settle()
        window.qtest.qWait(1500)
    table.add("another case, from disk", cold)


def memory(window: Window, switches: int) -> None:
    """Turn films over and over; print what the process holds."""
    window.go_to_first()
    process, held = psutil.Process(), []
    for number in range(switches):
        forward = (number // (FILMS - 1)) % 2 == 0
        window.turn(Qt.Key.Key_PageDown if forward else Qt.Key.Key_PageUp)
        window.qtest.qWait(40)
        held.append(process.memory_info().rss / 2**20)
    start, end = np.median(held[20:40]), np.median(held[-20:])
    print(
        f"memory over {switches} switches: {start:.0f} MiB after 30, {end:.0f} MiB at "
        f"the end, {100 * (end / start - 1):+.1f} %, at most {max(held):.0f} MiB"
    )


def training(window: Window, place: Path) -> Any:
    """Start a classifier from the window; return its job once it trains."""
    jobs = jobs_of(window.bench.session)
    job = jobs.start(Request(place, "classifier", {"size": 128, "epochs": 400}))
    window.wait(lambda: bool(job.steps), 240)
    return job


def refining(window: Window, place: Path) -> Any:
    """Start the CRF of a film at full size, over and over, as the window's job."""
    job = Job(Request(place, None), command=[sys.executable, "-c", CRF])
    window.qtest.qWait(8000)
    return job


def beside(window: Window, table: Table, job: Any, what: str) -> None:
    """Look, draw and turn films while a job computes."""
    looking: list[Took] = []
    with window.beats(looking):
        window.qtest.qWait(8000)
    table.add(f"gaps beside {what}: looking", looking)
    window.key(Qt.Key.Key_2)
    painting: list[Took] = []
    with window.beats(painting):
        for seed in range(4):
            window.drag(seed)
            window.qtest.qWait(1500)
    table.add(f"gaps beside {what}: a stroke every two seconds", painting)
    films: list[Took] = []
    with window.beats(films):
        for _ in range(3):
            window.turn(Qt.Key.Key_PageDown)
            window.qtest.qWait(2500)
    table.add(f"gaps beside {what}: a film every three seconds", films)
    if not job.alive:
        raise RuntimeError(f"{what} ended before it was measured: {job.end}")
    job.force_stop()
    window.wait(lambda: not job.alive)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--switches", type=int, default=200)
    parser.add_argument("--train", action="store_true")
    parser.add_argument("--crf", action="store_true")
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args(arguments)
    place = chosen.folder / "project"
    if not place.is_dir():
        make(chosen.folder)
    window = Window(place)
    table = Table(
        f"window {window.bench.main_window.size()}, picture {window.canvas.size()}"
    )
    table.add("window and first film on screen", [window.opened])
    measure(window, table)
    if chosen.train:
        beside(window, table, training(window, place), "a training")
    if chosen.crf:
        window.go_to_first()
        beside(window, table, refining(window, place), "a CRF of 2500 x 3000")
    if chosen.switches:
        memory(window, chosen.switches)
    if chosen.json:
        chosen.json.write_text(json.dumps(table.rows))
    window.bench.viewer.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
