"""Draw the guides' pictures anew: the window on synthetic films, never on a patient's.

    xvfb-run -s "-screen 0 1366x768x24" python -m benchmarks.window.guide_pictures PATH

`PATH` is a synthetic project with stages in use, such as ``wsseg demo`` leaves. It
is copied first, and a short training of the copy gives the pictures of Train.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from qtpy.QtCore import QItemSelectionModel, QSettings
from qtpy.QtGui import QImage
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QDockWidget, QWidget
from skimage.measure import find_contours

from napari_wsseg._widgets import window
from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg._widgets.export.panel import ExportPanel
from napari_wsseg._widgets.opening.new_project import NewProject
from napari_wsseg._widgets.opening.tour import Tour
from napari_wsseg._widgets.parts import preferences
from napari_wsseg._widgets.review.panel import Review
from napari_wsseg._widgets.runs.panel import RunsPanel
from napari_wsseg._widgets.training.panel import TrainPanel
from napari_wsseg._widgets.workbench import commands_of, workbench_of
from napari_wsseg.datasets.folder import import_folder
from napari_wsseg.io.project import Project
from napari_wsseg.phantom import FINDINGS, generate
from napari_wsseg.phantom._files import write_dicom, write_mask
from napari_wsseg.schema import Case

SIZE = 1366, 768
COLOURS, GREYS = 160, 64
"""Of a picture: fewer make smaller files and are not seen."""
_GREYISH = 20
"""Difference of red, green and blue below which a colour is kept as a grey."""
FINDING = "cardiomegaly"
_MANY_SEED = 11


class Studio:
    """One window on a copy of the project, and the folder that pictures go to."""

    def __init__(self, project: Path, out: Path) -> None:
        self.out = out
        self.viewer = window.open_window(project, reader="ann")
        self.bench: Workbench = workbench_of(self.viewer)
        self.main = self.bench.main_window
        assert self.main is not None
        self.main.resize(*SIZE)
        self.wait(lambda: self.session.case is not None)
        self.settle()

    @property
    def session(self) -> Any:
        return self.bench.session

    @property
    def review(self) -> Review:
        return self.main.findChild(Review)  # type: ignore[union-attr, return-value]

    def wait(self, condition: Callable[[], bool], seconds: float = 300.0) -> None:
        """Let the window live until something is so.

        Raises
        ------
        TimeoutError
        """
        for _ in range(int(seconds * 50)):
            if condition():
                return
            QTest.qWait(20)
        raise TimeoutError("a picture waited in vain")

    def settle(self) -> None:
        """Wait until all is read, drawn and painted."""
        self.bench.loading.drain()
        self.bench.drawing.drain()
        self.wait(lambda: not self.bench.turn.going_on)
        QTest.qWait(400)

    def open(self, case: Case) -> None:
        """Turn to a film."""
        self.session.go_to(case.id)
        self.wait(
            lambda: self.session.case is not None and self.session.case.id == case.id
        )
        self.settle()

    def raise_dock(self, name: str) -> QDockWidget:
        """Bring a panel to the front."""
        docks = self.main.findChildren(QDockWidget)  # type: ignore[union-attr]
        dock = next(one for one in docks if one.windowTitle() == name)
        dock.raise_()
        QTest.qWait(300)
        return dock

    def fold(self, *open_ones: str) -> None:
        """Leave these parts of Review open, no others."""
        for name, fold in self.review.folds.items():
            fold.set_open(name in open_ones)
        self.review.scroll.verticalScrollBar().setValue(0)
        QTest.qWait(200)

    def grab(self, widget: QWidget | None = None) -> Image.Image:
        """Return a widget, or the window without menu and worklist."""
        shot = picture_of(widget or self.main)  # type: ignore[arg-type]
        if widget is not None:
            return shot
        bar = next(
            one
            for one in self.main.findChildren(QDockWidget)  # type: ignore[union-attr]
            if one.windowTitle() == "Tools"
        )
        corner = bar.mapTo(self.main, bar.rect().topLeft())
        return shot.crop((corner.x(), corner.y(), shot.width, shot.height - 24))

    def keep(self, name: str, picture: Image.Image) -> None:
        """Write a picture in few colours."""
        path = self.out / name
        keep(path, picture)


def keep(path: Path, picture: Image.Image) -> None:
    """Write a picture in few colours, those of few pixels among them."""
    rgb = picture.convert("RGB")
    pixels = np.asarray(rgb).reshape(-1, 3)
    coloured = pixels[np.ptp(pixels, axis=1) > _GREYISH]
    palette = Image.fromarray(coloured[None]).quantize(
        COLOURS, method=Image.Quantize.MAXCOVERAGE
    )
    shades = np.repeat(np.linspace(0, 255, GREYS).astype(int), 3).tolist()
    chosen = Image.new("P", (1, 1))
    chosen.putpalette([*shades, *(palette.getpalette() or [])[: 3 * COLOURS]])
    small = rgb.quantize(palette=chosen, dither=Image.Dither.NONE)
    small.save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB", flush=True)


def picture_of(widget: QWidget) -> Image.Image:
    """Return what a widget shows."""
    shot = widget.grab().toImage().convertToFormat(QImage.Format.Format_RGB888)
    data = shot.constBits().asstring(shot.sizeInBytes())
    rows: NDArray[np.uint8] = np.frombuffer(data, np.uint8)
    rows = rows.reshape(shot.height(), shot.bytesPerLine())[:, : 3 * shot.width()]
    return Image.fromarray(rows.reshape(shot.height(), shot.width(), 3))


def beside(pictures: list[Image.Image]) -> Image.Image:
    """Return pictures in one row."""
    height = max(one.height for one in pictures)
    sheet = Image.new("RGB", (sum(one.width for one in pictures), height), "#262930")
    left = 0
    for one in pictures:
        sheet.paste(one, (left, 0))
        left += one.width
    return sheet


def choose(project: Project, finding: str = FINDING) -> Case:
    """Return a film on which the segmentation in use finds a finding that is there."""
    cases = [case for case in project.cases() if case.labels.get(finding) == 1]
    return max(cases, key=lambda case: sum(v == 1 for v in case.labels.values()))


def opening(out: Path, films: Path) -> None:
    """The empty window, and the wizard on a folder of films."""
    viewer = window.open_window(None, reader="ann")
    main = workbench_of(viewer).main_window
    assert main is not None
    main.resize(*SIZE)
    QTest.qWait(1500)
    keep(out / "start.png", picture_of(main))
    wizard = NewProject(main, films / "images")
    wizard.show()
    for _ in range(1000):
        if not wizard._due.isActive() and not wizard._looking.busy:
            break
        QTest.qWait(100)
    QTest.qWait(500)
    keep(out / "new-project.png", picture_of(wizard))
    wizard.close()
    viewer.close()


def thirteen(out: Path, place: Path) -> None:
    """Thirteen findings of one film: lesions, and the anatomy that they lie in."""
    phantom = generate(_MANY_SEED, findings=FINDINGS)
    masks = {**phantom.masks, **phantom.anatomy}
    names = [name for name, mask in masks.items() if mask.any()][:13]
    films = place / "many" / "images"
    films.mkdir(parents=True)
    write_dicom(films / "synthetic_0001.dcm", phantom)
    for name in names:
        path = place / "many" / "masks" / name / "synthetic_0001.png"
        path.parent.mkdir(parents=True)
        write_mask(path, masks[name])
    labels = place / "many" / "labels.csv"
    labels.write_text(
        f"image,{','.join(names)}\nsynthetic_0001.dcm{',1' * len(names)}\n"
    )
    project = place / "many" / "project"
    import_folder(project, films, labels, place / "many" / "masks")
    studio = Studio(project, out)
    studio.session.looking.set_drawing("outlined")
    studio.settle()
    studio.keep("many-findings.png", picture_of(studio.main))  # type: ignore[arg-type]
    studio.viewer.close()


def tour(studio: Studio) -> None:
    """The first of five steps, as whoever opens the sample meets it."""
    card: Any = studio.main.findChild(Tour)  # type: ignore[union-attr]
    if card.isVisible():
        studio.keep("tour.png", studio.grab())
    card.close_for_good()


def stages(studio: Studio, case: Case) -> None:
    """Compare, side by side, and the findings of one film."""
    looking = studio.session.looking
    studio.open(case)
    looking.set_finding(FINDING)
    studio.fold("Stages")
    looking.set_view("cam", compared="segmentation")
    looking.compare_by("swipe")
    studio.settle()
    studio.keep("compare.png", studio.grab())
    looking.forget_departures()
    looking.set_view("segmentation")
    commands = commands_of(studio.viewer)
    commands.toggle_gallery()
    studio.settle()
    studio.keep("stages.png", studio.grab())
    commands.toggle_gallery()
    looking.set_view("expert")
    studio.fold("Findings", "Grey window")
    studio.settle()
    studio.keep("findings.png", studio.grab())


def lasso(studio: Studio, case: Case) -> None:
    """An outline on its way round a heart: seven points, the rest along the edges."""
    studio.open(case)
    looking, tool = studio.session.looking, studio.bench.lasso
    looking.set_finding(FINDING)
    draft = studio.session.draft("segmentation", FINDING, case.shape)
    rim = max(find_contours(np.pad(draft, 1), 0.5), key=len) - 1
    looking.set_view("expert")
    looking.set_drawing("off")
    studio.settle()
    studio.bench.take_lasso()
    studio.wait(lambda: tool.snaps)
    points = rim[np.linspace(0, 0.75 * len(rim), 8).astype(int)]
    for place in points[:-1]:
        tool._set(place)
    tool._lead_to(points[-1])
    tool._draw()
    studio.settle()
    studio.keep("lasso.png", studio.grab())
    tool.put_down()
    looking.set_drawing("filled")


def readers(studio: Studio) -> None:
    """Adjudication of two simulated readers, and how far they agree."""
    session = studio.session
    session.read_as("ann", "adjudicate")
    studio.settle()
    studio.fold("Findings")
    session.looking.set_view("expert")
    # A finding that both have drawn.
    for name in session.looking.names:
        masks = session.opened.others.values()
        if all(one.get(name) is not None and one[name].any() for one in masks):
            session.looking.set_finding(name)
    studio.settle()
    studio.keep("adjudicate.png", studio.grab())
    studio.bench.agreement_wanted.emit()
    agreement = commands_of(studio.viewer).agreement
    assert agreement is not None
    QTest.qWait(1500)
    studio.settle()
    studio.keep("agreement.png", picture_of(agreement))
    agreement.hide()
    session.read_as("ann", "open")
    studio.settle()


def panels(studio: Studio) -> None:
    """Runs, Export and Train, the last through a training."""
    dock = studio.raise_dock("Runs")
    runs: Any = dock.findChild(RunsPanel)
    studio.wait(lambda: len(runs.infos) > 0)
    # What is in use, then with what came beside it.
    rows = [row for row, info in enumerate(runs.infos) if info.recipe == "segmentation"]
    runs.table.selectRow(rows[0])
    QTest.qWait(700)
    one = picture_of(dock)
    model, flags = runs.table.selectionModel(), QItemSelectionModel.SelectionFlag
    model.select(runs.table.model().index(rows[1], 0), flags.Select | flags.Rows)
    QTest.qWait(700)
    studio.keep("runs.png", beside([one, picture_of(dock)]))
    dock = studio.raise_dock("Export")
    export: Any = dock.findChild(ExportPanel)
    studio.wait(lambda: "Would write" in export.preview.text())
    QTest.qWait(300)
    before = picture_of(dock)
    export.start()
    studio.wait(lambda: "written" in export.result.text())
    QTest.qWait(300)
    studio.keep("export.png", beside([before, picture_of(dock)]))
    dock = studio.raise_dock("Train")
    panel: Any = dock.findChild(TrainPanel)
    studio.wait(lambda: panel.state == "ready", 600)
    QTest.qWait(1000)
    shots = [picture_of(dock)]
    panel.setup.choose("chexseg")
    QTest.qWait(500)
    panel.setup.set_settings({"size": 1024, "batch": 64})
    studio.wait(lambda: "fit" in panel.setup.memory.text(), 300)
    QTest.qWait(500)
    shots.append(picture_of(dock))
    panel.setup.set_settings({"size": 64, "batch": 8, "epochs": 6})
    panel.start()
    studio.wait(
        lambda: sum(s.message == "training" for s in panel.jobs.current.steps) > 7, 900
    )
    QTest.qWait(700)
    shots.append(picture_of(dock))
    studio.keep("../train.png", picture_of(studio.main))  # type: ignore[arg-type]
    studio.wait(lambda: not panel.jobs.busy, 900)
    QTest.qWait(700)
    shots.append(picture_of(dock))
    studio.keep("train.png", beside(shots))


class Film:
    """Frames of the recorded session, each with how long it is shown."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self.frames: list[Image.Image] = []
        self.times: list[int] = []

    def take(self, seconds: float) -> None:
        """Take a frame."""
        QTest.qWait(150)
        shot = picture_of(self.studio.main)  # type: ignore[arg-type]
        self.frames.append(shot.resize((SIZE[0] * 3 // 4, SIZE[1] * 3 // 4)))
        self.times.append(int(1000 * seconds))

    def write(self, path: Path) -> None:
        """Write all frames as one moving picture."""
        self.frames[0].save(
            path,
            save_all=True,
            append_images=self.frames[1:],
            duration=self.times,
            loop=0,
            quality=40,
            method=6,
        )
        print(f"{path}: {path.stat().st_size / 1000:.0f} kB", flush=True)


def session(studio: Studio, cases: list[Case]) -> None:
    """A film through its stages, accepted; the next one drawn on; a line of words."""
    film, looking, bench = Film(studio), studio.session.looking, studio.bench
    studio.raise_dock("Review")
    studio.fold("Findings", "Stages")
    studio.open(cases[0])
    looking.set_finding(FINDING)
    for view in ("expert", "cam", "crf", "irnet", "segmentation"):
        looking.set_view(view)
        studio.settle()
        film.take(1.5)
    looking.set_threshold("segmentation", FINDING, 0.35)
    studio.settle()
    film.take(1.5)
    looking.forget_departures()
    studio.wait(lambda: bench.sight.seen)
    bench.decide("accept")
    studio.settle()
    film.take(1.5)
    studio.open(cases[1])
    looking.set_view("expert")
    studio.settle()
    film.take(1)
    layer = bench.layers.active
    layer.mode, layer.brush_size = "paint", 34
    rows, columns = studio.session.case.shape
    for step in range(6):
        for part in range(4):
            along = (4 * step + part) / 24
            at = (0.55 * rows + 0.2 * rows * along, (0.5 + 0.12 * along) * columns)
            layer.paint(at, 1)
        film.take(0.4)
    studio.settle()
    film.take(1)
    studio.wait(lambda: bench.sight.seen)
    bench.decide("accept with edits")
    studio.settle()
    film.take(1.5)
    commands_of(studio.viewer).toggle_gallery()
    studio.settle()
    film.take(2)
    commands_of(studio.viewer).toggle_gallery()
    studio.raise_dock("Runs")
    QTest.qWait(1000)
    film.take(1.5)
    studio.raise_dock("Review")
    film.write(studio.out / "session.webp")


def main() -> None:
    """Draw every picture, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("project", type=Path)
    parser.add_argument("-o", "--out", type=Path, default=Path("docs/guide"))
    parser.add_argument("--only", nargs="*", default=[])
    wanted = parser.parse_args()
    wanted.out.mkdir(parents=True, exist_ok=True)
    place = Path(tempfile.mkdtemp())
    settings = QSettings(str(place / "window.ini"), QSettings.Format.IniFormat)
    preferences._settings = lambda: settings
    # Beside its films, as the project looks for them by a relative path; where a
    # sample project lies, it has its tour.
    copy = Path(shutil.copytree(wanted.project.parent, place / "sample"))
    project = copy / wanted.project.name
    with Project.open(project, write=True) as opened:
        if not opened.synthetic:
            raise SystemExit(f"{wanted.project}: not a synthetic project")
        first = choose(opened)
        rest = [c for c in opened.cases("train") if c.id != first.id]
    before: dict[str, Callable[[], None]] = {
        "opening": lambda: opening(wanted.out, copy / "synthetic-films"),
        "thirteen": lambda: thirteen(wanted.out, place),
    }
    for name, draw in before.items():
        if not wanted.only or name in wanted.only:
            draw()
    if wanted.only and not set(wanted.only) - set(before):
        return
    studio = Studio(project, wanted.out)
    parts: dict[str, Callable[[], None]] = {
        "tour": lambda: tour(studio),
        "stages": lambda: stages(studio, first),
        "lasso": lambda: lasso(studio, first),
        "session": lambda: session(studio, [first, rest[-1]]),
        "readers": lambda: readers(studio),
        "panels": lambda: panels(studio),
    }
    for name, draw in parts.items():
        if not wanted.only or name in wanted.only or name == "tour":
            draw()
    studio.viewer.close()
    QApplication.processEvents()
    shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    main()
