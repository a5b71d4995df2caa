"""The masks of two runs beside each other, and where they differ."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QEvent, Qt
from qtpy.QtGui import QPixmap, QResizeEvent
from qtpy.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_wsseg._widgets.parts import formatting as _formatting
from napari_wsseg._widgets.parts.pixmaps import pixmap
from napari_wsseg._widgets.parts.quiet_controls import QuietControls
from napari_wsseg._widgets.parts.share_slider import WrappedLabel
from napari_wsseg._widgets.parts.text_table import fill_table, rows_table
from napari_wsseg._widgets.parts.worker_thread import Latest, QtBackground
from napari_wsseg._widgets.runs import mask_pairs as _mask_pairs
from napari_wsseg._widgets.runs import rules as _rules
from napari_wsseg._widgets.runs.mask_pairs import ONLY_ONE, ONLY_OTHER, Alike, Made
from napari_wsseg._widgets.training.setup import short_title
from napari_wsseg.io.runs import RunInfo
from napari_wsseg.session import Session

SIDE = 640


class MasksWindow(QDialog):
    """Two runs on one film at a time, in a window of its own; reading goes on.

    Parameters
    ----------
    one, other
        Runs that have made masks, in the order in which they are shown.
    """

    def __init__(
        self, session: Session, one: RunInfo, other: RunInfo, parent: QWidget
    ) -> None:
        super().__init__(parent)
        project = session.project
        if project is None:
            raise ValueError("no project is open; there is nothing to compare")
        self.setWindowTitle("Masks of two runs")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._folder = project.folder
        self._cases = project.cases()
        self._findings = [finding.name for finding in project.findings]
        self._made = [
            Made(_rules.stage_with_maps(project, info), info.id)
            for info in (one, other)
        ]
        self._background = QtBackground(self)
        self._latest = Latest(self._background)
        names = [
            f"{short_title(i.recipe)} {_formatting.moment(i.created)}"
            for i in (one, other)
        ]
        self._build(names)
        QuietControls(self)
        here = session.case.id if session.case else ""
        at = next((n for n, case in enumerate(self._cases) if case.id == here), 0)
        self.film.setCurrentIndex(at)
        if session.looking.finding is not None:
            self.finding.setCurrentText(session.looking.finding.name)
        self.film.currentIndexChanged.connect(self._draw)
        self.finding.currentIndexChanged.connect(self._draw)
        session.closing.connect(self.close)
        self._draw()
        self._compare()

    def step(self, by: int) -> None:
        """Go to another film."""
        at = self.film.currentIndex() + by
        self.film.setCurrentIndex(min(max(at, 0), self.film.count() - 1))

    def done(self, result: int) -> None:
        """Let the thread go with the window."""
        self._background.close()
        super().done(result)

    def closeEvent(self, event: QEvent) -> None:
        """Let the thread go with the window."""
        self._background.close()
        super().closeEvent(event)

    def _build(self, names: list[str]) -> None:
        self.film, self.finding = QComboBox(), QComboBox()
        self.film.addItems([case.name for case in self._cases])
        self.film.setAccessibleName("Film")
        self.finding.addItems(self._findings)
        self.finding.setAccessibleName("Finding")
        top = QHBoxLayout()
        for title, by in (("Previous", -1), ("Next", 1)):
            button = QPushButton(title)
            button.setAutoDefault(False)
            button.clicked.connect(lambda *_, by=by: self.step(by))
            top.addWidget(button)
        top.addWidget(self.film, 1)
        top.addWidget(self.finding, 1)
        grid = QGridLayout()
        self.views = [_View() for _ in range(3)]
        heads = (
            f'<span style="color:{ONLY_ONE}">■</span> {names[0]}',
            f'<span style="color:{ONLY_OTHER}">■</span> {names[1]}',
            f'Difference: <span style="color:{ONLY_ONE}">■</span> only the first, '
            f'<span style="color:{ONLY_OTHER}">■</span> only the second, grey: both',
        )
        for column, (head, view) in enumerate(zip(heads, self.views, strict=True)):
            label = QLabel(head)
            label.setTextFormat(Qt.TextFormat.RichText)
            label.setWordWrap(True)
            grid.addWidget(label, 0, column)
            grid.addWidget(view, 1, column)
            grid.setColumnStretch(column, 1)
        grid.setRowStretch(1, 1)
        self.label = WrappedLabel()
        self.label.setText("Comparing all films …")
        self.table = rows_table([])
        self.table.setMaximumHeight(170)
        self.table.setAccessibleName("How alike the masks are")
        close = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        close.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addLayout(top)
        layout.addLayout(grid, 1)
        layout.addWidget(self.label)
        layout.addWidget(self.table)
        layout.addWidget(close)
        self.resize(1080, 720)

    def _draw(self) -> None:
        if not self._cases or not self._findings:
            return
        case = self._cases[self.film.currentIndex()]
        finding = self.finding.currentText()
        folder, (one, other) = self._folder, self._made
        self._latest.submit(
            lambda: _mask_pairs.pictures(folder, case, finding, one, other, SIDE),
            self._show_pictures,
            lambda error: self.label.setText(f"The film cannot be shown: {error}"),
        )

    def _show_pictures(self, pictures: list[NDArray[np.uint8]]) -> None:
        for view, picture in zip(self.views, pictures, strict=True):
            view.show_picture(pixmap(picture))

    def _compare(self) -> None:
        folder, (one, other) = self._folder, self._made
        cases, findings = self._cases, self._findings
        self._background.submit(
            lambda: _mask_pairs.compare(folder, cases, findings, one, other),
            self._show_result,
            lambda error: self.label.setText(f"They cannot be compared: {error}"),
        )

    def _show_result(self, found: list[Alike]) -> None:
        self.label.setText(
            "How alike the two are, not how right; Dice is the mean over films on "
            "which either shows the finding."
        )
        rows = [
            (
                each.finding,
                "—" if each.dice is None else f"{each.dice:.3f}",
                f"{each.films:,}",
                f"{each.only_one:,}",
                f"{each.only_other:,}",
            )
            for each in found
        ]
        heads = ("Finding", "Dice", "Films", "Only the first", "Only the second")
        fill_table(self.table, heads, rows)


class _View(QLabel):
    """A picture that fills its place and keeps its proportions."""

    def __init__(self) -> None:
        super().__init__()
        self._picture: QPixmap | None = None
        self.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.setMinimumSize(140, 140)
        self.setStyleSheet("background: black")

    def show_picture(self, picture: QPixmap) -> None:
        """Show another picture."""
        self._picture = picture
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Fit the picture anew."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        if self._picture is not None:
            self.setPixmap(
                self._picture.scaled(
                    self.size(),
                    Qt.AspectRatioMode.KeepAspectRatio,
                    Qt.TransformationMode.SmoothTransformation,
                )
            )
