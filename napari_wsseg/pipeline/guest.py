"""A promptable model as a guest: a process of its own that proposes masks.

Version 1 of the protocol. The guest writes a line when it is ready, and one a film::

    {"wsseg": 1, "name": "my model"}
    {"wsseg": 1, "mask": "answer.png"}

and reads a line a film, all on standard input and output, UTF-8, a JSON object a line::

    {"wsseg": 1, "film": "/tmp/…/film.png", "rows": 2048, "columns": 1760,
     "finding": "mass", "points": [[310, 420, 1], [40, 40, 0]],
     "boxes": [[280, 390, 350, 470]], "answer": "/tmp/…/answer.png"}

The film is a grey PNG of 8 bits as it is shown. A point is x, y and 1 (in the finding)
or 0 (outside it), a box x0, y0, x1, y1, all in pixels of the film. The guest writes a
PNG of the film's size, in which the finding is not black, to ``answer``. Or it says why
not::

    {"wsseg": 1, "error": "no click is on the film"}

It ends when its input does. What it writes to standard error is passed on. A guest that
is slow, dies or lies costs its proposal and nothing else: nothing of the project is
changed here, and the next question starts it again.
"""

from __future__ import annotations

import json
import queue
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_wsseg.io.external import mask_files
from napari_wsseg.jobs import DataError, JobFailed
from napari_wsseg.schema import Mask

VERSION = 1

READY_SECONDS, ANSWER_SECONDS = 120.0, 60.0
"""A model may take long to load; a reader who has clicked waits."""

_MOST_LINE = 2**16


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a reader showed the guest.

    Parameters
    ----------
    finding
        Name of what is to be drawn.
    points
        x, y in pixels and whether the finding is there.
    boxes
        x0, y0, x1, y1 in pixels.
    """

    finding: str
    points: tuple[tuple[float, float, bool], ...] = ()
    boxes: tuple[tuple[float, float, float, float], ...] = ()


class Guest:
    """A guest that is started at the first question and ended by `close`.

    Parameters
    ----------
    command
        The program and its words.
    answer_seconds
        How long one film may take.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        ready_seconds: float = READY_SECONDS,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        self._command = list(command)
        self._ready_seconds, self._answer_seconds = ready_seconds, answer_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._lines: queue.Queue[bytes | None] = queue.Queue()
        self.name = self._command[0]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def propose(self, pixels: NDArray[np.float32], prompt: Prompt) -> Mask:
        """Return the (H, W) mask that the guest proposes for a film.

        Parameters
        ----------
        pixels : (H, W) float32 in [0, 1]

        Raises
        ------
        JobFailed
            It does not start, is slow, died, or its answer means nothing.
        """
        try:
            with tempfile.TemporaryDirectory(prefix="wsseg-guest-") as folder:
                return self._asked(Path(folder), pixels, prompt)
        except BaseException:
            self.close()  # a late answer must not be taken for the next one's
            raise

    def close(self) -> None:
        """End the guest, whatever it is doing."""
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(OSError):
            assert process.stdin is not None
            process.stdin.close()
        try:
            process.wait(1)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        assert process.stdout is not None
        process.stdout.close()

    def _asked(self, folder: Path, pixels: NDArray[np.float32], prompt: Prompt) -> Mask:
        process = self._started()
        rows, columns = pixels.shape
        film, answer = folder / "film.png", folder / "answer.png"
        Image.fromarray(np.rint(pixels * 255).astype(np.uint8)).save(film)
        question = {
            "wsseg": VERSION,
            "film": str(film),
            "rows": rows,
            "columns": columns,
            "finding": prompt.finding,
            "points": [[x, y, int(there)] for x, y, there in prompt.points],
            "boxes": [list(box) for box in prompt.boxes],
            "answer": str(answer),
        }
        try:
            assert process.stdin is not None
            process.stdin.write(json.dumps(question).encode() + b"\n")
            process.stdin.flush()
        except OSError as error:
            raise JobFailed(f"the guest {self.name} has died; ask it again") from error
        answer_line = self._line(self._answer_seconds)
        if "error" in answer_line:
            raise JobFailed(f"the guest {self.name}: {str(answer_line['error'])[:300]}")
        if "mask" not in answer_line:
            raise JobFailed(f"the guest {self.name} said neither a mask nor an error")
        # Where it was asked to be: a guest leads to no other file.
        try:
            return mask_files.read(answer, (rows, columns))
        except DataError as error:
            message = str(error).replace(str(answer), "its mask")
            raise JobFailed(f"the guest {self.name}: {message}") from error

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self.close()
        self._lines = queue.Queue()
        try:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
        except OSError as error:
            raise JobFailed(
                f"the guest {self._command[0]} cannot be started ({error.strerror})"
            ) from error
        threading.Thread(
            target=_listen, args=(self._process.stdout, self._lines), daemon=True
        ).start()
        greeting = self._line(self._ready_seconds)
        self.name = str(greeting.get("name") or self._command[0])[:80]
        return self._process

    def _line(self, seconds: float) -> dict[str, Any]:
        """Return the next object that the guest writes."""
        try:
            line = self._lines.get(timeout=seconds)
        except queue.Empty:
            raise JobFailed(
                f"the guest {self.name} said nothing for {seconds:g} s"
            ) from None
        if line is None:
            raise JobFailed(f"the guest {self.name} has died; ask it again")
        try:
            message = json.loads(line)
            if not isinstance(message, dict) or message.get("wsseg") != VERSION:
                raise ValueError(f'not an object with "wsseg": {VERSION}')
        except (ValueError, RecursionError) as error:
            raise JobFailed(
                f"the guest {self.name} does not speak the protocol ({error})"[:300]
            ) from error
        return message


def _listen(stream: IO[bytes] | None, lines: queue.Queue[bytes | None]) -> None:
    """Pass on a process's lines; ``None`` when it has ended."""
    assert stream is not None
    with suppress(OSError, ValueError):
        while line := stream.readline(_MOST_LINE):
            lines.put(line)
    lines.put(None)
