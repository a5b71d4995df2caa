"""One training process: started, read, and ended with everything it started.

Training runs in a process of its own so that memory comes back when it ends and a
crash cannot take the window down. `pump` is what a thread iterates; nothing here
knows Qt.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from napari_wsseg._widgets.processes import events as _events
from napari_wsseg._widgets.processes.events import (
    Ended,
    Event,
    Finished,
    Noise,
    Silent,
    thin,
)
from napari_wsseg._widgets.processes.failure_messages import explain, system_kill

LONGEST_LINE = 65536
_LOG = "wsseg-"
NICENESS = 10
_ASKED_AGAIN_S = 1.0
"""Longer than any command takes to tidy up."""
_GONE_S = 5.0
"""Longer than what was killed is waited for."""

PLAIN_OUTPUT = {"PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait, in seconds, before the next thing is done.

    Parameters
    ----------
    tick
        Between two batches of events: 10 Hz is as fast as an eye follows a curve.
    silent
        Without a line until the process counts as not responding; a living one says
        something every 2 s.
    force
        After a wish to stop until force may be used.
    linger
        After its last word until a process that does not go is ended.
    farewell
        At the end of the program, for a checkpoint to be saved.
    """

    tick: float = 0.1
    silent: float = 30.0
    force: float = 5.0
    linger: float = 10.0
    farewell: float = 2.0


class Child:
    """A process in a group of its own, whose output is read as it comes.

    Parameters
    ----------
    command
        Program and words.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self.killed = False
        self.asked_to_stop = False
        _sweep_logs()
        handle, name = tempfile.mkstemp(f".{os.getpid()}.log", _LOG)
        self.errors = Path(name)
        with os.fdopen(handle, "wb") as stderr:
            self.process = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env={**os.environ, **PLAIN_OUTPUT},
                # Keeps Ctrl-C in the terminal from reaching half of its family.
                start_new_session=True,
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
            )
        _step_back(self.process.pid)
        self._guard = _guard_of(self.process.pid) if os.name == "posix" else None
        # Bounded: a process that floods is slowed by its full pipe, not by our memory.
        self._lines: queue.Queue[bytes] = queue.Queue(maxsize=4096)
        self._closed = threading.Event()
        self._resting = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def alive(self) -> bool:
        """Whether the process itself still runs."""
        return self.process.poll() is None

    def lines(self, most: int = 2000) -> list[bytes]:
        """Return the lines that have come since the last call, `most` at a time."""
        taken: list[bytes] = []
        while len(taken) < most:
            try:
                taken.append(self._lines.get_nowait())
            except queue.Empty:
                break
        return taken

    @property
    def drained(self) -> bool:
        """Whether no line can come any more."""
        return not self._reader.is_alive() and self._lines.empty()

    def rest(self) -> None:
        """Hold the process and all it started until `go_on`; POSIX only."""
        if os.name != "posix" or self._resting or not self.alive:
            return
        self._resting = self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it go on after a rest."""
        if self._resting:
            self._resting = False
            self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> bool:
        try:
            os.killpg(self.process.pid, number)
        except (ProcessLookupError, PermissionError):
            return False
        return True

    def terminate(self) -> None:
        """Ask the process to end by itself, as SIGTERM does."""
        self.go_on()
        self.asked_to_stop = True
        if self.alive:
            self.process.terminate()

    def interrupt(self, seconds: float) -> None:
        """Let the process tidy up as after Ctrl-C, for so long at most; end it then."""
        self.go_on()
        end = time.monotonic() + seconds
        # Python drops an interrupt that meets it in a finaliser, as while importing.
        while self.alive and os.name == "posix" and time.monotonic() < end:
            self.process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=min(_ASKED_AGAIN_S, seconds))
        self.kill()

    def kill(self) -> None:
        """End the process and all it started, at once."""
        if self.alive:
            self.killed = True
        self.kill_descendants()

    def kill_descendants(self) -> None:
        """End whatever is left of the process' tree."""
        for process in self._tree():
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        if os.name == "posix":
            # Loader processes whose parent died are no longer in the tree, but they
            # are still in its group.
            self._signal(signal.SIGKILL)
        if self.alive:
            # On a busy machine what was killed may take longer to be gone; whoever
            # asks whether it is alive sees it go.
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=_GONE_S)

    def close(self) -> None:
        """Let the reading thread and the file of standard error go."""
        self.go_on()
        self._dismiss_guard()
        self._closed.set()
        self.errors.unlink(missing_ok=True)

    def _dismiss_guard(self) -> None:
        guard, self._guard = self._guard, None
        if guard is not None:
            guard.kill()
            with guard:  # waits, and lets its pipe go
                pass

    def _tree(self) -> list[psutil.Process]:
        if not self.alive:
            return []
        try:
            top = psutil.Process(self.process.pid)
            return [*top.children(recursive=True), top]
        except psutil.NoSuchProcess:
            return []

    def _read(self) -> None:
        stream = self.process.stdout
        if stream is None:
            return
        with stream:
            while line := stream.readline(LONGEST_LINE):
                while not self._closed.is_set():
                    try:
                        self._lines.put(line, timeout=0.5)
                        break
                    except queue.Full:
                        continue
        # Nobody is left to guard; whoever forgets to close leaves no process behind.
        self._dismiss_guard()


