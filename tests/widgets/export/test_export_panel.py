"""The Export panel: what will come of it is told before anything is written."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt

from helpers.training_project import make_run, open_session
from napari_wsseg._widgets.export import preview_text as _preview_text
from napari_wsseg._widgets.export.panel import ExportPanel
from napari_wsseg.session import Session

PNG = [{"name": "png", "kind": "masks", "summary": "Masks as files.", "identities": []}]

pytestmark = pytest.mark.gui


def opened(qtbot: QtBot, session: Session) -> ExportPanel:
    panel = ExportPanel(session)
    qtbot.addWidget(panel)
    panel.resize(320, 640)
    panel.show()
    return panel


def ready(
    qtbot: QtBot, session: Session, monkeypatch: pytest.MonkeyPatch
) -> ExportPanel:
    """Return a panel that knows one format, without having asked for it."""
    monkeypatch.setattr(ExportPanel, "_ask_formats", lambda panel: panel._learn(PNG))
    return opened(qtbot, session)


def test_without_a_project_it_says_what_to_do(qtbot: QtBot) -> None:
    panel = opened(qtbot, open_session())
    assert "No project is open" in panel.empty.text()
    assert not panel.export_button.isEnabled()


def test_masks_are_written_after_it_was_told_what_would_be(
    qtbot: QtBot, session: Session, tmp_path: Path
) -> None:
    panel = opened(qtbot, session)
    qtbot.waitUntil(lambda: bool(panel.formats), timeout=60_000)
    out = tmp_path / "project-export" / "png"
    assert panel.folder.text() == str(out)
    qtbot.waitUntil(lambda: "Would write" in panel.preview.text(), timeout=60_000)
    assert "6 masks of 6 films" in panel.preview.text()
    assert not out.exists(), "a look writes nothing"
    qtbot.mouseClick(panel.export_button, Qt.MouseButton.LeftButton)
    assert panel.busy
    qtbot.waitUntil(lambda: not panel.busy, timeout=60_000)
    assert "written" in panel.result.text()
    assert len(list(out.rglob("*.png"))) == 6
    assert panel.open_button.isEnabled()


def test_whose_the_files_are_is_chosen_where_a_format_can_name_a_patient(
    qtbot: QtBot, session: Session
) -> None:
    panel = opened(qtbot, session)
    qtbot.waitUntil(lambda: bool(panel.formats), timeout=60_000)
    assert not panel.identity.isVisible()
    panel.format.setCurrentIndex(panel.format.findData("dicom_seg"))
    assert panel.identity.isVisible()
    assert panel.identity.currentText() == "De-identified"
    qtbot.waitUntil(lambda: "de-identified" in panel.preview.text(), timeout=60_000)
    panel.identity.setCurrentText("Same patient")
    qtbot.waitUntil(
        lambda: "identity: same-patient" in panel.preview.text(), timeout=60_000
    )
    assert "is not DICOM" in panel.preview.text()


def test_a_scope_without_masks_is_told_and_not_written(
    qtbot: QtBot, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = ready(qtbot, session, monkeypatch)
    qtbot.waitUntil(lambda: bool(panel.formats), timeout=60_000)
    panel.accepted.setChecked(True)
    qtbot.waitUntil(lambda: "nothing to export" in panel.preview.text(), timeout=60_000)
    assert "✗" in panel.preview.text()


def test_an_export_can_be_cancelled(
    qtbot: QtBot, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = ready(qtbot, session, monkeypatch)
    qtbot.waitUntil(lambda: bool(panel.formats), timeout=60_000)
    qtbot.mouseClick(panel.export_button, Qt.MouseButton.LeftButton)
    assert panel.cancel_button.isEnabled()
    qtbot.mouseClick(panel.cancel_button, Qt.MouseButton.LeftButton)
    assert not panel.busy
    assert "Cancelled" in panel.result.text()
    assert panel._due.isActive(), "what start cut short is looked at again"


def test_burnt_in_names_are_warned_of_first(qtbot: QtBot, session: Session) -> None:
    stated = {
        "files": 2,
        "existing": 1,
        "cases": 2,
        "masks": 2,
        "warnings": ["film01: BurnedInAnnotation is YES <b>"],
        "lost": [f"film{n}" for n in range(9)],
        "skipped": [],
    }
    text = _preview_text.preview(stated, opened(qtbot, session).palette())
    assert text.index("Look first") < text.index("Not kept by this format")
    assert "&lt;b&gt;" in text, "names are no markup"
    assert "… and 3 more" in text
    assert "1 file there would be replaced" in text


def test_only_finished_runs_are_offered_and_unevaluated_ones_stamped(
    qtbot: QtBot, session: Session
) -> None:
    assert session.project is not None
    folder = session.project.folder
    make_run(folder, "chexseg", "failed")
    make_run(folder, "segmentation", "done")
    panel = opened(qtbot, session)
    texts = [panel.run.itemText(n) for n in range(panel.run.count())]
    assert len(texts) == 1
    assert "unevaluated" in texts[0]
