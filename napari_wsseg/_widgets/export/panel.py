"""The Export panel: a format, which masks, where to, and what will come of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qtpy.QtCore import Qt, QTimer, QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg._widgets.export import preview_text as _preview_text
from napari_wsseg._widgets.parts.connections import listen
from napari_wsseg._widgets.parts.formatting import moment
from napari_wsseg._widgets.parts.help import RESEARCH_USE
from napari_wsseg._widgets.parts.share_slider import WrappedLabel
from napari_wsseg._widgets.parts.visibility import in_sight, when_in_sight
from napari_wsseg._widgets.processes.export_job import ExportJob
from napari_wsseg._widgets.runs.rules import maps_of
from napari_wsseg._widgets.training.setup import short_title
from napari_wsseg.io import runs
from napari_wsseg.schema import SPLITS
from napari_wsseg.session import Session

_NO_PROJECT = "No project is open.\n\nOpen one from the worklist to export its masks."


class ExportPanel(QWidget):
    """Writes expert masks, or a run's network, in a format that others read.

    Parameters
    ----------
    session
        What is open; nothing of it is changed.
    """

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.formats: dict[str, dict[str, Any]] = {}
        self._asking, self._writing = ExportJob(self), ExportJob(self)
        self._asking.reported.connect(self._on_answer)
        self._writing.reported.connect(self._on_written)
        # What would be written is asked for when the reader has stopped choosing.
        self._due = QTimer(self, interval=600, singleShot=True)
        self._due.timeout.connect(self._ask)
        when_in_sight(self, self._come)
        self._own_folder = False
        self._asked: dict[str, Any] | None = None
        self._shown: dict[str, Any] | None = None
        self._build()
        listen(self, self._on_project, session.project_changed)
        listen(self, self._due.start, session.decided)
        listen(self, self._stop_all, session.closing)
        self._on_project()

    @property
    def busy(self) -> bool:
        """Whether files are being written."""
        return self._writing.busy

    def start(self) -> None:
        """Write what is chosen."""
        wanted = self._wanted(dry_run=False)
        if wanted is None or self.busy:
            return
        self._asking.stop()
        self.result.setText("Writing …")
        self.bar.setRange(0, 0)
        self._writing.start(wanted)
        self._refresh()

    def cancel(self) -> None:
        """Stop writing; files that were written stay, each of them whole."""
        if self.busy:
            self._writing.stop()
            self.result.setText("Cancelled. Files that were written are whole.")
            self._look_again()
            self._refresh()

    def _come(self) -> None:
        """Ask for the formats the first time the panel is looked at."""
        self._due.start()
        self._refresh()

    def _build(self) -> None:
        self.empty = WrappedLabel()
        self.format = _combo("Format")
        self.about = WrappedLabel()
        self.split, self.reader = _combo("Films"), _combo("Masks of")
        self.reader.setToolTip(
            "Those that count: final where a film was adjudicated, else the newest, as "
            "in training"
        )
        self.accepted = QCheckBox("Accepted films only")
        self.accepted.setToolTip("Films whose decision is to accept, with edits or not")
        self.identity = _combo("Identity")
        self.identity.setToolTip(
            "De-identified: new numbers throughout, nothing leads back to the patient; "
            "the film goes with its masks.\nSame patient: as the film, for the archive "
            "that has it, and nowhere else"
        )
        self.run = _combo("Run")
        self.place = _combo("Where to")
        self.place.addItem("A folder", "folder")
        self.place.addItem("An archive (PACS)", "archive")
        self.place.setToolTip(
            "A folder; or the archive that films came from, by DICOMweb or DIMSE: "
            "accepted films alone, each instance once"
        )
        self.archive = QLineEdit()
        self.archive.setAccessibleName("Address of the archive")
        self.archive.setPlaceholderText("https://…/dicom-web, or dimse://AET@HOST:PORT")
        self.archive.setToolTip(
            "Name and password come from WSSEG_PACS_USER and WSSEG_PACS_PASSWORD or "
            "the keyring, never from here"
        )
        self.folder = QLineEdit()
        self.folder.setAccessibleName("Folder to export to")
        self.choose_button = QPushButton("Choose…")
        self.choose_button.setToolTip("Choose the folder to write into")
        self.preview, self.result = WrappedLabel(), WrappedLabel()
        self.preview.setTextFormat(Qt.TextFormat.RichText)
        self.preview.setToolTip("What would be written; nothing has been yet")
        self.bar = QProgressBar()
        self.bar.setAccessibleName("Progress of the export")
        self.export_button = QPushButton("Export")
        self.cancel_button = QPushButton("Cancel")
        self.open_button = QPushButton("Open folder")
        self.cancel_button.setToolTip("Stop writing; what was written stays")
        self.open_button.setToolTip("Show the files in the system's file manager")
        self._lay_out()
        self._connect()

    def _lay_out(self) -> None:
        where = QHBoxLayout()
        where.addWidget(self.folder, 1)
        where.addWidget(self.choose_button)
        self.rows = QFormLayout()
        self.rows.addRow("Format", self.format)
        self.rows.addRow(self.about)
        self.rows.addRow("Films", self.split)
        self.rows.addRow("Masks of", self.reader)
        self.rows.addRow("", self.accepted)
        self.rows.addRow("Identity", self.identity)
        self.rows.addRow("Run", self.run)
        self.rows.addRow("To", self.place)
        self.rows.addRow("Archive", self.archive)
        self.where = QWidget()
        where.setContentsMargins(0, 0, 0, 0)
        self.where.setLayout(where)
        self.rows.addRow("Folder", self.where)
        self.choices = QWidget()
        self.choices.setLayout(self.rows)
        note = WrappedLabel()
        note.setText(RESEARCH_USE)
        buttons = QHBoxLayout()
        for button in (self.export_button, self.cancel_button, self.open_button):
            button.setMinimumHeight(30)
            buttons.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        for widget in (self.empty, self.choices, self.preview, self.bar, self.result):
            layout.addWidget(widget)
        layout.addStretch(1)
        layout.addWidget(note)
        layout.addLayout(buttons)
        self.setMinimumWidth(280)

    def _connect(self) -> None:
        self.format.currentIndexChanged.connect(self._on_format)
        for combo in (self.split, self.reader, self.identity, self.run, self.place):
            combo.currentIndexChanged.connect(self._changed)
        self.archive.textEdited.connect(self._changed)
        self.accepted.toggled.connect(self._changed)
        self.folder.textEdited.connect(self._on_folder)
        self.choose_button.clicked.connect(self._choose)
        self.export_button.clicked.connect(self.start)
        self.cancel_button.clicked.connect(self.cancel)
        self.open_button.clicked.connect(self._open_folder)

    def _on_project(self) -> None:
        self._own_folder = False
        self.result.setText("")
        for combo in (self.split, self.reader, self.run):
            combo.blockSignals(True)
            combo.clear()
        project = self.session.project
        if project is not None:
            self.split.addItem("All", None)
            for split in SPLITS:
                self.split.addItem(f"Of the {split} split", split)
            self.reader.addItem("Those that count", None)
            for reader in project.readers.drawn_by():
                self.reader.addItem(reader, reader)
            for info in runs.listing(project.folder):
                if info.state == "done" and maps_of(info):
                    stamp = "" if info.evaluated else " ⚠ unevaluated"
                    text = f"{short_title(info.recipe)} {moment(info.created)}{stamp}"
                    self.run.addItem(text, info.id)
            used = self.run.findData(project.adopted("segmentation"))
            self.run.setCurrentIndex(max(0, used))
        for combo in (self.split, self.reader, self.run):
            combo.blockSignals(False)
        self._suggest_folder()
        self._changed()

    def _on_format(self) -> None:
        card = self._card()
        self.about.setText(card["summary"].replace("``", "") if card else "")
        model = card is not None and card["kind"] == "model"
        for widget in (self.split, self.reader, self.accepted):
            self.rows.setRowVisible(widget, not model)
        self.rows.setRowVisible(self.run, model)
        self._offer_identities(card["identities"] if card else ())
        self._suggest_folder()
        self._changed()

    def _offer_identities(self, identities: Sequence[str]) -> None:
        """Let formats that can name a patient be asked whether they do."""
        self.identity.blockSignals(True)
        self.identity.clear()
        for one in identities:
            self.identity.addItem(one.replace("same-", "same ").capitalize(), one)
        self.identity.blockSignals(False)
        self.rows.setRowVisible(self.identity, bool(identities))

    def _changed(self) -> None:
        self.preview.setText("")
        self._shown = None
        self._due.start()
        self._refresh()

    def _on_folder(self) -> None:
        self._own_folder = True
        self._changed()

    def _choose(self) -> None:
        chosen = QFileDialog.getExistingDirectory(
            self, "Folder to export to", self.folder.text()
        )
        if chosen:
            self.folder.setText(chosen)
            self._on_folder()

    def _open_folder(self) -> None:
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._place())))

    def _suggest_folder(self) -> None:
        project = self.session.project
        name = self.format.currentData()
        if project is not None and name and not self._own_folder:
            # Beside the project: its own folder holds nothing but what it needs.
            place = project.folder.with_name(f"{project.folder.name}-export") / name
            self.folder.setText(str(place))

    def _place(self) -> Path:
        """Return the folder that is written into."""
        return Path(self.folder.text().strip()).expanduser()

    def _to_archive(self) -> bool:
        """Whether masks go to an archive; only formats of DICOM can."""
        card = self._card()
        dicom = card is not None and bool(card["identities"])
        return dicom and self.place.currentData() == "archive"

    def _card(self) -> dict[str, Any] | None:
        return self.formats.get(self.format.currentData() or "")

    def _wanted(self, *, dry_run: bool) -> dict[str, Any] | None:
        project, card = self.session.project, self._card()
        archive = self.archive.text().strip() if self._to_archive() else ""
        there = archive if self._to_archive() else self.folder.text().strip()
        if project is None or card is None or not there:
            return None
        return {
            "project": str(project.folder),
            "format": card["name"],
            "kind": card["kind"],
            "out": str(self._place()),
            "archive": archive,
            "split": self.split.currentData(),
            "reader": self.reader.currentData(),
            "accepted": self.accepted.isChecked(),
            "identity": self.identity.currentData(),
            "run": self.run.currentData() or "",
            "dry_run": dry_run,
        }

    def _ask(self) -> None:
        """Ask what the reader looks at: the formats, then what would be written."""
        if not in_sight(self) or self.busy:
            return
        wanted = self._wanted(dry_run=True)
        if not self.formats and not self._asking.busy:
            self._ask_formats()
        elif wanted is not None:
            self.preview.setText("Looking at what would be written …")
            self._shown = None
            self._asked = wanted
            self._asking.start(wanted)

    def _ask_formats(self) -> None:
        self._asking.start("formats")

    def _learn(self, cards: list[dict[str, Any]]) -> None:
        """Offer formats."""
        self.formats = {card["name"]: card for card in cards}
        self.format.clear()
        for name in self.formats:
            self.format.addItem(name, name)
        self.format.setCurrentIndex(max(0, self.format.findData("png")))

    def _on_answer(self, record: dict[str, Any]) -> None:
        event = record.get("event")
        if event == "formats":
            self._learn(record["formats"])
        elif event == "finished":
            self._shown = self._asked
            self.preview.setText(_preview_text.preview(record, self.palette()))
        elif event == "failed":
            self.preview.setText(
                _preview_text.problem(record["message"], self.palette())
            )
        self._refresh()

    def _on_written(self, record: dict[str, Any]) -> None:
        event = record.get("event")
        if event == "progress":
            self.bar.setRange(0, record["total"])
            self.bar.setValue(record["step"])
            return
        if event == "finished":
            self.result.setText(_preview_text.done(record))
            self.preview.setText(_preview_text.notes(record, self.palette()))
        elif event == "failed":
            self.result.setText(f"Not exported: {record['message']}")
            self._look_again()
        self._refresh()

    def _look_again(self) -> None:
        """Ask once more what start has cut short."""
        if self._shown is None:
            self._due.start()

    def _stop_all(self) -> None:
        self._asking.stop()
        self._writing.stop()
        self._refresh()

    def _refresh(self) -> None:
        """Show what fits the state, and nothing else."""
        project = self.session.project is not None
        folder = self.folder.text().strip()
        waiting = "" if self.formats else "Looking for formats …"
        self.empty.setText(waiting if project else _NO_PROJECT)
        self.empty.setVisible(bool(self.empty.text()))
        ready = project and bool(self.formats)
        for widget in (self.choices, self.preview, self.result):
            widget.setVisible(ready)
        self.choices.setEnabled(not self.busy)
        self.bar.setVisible(self.busy)
        self._show_places()
        self.export_button.setEnabled(not self.busy and self._may_start())
        self.export_button.setText("Store" if self._to_archive() else "Export")
        self.cancel_button.setEnabled(self.busy)
        self.open_button.setEnabled(bool(folder) and self._place().is_dir())

    def _may_start(self) -> bool:
        """Whether all is chosen, and shown what would come where it is an archive."""
        wanted = self._wanted(dry_run=True)
        return wanted is not None and (not wanted["archive"] or wanted == self._shown)

    def _show_places(self) -> None:
        """Show the lines of the place that is chosen."""
        card, archive = self._card(), self._to_archive()
        self.rows.setRowVisible(self.place, bool(card and card["identities"]))
        self.rows.setRowVisible(self.archive, archive)
        self.rows.setRowVisible(self.where, not archive)
        # Of others an archive takes none.
        masks = card is None or card["kind"] != "model"
        self.rows.setRowVisible(self.accepted, masks and not archive)
        self.export_button.setToolTip(
            "Store these instances; possible once it was shown what would be stored"
            if archive
            else "Write these files; nothing else is changed"
        )


def panel(bench: Workbench) -> QWidget:
    """Make the panel that exports of a workbench."""
    return ExportPanel(bench.session)


def _combo(name: str) -> QComboBox:
    combo = QComboBox()
    combo.setAccessibleName(name)
    combo.setToolTip(name)
    combo.setSizeAdjustPolicy(
        QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
    )
    combo.setMinimumWidth(120)
    combo.setMinimumHeight(26)
    return combo
