"""Earlier versions of a finding's mask: compared on the film, and brought back."""

from __future__ import annotations

from qtpy.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg._widgets.canvas.comparison_layers import FIRST, SECOND
from napari_wsseg._widgets.parts.connections import listen
from napari_wsseg._widgets.parts.text_table import fill_table, rows_table
from napari_wsseg.schema import Annotation

_HEADS = ("Version", "When", "How")


class VersionsPanel(QWidget):
    """Every version of the current finding, newest first."""

    def __init__(self, bench: Workbench) -> None:
        super().__init__()
        self.bench = bench
        self.session = bench.session
        self.table = rows_table(_HEADS)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.table.setMaximumHeight(150)
        self.empty = QLabel(
            "No version yet: strokes are kept, and become a version when you pause."
        )
        self.empty.setWordWrap(True)
        self.compare = QPushButton("Compare")
        self.compare.setCheckable(True)
        self.compare.setToolTip(
            "Show on the film how the mask now differs from the chosen version"
        )
        self.restore = QPushButton("Restore")
        self.restore.setToolTip(
            "Bring the chosen version back, as a new one: none is lost"
        )
        self.legend = QLabel(
            f"<span style='color:{FIRST}'>▢ ■</span> the version, and what it has more"
            f"<br><span style='color:{SECOND}'>■</span> what the mask now has more"
        )
        self.legend.hide()
        buttons = QHBoxLayout()
        buttons.addWidget(self.compare)
        buttons.addWidget(self.restore)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        for widget in (self.empty, self.table):
            layout.addWidget(widget)
        layout.addLayout(buttons)
        layout.addWidget(self.legend)
        self._versions: tuple[Annotation, ...] = ()
        session = self.session
        listen(
            self,
            self.refresh,
            session.case_changed,
            session.project_changed,
            session.looking.finding_changed,
            session.mask_replaced,
            session.decided,
            session.saved,
        )
        listen(self, self._on_comparing, session.comparing.changed)
        self.table.itemSelectionChanged.connect(self._on_row)
        self.table.itemActivated.connect(lambda _: self.compare.click())
        self.compare.clicked.connect(self._compare)
        self.restore.clicked.connect(self._restore)
        self.refresh()

    def showEvent(self, event: object) -> None:
        """Catch up with what happened while the panel was folded."""
        super().showEvent(event)
        self.refresh()

    def refresh(self) -> None:
        """Follow the case, the finding and what was saved."""
        if not self.isVisible():
            return
        finding = self.session.looking.finding
        found = self.session.versions(finding.name) if finding else ()
        if found != self._versions or not self.table.rowCount():
            self._versions = found
            fill_table(self.table, _HEADS, [_row(one) for one in found])
            if found:
                self.table.selectRow(min(1, len(found) - 1))
        self.empty.setVisible(not found)
        self.table.setVisible(bool(found))
        self._on_row()

    @property
    def chosen(self) -> Annotation | None:
        """The version whose row is selected."""
        row = self.table.currentRow()
        return self._versions[row] if 0 <= row < len(self._versions) else None

    def _on_row(self) -> None:
        chosen = self.chosen
        self.compare.setEnabled(chosen is not None)
        self.restore.setEnabled(chosen is not None and not self.session.locked)
        if self.compare.isChecked() and chosen is not None:
            now = self.session.comparing.now
            if now is None or now.version != chosen:
                self.session.compare_version(chosen)

    def _on_comparing(self) -> None:
        now = self.session.comparing.now
        on = now is not None and now.version is not None
        self.compare.setChecked(on)
        self.legend.setVisible(on)

    def _compare(self, on: bool) -> None:
        self.session.compare_version(self.chosen if on else None)
        self.bench.focus_canvas()

    def _restore(self) -> None:
        if self.chosen is not None:
            chosen = self.chosen
            self.session.compare_version(None)
            self.session.restore(chosen)
        self.bench.focus_canvas()


def _row(version: Annotation) -> tuple[str, str, str]:
    when = version.created[5:16].replace("T", " ")
    return f"{version.reader} {version.version}", when, version.tool or "—"
