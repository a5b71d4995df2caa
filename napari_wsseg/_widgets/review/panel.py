"""Review: the open case from top to bottom in the order of work."""

from __future__ import annotations

from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)
from superqt import QElidingLabel

from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg._widgets.parts import help as help_pages
from napari_wsseg._widgets.parts.banner import Banner
from napari_wsseg._widgets.parts.collapsible import Fold
from napari_wsseg._widgets.parts.connections import listen
from napari_wsseg._widgets.parts.formatting import green, red
from napari_wsseg._widgets.parts.preferences import fold_is_open, remember_fold
from napari_wsseg._widgets.parts.visibility import in_sight, when_in_sight
from napari_wsseg._widgets.review.adjudication import AdjudicatePanel
from napari_wsseg._widgets.review.chest_facts import ChestFacts
from napari_wsseg._widgets.review.decision_bar import DecidePanel
from napari_wsseg._widgets.review.departures import Departures
from napari_wsseg._widgets.review.edit_tools import EditPanel
from napari_wsseg._widgets.review.findings_table import FindingsTable
from napari_wsseg._widgets.review.grey_window import TonePanel
from napari_wsseg._widgets.review.label_bar import LabelBar
from napari_wsseg._widgets.review.readout import Readout
from napari_wsseg._widgets.review.stage_switcher import StagePanel
from napari_wsseg._widgets.review.version_list import VersionsPanel
from napari_wsseg.schema import Case

WIDTH = 330
_GENERATED = "These films were generated: no patient is shown"
_SYNTHETIC = (
    "<span style='background-color: #F0E442; color: black; font-weight: bold'>"
    "&nbsp;SYNTHETIC&nbsp;</span> "
)


class CaseHeader(QWidget):
    """Which film this is, what is known of it, and whether everything is saved."""

    def __init__(self, bench: Workbench) -> None:
        super().__init__()
        self.session = bench.session
        self.chest = ChestFacts(bench.session)
        # A long name must not make the panel wider.
        self.name = QElidingLabel()
        self.name.setElideMode(Qt.TextElideMode.ElideMiddle)
        self.name.setStyleSheet("font-size: 14px; font-weight: bold;")
        self.saved = QLabel()
        self.facts = QLabel()
        self.facts.setWordWrap(True)
        top = QHBoxLayout()
        top.addWidget(self.name, 1)
        top.addWidget(self.saved)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addLayout(top)
        layout.addWidget(self.facts)
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._write_saved)
        self._timer.start(1000)
        session = self.session
        listen(
            self,
            self.refresh,
            session.case_changed,
            session.project_changed,
            session.case_failed,
        )
        listen(self, self._measure, session.saved, session.mask_replaced)
        listen(self, self._on_loading, session.loading, max_args=1)
        listen(
            self, self._write_saved, session.edited, session.saved, session.save_failed
        )
        listen(self, self._stop, session.closing)
        when_in_sight(self, self._write_saved)
        self.refresh()

    def refresh(self) -> None:
        """Follow the open case."""
        case = self.session.case
        self.facts.setToolTip(_GENERATED if self.session.synthetic else "")
        self.name.setText(case.name if case else "")
        self.name.setToolTip(f"{case.name}\n{case.path}\nid {case.id}" if case else "")
        self.facts.setText(self._facts(case) if case else "")
        if self.session.project is not None and not self._timer.isActive():
            self._timer.start(1000)
        self._write_saved()

    def _measure(self) -> None:
        """Follow what is drawn, once a stroke is on disk."""
        case = self.session.case
        text = self._facts(case) if case else ""
        if text != self.facts.text():
            self.facts.setText(text)

    def _stop(self) -> None:
        self._timer.stop()

    def _on_loading(self, case_id: str) -> None:
        self.name.setText(f"Opening {self.session.list.cases[case_id].name}…")

    def _facts(self, case: Case) -> str:
        opened, project = self.session.opened, self.session.project
        rows, columns = case.shape
        size = f"{columns} × {rows} px"
        if case.spacing_mm and opened:
            kind = (
                " at the detector"
                if opened.radiograph.spacing_kind == "detector"
                else ""
            )
            size += f" · {case.spacing_mm[0]:.3f} mm/px{kind}"
        view = opened.radiograph.view if opened else None
        facts = [size, case.split, *([view] if view else [])]
        if self.session.reading.mode == "blind":
            facts.append("<b>blind</b>")
        if chest := self.chest.line():
            facts.append(chest)
        if project is not None and project.readonly:
            facts.append("<b>read-only</b>")
        mark = _SYNTHETIC if self.session.synthetic else ""
        return mark + " · ".join(facts)

    def _write_saved(self) -> None:
        # New words draw the whole window anew, so only where they are seen.
        if not in_sight(self):
            return
        session = self.session
        seconds = session.experts.seconds_since_saved if session.experts else None
        if session.problem:
            text = "⚠ not saved"
            style = f"color: {red(self.palette())}; font-weight: bold;"
        else:
            text = "" if seconds is None else f"✓ saved {_ago(seconds)}"
            style = f"color: {green(self.palette())};"
        if style != self.saved.styleSheet():
            self.saved.setStyleSheet(style)
        if text != self.saved.text():
            self.saved.setText(text)


