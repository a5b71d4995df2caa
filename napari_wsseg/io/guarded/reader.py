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
import importlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from inspect import isgenerator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_wsseg.io.films import limits as _limits
from napari_wsseg.jobs import DataError, naming

MOST_SECONDS = 300.0
"""Without an answer, after which a file is given up; busy machines are slow."""

MOST_COMPUTING = 30
"""Seconds of computing for one answer, where the system can limit it."""

MOST_BYTES = 896 * 2**20
"""Memory of a reading process, where the system can limit it."""

_MOST_LINE = 16 * 2**20
"""Bytes of one answer; a film's name and finding have some hundred."""

_READY = "ready"

_SHADES = 255
"""Steps in which probabilities go from process to process."""

Shape: TypeAlias = tuple[int, int]


class Drawing(NamedTuple):
    """What a function says of a mask, and what draws it.

    Parameters
    ----------
    value
        JSON.
    draw
        Returns the mask of a film of a shape; raises `DataError`.
    remarks
        Gets a line while it is drawn for what deserves a look.
    """

    value: Any
    draw: Callable[[Shape | None], NDArray[Any]]
    remarks: list[str]


class Lost(DataError):
    """The process ended, or was ended, over what it was asked."""


class Answer(NamedTuple):
    """A line of the process: its kind, a JSON value, and the bytes behind it."""

    kind: str
    value: Any
    data: bytes = b""


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

    def ask(self, function: str, *words: Any) -> Any:
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
        (answer,) = self._answers(_question(function, words))
        return answer.value

    def each(self, function: str, *words: Any) -> Iterator[Any]:
        """Yield what a function yields; raises as `ask`.

        Whoever leaves before the end ends the process.
        """
        for answer in self._answers(_question(function, words)):
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
            mask = _unpacked(size, answer.data, shape)
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
            yield from map(_checked, _answered(question))
            return
        whole = False
        try:
            with _Watch(process, self._seconds) as watch:
                watch.wait_for(lambda: _send(process, question))
                while not whole:
                    answer = watch.wait_for(lambda: _received(process))
                    whole = answer.kind != "item"
                    yield _checked(answer)
        except _Ended:
            raise Lost(self._why(process, watch)) from None
        finally:
            if not whole:  # nobody will hear the rest
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
            process.kill()
            process.wait()
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


class _Ended(Exception):
    """The process ended in the midst of its answer."""


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
                "napari_wsseg.io.guarded.reader",
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
    if process.stdout.readline().strip() == _READY.encode():
        return process
    process.kill()
    process.wait()
    process.stdout.close()
    return None


def _import_paths() -> str:
    """Return where this process finds its modules, those of outside packages, too."""
    here = str(Path(__file__).resolve().parents[3])
    return os.pathsep.join(dict.fromkeys([here, *filter(None, sys.path)]))


def _send(process: subprocess.Popen[bytes], question: object) -> None:
    assert process.stdin is not None
    try:
        process.stdin.write(json.dumps(question).encode("ascii") + b"\n")
        process.stdin.flush()
    except (OSError, ValueError) as error:
        raise _Ended from error


def _received(process: subprocess.Popen[bytes]) -> Answer:
    assert process.stdout is not None
    try:
        line = process.stdout.readline(_MOST_LINE)
        kind, value, count = json.loads(line)
        if not 0 <= count <= _limits.MAX_PIXELS:
            raise _Ended
        data = process.stdout.read(count)
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise _Ended from error
    if len(data) < count:
        raise _Ended
    return Answer(kind, value, data)


def _checked(answer: Answer) -> Answer:
    """Return an answer, or raise the refusal that it is."""
    if answer.kind == "refused":
        raise DataError(str(answer.value))
    return answer


