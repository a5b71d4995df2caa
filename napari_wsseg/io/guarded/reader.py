"""A process that parses foreign files for others, bounded in memory and in time.

A decoder that crashes, hangs or fills the memory over a hostile file takes a process of
its own with it, never a command or a window. It is asked by the name of a function and
answers in lines of JSON, never with objects of its own, so that who asks sees values of
known kinds alone.

A function returns one value, or yields many. What it yields as a `Drawing` is a value
and, when asked for later, a mask: the masks of a file are listed first, for all of them
decide which film each is of.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from numpy.typing import NDArray

from napari_wsseg.io.guarded.answers import (
    READY,
    Answer,
    Ended,
    Shape,
    received,
    send,
    unpacked,
)
from napari_wsseg.io.guarded.serve import answers_to
from napari_wsseg.jobs import DataError

MOST_SECONDS = 300.0
"""Without an answer, after which a file is given up; busy machines are slow."""

MOST_COMPUTING = 30
"""Seconds of computing for one answer, where the system can limit it."""

MOST_BYTES = 896 * 2**20
"""Memory of a reading process, where the system can limit it."""


_GRACE = 5.0
"""Seconds that a process has to end by itself."""


class Lost(DataError):
    """The process ended, or was ended, over what it was asked."""


class GuardedReader:
    """A process that answers one question after another; started when first asked.

    Of one thread at a time; `close` may come from another. Where no process can be
    started, this one answers.

    Parameters
    ----------
    seconds
        Without an answer, after which the process is ended.
    computing
        Seconds of computing for each answer; ``None`` for as many as there are.
    most_bytes
        Memory of the process.
    """

    def __init__(
        self,
        seconds: float = MOST_SECONDS,
        *,
        computing: int | None = MOST_COMPUTING,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self._seconds = seconds
        self._limits = [computing, most_bytes]
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = threading.Event()
        self.generation = 0
        """Processes that ended: what one had open, the next has not."""

    def ask(self, function: str, *arguments: Any) -> Any:
        """Return what a function returns.

        Parameters
        ----------
        function
            ``package.module:name``; what it takes and returns is JSON.

        Raises
        ------
        DataError
            The function's own, with its words.
        Lost
            It ended the process, or took too long.
        """
        (answer,) = self._answers(_question(function, arguments))
        return answer.value

    def each(self, function: str, *arguments: Any) -> Iterator[Any]:
        """Yield what a function yields; raises as `ask`.

        Whoever leaves before the end ends the process.
        """
        for answer in self._answers(_question(function, arguments)):
            if answer.kind == "item":
                yield answer.value

    def draw(self, number: int, shape: Shape | None) -> tuple[NDArray[Any], list[str]]:
        """Return the mask of the `number`-th `Drawing` that was yielded, and remarks.

        Of probabilities, float32 in steps of 1/255.

        Raises
        ------
        DataError
            The drawing's own; or of another shape than was asked for.
        Lost
            It ended the process, or took too long.
        """
        (answer,) = self._answers({"draw": number, "shape": shape})
        try:
            size, remarks = answer.value
            mask = unpacked(size, answer.data, shape)
        except (TypeError, ValueError) as error:
            self._end()
            raise Lost(f"its process answered nonsense ({error})") from error
        return mask, [str(each) for each in remarks]

    @property
    def usable(self) -> bool:
        """Whether it has not been closed."""
        return not self._closed.is_set()

    def close(self) -> None:
        """End the process, also while it reads."""
        self._closed.set()
        self._end()

    def _answers(self, question: dict[str, Any]) -> Iterator[Answer]:
        """Yield the answers to a question; the last one is no item."""
        process = self._running()
        if process is None:
            if self._closed.is_set():
                raise Lost("the reading was stopped")
            yield from map(_checked, answers_to(question))
            return
        questions, replies = process.stdin, process.stdout
        assert questions is not None
        assert replies is not None
        complete = False
        try:
            with _Watch(process, self._seconds) as watch:
                watch.wait_for(lambda: send(questions, question))
                while not complete:
                    answer = watch.wait_for(lambda: received(replies))
                    complete = answer.kind != "item"
                    yield _checked(answer)
        except Ended:
            raise Lost(self._why(process, watch)) from None
        finally:
            if not complete:  # nobody will hear the rest
                self._end()

    def _why(self, process: subprocess.Popen[bytes], watch: _Watch) -> str:
        process.kill()  # where it answers nonsense, it lives
        ended = -process.wait()
        if watch.late:
            return f"could not be read in {self._seconds:.0f} s; damaged or hostile"
        if ended == getattr(signal, "SIGXCPU", None):
            return (
                f"not read after {self._limits[0]} s of computing; damaged or hostile"
            )
        return "made its decoder crash; damaged or hostile"

    def _running(self) -> subprocess.Popen[bytes] | None:
        """Return the process, or ``None`` where none can be had."""
        if self._process is None and not self._closed.is_set():
            self._process = _started(self._limits)
            if self._closed.is_set():  # meanwhile, by another thread
                self._end()
        return self._process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            self.generation += 1
            _ended(process)
            for pipe in (process.stdin, process.stdout):
                with suppress(OSError):
                    pipe.close()  # type: ignore[union-attr]


R = TypeVar("R", bound=GuardedReader)

_idle: dict[type[GuardedReader], tuple[int, str, GuardedReader]] = {}
"""A reader of each kind that nobody uses, with whose process and paths it has."""


def borrowed() -> AbstractContextManager[GuardedReader]:
    """Lend a reader, which is kept for the next who asks."""
    return borrowed_kind(GuardedReader)


@contextmanager
def borrowed_kind(kind: type[R]) -> Iterator[R]:
    """Lend a reader with limits of its own, kept for the next who asks."""
    mine = (os.getpid(), _import_paths())
    pid, paths, kept = _idle.pop(kind, (0, "", None))
    if kept is not None and pid == mine[0] and paths != mine[1]:
        kept.close()  # a fork's parent still uses its own
    reader = kept if isinstance(kept, kind) and (pid, paths) == mine else kind()
    try:
        yield reader
    finally:
        if kind in _idle or not reader.usable:
            reader.close()
        else:
            _idle[kind] = (*mine, reader)


@atexit.register
def _close_idle() -> None:
    for pid, _, reader in _idle.values():
        if pid == os.getpid():
            reader.close()


class _Watch:
    """Ends a process that is waited for too long."""

    def __init__(self, process: subprocess.Popen[bytes], seconds: float) -> None:
        self.seconds, self.late = seconds, False
        self._process = process
        self._until = float("inf")
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> _Watch:
        self._thread.start()
        return self

    def __exit__(self, *reason: object) -> None:
        self._over.set()

    def wait_for(self, step: Callable[[], Any]) -> Any:
        """Return what a step returns, unless it takes too long."""
        self._until = time.monotonic() + self.seconds
        try:
            return step()
        finally:
            self._until = float("inf")

    def _look(self) -> None:
        while not self._over.wait(min(1.0, self.seconds / 4)):
            if time.monotonic() > self._until:
                self.late = True
                self._process.kill()
                return


def _started(limits: Sequence[int | None]) -> subprocess.Popen[bytes] | None:
    try:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "napari_wsseg.io.guarded.serve",
                json.dumps(limits),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": _import_paths(), "OMP_NUM_THREADS": "1"},
            # Ctrl-C is for who asks, who ends the readers itself.
            start_new_session=True,
        )
    except OSError:
        return None
    assert process.stdout is not None
    if process.stdout.readline().strip() == READY.encode():
        return process
    process.kill()
    process.wait()
    process.stdout.close()
    return None


def _ended(process: subprocess.Popen[bytes]) -> None:
    """End a process; one that heeds no request is killed."""
    process.terminate()
    try:
        process.wait(_GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _import_paths() -> str:
    """Return where this process finds its modules, those of outside packages, too."""
    here = str(Path(__file__).resolve().parents[3])
    return os.pathsep.join(dict.fromkeys([here, *filter(None, sys.path)]))


def _checked(answer: Answer) -> Answer:
    """Return an answer, or raise the refusal that it is."""
    if answer.kind == "refused":
        raise DataError(str(answer.value))
    return answer


def _question(function: str, arguments: Sequence[Any]) -> dict[str, Any]:
    """Return a question as JSON; paths in it may be as seen from the folder here."""
    here = None
    with suppress(OSError):  # it may be gone
        here = os.getcwd()
    return {"ask": function, "with": arguments, "in": here}
