"""From the empty window to a film: the start page, the wizard, and what is dropped."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication, QDockWidget

from helpers import noise_project
from helpers.dropping import drag
from napari_wsseg._widgets import window
from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg._widgets.opening.new_project import NewProject
from napari_wsseg._widgets.opening.start_page import StartPage
from napari_wsseg._widgets.processes.import_request import ImportRequest
from napari_wsseg.datasets.importing.suggest import suggest

pytestmark = pytest.mark.gui

Open = Callable[..., Workbench]


@pytest.fixture
def films(tmp_path: Path) -> Path:
    """Return a folder with films, labels and a mask, as people keep them."""
    folder = tmp_path / "ward films"
    (folder / "images").mkdir(parents=True)
    for number in range(6):
        pixels = np.random.default_rng(number).integers(0, 256, (48, 40), np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"f{number}.png")
    (folder / "images" / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n no more")
    (folder / "labels.csv").write_text(
        "image,nodule\n" + "".join(f"f{n}.png,{n % 2}\n" for n in range(6))
    )
    for name in ("nodul", "nodule"):
        mask = folder / "masks" / name / "f1.png"
        mask.parent.mkdir(parents=True)
        Image.fromarray(np.full((48, 40), 255, np.uint8)).save(mask)
    return folder


def page_of(bench: Workbench) -> StartPage:
    page = bench.main_window.findChild(StartPage)
    assert isinstance(page, StartPage)
    return page


def wizard_of(bench: Workbench, qtbot: Any) -> NewProject:
    found: list[NewProject] = []

    def shown() -> bool:
        found[:] = [
            w for w in bench.main_window.findChildren(NewProject) if w.isVisible()
        ]
        return bool(found)

    qtbot.waitUntil(shown, timeout=5000)
    return found[0]


def test_a_folder_dropped_on_the_empty_window_becomes_a_project_on_screen(
    open_bench: Open, films: Path, qtbot: Any
) -> None:
    bench = open_bench(None)
    page = page_of(bench)
    assert page.isVisible()
    assert not any(d.isVisible() for d in bench.main_window.findChildren(QDockWidget))
    drag(films, page)()
    wizard = wizard_of(bench, qtbot)
    text = wizard.preview.toPlainText
    qtbot.waitUntil(lambda: "can be imported" in text(), timeout=60_000)
    for part in (
        "6 films can be imported",
        "nodule",
        "3 present, 3 absent",
        "did you mean nodule?",
        "torn.png",
        "dealt out 70 : 15 : 15",
        "which film",
    ):
        assert part in text()
    command = wizard.command.text()
    assert command.startswith("wsseg init '")
    assert "--labels" in command
    wizard.create_button.click()
    qtbot.waitUntil(lambda: bench.session.case is not None, timeout=60_000)
    assert not page.isVisible()
    assert len(bench.session.list.cases) == 6
    assert bench.session.project.folder == films.parent / "ward films-project"
    shown = {d.windowTitle() for d in bench.main_window.findChildren(QDockWidget)}
    assert {"Worklist", "Review"} <= shown


def test_a_path_that_is_typed_or_pasted_fills_in_what_lies_beside_it(
    films: Path, qtbot: Any
) -> None:
    wizard = NewProject(None)
    qtbot.addWidget(wizard)
    wizard.show()
    text = wizard.preview.toPlainText
    qtbot.keyClicks(wizard.images, str(films / "image"))
    assert wizard.project.text() == "", "not at every letter"
    qtbot.keyClick(wizard.images, Qt.Key.Key_Return)
    assert "no such folder or file" in text()
    assert not wizard.create_button.isEnabled()
    wizard.masks.setFocus()
    qtbot.keyClicks(wizard.masks, str(films / "other"))
    qtbot.keyClicks(wizard.images, "s")
    qtbot.keyClick(wizard.images, Qt.Key.Key_Return)
    assert wizard.labels.text() == str(films / "labels.csv")
    assert wizard.masks.text() == str(films / "other"), "written by hand"
    assert wizard.project.text() == str(films / "images-project")
    assert not wizard._making.busy, "Enter shows what would be made first"
    wizard.masks.clear()
    qtbot.waitUntil(lambda: "can be imported" in text(), timeout=60_000)
    wizard.project.clear()
    qtbot.waitUntil(lambda: "name a new folder" in text(), timeout=5000)
    wizard.images.clear()
    clipboard = QApplication.clipboard()
    assert clipboard is not None
    clipboard.setText(str(films))
    wizard.images.paste()
    assert wizard.images.text() == str(films / "images"), "where its films lie"
    wizard.reject()


def test_a_table_that_is_refused_is_explained_column_by_column(
    open_bench: Open, films: Path, qtbot: Any
) -> None:
    (films / "labels.csv").write_text("image,nodule\nf0.png,yes\nf1.png,0\n")
    bench = open_bench(None)
    page_of(bench).start.begin_new(films)
    wizard = wizard_of(bench, qtbot)
    text = wizard.preview.toPlainText
    qtbot.waitUntil(lambda: "Nothing can be made yet" in text(), timeout=60_000)
    assert "'yes' is not 1 (present), 0 (absent)" in text()
    assert "not understood: write 1, 0, -1 or nothing" in text()
    assert bench.session.project is None
    wizard.close()


def test_an_import_that_is_stopped_makes_nothing_and_goes_on(
    open_bench: Open, films: Path, qtbot: Any
) -> None:
    bench = open_bench(None)
    page_of(bench).start.begin_new(films)
    wizard = wizard_of(bench, qtbot)
    wizard.create_project()
    assert wizard.leave.text() == "Stop"
    wizard.leave.click()
    assert "Stopped; no project was made" in wizard.status.text()
    assert wizard.isVisible()
    assert bench.session.project is None
    wizard.create_button.click()
    qtbot.waitUntil(lambda: bench.session.case is not None, timeout=60_000)


def test_an_import_that_ended_before_its_stop_is_not_called_stopped(
    open_bench: Open, films: Path, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = '{"status": "done", "project": "P"}'
    ended = films / "ended"
    command = ["-c", f"print({said!r}, flush=True); open({str(ended)!r}, 'w')"]
    monkeypatch.setattr(
        ImportRequest, "command", lambda *_, **__: [sys.executable, *command]
    )
    bench = open_bench(None)
    page_of(bench).start.begin_new(films)
    wizard = wizard_of(bench, qtbot)
    wizard.create_project()
    while not ended.exists():
        time.sleep(0.02)
    wizard.leave.click()
    qtbot.waitUntil(
        lambda: "made before it could be stopped" in wizard.status.text(),
        timeout=20_000,
    )
    assert wizard.isVisible()
    wizard.close()


def test_a_project_dropped_on_the_empty_window_is_opened(
    open_bench: Open, place: Path, qtbot: Any
) -> None:
    bench = open_bench(None)
    drag(place, page_of(bench))()
    qtbot.waitUntil(lambda: bench.session.case is not None, timeout=10_000)
    assert bench.session.project.folder == place


def test_what_lies_beside_films_is_suggested(films: Path) -> None:
    found = suggest(films)
    assert found.images == films / "images"
    assert found.labels == films / "labels.csv"
    assert found.masks == films / "masks"
    assert suggest(films / "images").labels == films / "labels.csv"
    found.project.mkdir()
    assert suggest(films).project.name == "ward films-project-2"
    disc = films / "DICOMDIR"
    disc.write_bytes(b"")
    assert suggest(disc).project.name == "ward films-project-2"


def test_the_film_fits_until_the_reader_zooms(bench: Workbench, qtbot: Any) -> None:
    camera, window = bench.viewer.camera, bench.main_window
    window.resize(1000, 600)
    qtbot.wait(300)
    before = camera.zoom
    window.resize(1400, 900)
    qtbot.waitUntil(lambda: camera.zoom > 1.2 * before, timeout=5000)
    camera.zoom = own = 2 * camera.zoom
    window.resize(1000, 600)
    qtbot.wait(300)
    assert camera.zoom == pytest.approx(own)


def test_a_square_film_is_600_pixels_high_on_a_small_laptop(
    open_bench: Callable[..., Workbench],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    qtbot: Any,
) -> None:
    for wider in ("WIDE_SCREEN", "WIDEST_SCREEN"):
        monkeypatch.setattr(window, wider, 10_000)
    bench = open_bench(noise_project.make_project(tmp_path, cases=1, shape=(96, 96)))
    # 1366 x 768 less the frame that a window has there; first start, maximised.
    bench.main_window.resize(1366, 740)

    def height() -> float:
        return 96 * float(bench.layers.film.scale[0] * bench.viewer.scene.camera.zoom)

    qtbot.waitUntil(lambda: 600 <= height() <= bench.canvas().height(), timeout=5000)
    bench.main_window.resize(1300, 600)
    qtbot.waitUntil(lambda: height() < 600, timeout=5000)
