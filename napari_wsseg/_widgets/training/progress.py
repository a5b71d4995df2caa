"""The lower half of the Train panel: how the training goes."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

from qtpy.compat import isalive
from qtpy.QtCore import QCoreApplication, QEvent, QTimer
from qtpy.QtWidgets import (
    QLabel,
    QPlainTextEdit,
    QProgressBar,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_wsseg._widgets.parts import formatting as _formatting
from napari_wsseg._widgets.parts.collapsible import Fold
from napari_wsseg._widgets.processes.events import (
    CellDone,
    Ended,
    Event,
    Noise,
    Started,
    Step,
)
from napari_wsseg._widgets.processes.jobs import Job
from napari_wsseg._widgets.training.curves import Curves
from napari_wsseg._widgets.training.setup import short_title
from napari_wsseg._widgets.training.sweep_plot import SweepPlot

#: News of a training are drawn so often that drawing takes this share of the time …
DRAWING_SHARE = 1 / 60
#: … but no sooner after the last, and no later, in milliseconds.
SOONEST_MS, LATEST_MS = 500, 3000


class Watch(QWidget):
    """Progress, time left, curves and log of one job."""

    def __init__(self) -> None:
        super().__init__()
        self.job: Job | None = None
        self._step: Step | None = None
        self._message = ""
        self.bar = QProgressBar()
        self.bar.setAccessibleName("Progress of the training")
        self.bar.setMinimumWidth(100)
        self.message = QLabel()
        self.message.setWordWrap(True)
        self.message.setSizePolicy(
            QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum
        )
        self.curves = Curves()
        self.sweep = SweepPlot()
        self.sweep.hide()
        self.log = QPlainTextEdit()
        self.log.setReadOnly(True)
        self.log.setMaximumBlockCount(500)
        self.log.setFixedHeight(130)
        self.log.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.log.setTabChangesFocus(True)
        self.log.setAccessibleName("Log")
        self.fold = Fold("Log", "What the training itself has printed")
        self.fold.body.addWidget(self.log)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (self.bar, self.message, self.sweep, self.curves, self.fold):
            layout.addWidget(widget)
        # Seconds pass even when nothing is said.
        self._clock = QTimer(self, interval=1000)
        self._clock.timeout.connect(self._say)
        # Words and plots are drawn in turn: beside an OpenGL canvas every drawing of a
        # panel costs one of the whole window.
        self._news = QTimer(self, interval=SOONEST_MS, singleShot=True)
        self._news.timeout.connect(self._update)
        self._text_next = True

    def follow(self, job: Job) -> None:
        """Show a job from now on, with all that it has said so far."""
        if self.job is not None:
            self.job.reported.disconnect(self._on_reported)
            self.job.changed.disconnect(self._say)
        self.job = job
        self.curves.clear()
        self.log.setPlainText("\n".join(job.log))
        self.curves.add(job.earlier)
        self.curves.add(job.steps)
        self._step = job.steps[-1] if job.steps else None
        self._draw_sweep()
        job.reported.connect(self._on_reported)
        job.changed.connect(self._say)
        self.bar.setRange(0, 0)
        self.curves.draw()
        self._clock.start()
        self._say()

    def _on_reported(self, events: tuple[Event, ...]) -> None:
        steps: list[Step] = []
        lines: list[str] = []
        for event in events:
            if isinstance(event, Started):
                # A job of several recipes counts from one again with each.
                self.curves.clear()
                self.curves.add(self.job.earlier if self.job is not None else ())
                steps.clear()
                lines.append(f"run {event.run} on {event.device}")
            elif isinstance(event, Step):
                steps.append(event)
                if event.message != self._message:
                    self._message = event.message
                    lines.append(event.message)
            elif isinstance(event, CellDone):
                self._draw_sweep()
            elif isinstance(event, Noise):
                lines.append(event.text)
            elif isinstance(event, Ended) and event.message:
                lines.append(event.message)
        if lines:
            self.log.appendPlainText("\n".join(lines))
        if steps:
            self._step = steps[-1]
            self.curves.add(steps)
            if not self._news.isActive():
                self._news.start()

    def _update(self) -> None:
        """Bring the words, or else a plot, up to what is known."""
        # Behind the drawing: what is posted comes before a timer.
        QTimer.singleShot(1, partial(self._pace, time.perf_counter()))
        self._text_next = not self._text_next
        if self._text_next:
            self.curves.draw_next()
        else:
            self._clock.start()
            self.curves.say()
            self._say()
            _lay_out(self.curves)

    def _pace(self, began: float) -> None:
        """Draw news less often where drawing takes long: without a graphics card."""
        if not isalive(self):
            return  # closed while it was drawn
        took_ms = 1000 * (time.perf_counter() - began)
        pause = int(min(max(took_ms / DRAWING_SHARE, SOONEST_MS), LATEST_MS))
        self._news.setInterval(pause)
        self._clock.setInterval(max(pause, 1000))

    def _draw_sweep(self) -> None:
        sweep = self.job.request.sweep if self.job is not None else None
        cells = self.job.cells if self.job is not None else []
        folder = Path(cells[-1].folder) if cells else None
        self.sweep.show_folder(folder, sweep.setting if sweep is not None else "")

    def _say(self) -> None:
        """Bring bar and message up to what is known."""
        job, step = self.job, self._step
        if job is None:
            return
        # A bar draws itself at once with every value, unless it must not.
        self.bar.setUpdatesEnabled(False)
        if job.alive and step is not None and step.total > 0:
            done, total = _share_done(job, step)
            self.bar.setRange(0, total)
            self.bar.setValue(done)
        elif job.alive:
            self.bar.setRange(0, 0)
        else:
            self._clock.stop()
            self.curves.draw()
        self.bar.setUpdatesEnabled(True)
        # How it ended is said above; a bar that stands still would say otherwise.
        self.bar.setVisible(job.alive)
        self.message.setVisible(job.alive)
        self.message.setText(_situation(job, step))


def _lay_out(widget: QWidget | None) -> None:
    """Lay out all that holds a widget, now: later, it would be drawn a second time."""
    while widget is not None:
        QCoreApplication.sendPostedEvents(widget, QEvent.Type.LayoutRequest.value)
        widget = widget.parentWidget()


def _situation(job: Job, step: Step | None) -> str:
    """Return how a job stands, in one or two lines."""
    passed = _formatting.duration(time.monotonic() - job.began)
    name = short_title(job.recipe)
    if job.request.sweep is not None:
        name = f"{_of_sweep(job)}\n{name}"
    if job.silent_s and job.state == "starting":
        return f"{name}: starting, torch is being loaded … ({passed})"
    if job.silent_s:
        silent = _formatting.duration(job.silent_s)
        return (
            f"Not responding for {silent}. Wait, or press Force stop; the last saved "
            "state is kept."
        )
    match job.state:
        case "starting":
            return f"{name}: starting … ({passed})"
        case "stopping":
            hint = " It takes long: Force stop ends it now." if job.can_force else ""
            return f"Stopping after this batch …{hint}"
        case "running":
            if step is None:
                return f"{name}: preparing … ({passed})"
            steps = f" {step.step:,} of {step.total:,}" if step.total else ""
            place = f" ({step.place})" if step.place else ""
            return f"{name}{place}: {step.message}{steps}\n{passed} so far{_left(step)}"
    return f"{name}: {_formatting.state(job.state)}"


def _left(step: Step) -> str:
    """Return how long it still takes: of several stages, all of them."""
    seconds = step.eta_s if step.whole_eta_s is None else step.whole_eta_s
    if seconds is None or seconds < 1:
        return ""  # what is still to be tidied up may take longer than "0 s"
    of_what = " for all stages" if step.whole_eta_s is not None else ""
    if not of_what and step.message not in ("training", "validating"):
        of_what = " of this step"
    return f", about {_formatting.duration(seconds)} left{of_what}"


def _of_sweep(job: Job) -> str:
    """Return how far a sweep is."""
    sweep = job.request.sweep
    if sweep is None:
        return ""
    total = len(sweep.values) * sweep.trials
    done = job.swept
    text = f"Sweep of “{sweep.setting}”: {done} of {total} trainings done"
    if 0 < done < total:
        left = (time.monotonic() - job.began) / done * (total - done)
        text += f", about {_formatting.duration(left)} left"
    return text


def _share_done(job: Job, step: Step) -> tuple[int, int]:
    """Return how far the bar stands: of the training, of a sweep its trainings."""
    if job.request.sweep is None:
        return min(step.step, step.total), step.total
    sweep = job.request.sweep
    done = job.swept
    within = min(99, 100 * step.step // step.total)
    return 100 * done + within, 100 * len(sweep.values) * sweep.trials
