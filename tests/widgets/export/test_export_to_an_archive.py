"""The Export panel towards an archive: whose the masks are is shown, then stored."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt

from helpers.archive import NAME, PASSWORD, Archive, Liar, running
from helpers.dicom_project import accepted_films
from helpers.training_project import open_session
from napari_wsseg._widgets.export.panel import ExportPanel
from napari_wsseg.session import Session

FILMS = 2
SOON = 200_000
"""Milliseconds: processes that import much are started, maybe on a crowded machine."""

pytestmark = [pytest.mark.gui, pytest.mark.timeout(900)]


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    """An archive with the films of two patients."""
    (tmp_path / "films").mkdir()
    with running(tmp_path) as found:
        for number in range(FILMS):
            path = tmp_path / f"films/{number}.dcm"
            found.put_film(path, number, PatientID=f"P{number}")
        yield found


@pytest.fixture
def session(tmp_path: Path, archive: Archive) -> Iterator[Session]:
    """A project of these films, all accepted."""
    with accepted_films(tmp_path / "p", tmp_path / "films"):
        pass
    session = open_session(tmp_path / "p")
    yield session
    session.close()


def test_masks_go_into_the_archive_after_it_was_shown_as_whose(
    qtbot: QtBot,
    session: Session,
    archive: Archive,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WSSEG_PACS_USER", NAME)
    monkeypatch.setenv("WSSEG_PACS_PASSWORD", PASSWORD)
    panel = ExportPanel(session)
    qtbot.addWidget(panel)
    panel.resize(360, 700)
    panel.show()
    qtbot.waitUntil(lambda: bool(panel.formats), timeout=SOON)
    assert not panel.place.isVisible(), "PNG goes into a folder alone"
    panel.format.setCurrentIndex(panel.format.findData("dicom_seg"))
    panel.place.setCurrentIndex(panel.place.findData("archive"))
    assert panel.archive.isVisible()
    assert not panel.folder.isVisible()
    assert not panel.export_button.isEnabled(), "there is no address yet"
    panel.archive.setText(archive.web)
    panel.archive.textEdited.emit(archive.web)
    assert not panel.export_button.isEnabled(), "nothing has been shown yet"
    qtbot.waitUntil(lambda: "Would store" in panel.preview.text(), timeout=SOON)
    assert "De-identified" in panel.preview.text()
    assert panel.export_button.isEnabled()
    panel.identity.setCurrentText("Same patient")
    assert not panel.export_button.isEnabled(), "shown was another identity"
    qtbot.waitUntil(lambda: "Same patient" in panel.preview.text(), timeout=SOON)
    assert archive.count() == FILMS, "a look stores nothing"
    qtbot.mouseClick(panel.export_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not panel.busy, timeout=SOON)
    assert f"{FILMS} stored" in panel.result.text()
    assert archive.kinds() == [["DX", "SEG"]] * FILMS
    assert PASSWORD not in panel.preview.text() + panel.result.text()


def test_an_archive_that_is_not_there_is_told_and_nothing_can_be_stored(
    qtbot: QtBot, session: Session
) -> None:
    panel = ExportPanel(session)
    qtbot.addWidget(panel)
    panel.show()
    qtbot.waitUntil(lambda: bool(panel.formats), timeout=SOON)
    panel.format.setCurrentIndex(panel.format.findData("dicom_seg"))
    panel.place.setCurrentIndex(panel.place.findData("archive"))
    panel.archive.setText("http://pacs.example.org/dicom-web")
    panel.archive.textEdited.emit(panel.archive.text())
    qtbot.waitUntil(lambda: "not encrypted" in panel.preview.text(), timeout=SOON)
    assert not panel.export_button.isEnabled()


@pytest.mark.slow
def test_an_archive_that_refuses_is_told_of_and_takes_the_masks_at_the_next_click(
    qtbot: QtBot,
    session: Session,
    archive: Archive,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WSSEG_PACS_USER", NAME)
    monkeypatch.setenv("WSSEG_PACS_PASSWORD", PASSWORD)
    liar = Liar(archive)
    panel = ExportPanel(session)
    qtbot.addWidget(panel)
    panel.resize(360, 700)
    panel.show()
    qtbot.waitUntil(lambda: bool(panel.formats), timeout=SOON)
    panel.format.setCurrentIndex(panel.format.findData("dicom_seg"))
    panel.place.setCurrentIndex(panel.place.findData("archive"))
    panel.archive.setText(liar.web)
    panel.archive.textEdited.emit(liar.web)
    panel.identity.setCurrentText("Same patient")
    qtbot.waitUntil(lambda: "Same patient" in panel.preview.text(), timeout=SOON)
    qtbot.waitUntil(panel.export_button.isEnabled, timeout=SOON)
    liar.fault = lambda method, path, number: 403 if method == "POST" else None
    qtbot.mouseClick(panel.export_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not panel.busy, timeout=SOON)
    said = panel.result.text()
    assert panel.result.isVisible()
    assert "403" in said
    assert "Traceback" not in said
    assert PASSWORD not in said
    assert archive.kinds() == [["DX"]] * FILMS
    liar.fault = lambda method, path, number: None
    qtbot.waitUntil(panel.export_button.isEnabled, timeout=SOON)
    qtbot.mouseClick(panel.export_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not panel.busy, timeout=SOON)
    assert f"{FILMS} stored" in panel.result.text()
    assert archive.kinds() == [["DX", "SEG"]] * FILMS
    liar.close()
