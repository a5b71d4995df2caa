"""A training process may do what it likes; the window always knows how it ended."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QTimer

from helpers.training_project import FAKE
from napari_wsseg._widgets.processes import child as _child
from napari_wsseg._widgets.processes import events as _events
from napari_wsseg._widgets.processes import jobs as _jobs
from napari_wsseg._widgets.processes.child import Patience
from napari_wsseg._widgets.processes.events import Ended, Event, Noise, Step
from napari_wsseg._widgets.processes.failure_messages import OUT_OF_MEMORY, explain
from napari_wsseg._widgets.processes.jobs import Job, Jobs, jobs_of
from napari_wsseg._widgets.processes.requests import Request

pytestmark = pytest.mark.gui

RUN = "classifier-20261121-001530-a1b2"
QUICK = Patience(tick=0.02, silent=0.4, force=0.3, linger=0.4, farewell=0.3)

Start = Callable[..., "Watched"]


class Watched:
    """A job and all that it said."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.events: list[Event] = []
        self.ends: list[Ended] = []
        job.reported.connect(self.events.extend)
        job.ended.connect(self.ends.append)

    def events_of(self, kind: type) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]


@pytest.fixture
def start(qtbot: QtBot, tmp_path: Path) -> Iterator[Start]:
    started: list[Job] = []

    def begin(mode: str, patience: Patience = QUICK) -> Watched:
        command = [sys.executable, str(FAKE), mode, str(tmp_path)]
        job = Job(Request(tmp_path, "classifier"), command=command, patience=patience)
        started.append(job)
        return Watched(job)

    yield begin
    for job in started:
        job.force_stop()
        qtbot.waitUntil(lambda job=job: not job.alive, timeout=10_000)


def finished(qtbot: QtBot, watched: Watched) -> Ended:
    qtbot.waitUntil(lambda: bool(watched.ends), timeout=15_000)
    qtbot.wait(60)
    assert len(watched.ends) == 1, "ended must be said exactly once"
    assert watched.job.state == watched.ends[0].state
    assert not watched.job.child.alive
    return watched.ends[0]


def test_a_training_that_is_done_says_so_with_its_figures(
    qtbot: QtBot, start: Start
) -> None:
    watched = start("done")
    end = finished(qtbot, watched)
    assert (end.state, end.run) == ("done", RUN)
    assert end.metrics["auroc"] == pytest.approx(0.91)
    steps = watched.events_of(Step)
    assert [s.step for s in steps if "loss" in s.metrics] == list(range(1, 11))


@pytest.mark.parametrize(
    ("mode", "state", "message"),
    [
        ("failed", "failed", "no film of the train split has a label"),
        ("traceback", "failed", "heat is (3, 4) but pixels are (5, 6)"),
        ("oom", "failed", OUT_OF_MEMORY),
        ("killed", "killed", "memory"),
        ("quiet-exit", "lost", "without a word"),
    ],
)
def test_every_way_to_end_badly_is_told_in_plain_words(
    qtbot: QtBot, start: Start, mode: str, state: str, message: str
) -> None:
    end = finished(qtbot, start(mode))
    assert end.state == state
    assert message in end.message
    assert "Traceback" not in end.message


def test_standard_error_of_a_run_is_kept_in_its_log(
    qtbot: QtBot, start: Start, tmp_path: Path
) -> None:
    (tmp_path / "runs" / RUN).mkdir(parents=True)
    watched = start("traceback")
    finished(qtbot, watched)
    assert "ValueError: heat" in (tmp_path / "runs" / RUN / "log.txt").read_text()
    assert not watched.job.child.errors.exists(), "the temporary file stays behind"


def test_garbage_is_kept_for_the_log_and_harms_nothing(
    qtbot: QtBot, start: Start
) -> None:
    watched = start("garbage")
    assert finished(qtbot, watched).state == "done"
    noise = [event.text for event in watched.events_of(Noise)]
    assert any("not text" in text for text in noise)
    assert all(len(text) <= 2000 for text in noise)
    (step,) = watched.events_of(Step)
    assert step.metrics == {"dice": 0.5}, "a loss that is no number is not drawn"


