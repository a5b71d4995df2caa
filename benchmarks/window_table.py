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
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil
from scipy import ndimage

FINDINGS = tuple(f"finding_{number}" for number in range(10))
SHAPE = (3000, 2500)
FILMS = 8
FILM_PIXELS = 940
"""Height of the film on screen."""

SQUARE = 128
RUN = "classifier-20260101-000000-aaaa"
CRF = """
import numpy as np
from napari_wsseg.ops.crf import dense_crf
rng = np.random.default_rng(0)
film = rng.random((3000, 2500), np.float32)
background = rng.random((3000, 2500), np.float32)
while True:
    dense_crf(np.stack([background, 1 - background]), film)
"""
STAGES_MADE = ("cam", "crf", "irnet", "segmentation")


def make(folder: Path) -> Path:
    """Make films, masks of every finding and maps of every stage."""
    import dataclasses

    from napari_wsseg.io import images, stages
    from napari_wsseg.io.project import Project
    from napari_wsseg.phantom._files import write_dicom
    from napari_wsseg.phantom.film import generate
    from napari_wsseg.schema import Case, StageMaps, StageSettings

    films, place = folder / "films", folder / "project"
    films.mkdir(parents=True)
    rng = np.random.default_rng(0)
    first = generate(1, size=SHAPE)
    with Project.create(place, findings=FINDINGS, images=films) as project:
        for number in range(FILMS):
            noise = rng.integers(0, 60, SHAPE, dtype=np.uint16)
            pixels = np.minimum(first.pixels + noise, 4095).astype(np.uint16)
            path = films / f"film{number}.dcm"
            write_dicom(
                path, dataclasses.replace(first, pixels=pixels, seed=number + 1)
            )
            film = images.read(path)
            case = Case(
                film.uid[:16],
                path.name,
                SHAPE,
                film.spacing_mm,
                "train" if number < FILMS - 2 else "val",
                {name: (number + i) % 2 for i, name in enumerate(FINDINGS)},
            )
            project.add_case(case)
            for name in FINDINGS:
                project.put_mask(case.id, name, _blob(rng), reader="ann", tool="brush")
    smooth = ndimage.gaussian_filter(rng.random((10, SQUARE, SQUARE)), (0, 9, 9))
    score = (smooth - smooth.min()) / (smooth.max() - smooth.min())
    maps = StageMaps(score.astype(np.float32), np.full(10, 0.9, np.float32))
    with Project.open(place, write=True) as project:
        for stage in STAGES_MADE:
            settings = StageSettings(FINDINGS, (0.6,) * 10, (0.5,) * 10)
            stages.write_settings(place, stage, RUN, settings)
            for case in project.cases():
                stages.write(place, stage, RUN, case.id, maps)
            project.adopt(stage, RUN, actor="benchmark")
    return place


def _blob(rng: np.random.Generator) -> np.ndarray:
    y, x = rng.uniform(0.25, 0.75, 2) * SHAPE
    rows, columns = np.ogrid[: SHAPE[0], : SHAPE[1]]
    within = (rows - y) ** 2 + (columns - x) ** 2 < rng.uniform(80, 260) ** 2
    return np.asarray(within)


class Took(NamedTuple):
    """What a step took: by the clock, and of the processor in all threads."""

    ms: float
    computing_ms: float


class Watch:
    """Times from when it is made."""

    def __init__(self) -> None:
        self._began = time.perf_counter(), time.process_time()

    def read(self) -> Took:
        began, computed = self._began
        return Took(
            (time.perf_counter() - began) * 1000,
            (time.process_time() - computed) * 1000,
        )


class Table:
    """Rows of milliseconds, printed as they are known."""

    def __init__(self, title: str) -> None:
        self.rows: dict[str, list[Took]] = {}
        print(title, "", sep="\n")
        print("| what | median ms | p95 | longest | processor, median ms | n |")
        print("|---|---|---|---|---|---|", flush=True)

    def add(self, name: str, taken: list[Took]) -> None:
        self.rows[name] = taken
        times = [took.ms for took in taken]
        low, high = np.median(times), np.percentile(times, 95)
        computing = np.median([took.computing_ms for took in taken])
        print(
            f"| {name} | {low:.1f} | {high:.1f} | {max(times):.1f} | {computing:.1f} | "
            f"{len(times)} |",
            flush=True,
        )


