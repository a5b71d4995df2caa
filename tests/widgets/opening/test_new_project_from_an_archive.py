"""New project from an archive, in the window: films come, the project is made."""

from __future__ import annotations

from pathlib import Path

import pydicom
import pytest
from pytestqt.qtbot import QtBot

from helpers.archive import NAME, PASSWORD, running
from helpers.named_dicom import film
from napari_wsseg._widgets.opening.new_project import NewProject
from napari_wsseg.io.project import Project

pytestmark = [pytest.mark.gui, pytest.mark.programs]


def test_films_of_an_archive_become_a_project(
    qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WSSEG_PACS_USER", NAME)
    monkeypatch.setenv("WSSEG_PACS_PASSWORD", PASSWORD)
    with running(tmp_path) as archive:
        rows = ["AccessionNumber,heart"]
        for number in range(3):
            path = tmp_path / f"{number}.dcm"
            film(path, number)
            header = pydicom.dcmread(path)
            header.AccessionNumber = f"A{number}"
            header.save_as(path)
            archive.store(path)
            rows.append(f"A{number},{number % 2}")
        table = tmp_path / "labels.csv"
        table.write_text("\n".join(rows) + "\n")
        dialog = NewProject(None)
        qtbot.addWidget(dialog)
        dialog.images.setText(str(tmp_path / "films"))
        dialog.project.setText(str(tmp_path / "project"))
        dialog.labels.setText(str(table))
        dialog.archive.setText(archive.web)
        assert not dialog.create_button.isEnabled()
        dialog.query.setText("Modality=DX")
        assert dialog.create_button.isEnabled()
        assert "--from-pacs" in dialog.command.text()
        assert PASSWORD not in dialog.command.text()
        dialog.look()
        assert "come from an archive" in dialog.preview.toPlainText()
        with qtbot.waitSignal(dialog.made, timeout=120_000):
            dialog.create_project()
    with Project.open(tmp_path / "project") as project:
        assert sorted(case.labels["heart"] for case in project.cases()) == [0, 0, 1]
