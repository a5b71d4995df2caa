"""The Runs panel: every training of the project, compared, used, resumed."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import QEvent, Qt, QTimer
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

from napari_wsseg._widgets import _run_details, _words
from napari_wsseg._widgets._jobs import Job, Jobs, Request, jobs_of
from napari_wsseg._widgets._listening import listen
from napari_wsseg._widgets._loading import known
from napari_wsseg._widgets._log_window import LogWindow
from napari_wsseg._widgets._resuming import can_resume
from napari_wsseg._widgets._table import fill, roomy, rows_table
from napari_wsseg._widgets._train_setup import short_title
from napari_wsseg._widgets._verdict import stages_of
from napari_wsseg.io import runs
from napari_wsseg.io.runs import RunInfo
from napari_wsseg.jobs import WssegError
from napari_wsseg.schema import STAGES
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
        self.refresh()

    def refresh(self) -> None:
        """Read the runs again; what is selected stays selected."""
        project = self.session.project
        self.infos = runs.listing(project.folder) if project is not None else []
        picked = {info.id for info in self.selected()}
        shown = (self.infos, self._used(), self._percent())
        if shown != self._shown:
            self._shown = shown
            self._fill(picked)
        empty = _NO_PROJECT if project is None else _NOTHING
        self.empty.setText("" if self.infos else empty)
        self.empty.setVisible(not self.infos)
        self.split.setVisible(bool(self.infos))
        for button in (self.use_button, self.resume_button, self.log_button):
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
            try:
                for stage in self._stages(info):
                    self.session.adopt(stage, info.id)
            except WssegError as error:
                self.note.setText(str(error))
                return
        self.refresh()

    def resume(self) -> None:
        """Go on with the selected run."""
        project = self.session.project
        for info in self.selected()[:1]:
            if project is None:
                return
            try:
                self.jobs.start(Request(project.folder, info.recipe, resume=info.id))
            except (OSError, RuntimeError) as error:
                self.note.setText(f"The run could not be resumed: {error}")

    def open_log(self) -> LogWindow | None:
        """Show the selected run's log."""
        project = self.session.project
        if project is None or not self.selected():
            return None
        run = self.selected()[0].id
        window = LogWindow(project.folder / "runs" / run / "log.txt", self)
        window.show()
        return window

    def showEvent(self, event: QEvent) -> None:
        """Be up to date when looked at."""
        super().showEvent(event)
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
        self.note = QLabel()
        self.note.setWordWrap(True)
        self.use_button = QPushButton("Use")
        self.resume_button = QPushButton("Resume")
        self.log_button = QPushButton("Open log")
        buttons = QGridLayout()
        pairs = (
            (self.use_button, self.use),
            (self.resume_button, self.resume),
            (self.log_button, self.open_log),
        )
        for column, (button, action) in enumerate(pairs):
            button.setMinimumHeight(30)
            button.clicked.connect(lambda *_, action=action: action())
            buttons.addWidget(button, 0, column)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.addWidget(self.empty)
        layout.addWidget(self.split, 1)
        layout.addWidget(self.note)
        layout.addLayout(buttons)
        layout.addStretch(0)
        self.setMinimumWidth(280)

    def _tick(self) -> None:
        if self.jobs.busy and self.isVisible():
            self.refresh()

    def _on_session(self) -> None:
        self.note.setText("")
        self.refresh()

    def _used(self) -> dict[str, list[str]]:
        """Return run id to the stages that it is in use for."""
        used: dict[str, list[str]] = {}
        if self.session.project is not None:
            for stage in ("classifier", *STAGES):
                run = self.session.project.adopted(stage)
                if run:
                    used.setdefault(run, []).append(stage)
        return used

    def _percent(self) -> str:
        job: Job | None = self.jobs.current
        if job is None or not job.alive or not job.steps or not job.steps[-1].total:
            return ""
        return f" {100 * job.steps[-1].step // job.steps[-1].total} %"

    def _stages(self, info: RunInfo) -> tuple[str, ...]:
        loaded = known()
        card = loaded.recipes.get(info.recipe) if loaded else None
        return stages_of(info.recipe, card.stages if card else ())

    def _fill(self, picked: set[str]) -> None:
        used = self._used()
        self.table.blockSignals(True)
        self.table.setRowCount(len(self.infos))
        for row, info in enumerate(self.infos):
            for column, words in enumerate(self._cells(info, used)):
                item = QTableWidgetItem(words)
                item.setData(Qt.ItemDataRole.UserRole, info.id)
                item.setToolTip(self._tip(info, used))
                self.table.setItem(row, column, item)
        roomy(self.table)
        self.table.resizeColumnToContents(0)
        self.table.clearSelection()
        mode = QAbstractItemView.SelectionMode
        self.table.setSelectionMode(mode.MultiSelection)
        for row, info in enumerate(self.infos):
            if info.id in picked:
                self.table.selectRow(row)
        self.table.setSelectionMode(mode.ExtendedSelection)
        self.table.blockSignals(False)

    def _cells(self, info: RunInfo, used: dict[str, list[str]]) -> Sequence[str]:
        job = self.jobs.current
        mine = job is not None and job.run == info.id and job.alive
        state = f"{_words.SIGNS.get(info.state, '')} {_words.state(info.state)}"
        return (
            "●" if info.id in used else "",
            f"{short_title(info.recipe)}\n{_words.moment(info.created)}",
            state + (self._percent() if mine else ""),
            f"{_run_details.score(info) or '—'}\n{_in_short(info)}".strip(),
        )

    def _tip(self, info: RunInfo, used: dict[str, list[str]]) -> str:
        words = [info.id, _run_details.summary(info), info.message]
        if info.id in used:
            words.append(f"In use for: {', '.join(used[info.id])}")
        return "\n".join(word for word in words if word)

    def _show_details(self) -> None:
        project, picked = self.session.project, self.selected()
        if project is None or not picked:
            fill(self.details, ("Select a run, or two to compare",), [])
        elif len(picked) == 2:
            rows = _run_details.compare(project.folder, *picked)
            heads = [
                f"{short_title(i.recipe)} {_words.moment(i.created)}" for i in picked
            ]
            fill(self.details, ("", *heads), rows)
        else:
            rows = _run_details.details(project.folder, picked[0])
            fill(self.details, (short_title(picked[0].recipe), "* not the usual"), rows)
        self._refresh_buttons(picked)

    def _refresh_buttons(self, picked: Sequence[RunInfo]) -> None:
        use, resume = self._why_not_use(picked), self._why_not_resume(picked)
        self.use_button.setEnabled(not use)
        self.use_button.setToolTip(
            use or "Show this run's masks from now on; the one before stays in the list"
        )
        self.resume_button.setEnabled(not resume)
        self.resume_button.setToolTip(resume or "Go on from its last saved state")
        self.log_button.setEnabled(len(picked) == 1)
        self.log_button.setToolTip("What the run has printed")

    def _why_not_use(self, picked: Sequence[RunInfo]) -> str:
        project = self.session.project
        if len(picked) != 1 or project is None:
            return "Select one run"
        info = picked[0]
        if project.readonly:
            return "This window may only look at the project"
        used = self._used().get(info.id, [])
        if set(self._stages(info)) <= set(used):
            return "It is in use already"
        places = [project.folder / "stages" / s / info.id for s in self._stages(info)]
        if not any(place.is_dir() for place in places):
            return "Its masks have not been made: the run did not finish"
        return ""

    def _why_not_resume(self, picked: Sequence[RunInfo]) -> str:
        project = self.session.project
        if len(picked) != 1 or project is None:
            return "Select one run"
        if self.jobs.busy:
            return "A training is under way"
        if not can_resume(project.folder, picked[0]):
            return "It is done, or left no saved state to go on from"
        return ""


def _in_short(info: RunInfo) -> str:
    """Return the settings that tell a run apart, so few that rows stay low."""
    settings = _run_details.summary(info).split(", ")
    more = f" +{len(settings) - 2}" if len(settings) > 2 else ""
    return ", ".join(settings[:2]) + more
