"""New project…: ``wsseg init`` with a preview, in the window."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from qtpy.QtCore import Qt, QTimer, Signal
from qtpy.QtGui import QCloseEvent, QKeyEvent
from qtpy.QtWidgets import (
    QApplication,
    QComboBox,
    QDialog,
    QFileDialog,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QTextBrowser,
    QVBoxLayout,
    QWidget,
)

from napari_wsseg._widgets.opening import import_preview as _import_preview
from napari_wsseg._widgets.parts.formatting import red
from napari_wsseg._widgets.parts.quiet_controls import QuietControls
from napari_wsseg._widgets.processes.command_job import CommandJob, is_end
from napari_wsseg._widgets.processes.import_request import ImportRequest
from napari_wsseg.datasets import datasets
from napari_wsseg.datasets.importing import suggest

PAUSE_MS = 500
"""After the last change until the preview is made anew."""

_NAMES = {
    "auto": "hide them if they may name a patient",
    "keep": "keep them in the project",
    "hide": "hide them; a key file outside knows them",
}
_BEGIN = """
<h3>What will be imported</h3>
<p>Choose a folder of radiographs, a zip archive or a DICOMDIR. Films stay where they
are and are never changed.</p>
<p>A labels table says what each film shows: a column <b>image</b>, then one column for
each finding (1 present, 0 absent, -1 uncertain, blank unknown) and, if you like,
<b>split</b>.</p>
<p>Here you then see how its columns are understood, what is left out and why, and how
films are split, before anything is made.</p>
"""


class NewProject(QDialog):
    """Choose films, labels and masks, see what becomes of them, make the project.

    Signals
    -------
    made(Path)
        The folder of a project that was made.
    """

    made = Signal(object)

    def __init__(self, parent: QWidget | None, place: Path | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("New project")
        self.images = _line("a folder, a zip archive or a DICOMDIR")
        self.labels = _line("none: findings are the names of mask folders")
        self.masks = _line("none: a folder for each finding")
        self.project = _line("a new folder")
        self.archive = _line("none; or a DICOMweb address, https://…")
        self.query = _line("Modality=DX,CR;StudyDate=20260101-")
        lines = (self.images, self.labels, self.masks, self.project)
        self._lines = (*lines, self.archive, self.query)
        self.dataset, self.names = QComboBox(), QComboBox()
        for name in datasets.names():
            self.dataset.addItem("your own" if name == "folder" else name, name)
        self.dataset.setCurrentIndex(self.dataset.findData("folder"))
        for name, label in _NAMES.items():
            self.names.addItem(label, name)
        self.preview = QTextBrowser()
        self.preview.setHtml(_BEGIN)
        self.command = _line("")
        self.command.setReadOnly(True)
        self.status = QLabel()
        self.status.setWordWrap(True)
        self.bar = QProgressBar()
        self.bar.hide()
        self.copy = _button("Copy", "Copy the command", self._copy)
        self.create_button = _button("Create project", "", self.create_project)
        self.create_button.setDefault(True)
        self.leave = _button("Cancel", "", self.reject)
        self._looking, self._making = CommandJob(self), CommandJob(self)
        self._columns = ""
        self._written: set[QLineEdit] = set()
        self._length, self._beside = 0, ""
        self._due = QTimer(self, interval=PAUSE_MS, singleShot=True)
        self._lay_out()
        self._connect()
        QuietControls(self)
        if place is not None:
            self.point_at(place)
        self._refresh()

    # What the reader chooses --------------------------------------------------------

    def point_at(self, place: Path) -> None:
        """Take a folder or file for the films, and what lies beside it for the rest."""
        self._written.clear()
        self.images.setText(str(place))
        self._look_beside()

    def _look_beside(self) -> None:
        """Fill in what lies beside the films, but for what was written by hand."""
        self._beside = self.images.text()
        place = _path(self.images)
        if place is None or not place.exists():
            self._due.start()  # which says so
            return
        found = suggest.suggest(place)
        for line, path in (
            (self.images, found.images),
            (self.labels, found.labels),
            (self.masks, found.masks),
            (self.project, found.project),
        ):
            if line is self.images or line not in self._written:
                line.setText(str(path or ""))
        self._beside = self.images.text()

    def _edited(self, line: QLineEdit) -> None:
        """Keep what is written by hand; a pasted path of films is whole at once."""
        if line is not self.images:
            self._written.add(line)
        elif len(line.text()) - self._length > 1:
            self._look_beside()

    def _changed_films(self, text: str) -> None:
        self._length = len(text)

    def _left_films(self) -> None:
        """Take a path that was typed once it is whole, not at every letter."""
        if self.images.text() != self._beside:
            self._look_beside()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Let Enter in a line show what it would make before it makes it."""
        enter = event is not None and event.key() in (
            Qt.Key.Key_Return,
            Qt.Key.Key_Enter,
        )
        if enter and self._due.isActive():
            self._due.stop()
            self.look()
            return
        super().keyPressEvent(event)

    @property
    def request(self) -> ImportRequest | None:
        """What is asked for, or ``None`` while films or project are not named."""
        images, project = _path(self.images), _path(self.project)
        archive, query = self.archive.text().strip(), self.query.text().strip()
        if images is None or project is None or (archive and not query):
            return None
        return ImportRequest(
            project,
            images,
            _path(self.labels),
            _path(self.masks),
            dataset=self.dataset.currentData(),
            names=self.names.currentData(),
            archive=archive,
            query=query,
        )

    def _choose_folder(self, line: QLineEdit) -> None:
        found = QFileDialog.getExistingDirectory(self, "Choose a folder", _near(line))
        self._chosen(line, found)

    def _choose_file(self, line: QLineEdit, kinds: str) -> None:
        found, _ = QFileDialog.getOpenFileName(
            self, "Choose a file", _near(line), kinds
        )
        self._chosen(line, found)

    def _chosen(self, line: QLineEdit, found: str) -> None:
        if found and line is self.images:
            self.point_at(Path(found))
        elif found:
            line.setText(found)

    # Preview ------------------------------------------------------------------------

    def _changed(self) -> None:
        self._looking.stop()
        self._due.start()
        self._refresh()

    def look(self) -> None:
        """Show what an import would do, in the words of a dry run."""
        if self._making.busy:
            return
        self._columns = ""
        request = self.request
        if request is None:
            self._show(self._what_is_missing())
            return
        if request.archive:  # what films it has is known when they are here
            self._show(
                _import_preview.archive_text(request.archive, str(request.images))
            )
            self._refresh()
            return
        self._show("<p>Looking …</p>")
        self._looking.run(request.command(dry_run=True))
        self._refresh()

    def _what_is_missing(self) -> str:
        images = _path(self.images)
        if images is None:
            return _BEGIN
        if not images.exists():
            return _import_preview.failed_text(f"{images}: no such folder or file")
        missing = "Which films: say which, such as Modality=DX"
        if _path(self.project) is None:
            missing = "Project: name a new folder"
        return _import_preview.failed_text(missing)

    def _show(self, text: str) -> None:
        document = self.preview.document()
        if document is not None:
            document.setDefaultStyleSheet(_import_preview.style(red(self.palette())))
        self.preview.setHtml(text + self._columns)

    def _on_looked(self, event: dict[str, Any]) -> None:
        if event.get("event") == "columns":
            self._columns = _import_preview.columns_text(event["columns"])
        elif event.get("event") == "plan":
            self._show(_import_preview.plan_text(event))
        elif event.get("event") == "failed":
            self._show(_import_preview.failed_text(str(event["message"])))
        elif is_end(event):
            self._show(_import_preview.end_text(event))
        self._on_progress(event, "Checking")

    # Making -------------------------------------------------------------------------

    def create_project(self) -> None:
        """Make the project; what the preview has read is not read again."""
        request = self.request
        if request is None or self._making.busy:
            return
        self._due.stop()
        self._looking.stop()
        self.status.setText("Starting …")
        self._making.run(request.command(dry_run=False))
        self._refresh()

    def _on_made(self, event: dict[str, Any]) -> None:
        self._on_progress(event, "Importing")
        if event.get("event") == "failed":
            self._show(_import_preview.failed_text(str(event["message"])))
            self.status.setText("Nothing was made. What was read is kept.")
        elif event.get("status") == "done":
            self.made.emit(Path(event["project"]))
            self.accept()

    def _on_made_before(self, event: dict[str, Any]) -> None:
        """Take back that nothing was made: it was before the stop arrived."""
        if event.get("status") == "done":
            self._making.stop()
            self.status.setText(
                "The project was made before it could be stopped. “Open project…” "
                "opens it."
            )
            self._refresh()

    def _on_progress(self, event: dict[str, Any], what: str) -> None:
        if event.get("event") == "progress":
            step, total = event["step"], event["total"]
            self.bar.setRange(0, total)
            self.bar.setValue(step)
            self.status.setText(f"{what}: {event['message']}, {step} of {total}")
        elif is_end(event):
            self.status.setText("")
        if is_end(event) or event.get("event") == "plan":
            self._refresh()

    def reject(self) -> None:
        """Stop an import; without one, close."""
        if self._making.busy:
            self._making.stop()
            self.status.setText(
                "Stopped; no project was made. What was read is kept: Create project "
                "goes on from there."
            )
            self._refresh()
            return
        self._stop_all()
        super().reject()

    def closeEvent(self, event: QCloseEvent | None) -> None:
        """End what runs."""
        self._stop_all()
        super().closeEvent(event)

    def _stop_all(self) -> None:
        self._due.stop()
        self._looking.stop()
        self._making.stop()

    def _copy(self) -> None:
        clipboard = QApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(self.command.text())

    # Showing ------------------------------------------------------------------------

    def _refresh(self) -> None:
        request, making = self.request, self._making.busy
        self.command.setText(request.shown() if request else "")
        self.command.setCursorPosition(0)
        self.create_button.setEnabled(request is not None and not making)
        self.leave.setText("Stop" if making else "Cancel")
        self.names.setEnabled(self.dataset.currentData() == "folder")
        self.query.setEnabled(bool(self.archive.text().strip()))
        self.bar.setVisible(making or self._looking.busy)
        for line in self._lines:
            line.setReadOnly(making)

    def _connect(self) -> None:
        for line in self._lines:
            line.textChanged.connect(self._changed)
            line.textEdited.connect(lambda _, line=line: self._edited(line))
        self.images.textChanged.connect(self._changed_films)
        self.images.editingFinished.connect(self._left_films)
        for box in (self.dataset, self.names):
            box.currentIndexChanged.connect(self._changed)
        self._due.timeout.connect(self.look)
        self._looking.reported.connect(self._on_looked)
        self._making.reported.connect(self._on_made)
        self._making.ended_before.connect(self._on_made_before)

    def _lay_out(self) -> None:
        tables = "Tables (*.csv *.tsv *.txt);;All files (*)"
        discs = "Archives and discs (*.zip DICOMDIR dicomdir);;All files (*)"
        folder, file = self._choose_folder, self._choose_file
        grid = QGridLayout()
        rows: tuple[tuple[str, QWidget, tuple[tuple[str, Any], ...]], ...] = (
            (
                "Films",
                self.images,
                (
                    ("Folder…", partial(folder, self.images)),
                    ("File…", partial(file, self.images, discs)),
                ),
            ),
            (
                "Labels",
                self.labels,
                (("Table…", partial(file, self.labels, tables)),),
            ),
            ("Masks", self.masks, (("Folder…", partial(folder, self.masks)),)),
            ("Project", self.project, (("Folder…", partial(folder, self.project)),)),
            ("From PACS", self.archive, ()),
            ("Which films", self.query, ()),
            ("Data set", self.dataset, ()),
            ("File names", self.names, ()),
        )
        for number, (name, widget, buttons) in enumerate(rows):
            grid.addWidget(QLabel(name), number, 0)
            grid.addWidget(widget, number, 1, 1, 3 - len(buttons))
            for place, (label, action) in enumerate(buttons):
                button = _button(label, "", action)
                grid.addWidget(button, number, 4 - len(buttons) + place)
        grid.setColumnStretch(1, 1)
        below = QHBoxLayout()
        below.addWidget(QLabel("The same in a terminal"))
        below.addWidget(self.command, 1)
        below.addWidget(self.copy)
        ends = QHBoxLayout()
        ends.addWidget(self.status, 1)
        ends.addWidget(self.leave)
        ends.addWidget(self.create_button)
        layout = QVBoxLayout(self)
        layout.addLayout(grid)
        layout.addWidget(self.preview, 1)
        layout.addLayout(below)
        layout.addWidget(self.bar)
        layout.addLayout(ends)
        self.resize(860, 660)


def _line(hint: str) -> QLineEdit:
    line = QLineEdit()
    line.setPlaceholderText(hint)
    return line


def _path(line: QLineEdit) -> Path | None:
    text = line.text().strip()
    return Path(text).expanduser() if text else None


def _near(line: QLineEdit) -> str:
    path = _path(line)
    return str(path.parent if path else Path.home())


def _button(label: str, tip: str, action: Any) -> QPushButton:
    button = QPushButton(label)
    button.setToolTip(tip)
    button.setAutoDefault(False)
    button.clicked.connect(lambda *_: action())
    return button
