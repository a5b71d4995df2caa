"""What a project keeps of a film; and a process that reads films for others.

A decoder that crashes, hangs or fills the memory over a damaged file takes a process of
its own with it, never an import or a window; and several processes decode at once.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_wsseg.io import images
from napari_wsseg.jobs import DataError

MOST_SECONDS = 120.0
"""After which a file is given up; the largest film takes seconds."""

MOST_BYTES = 4 * 2**30
"""Address space of a reading process, where the system can limit it."""

_READY = "ready"


THUMB_SIDE = 16
"""Pixels of the small picture by which films are compared."""


class Facts(NamedTuple):
    """What a project keeps of a film; the pixels are let go.

    `thumb` is the film in `THUMB_SIDE`² grey values, hexadecimal.
    """

    uid: str
    shape: tuple[int, int]
    spacing_mm: tuple[float, float] | None
    lateral: bool
    remarks: tuple[str, ...]
    thumb: str = ""


def of(path: Path) -> Facts | str:
    """Read a film in this process; return its facts, or why it cannot be read."""
    try:
        radiograph, remarks = images.read_noting(path)
    except DataError as error:
        return reason(path, error)
    rows, columns = radiograph.pixels.shape
    return Facts(
        radiograph.uid,
        (rows, columns),
        radiograph.spacing_mm,
        radiograph.lateral,
        tuple(remarks),
        _thumb(radiograph.pixels),
    )


def _thumb(pixels: NDArray[np.float32]) -> str:
    small = Image.fromarray(pixels).resize(
        (THUMB_SIDE, THUMB_SIDE), Image.Resampling.BOX
    )
    greys = np.clip(np.asarray(small) * 255, 0, 255).astype(np.uint8)
    return str(greys.tobytes().hex())


def reason(path: Path, error: DataError) -> str:
    """Return an error's words without the path that a list shows beside them."""
    return str(error).removeprefix(f"{path}: ")


def packed(facts: Facts) -> list[Any]:
    """Return facts as JSON values."""
    return list(facts)


def unpacked(values: list[Any]) -> Facts:
    """Return the facts of JSON values.

    Raises
    ------
    TypeError, ValueError
        They are none.
    """
    uid, (rows, columns), spacing, lateral, remarks, thumb = values
    between = None if spacing is None else (float(spacing[0]), float(spacing[1]))
    told = tuple(str(remark) for remark in remarks)
    shape = int(rows), int(columns)
    if len(bytes.fromhex(thumb)) not in (0, THUMB_SIDE**2):
        raise ValueError("not a film's small picture")
    return Facts(str(uid), shape, between, bool(lateral), told, str(thumb))


class Reader:
    """A process that reads one film after another; started when first asked.

    Of one thread at a time; `close` may come from another.
    """

    def __init__(self, seconds: float = MOST_SECONDS) -> None:
        self._seconds = seconds
        self._process: subprocess.Popen[str] | None = None
        self._closed = threading.Event()

    def facts(self, path: Path) -> Facts | str:
        """Return a film's facts, or why it cannot be read."""
        process = self._running()
        if process is None:
            return "the import was stopped" if self._closed.is_set() else of(path)
        late = threading.Event()

        def give_up() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(self._seconds, give_up)
        timer.daemon = True
        timer.start()
        try:
            answer = _asked(process, str(path))
        finally:
            timer.cancel()
        if answer is not None:
            return answer if isinstance(answer, str) else unpacked(answer)
        self._end()
        if late.is_set():
            return f"could not be read in {self._seconds:.0f} s; damaged or hostile"
        return "made its decoder crash; damaged or hostile"

    def close(self) -> None:
        """End the process, also while it reads."""
        self._closed.set()
        self._end()

    def _running(self) -> subprocess.Popen[str] | None:
        """Return the process, or ``None`` where none can be had."""
        if self._process is None and not self._closed.is_set():
            self._process = _started()
            if self._closed.is_set():  # meanwhile, by another thread
                self._end()
        return self._process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                with suppress(OSError):
                    pipe.close()  # type: ignore[union-attr]


def _started() -> subprocess.Popen[str] | None:
    here = str(Path(__file__).resolve().parents[2])
    paths = [here, *filter(None, [os.environ.get("PYTHONPATH")])]
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="ascii",
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            # Ctrl-C is for the import, which ends its readers itself.
            start_new_session=True,
        )
    except OSError:
        return None
    assert process.stdout is not None
    if process.stdout.readline().strip() == _READY:
        return process
    process.kill()
    process.wait()
    return None


def _asked(process: subprocess.Popen[str], path: str) -> Any:
    """Return the process's answer, or ``None`` if it ended instead."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(json.dumps(path) + "\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())
    except (OSError, ValueError):
        return None


def _serve() -> None:
    """Answer each path on standard input with a line of JSON."""
    answers = sys.stdout
    # Whatever a library prints must not stand between the answers.
    sys.stdout = sys.stderr
    _limit_memory()
    answers.write(_READY + "\n")
    answers.flush()
    for line in sys.stdin:
        path = Path(json.loads(line))
        try:
            found = of(path)
        except MemoryError:
            found = "needs more memory than a film may take; damaged or hostile"
        told = found if isinstance(found, str) else packed(found)
        answers.write(json.dumps(told) + "\n")
        answers.flush()


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # no such limit on Windows
        return
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))


if __name__ == "__main__":
    _serve()