def _sweep_logs() -> None:
    """Delete what programs left that were killed: a log bears the number of its own."""
    for log in Path(tempfile.gettempdir()).glob(f"{_LOG}*.log"):
        number = log.name.split(".")[-2]
        if number.isdigit() and not psutil.pid_exists(int(number)):
            with suppress(OSError):  # another user's
                log.unlink()


def _guard_of(group: int) -> subprocess.Popen[bytes]:
    """Start what stops a group of processes should we be killed: our pipe closes then.

    A training heeds ``--parent`` by itself, but only once it has loaded torch and if
    it does not rest; what makes maps or exports knows of no parent.
    """
    stop = f"read _; kill -TERM -{group}; kill -CONT -{group}"
    return subprocess.Popen(
        ["sh", "-c", stop],
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _step_back(pid: int) -> None:
    """Let the window go first where both want the processor."""
    try:
        process = psutil.Process(pid)
        process.nice(
            psutil.BELOW_NORMAL_PRIORITY_CLASS if os.name == "nt" else NICENESS
        )
        # Linux shares the processor out between sessions first, and the training has
        # one of its own, so that its niceness counts only if the session has it.
        group = Path(f"/proc/{pid}/autogroup")
        if group.exists():
            group.write_text(str(NICENESS))
    except (psutil.Error, OSError):
        # It has ended already, or the system forbids it: it trains all the same.
        return


def pump(child: Child, patience: Patience) -> Iterator[tuple[Event, ...]]:
    """Yield what the process says, in batches; the last event of all is one `Ended`.

    Nothing is raised: a RuntimeError that leaves a generator in a Qt worker is
    dropped without a signal, and the panel would say "training" for ever.
    """
    try:
        yield from _batches(child, patience)
    except Exception as error:
        child.kill()
        word = f"{type(error).__name__}: {error}"
        yield (Ended("lost", f"The link to the training was lost ({word})."),)


def _batches(child: Child, patience: Patience) -> Iterator[tuple[Event, ...]]:
    heard = time.monotonic()
    errors = _Tail(child.errors)
    finished: Finished | None = None
    gone: float | None = None
    while True:
        lines = child.lines()
        events = [_events.parse(line) for line in lines]
        events += errors.fresh()
        for event in events:
            finished = event if isinstance(event, Finished) else finished
        now = time.monotonic()
        if lines:
            heard = now
        elif now - heard >= patience.silent and finished is None:
            events.append(Silent(now - heard))
        yield thin(events)
        if gone is None and not child.alive:
            gone = now
        if finished and child.alive and now - heard > patience.linger:
            child.kill_descendants()
        # Someone it started may keep the pipe open after it is gone: do not wait long.
        if gone is not None and (child.drained or now - gone > 1.0) and not lines:
            break
        if len(lines) < 1000:
            time.sleep(patience.tick)
    child.kill_descendants()
    last = thin(errors.fresh())
    yield (*last, _verdict(child, finished, errors.last))


def _verdict(child: Child, finished: Finished | None, tail: Sequence[str]) -> Ended:
    """Work out how it ended, from its last word, its exit code and its errors."""
    code = child.process.returncode
    if finished is not None:
        message = finished.message
        if finished.status == "failed":
            message = explain(message, tail)
        return Ended(
            finished.status,
            message,
            run=finished.run,
            runs=finished.runs,
            metrics=finished.metrics,
            seconds=finished.seconds,
        )
    if child.killed:
        return Ended("killed", "Stopped by force.")
    if child.asked_to_stop and code == -signal.SIGTERM:
        return Ended("stopped", "Stopped before the first batch.")
    if code is not None and code < 0:
        return Ended("killed", system_kill(-code, tail))
    if code:
        return Ended("failed", explain("", tail))
    return Ended("lost", "The training ended without a word on how it went.")


class _Tail:
    """Reads what is added to a file; the last lines are kept."""

    def __init__(self, path: Path) -> None:
        self._path, self._offset = path, 0
        self.last: deque[str] = deque(maxlen=60)

    def fresh(self) -> list[Event]:
        """Return the lines added since the last call, at most 64 KiB of them."""
        size = self._path.stat().st_size
        if size == self._offset:
            return []
        with self._path.open("rb") as file:
            file.seek(max(self._offset, size - LONGEST_LINE))
            block = file.read()
            self._offset = file.tell()
        text = block.decode("utf-8", errors="replace").replace("\r", "\n")
        lines = [line[:2000] for line in text.split("\n") if line.strip()]
        self.last.extend(lines)
        return [Noise(line) for line in lines]