def test_a_silent_process_is_reported_and_may_be_forced(
    qtbot: QtBot, start: Start
) -> None:
    watched = start("hang")
    qtbot.waitUntil(lambda: watched.job.silent_s > 0, timeout=5000)
    assert watched.job.can_force
    assert watched.job.alive
    watched.job.force_stop()
    assert finished(qtbot, watched).state == "killed"


def test_stop_answers_at_once_and_the_run_saves_and_ends(
    qtbot: QtBot, start: Start, tmp_path: Path
) -> None:
    watched = start("slow")
    qtbot.waitUntil(lambda: bool(watched.events_of(Step)), timeout=10_000)
    before = time.monotonic()
    watched.job.stop()
    assert time.monotonic() - before < 0.05
    assert watched.job.state == "stopping"
    assert finished(qtbot, watched).state == "stopped"
    assert (tmp_path / "runs" / RUN / "stop").exists()


def test_stop_before_the_run_has_a_folder_still_stops(
    qtbot: QtBot, start: Start
) -> None:
    watched = start("before-start")
    qtbot.wait(100)
    watched.job.stop()
    assert finished(qtbot, watched).state == "stopped"


def test_force_is_offered_after_a_while_to_a_process_that_does_not_heed_stop(
    qtbot: QtBot, start: Start
) -> None:
    watched = start("deaf")
    qtbot.waitUntil(lambda: bool(watched.events_of(Step)), timeout=10_000)
    watched.job.stop()
    assert not watched.job.can_force
    qtbot.waitUntil(lambda: watched.job.can_force, timeout=3000)
    watched.job.force_stop()
    assert finished(qtbot, watched).state == "killed"


def test_a_process_that_stays_after_its_last_word_is_ended_and_counts_as_done(
    qtbot: QtBot, start: Start
) -> None:
    assert finished(qtbot, start("stays")).state == "done"


