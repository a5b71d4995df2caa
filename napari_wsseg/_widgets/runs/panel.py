"""The Runs panel: every training of the project, compared, used, resumed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import (
    QAbstractItemView,
    QGridLayout,
    QLabel,
    QPushButton,
    QSplitter,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg._widgets.parts import formatting as _formatting
from napari_wsseg._widgets.parts.connections import listen
from napari_wsseg._widgets.parts.share_slider import WrappedLabel
from napari_wsseg._widgets.parts.text_table import (
    fill_table,
    fit_row_heights,
    rows_table,
)
from napari_wsseg._widgets.parts.visibility import in_sight, when_in_sight
from napari_wsseg._widgets.processes.evaluate_job import Evaluation
from napari_wsseg._widgets.processes.jobs import Job, Jobs, jobs_of
from napari_wsseg._widgets.processes.requests import Request
from napari_wsseg._widgets.processes.score_job import scoring_of
from napari_wsseg._widgets.processes.score_strip import ScoringStrip
from napari_wsseg._widgets.runs import details as _details
from napari_wsseg._widgets.runs import rows as _rows
from napari_wsseg._widgets.runs import rules as _rules
from napari_wsseg._widgets.runs.compare_masks import MasksWindow
from napari_wsseg._widgets.runs.log_window import LogWindow
from napari_wsseg._widgets.training.setup import short_title
from napari_wsseg.io import runs
from napari_wsseg.io.runs import RunInfo
from napari_wsseg.jobs import WssegError
from napari_wsseg.session import Session

_NO_PROJECT = "No project is open.\n\nOpen one from the worklist to see its runs."
_NOTHING = (
    "No training yet.\n\nStart one in the Train panel; every run stays in this list, "
    "so that you can always go back to an earlier one."
)


class RunsPanel(QWidget):
    """Every run of the open project.

    Parameters
    ----------
    session
        What is open; the panel adopts runs through it.
    jobs
        The session's trainings; by default those that every panel of it shares.
    """

    def __init__(self, session: Session, jobs: Jobs | None = None) -> None:
        super().__init__()
        self.session = session
        self.jobs = jobs if jobs is not None else jobs_of(session)
        self.scoring = scoring_of(session)
        self.evaluation = Evaluation(self)
        self.evaluation.moved.connect(self._on_evaluation)
        self.infos: list[RunInfo] = []
        self._shown: object = None
        self._build()
        self.jobs.began.connect(lambda job: self.refresh())
        self.jobs.ended.connect(lambda job: self.refresh())
        listen(
            self,
            self._on_session,
            self.session.project_changed,
            self.session.stages_changed,
        )
        self._clock = QTimer(self, interval=2000)
        self._clock.timeout.connect(self._tick)
        self._clock.start()
        when_in_sight(self, self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Read the runs again; what is selected stays selected."""
        project = self.session.project
        self.infos, damaged = (
            runs.readable(project.folder) if project is not None else ([], {})
        )
        self.damaged.setText(_rows.left_out(damaged))
        self.damaged.setVisible(bool(damaged))
        picked = {info.id for info in self.selected()}
        shown = (self.infos, _rules.in_use(self.session.project), self._percent())
        if shown != self._shown:
            self._shown = shown
            self._fill(picked)
        empty = _NO_PROJECT if project is None else _NOTHING
        self.empty.setText("" if self.infos else empty)
        self.empty.setVisible(not self.infos)
        self.split.setVisible(bool(self.infos))
        for button in self.buttons:
            button.setVisible(bool(self.infos))
        self._show_details()

    def selected(self) -> list[RunInfo]:
        """Return the selected runs, oldest first."""
        ids = {
            self.table.item(index.row(), 0).data(Qt.ItemDataRole.UserRole)
            for index in self.table.selectionModel().selectedRows()
        }
        return [info for info in reversed(self.infos) if info.id in ids]

    def use(self) -> None:
        """Put the selected run in use for its stages; also the way back."""
        for info in self.selected()[:1]:
            self._adopt(dict.fromkeys(_rules.stages(info), info.id))

    def roll_back(self) -> None:
        """Use again what was in use before."""
        if self.session.project is not None:
            self._adopt(_rules.before(self.session.project, self._one(), self.infos))

    def resume(self) -> None:
        """Go on with the selected run."""
        project, info = self.session.project, self._one()
        why_not = _rules.why_not_resume(self.selected(), project, self.jobs.busy)
        if project is None or info is None or why_not:
            return
        try:
            self.jobs.start(Request(project.folder, info.recipe, resume=info.id))
        except (OSError, RuntimeError) as error:
            self.note.setText(f"The run could not be resumed: {error}")

    def evaluate(self) -> None:
        """Score the selected run against held-out expert masks."""
        project, info = self.session.project, self._one()
        busy = self.evaluation.busy
        why_not = _rules.why_not_evaluate(self.selected(), project, busy)
        if project is not None and info is not None and not why_not:
            split = _rules.split_to_score(project)
            self.evaluation.start(project.folder, info.id, split)

    def compare_masks(self) -> MasksWindow | None:
        """Show the masks of the two selected runs beside each other."""
        if _rules.why_not_compare(self.selected(), self.session.project):
            return None
        one, other = self.selected()
        window = MasksWindow(self.session, one, other, self)
        window.show()
        return window

    def open_log(self) -> LogWindow | None:
        """Show the selected run's log."""
        project = self.session.project
        if project is None or not self.selected():
            return None
        run = self.selected()[0].id
        window = LogWindow(project.folder / "runs" / run / "log.txt", self)
        window.show()
        return window

    def _one(self) -> RunInfo | None:
        picked = self.selected()
        return picked[0] if len(picked) == 1 else None

    def _adopt(self, runs_by_stage: Mapping[str, str]) -> None:
        try:
            for stage, run in runs_by_stage.items():
                self.session.adopt(stage, run)
        except WssegError as error:
            self.note.setText(str(error))
            return
        self.refresh()

    def _build(self) -> None:
        self.empty = QLabel()
        self.empty.setWordWrap(True)
        self.table = rows_table(["●", "Run", "State", "Result"])
        self.table.setAccessibleName("Runs")
        self.table.setToolTip("Select a run to see it in full, two to compare them")
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.table.itemSelectionChanged.connect(self._show_details)
        self.details = rows_table([])
        self.details.setAccessibleName("Details of the selected run")
        self.split = QSplitter(Qt.Orientation.Vertical)
        self.split.addWidget(self.table)
        self.split.addWidget(self.details)
        self.split.setChildrenCollapsible(False)
        self.damaged = WrappedLabel()
        self.note = QLabel()
        self.note.setWordWrap(True)
        self.strip = ScoringStrip(self.scoring)
        self.use_button = QPushButton("Use")
        self.roll_button = QPushButton("Roll back")
        self.resume_button = QPushButton("Resume")
        self.evaluate_button = QPushButton("Evaluate")
        self.compare_button = QPushButton("Compare masks")
        self.log_button = QPushButton("Open log")
        self.log_button.setToolTip("What the run has printed")
        buttons = QGridLayout()
        pairs = (
            (self.use_button, self.use),
            (self.roll_button, self.roll_back),
            (self.resume_button, self.resume),
            (self.evaluate_button, self.evaluate),
            (self.compare_button, self.compare_masks),
            (self.log_button, self.open_log),
        )
        self.buttons = [button for button, _ in pairs]
        for place, (button, action) in enumerate(pairs):
            button.setMinimumHeight(30)
            button.setMinimumWidth(70)
            button.clicked.connect(lambda *_, action=action: action())
            buttons.addWidget(button, *divmod(place, 3))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.addWidget(self.empty)
        layout.addWidget(self.split, 1)
        layout.addWidget(self.damaged)
        layout.addWidget(self.strip)
        layout.addWidget(self.note)
        layout.addLayout(buttons)
        layout.addStretch(0)
        self.setMinimumWidth(280)

    def _tick(self) -> None:
        if self.jobs.busy and in_sight(self):
            self.refresh()

    def _on_session(self) -> None:
        self.note.setText("")
        self.refresh()

    def _percent(self) -> str:
        job: Job | None = self.jobs.current
        if job is None or not job.alive or not job.steps or not job.steps[-1].total:
            return ""
        return f" {100 * job.steps[-1].step // job.steps[-1].total} %"

    def _fill(self, picked: set[str]) -> None:
        used = _rules.in_use(self.session.project)
        job = self.jobs.current
        mine = job.run if job is not None and job.alive else None
        self.table.blockSignals(True)
        self.table.setRowCount(len(self.infos))
        for row, info in enumerate(self.infos):
            moving = self._percent() if info.id == mine else ""
            for column, text in enumerate(_rows.cells(info, used, moving)):
                item = QTableWidgetItem(text)
                item.setData(Qt.ItemDataRole.UserRole, info.id)
                item.setToolTip(_rows.tip(info, used))
                self.table.setItem(row, column, item)
        fit_row_heights(self.table)
        self.table.resizeColumnToContents(0)
        self.table.clearSelection()
        mode = QAbstractItemView.SelectionMode
        self.table.setSelectionMode(mode.MultiSelection)
        for row, info in enumerate(self.infos):
            if info.id in picked:
                self.table.selectRow(row)
        self.table.setSelectionMode(mode.ExtendedSelection)
        self.table.blockSignals(False)

    def _show_details(self) -> None:
        project, picked = self.session.project, self.selected()
        if project is None or not picked:
            fill_table(self.details, ("Select a run, or two to compare",), [])
        elif len(picked) == 2:
            rows = _details.compare(project.folder, *picked)
            heads = [
                f"{short_title(i.recipe)}\n{_formatting.moment(i.created)}"
                for i in picked
            ]
            fill_table(self.details, ("", *heads), rows)
        else:
            rows = _details.details(project.folder, picked[0])
            fill_table(
                self.details,
                (short_title(picked[0].recipe), "* differs from default"),
                rows,
            )
        self._refresh_buttons(picked)

    def _refresh_buttons(self, picked: Sequence[RunInfo]) -> None:
        project, one = self.session.project, self._one()
        back = _rules.before(project, one, self.infos) if project is not None else {}
        split = _rules.split_to_score(project) if project is not None else ""
        busy = self.jobs.busy, self.evaluation.busy
        stamp = "" if one is None or one.evaluated else "\n" + _rows.UNEVALUATED
        rules = (
            (
                self.use_button,
                _rules.why_not_use(picked, project),
                "Show this run's masks from now on; the one before stays in the list"
                + stamp,
            ),
            (
                self.roll_button,
                _rules.why_not_roll_back(back, project),
                _rules.before_in_words(project, back) if project else "",
            ),
            (
                self.resume_button,
                _rules.why_not_resume(picked, project, busy[0]),
                "Go on from its last saved state",
            ),
            (
                self.evaluate_button,
                _rules.why_not_evaluate(picked, project, busy[1]),
                f"Compare its masks with expert masks of the {split} split",
            ),
            (
                self.compare_button,
                _rules.why_not_compare(picked, project),
                "Show their masks and where they differ, film by film",
            ),
        )
        for button, why_not, tip in rules:
            button.setEnabled(not why_not)
            button.setToolTip(why_not or tip)
        self.log_button.setEnabled(len(picked) == 1)

    def _on_evaluation(self) -> None:
        self.note.setText(self.evaluation.message)
        if not self.evaluation.busy:
            self.refresh()
        else:
            self._refresh_buttons(self.selected())


def panel(bench: Workbench) -> QWidget:
    """Make the panel of runs of a workbench."""
    return RunsPanel(bench.session)