class Review(QWidget):
    """Case, stages, findings, tools in a column that scrolls; decisions below it."""

    def __init__(self, bench: Workbench) -> None:
        super().__init__()
        self.bench = bench
        self.banner = Banner(bench.session)
        self.header = CaseHeader(bench)
        self.readout = Readout(bench)
        self.departures = Departures(bench)
        self.stages = StagePanel(bench)
        self.tone = TonePanel(bench)
        self.findings = FindingsTable(bench)
        self.editing = EditPanel(bench)
        self.adjudicate = AdjudicatePanel(bench)
        self.labels = LabelBar(bench)
        self.versions = VersionsPanel(bench)
        self.decide = DecidePanel(bench)
        column = QWidget()
        stack = QVBoxLayout(column)
        stack.setContentsMargins(0, 0, 4, 0)
        stack.setSpacing(4)
        self.folds = {
            "Findings": _section("Findings  (Q, W)", "One is painted", self.findings),
            "Stages": _section("Stages  (D)", "Where drafts come from", self.stages),
            "Grey window": _section(
                "Grey window  (9, hold J)",
                "Brighter, harder: level and width",
                self.tone,
            ),
            "Edit": _section("Edit", "Tools for the expert mask", self.editing),
        }
        for name, fold in self.folds.items():
            fold.set_open(fold_is_open(name, usual=name != "Grey window"))
            fold.toggled.connect(lambda is_open, n=name: remember_fold(n, is_open))
            stack.addWidget(fold)
        versions = _section("Versions  (F4)", "Compare, restore", self.versions)
        versions.set_open(False)
        self.folds["Versions"] = versions
        stack.addWidget(versions)
        stack.addStretch(1)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(column)
        self.scroll = scroll
        listen(self, self._toggle_versions, bench.versions_wanted)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 4)
        layout.setSpacing(4)
        layout.addWidget(self.banner)
        layout.addWidget(self.labels)
        layout.addWidget(self.header)
        layout.addWidget(self.readout)
        layout.addWidget(self.departures)
        layout.addWidget(self.adjudicate)
        layout.addWidget(scroll, 1)
        layout.addWidget(self.decide)
        layout.addWidget(Footer(bench))
        self.setMinimumWidth(WIDTH)

    def _toggle_versions(self) -> None:
        fold = self.folds["Versions"]
        fold.set_open(not fold.isExpanded())
        if fold.isExpanded():
            # Laid out first, or there is nothing yet to scroll to.
            QTimer.singleShot(0, self._show_versions)
            self.versions.table.setFocus()

    def _show_versions(self) -> None:
        self.scroll.ensureWidgetVisible(self.folds["Versions"])


def panel(bench: Workbench) -> QWidget:
    """Make the review panel of a workbench."""
    return Review(bench)


class Footer(QWidget):
    """What this must not be used for, the shortcuts, and About."""

    def __init__(self, bench: Workbench) -> None:
        super().__init__()
        label = QLabel(help_pages.RESEARCH_USE)
        label.setStyleSheet("font-size: 10px;")
        keys, about = QPushButton("Keys  F1"), QPushButton("About")
        keys.setToolTip("Every shortcut, of this program and of napari's tools")
        about.setToolTip("What this is, its version, and what it must not be used for")
        keys.clicked.connect(lambda: bench.keys_wanted.emit())
        about.clicked.connect(lambda: help_pages.about(self))
        label.setWordWrap(True)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(label, 1)
        layout.addWidget(keys)
        layout.addWidget(about)


def _section(title: str, tip: str, content: QWidget) -> Fold:
    fold = Fold(title, tip)
    fold.body.setContentsMargins(2, 2, 0, 4)
    fold.body.addWidget(content)
    return fold


def _ago(seconds: float) -> str:
    if seconds < 10:
        return "now"
    if seconds < 60:
        return f"{seconds // 10 * 10:.0f} s ago"
    return f"{seconds / 60:.0f} min ago"