def _unpacked(size: Any, data: bytes, shape: Shape | None) -> NDArray[Any]:
    rows, columns, *depth = (int(side) for side in size)
    if shape is not None and (rows, columns) != tuple(shape):
        raise DataError(
            f"the mask is {rows} × {columns}, its film {shape[0]} × {shape[1]}"
        )
    with naming("the mask"):
        _limits.check_shape(rows, columns)
    expected = rows * columns if depth else -(-rows * columns // 8)
    if len(data) != expected:
        raise ValueError(f"{len(data)} bytes, not {expected}")
    if depth:
        shades = np.frombuffer(data, np.uint8, rows * columns)
        return shades.reshape(rows, columns).astype(np.float32) / _SHADES
    bits = np.unpackbits(np.frombuffer(data, np.uint8), count=rows * columns)
    return bits.reshape(rows, columns).astype(bool)


# In the process ---------------------------------------------------------------------

_drawings: list[Drawing] = []
"""Of the last question."""


def _answered(question: dict[str, Any]) -> Iterator[Answer]:
    try:
        if "draw" in question:
            yield _drawn(question["draw"], question["shape"])
            return
        _drawings.clear()
        if question["in"]:
            os.chdir(question["in"])
        module, _, name = question["ask"].partition(":")
        found = getattr(importlib.import_module(module), name)(*question["with"])
        if not isgenerator(found):
            yield Answer("value", found)
            return
        for one in found:
            if isinstance(one, Drawing):
                _drawings.append(one)
                yield Answer("item", one.value)
            else:
                yield Answer("item", one)
        yield Answer("end", None)
    except DataError as error:
        yield Answer("refused", str(error))
    except MemoryError:
        yield Answer("refused", _TOO_MUCH)


_TOO_MUCH = "needs more memory than one file may take; damaged, hostile, or too large"


def _drawn(number: int, shape: list[int] | None) -> Answer:
    one = _drawings[number]
    del one.remarks[:]
    mask = one.draw(None if shape is None else (shape[0], shape[1]))
    if mask.dtype != bool:
        shades = np.rint(mask * _SHADES).astype(np.uint8).tobytes()
        return Answer("value", [[*mask.shape, 8], one.remarks], shades)
    packed = np.packbits(mask).tobytes()
    return Answer("value", [list(mask.shape), one.remarks], packed)


def _question(function: str, words: Sequence[Any]) -> dict[str, Any]:
    """Return a question as JSON; paths in it may be as seen from the folder here."""
    here = None
    with suppress(OSError):  # it may be gone
        here = os.getcwd()
    return {"ask": function, "with": words, "in": here}


def _serve(computing: int | None, most_bytes: int) -> None:
    """Answer each question on standard input with lines of JSON."""
    answers = sys.stdout.buffer
    # Whatever a library prints must not stand between the answers.
    sys.stdout = sys.stderr
    _limit_memory(most_bytes)
    answers.write(_READY.encode() + b"\n")
    answers.flush()
    for line in sys.stdin.buffer:
        _limit_computing(computing)
        for answer in _answered(json.loads(line)):
            _write(answers, answer)
            if answer.kind != "item":
                answers.flush()
            _limit_computing(computing)


def _write(answers: BinaryIO, answer: Answer) -> None:
    told = json.dumps([answer.kind, answer.value, len(answer.data)]).encode("ascii")
    if len(told) >= _MOST_LINE - 1:
        words = "a name in it is longer than any film's or finding's"
        told = json.dumps(["refused", words, 0]).encode("ascii")
        answers.write(told + b"\n")
        return
    answers.write(told + b"\n" + answer.data)


def _limit_memory(most: int) -> None:
    try:
        import resource
    except ImportError:  # no such limit on Windows
        return
    kind = resource.RLIMIT_DATA if sys.platform == "linux" else resource.RLIMIT_AS
    with suppress(OSError, ValueError):
        resource.setrlimit(kind, (most, most))


def _limit_computing(seconds: int | None) -> None:
    """Let the next answer take so much more computing."""
    if seconds is None:
        return
    with suppress(ImportError, OSError, ValueError):
        import resource

        used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (int(used) + 1 + seconds, hard))


if __name__ == "__main__":
    # Not this copy: what is yielded knows the other one's classes.
    importlib.import_module("napari_wsseg.io.guarded.reader")._serve(
        *json.loads(sys.argv[1])
    )