def loader_pid(qtbot: QtBot, watched: Watched) -> int:
    qtbot.waitUntil(lambda: bool(watched.events_of(Step)), timeout=10_000)
    (step,) = watched.events_of(Step)
    assert isinstance(step, Step)
    return int(step.message)


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_force_is_no_loss_where_the_machine_is_too_busy_to_be_quick(
    qtbot: QtBot, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = start("hang")
    process = watched.job.child.process

    def late(timeout: float | None = None) -> int:
        raise subprocess.TimeoutExpired(process.args, timeout or 0)

    monkeypatch.setattr(process, "wait", late)
    watched.job.force_stop()
    end = finished(qtbot, watched)
    assert (end.state, end.message) == ("killed", "Stopped by force.")


def test_force_ends_the_whole_family(qtbot: QtBot, start: Start) -> None:
    watched = start("family")
    pid = loader_pid(qtbot, watched)
    watched.job.force_stop()
    assert finished(qtbot, watched).state == "killed"
    qtbot.waitUntil(lambda: gone(pid), timeout=3000)


def test_an_orphan_that_holds_the_pipe_neither_delays_the_end_nor_survives(
    qtbot: QtBot, start: Start
) -> None:
    watched = start("orphan")
    pid = loader_pid(qtbot, watched)
    assert finished(qtbot, watched).state == "done"
    qtbot.waitUntil(lambda: gone(pid), timeout=3000)


def test_a_runtime_error_in_the_pump_ends_the_job(
    qtbot: QtBot, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(line: bytes) -> Event:
        raise RuntimeError("out of luck")

    monkeypatch.setattr(_events, "parse", broken)
    watched = start("slow")
    end = finished(qtbot, watched)
    assert end.state == "lost"
    assert "out of luck" in end.message


def test_a_worker_that_is_told_to_quit_takes_its_process_along(
    qtbot: QtBot, start: Start
) -> None:
    watched = start("slow")
    qtbot.waitUntil(lambda: bool(watched.events_of(Step)), timeout=10_000)
    watched.job._worker.quit()
    assert finished(qtbot, watched).state == "lost"


def test_the_window_stays_responsive_while_the_process_floods(
    qtbot: QtBot, start: Start
) -> None:
    gc.collect()
    gaps: list[float] = []
    last = time.perf_counter()

    def tick() -> None:
        nonlocal last
        now = time.perf_counter()
        gaps.append(now - last)
        last = now

    timer = QTimer()
    timer.timeout.connect(tick)
    timer.start(10)
    watched = start("flood", Patience())
    qtbot.waitUntil(lambda: bool(watched.ends), timeout=30_000)
    timer.stop()
    assert watched.ends[0].state == "done"
    steps = watched.events_of(Step)
    assert steps[-1].step == 19_999
    assert len(steps) < 4000, "20,000 points are thinned before they are drawn"
    gaps.sort()
    assert gaps[int(len(gaps) * 0.99)] < 0.05, "99 % of 10 ms ticks within 50 ms"
    assert gaps[-1] < 0.3


def test_one_training_at_a_time(qtbot: QtBot, tmp_path: Path) -> None:
    jobs = Jobs(QUICK)
    command = [sys.executable, str(FAKE), "slow", str(tmp_path)]
    job = jobs.start(Request(tmp_path, "classifier"), command=command)
    with pytest.raises(RuntimeError, match="under way"):
        jobs.start(Request(tmp_path, "classifier"), command=command)
    with qtbot.waitSignal(jobs.ended, timeout=10_000):
        job.force_stop()
    assert not jobs.busy
    assert jobs.current is job


def test_both_panels_of_a_session_share_its_trainings(qtbot: QtBot) -> None:
    class Session:
        pass

    one, other = Session(), Session()
    assert jobs_of(one) is jobs_of(one)
    assert jobs_of(one) is not jobs_of(other)


@pytest.mark.parametrize("how", ["quit", "crash"])
def test_no_training_outlives_the_program(tmp_path: Path, how: str) -> None:
    body = {
        "quit": "QTimer.singleShot(1200, app.quit); app.exec()",
        "crash": "import time; time.sleep(1); raise SystemError('bug')",
    }[how]
    script = textwrap.dedent(f"""
        import sys
        from pathlib import Path
        from qtpy.QtCore import QTimer
        from qtpy.QtWidgets import QApplication
        app = QApplication([])
        from napari_wsseg._widgets.processes.child import Patience
        from napari_wsseg._widgets.processes.jobs import Jobs
        from napari_wsseg._widgets.processes.requests import Request
        jobs = Jobs(Patience(farewell=0.2))
        project = Path({str(tmp_path)!r})
        job = jobs.start(Request(project, "classifier"),
                         command=[sys.executable, {str(FAKE)!r}, "deaf", str(project)])
        print(job.child.process.pid, flush=True)
        {body}
    """)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60
    )
    pid = int(done.stdout.split()[0])
    try:
        assert gone(pid), done.stderr
    finally:
        if not gone(pid):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.skipif(os.name != "posix", reason="by a shell that hears a pipe close")
@pytest.mark.parametrize("rests", [False, True])
def test_a_killed_window_leaves_no_process_that_is_still_loading(
    tmp_path: Path, rests: bool
) -> None:
    script = textwrap.dedent(f"""
        import os, sys, time
        from napari_wsseg._widgets.processes.child import Child
        child = Child([sys.executable, {str(FAKE)!r}, "before-start", "."])
        print(child.process.pid, flush=True)
        time.sleep(0.5)
        if {rests}:
            child.rest()
        os.kill(os.getpid(), 9)
    """)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60
    )
    pid = int(done.stdout.split()[0])
    try:
        end = time.monotonic() + 10
        while not gone(pid) and time.monotonic() < end:
            time.sleep(0.05)
        assert gone(pid), done.stderr
    finally:
        if not gone(pid):
            os.kill(pid, signal.SIGKILL)


