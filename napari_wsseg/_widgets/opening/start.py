"""What a panel shows before a project is open: how to begin."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import QMimeData, Qt
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtWidgets import (
    QFileDialog,
    QLabel,
    QMessageBox,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg._widgets.parts import preferences
from napari_wsseg._widgets.parts.connections import listen
from napari_wsseg._widgets.parts.help import RESEARCH_USE
from napari_wsseg.jobs import WssegError, finish


class Start(QWidget):
    """Open a project, one of the recent ones, or the synthetic sample."""

    def __init__(self, bench: Workbench) -> None:
        super().__init__()
        self.bench = bench
        title = QLabel("No project is open")
        title.setStyleSheet("font-size: 15px; font-weight: bold;")
        label = QLabel(
            "A project is a folder that keeps films, masks and decisions together. "
            "Films stay where they are and are never changed."
        )
        label.setWordWrap(True)
        self.new = QPushButton("New project…")
        self.new.setToolTip("From a folder of radiographs, a zip archive or a DICOMDIR")
        self.new.setDefault(True)
        self.open = QPushButton("Open project…")
        self.open.setToolTip("Choose the folder that holds wsseg.toml")
        self.sample = QPushButton("Open the synthetic sample project")
        self.sample.setToolTip("Generated chest radiographs, made on first use")
        self._recent = QVBoxLayout()
        note = QLabel(RESEARCH_USE)
        note.setWordWrap(True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(14, 20, 14, 14)
        layout.setSpacing(8)
        hint = QLabel("or drop a folder, a zip archive, a DICOMDIR or a project here")
        hint.setWordWrap(True)
        for widget in (title, label, self.new, self.open, self.sample, hint):
            layout.addWidget(widget)
        layout.addLayout(self._recent)
        layout.addStretch(1)
        layout.addWidget(note)
        self.setAcceptDrops(True)
        self.new.clicked.connect(lambda: self.begin_new())
        self.open.clicked.connect(self._choose)
        self.sample.clicked.connect(self._open_sample)
        self.refresh()

    def refresh(self) -> None:
        """List the recent projects that are still there."""
        while (item := self._recent.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.deleteLater()
        paths = preferences.recent()
        if paths:
            self._recent.addWidget(QLabel("Recent"))
        for path in paths:
            # Many projects are called "project": the folder around it tells them apart.
            button = QPushButton(f"{path.parent.name}/{path.name}".lstrip("/"))
            button.setToolTip(str(path))
            button.setStyleSheet("text-align: left; padding: 4px 8px;")
            button.clicked.connect(lambda _=False, p=path: self._open(p))
            self._recent.addWidget(button)

    def begin_new(self, place: Path | None = None) -> None:
        """Ask for films, labels and masks of a new project, from `place` if given."""
        from napari_wsseg._widgets.opening.new_project import NewProject

        dialog = NewProject(self.window(), place)
        dialog.made.connect(self._open)
        # Not modal: the window stays useful while an import is under way.
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.show()

    def dragEnterEvent(self, event: QDragEnterEvent | None) -> None:
        """Take one folder or file."""
        if event is not None and _dropped(event.mimeData()) is not None:
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent | None) -> None:
        """Open a project that was dropped; begin a new one from anything else."""
        place = _dropped(event.mimeData()) if event is not None else None
        if event is None or place is None:
            return
        event.acceptProposedAction()
        if (place / "wsseg.toml").is_file():
            self._open(place)
        else:
            self.begin_new(place)

    def _open(self, folder: Path) -> None:
        if self.bench.open_project(folder):
            self.bench.focus_canvas()

    def _choose(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Open a wsseg project")
        if folder:
            self._open(Path(folder))

    def _open_sample(self) -> None:
        self.sample.setEnabled(False)
        self.sample.setText("Making the sample films…")
        self.bench.drawing.submit(sample_project, self._made, self._failed)

    def _made(self, folder: Path) -> None:
        self._rest()
        self._open(folder)

    def _failed(self, error: Exception) -> None:
        self._rest()
        reason = str(error) if isinstance(error, WssegError) else repr(error)
        QMessageBox.warning(self, "The sample could not be made", reason)

    def _rest(self) -> None:
        self.sample.setEnabled(True)
        self.sample.setText("Open the synthetic sample project")


def _dropped(data: QMimeData | None) -> Path | None:
    """Return the one folder or file of the disk that is dropped, if it is that."""
    urls = data.urls() if data is not None else []
    if len(urls) != 1 or not urls[0].isLocalFile():
        return None
    return Path(urls[0].toLocalFile())


def sample_project() -> Path:
    """Return the folder of the synthetic sample project, made on first use."""
    from napari_wsseg.datasets import _sample, _sample_readings

    return finish(_sample_readings.half_read_project(_sample.default_folder()))


class UntilOpen(QStackedWidget):
    """A panel, with `Start` in its place while no project is open."""

    def __init__(self, bench: Workbench, panel: QWidget) -> None:
        super().__init__()
        self.bench = bench
        self.start = Start(bench)
        self.panel = panel
        self.addWidget(self.start)
        self.addWidget(panel)
        listen(self, self._turn, bench.session.project_changed)
        self._turn()

    def _turn(self) -> None:
        opened = self.bench.session.project is not None
        if not opened:
            self.start.refresh()
        self.setCurrentWidget(self.panel if opened else self.start)