class Window:
    """The real window, and what a reader's hands do with it."""

    def __init__(self, place: Path) -> None:
        from qtpy.QtCore import QSettings
        from qtpy.QtTest import QTest
        from qtpy.QtWidgets import QApplication

        from napari_wsseg._widgets import window
        from napari_wsseg._widgets.parts import preferences
        from napari_wsseg._widgets.workbench import commands_of, workbench_of

        settings = QSettings(str(place / "window.ini"), QSettings.Format.IniFormat)
        preferences._settings = lambda: settings  # type: ignore[attr-defined]
        watch = Watch()
        viewer = window.open_window(place, reader="ann")
        window.spare_window(viewer)
        self.bench: Any = workbench_of(viewer)
        self.commands = commands_of(viewer)
        self.wait(lambda: self.bench.session.case is not None)
        self.opened = watch.read()
        self.app = QApplication.instance()
        self.qtest = QTest
        self.bench.main_window.resize(1920, 1080)
        self.settle()
        self.canvas = self.bench.canvas()
        film = self.bench.layers.film
        viewer.scene.camera.zoom = FILM_PIXELS / (SHAPE[0] * film.scale[0])
        self.settle()

    def wait(self, until: Callable[[], bool], seconds: float = 60.0) -> None:
        from qtpy.QtTest import QTest

        end = time.monotonic() + seconds
        while not until():
            if time.monotonic() > end:
                raise TimeoutError(f"waited {seconds} s in vain")
            QTest.qWait(2)

    def settle(self) -> None:
        self.bench.loading.drain()
        self.bench.drawing.drain()
        self.qtest.qWait(400)

    def drawn(self) -> None:
        """Wait until all of a film that was turned to is on screen."""
        while self.bench.turn.going_on:
            self.app.processEvents()
        self.app.processEvents()

    def timed(self, act: Callable[[], object]) -> Took:
        """Return how long `act` takes until all of it is on screen."""
        watch = Watch()
        act()
        self.app.processEvents()
        return watch.read()

    def key(self, key: Any) -> None:
        self.qtest.keyClick(self.canvas, key)

    def drag(self, seed: int) -> list[Took]:
        """Draw one stroke of twenty points; return the time of each to the screen."""
        from qtpy.QtCore import QPoint, Qt

        rng = np.random.default_rng(seed)
        start = rng.uniform((0.35, 0.3), (0.5, 0.6))
        size = np.array([self.canvas.width(), self.canvas.height()])
        points = [QPoint(*map(int, (start + 0.006 * i) * size)) for i in range(20)]
        left = Qt.MouseButton.LeftButton
        self.qtest.mouseMove(self.canvas, points[0])
        self.app.processEvents()
        self.qtest.mousePress(self.canvas, left, pos=points[0])
        self.app.processEvents()
        times = [
            self.timed(lambda p=point: self.qtest.mouseMove(self.canvas, p))
            for point in points[1:]
        ]
        self.qtest.mouseRelease(self.canvas, left, pos=points[-1])
        self.app.processEvents()
        return times

    def go_to_first(self) -> None:
        first = self.bench.session.list.order[0]
        self.bench.session.go_to(first)
        self.wait(lambda: self.bench.session.case.id == first)
        self.settle()

    def turn(self, key: Any) -> Took:
        before = self.bench.session.case
        watch = Watch()
        self.key(key)
        self.wait(lambda: self.bench.session.case is not before)
        self.drawn()
        return watch.read()

    @contextmanager
    def beats(self, gaps: list[Took]) -> Iterator[None]:
        """Collect the gaps of a 10 ms timer on the event loop."""
        from qtpy.QtCore import Qt, QTimer

        beats: list[Took] = []
        last = Watch()

        def beat() -> None:
            nonlocal last
            beats.append(last.read())
            last = Watch()

        timer = QTimer()
        timer.setTimerType(Qt.TimerType.PreciseTimer)
        timer.timeout.connect(beat)
        timer.start(10)
        yield
        timer.stop()
        beat()
        gaps += beats


def measure(window: Window, table: Table) -> None:
    """Take every row but those of memory and training."""
    from qtpy.QtCore import Qt

    layers = window.bench.layers
    canvas = window.canvas
    window.key(Qt.Key.Key_2)
    window.settle()
    for size in (40, 200, 1000):
        layers.active.brush_size = size
        window.drag(0)
        window.settle()
        times = [took for seed in range(4) for took in window.drag(seed)]
        table.add(f"mouse drag to painted, brush {size}", times)
        window.settle()
    layers.active.brush_size = 40

    def undo() -> Took:
        window.drag(9)
        window.settle()
        control = Qt.KeyboardModifier.ControlModifier
        return window.timed(
            lambda: window.qtest.keyClick(canvas, Qt.Key.Key_Z, control)
        )

    table.add("undo", [undo() for _ in range(6)])
    window.settle()
    from napari_wsseg._widgets.canvas.layer_updates import show

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
    window.settle()
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
    from qtpy.QtCore import Qt

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
    from napari_wsseg._widgets.processes.jobs import jobs_of
    from napari_wsseg._widgets.processes.requests import Request

    jobs = jobs_of(window.bench.session)
    job = jobs.start(Request(place, "classifier", {"size": 128, "epochs": 400}))
    window.wait(lambda: bool(job.steps), 240)
    return job


def refining(window: Window, place: Path) -> Any:
    """Start the CRF of a film at full size, over and over, as the window's job."""
    from napari_wsseg._widgets.processes.jobs import Job
    from napari_wsseg._widgets.processes.requests import Request

    job = Job(Request(place, None), command=[sys.executable, "-c", CRF])
    window.qtest.qWait(8000)
    return job


def beside(window: Window, table: Table, job: Any, what: str) -> None:
    """Look, draw and turn films while a job computes."""
    from qtpy.QtCore import Qt

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
    turning: list[Took] = []
    with window.beats(turning):
        for _ in range(3):
            window.turn(Qt.Key.Key_PageDown)
            window.qtest.qWait(2500)
    table.add(f"gaps beside {what}: a film every three seconds", turning)
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
