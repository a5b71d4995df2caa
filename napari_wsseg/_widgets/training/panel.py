"""The Train panel: choose, start, watch, stop, resume, and use the result or not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal, TypeAlias

from napari.qt.threading import create_worker
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

from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg._widgets.parts.connections import listen
from napari_wsseg._widgets.parts.visibility import in_sight, when_in_sight
from napari_wsseg._widgets.processes import recipes as _recipes
from napari_wsseg._widgets.processes.jobs import Job, Jobs, jobs_of
from napari_wsseg._widgets.processes.requests import Request
from napari_wsseg._widgets.processes.run_history import last_done, resumable_run
from napari_wsseg._widgets.training.data_summary import Material
from napari_wsseg._widgets.training.outcome import judge
from napari_wsseg._widgets.training.progress import Watch
from napari_wsseg._widgets.training.result import Result
from napari_wsseg._widgets.training.setup import Setup, title
from napari_wsseg.io import runs
from napari_wsseg.io.project import Project
from napari_wsseg.io.runs import RunInfo
from napari_wsseg.jobs import DataError, WssegError
from napari_wsseg.pipeline.inference import places
from napari_wsseg.session import Session
from napari_wsseg.session.state import ONLY_LOOKS

PanelState: TypeAlias = Literal[
    "no project", "loading", "no recipes", "read only", "missing data", "ready", "busy"
]

_READ_ONLY = (
    f"{ONLY_LOOKS}, so no training starts from it: what is "
    "learnt could not be put in use here.\n\nTrain in the window that writes, or open "
    "the project again once it may be written."
)
_NO_PROJECT = "No project is open.\n\nOpen one from the worklist, or make a new one."


class TrainPanel(QWidget):
    """Trains any recipe on the open project, in a process of its own.

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
        self.setup, self.watch, self.result = Setup(), Watch(), Result()
        self.empty = _notice()
        self.caution = _notice()
        self._material: Material | None = None
        self._loaded: _recipes.Loaded | None = None
        self._problem = ""
        self._loading = self._looked = False
        self._resumable: RunInfo | None = None
        self._build()
        self._connect()
        if self.jobs.current is not None:
            self._follow(self.jobs.current)
            if not self.jobs.busy:
                self._on_ended(self.jobs.current)
        self._refresh()

    @property
    def state(self) -> PanelState:
        """What the panel is at."""
        if self.jobs.busy:
            return "busy"
        if self.session.project is None:
            return "no project"
        if self._loaded is None:
            return "no recipes" if self._problem else "loading"
        if self.session.readonly:
            return "read only"
        return "missing data" if self._missing() else "ready"

    @property
    def idle(self) -> bool:
        """Whether a training that needs no new settings could start here."""
        return self.state in ("ready", "missing data")

    def start(self) -> None:
        """Train with the settings on screen."""
        if self.session.project is not None and self.state == "ready":
            self._run(self.setup.request(self.session.project.folder))

    def resume(self) -> None:
        """Go on with the last run of this recipe that did not finish."""
        info, project = self._resumable, self.session.project
        if info is not None and project is not None and self.idle:
            self._run(Request(project.folder, info.recipe, resume=info.id))

    def start_sweep(self, *, earlier: bool = False) -> None:
        """Train at several values of a setting, or go on with what was begun."""
        project = self.session.project
        if project is None or self.state != "ready":
            return
        box = self.setup.sweep
        request = (
            box.earlier_request(project.folder)
            if earlier
            else self.setup.sweep_request(project.folder)
        )
        if request is not None:
            self._run(request)

    def retry(self, settings: Mapping[str, int]) -> None:
        """Start the last training anew, with some settings changed."""
        job = self.jobs.current
        if job is not None and self.idle:
            was = job.request
            self._run(replace(was, settings={**was.settings, **settings}, resume=None))

    def stop(self) -> None:
        """Ask the training to stop; by force when that is what the button says."""
        job = self.jobs.current
        if job is None:
            return
        if job.can_force:
            job.force_stop()
        else:
            job.stop()

    def use_result(self) -> None:
        """Put the finished run in use for its stages."""
        try:
            for stage, run in self.result.usable.items():
                self.session.adopt(stage, run)
        except WssegError as error:
            self.result.complain(str(error))
            return
        self._dismiss()

    def _come(self) -> None:
        """Load the recipes the first time the panel is looked at."""
        self._load()
        self.setup.memory.forget()
        self._recount()

    def _build(self) -> None:
        self.start_button = _button("Start", "Train with these settings", self.start)
        self.stop_button = _button("Stop", "Save and stop after this batch", self.stop)
        self.resume_button = _button("Resume", "", self.resume)
        content = QWidget()
        inside = QVBoxLayout(content)
        inside.setContentsMargins(6, 6, 6, 6)
        parts = (self.empty, self.result, self.watch, self.caution, self.setup)
        for part in parts:
            inside.addWidget(part)
        inside.addStretch(1)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(content)
        buttons = QHBoxLayout()
        buttons.setContentsMargins(6, 0, 6, 6)
        for button in (self.start_button, self.stop_button, self.resume_button):
            buttons.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(scroll, 1)
        layout.addLayout(buttons)
        self.setMinimumWidth(280)
        self.watch.hide()
        self.result.hide()

    def _connect(self) -> None:
        self.setup.changed.connect(self._refresh)
        self.setup.choice.currentIndexChanged.connect(self._recount)
        self.setup.sweep.started.connect(self.start_sweep)
        self.setup.sweep.resumed.connect(partial(self.start_sweep, earlier=True))
        self.result.used.connect(self.use_result)
        self.result.kept.connect(self._dismiss)
        self.result.retried.connect(self.retry)
        self.result.looked.connect(self._look)
        self.jobs.began.connect(self._follow)
        self.jobs.ended.connect(self._on_ended)
        # Decisions come in bursts; the count may follow a moment later.
        self._due = QTimer(self, interval=400, singleShot=True)
        self._due.timeout.connect(self._recount)
        when_in_sight(self, self._come)
        listen(
            self,
            self._on_session,
            self.session.project_changed,
            self.session.decided,
            self.session.stages_changed,
        )

    def _on_session(self) -> None:
        # Counting many films takes a moment; out of sight it waits for `_come`.
        if in_sight(self):
            self._due.start()
        if self.session.project is None:
            self._recount()

    def _load(self) -> None:
        if self._loaded is not None or self._loading or self._problem:
            return
        found = _recipes.known()
        if found is not None:
            self._on_loaded(found)
            return
        self._loading = True
        worker = create_worker(_recipes.load_softly, _start_thread=False)
        worker.yielded.connect(self._on_loaded)
        worker.start()
        self._refresh()

    def _on_loaded(self, loaded: _recipes.Loaded | str | None) -> None:
        if loaded is None:
            return
        if isinstance(loaded, str):
            self._problem = loaded
        elif self._loaded is None:
            self._loaded = loaded
            self.setup.load(loaded)
        self._refresh()

    def _recount(self) -> None:
        project = self.session.project
        self._material = Material.from_project(project) if project is not None else None
        self.setup.show_material(self._material)
        infos = runs.listing(project.folder) if project is not None else []
        self._resumable = (
            resumable_run(project.folder, infos, self.setup.recipe)
            if project is not None and not self.jobs.busy
            else None
        )
        in_use = set(project.runs_in_use().values()) if project is not None else set()
        used = [info for info in infos if info.id in in_use]
        self.setup.show_used(used, _lesions(project) if project is not None else None)
        self.setup.show_last(last_done(infos, self.setup.recipe))
        if project is not None:
            self.setup.sweep.show_earlier(project.folder, self.setup.recipe)
        self._refresh()

    def _run(self, request: Request) -> None:
        try:
            self.jobs.start(request)
        except (OSError, RuntimeError) as error:
            self.result.report(str(error))
            self._refresh()

    def _follow(self, job: Job) -> None:
        job.changed.connect(self._refresh)
        self.result.hide()
        self.watch.follow(job)
        self._refresh()

    def _on_ended(self, job: Job) -> None:
        if job.end is None:
            return
        project = self.session.project
        if project is not None and not _same(project.folder, job.request.project):
            project = None
        checked = self._material.checked if self._material else 0
        made = job.runs or ({job.recipe: job.run} if job.recipe and job.run else {})
        self.result.show_verdict(
            judge(job.end, job.request, made, project, checked, job.swept),
            may_write=not self.session.readonly,
        )
        self._recount()

    def _look(self, stage: str, run: str) -> None:
        self.session.reload_stages({stage: run})
        self.session.looking.set_view(stage)
        self._looked = True

    def _dismiss(self) -> None:
        if self._looked:
            self._looked = False
            self.session.reload_stages()
        self.result.hide()
        self.watch.hide()
        self._refresh()

    def _missing(self) -> str:
        return self._material.missing(self.setup.recipe) if self._material else ""

    def _refresh(self) -> None:
        """Show what fits the state, and nothing else."""
        state, job = self.state, self.jobs.current
        texts = {
            "no project": _NO_PROJECT,
            "loading": "Loading recipes…",
            "no recipes": self._problem,
            "read only": _READ_ONLY,
        }.get(state, "")
        self.empty.setText(texts)
        self.empty.setVisible(bool(texts))
        self.setup.setVisible(state in ("ready", "missing data"))
        self.caution.setText(self._missing() if state == "missing data" else "")
        self.caution.setVisible(state == "missing data")
        self.watch.setVisible(
            state == "busy"
            or (self.watch.job is not None and self.result.isVisibleTo(self))
        )
        self._refresh_buttons(state, job)
        project = self.session.project
        if project is not None and self.setup.isVisible():
            self.setup.show_memory(project.folder)

    def _refresh_buttons(self, state: PanelState, job: Job | None) -> None:
        self.start_button.setEnabled(state == "ready")
        self.resume_button.setEnabled(self.idle and self._resumable is not None)
        self.resume_button.setToolTip(
            f"Go on with {title(self._resumable.recipe)}, {self._resumable.id}, "
            "from its last saved state and with its own settings"
            if self._resumable
            else "There is no unfinished run to go on with"
        )
        stopping = job is not None and job.state == "stopping"
        force = job is not None and job.can_force
        self.stop_button.setEnabled(state == "busy" and (force or not stopping))
        self.stop_button.setText("Force stop" if force else "Stop")
        self.stop_button.setToolTip(
            "End it now; what was learnt since the last saved state is lost"
            if force
            else "Save and stop after this batch"
        )


def panel(bench: Workbench) -> QWidget:
    """Make the training panel of a workbench."""
    return TrainPanel(bench.session)


def _lesions(project: Project) -> list[str] | None:
    """Return the findings that are no organ, unless wsseg.toml's places are wrong.

    Then the command that is started says what is.
    """
    try:
        return places.lesions(project)
    except DataError:
        return None


def _same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()


def _notice() -> QLabel:
    label = QLabel()
    label.setWordWrap(True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label


def _button(label: str, tip: str, action: object) -> QPushButton:
    button = QPushButton(label)
    button.setToolTip(tip)
    button.setMinimumHeight(30)
    button.clicked.connect(lambda *_: action())  # type: ignore[operator]
    return button