def test_the_command_names_only_what_differs_from_the_defaults(tmp_path: Path) -> None:
    command = Request(tmp_path, "chexseg", {"p": 0.8, "augment": "flip"}).command()
    assert command[:4] == [sys.executable, "-m", "trainers", "chexseg"]
    assert command[command.index("--set") + 1 :][:2] == ["p=0.8", "augment=flip"]
    assert command[command.index("--parent") + 1] == str(os.getpid())
    assert "--set" not in Request(tmp_path, "chexseg").command()
    resumed = Request(tmp_path, "chexseg", resume=RUN).command()
    assert resumed[resumed.index("--resume") + 1] == RUN
    everything = Request(tmp_path, None, preset="wsmis").command()
    assert everything[2:4] == ["napari_wsseg.cli", "run"]
    assert "wsmis" in everything


@pytest.mark.parametrize(
    ("message", "tail", "remedy"),
    [
        ("", ["MemoryError"], OUT_OF_MEMORY),
        ("", ["DefaultCPUAllocator: can't allocate memory"], OUT_OF_MEMORY),
        ("", ["OSError: [Errno 28] No space left on device"], "disk is full"),
        ("", ["ModuleNotFoundError: No module named 'timm'"], "wsseg doctor"),
        ("", [], "without saying why"),
        ("", ["ValueError: off", "cleaning up"], "ValueError: off"),
    ],
)
def test_known_causes_come_with_their_remedy(
    message: str, tail: list[str], remedy: str
) -> None:
    assert remedy in explain(message, tail)


def test_a_stale_word_of_memory_far_above_does_not_hide_the_real_reason() -> None:
    tail = ["CUDA out of memory, halving the batch", "a", "b", "c", "KeyError: 'x'"]
    assert explain("", tail) == "The training failed: KeyError: 'x'"


def test_thinning_keeps_every_kind_of_point_and_the_last_step() -> None:
    events: list[Event] = [Step(n, 100, "", {"loss": 1.0}, None) for n in range(1000)]
    events.insert(500, Step(500, 100, "", {"dice": 0.5}, None))
    kept = _events.thin(events, most=40)
    assert len(kept) <= 41
    assert kept[-1] is events[-1]
    assert any("dice" in e.metrics for e in kept if isinstance(e, Step))


def test_the_child_has_its_own_limits() -> None:
    assert _child.Patience().silent == 30
    assert _child.Patience().force == 5


@pytest.mark.skipif(os.name != "posix", reason="processes are held on POSIX only")
def test_a_training_on_the_processor_rests_while_the_hand_is_at_work(
    qtbot: QtBot, start: Start
) -> None:
    watched = start("slow")
    job = watched.job
    qtbot.waitUntil(lambda: job.state == "running" and bool(job.steps), timeout=10_000)
    process = psutil.Process(job.child.process.pid)
    _jobs.give_way()
    qtbot.waitUntil(lambda: process.status() == psutil.STATUS_STOPPED, timeout=2000)
    held = len(job.steps)
    qtbot.wait(200)
    assert len(job.steps) <= held + 1
    qtbot.waitUntil(lambda: len(job.steps) > held + 2, timeout=3000)
    assert process.status() != psutil.STATUS_STOPPED
    job.give_way()
    job.stop()
    assert finished(qtbot, watched).state == "stopped"


@pytest.mark.skipif(os.name != "posix", reason="processes are held on POSIX only")
def test_a_resting_training_wakes_when_its_window_is_killed(
    qtbot: QtBot, tmp_path: Path
) -> None:
    script = textwrap.dedent(
        f"""
        import sys, time
        from napari_wsseg._widgets.processes.child import Child
        child = Child([sys.executable, {str(FAKE)!r}, "slow", {str(tmp_path)!r}])
        time.sleep(1)
        child.rest()
        print(child.process.pid, flush=True)
        time.sleep(60)
        """
    )
    window = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True
    )
    assert window.stdout is not None
    training = psutil.Process(int(window.stdout.readline()))

    def held() -> bool:
        return training.is_running() and training.status() == psutil.STATUS_STOPPED

    try:
        qtbot.waitUntil(held)
        window.kill()
        window.wait()
        qtbot.waitUntil(lambda: not held())
    finally:
        window.stdout.close()
        if training.is_running():
            training.kill()
