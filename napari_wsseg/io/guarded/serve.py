"""The reading process itself: it parses what it is asked to, within its limits."""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from inspect import isgenerator
from typing import Any

from napari_wsseg.io.guarded.answers import READY, Answer, Drawing, packed, write
from napari_wsseg.jobs import DataError

_TOO_MUCH = "needs more memory than one file may take; damaged, hostile, or too large"

_drawings: list[Drawing] = []
"""Of the last question."""


def answers_to(question: dict[str, Any]) -> Iterator[Answer]:
    """Yield the answers to a question; the last one is no item."""
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


def _drawn(number: int, shape: list[int] | None) -> Answer:
    one = _drawings[number]
    del one.remarks[:]
    mask = one.draw(None if shape is None else (shape[0], shape[1]))
    return packed(mask, one.remarks)


def serve(computing: int | None, most_bytes: int) -> None:
    """Answer each question on standard input with lines of JSON."""
    answers = sys.stdout.buffer
    # Whatever a library prints must not stand between the answers.
    sys.stdout = sys.stderr
    _limit_memory(most_bytes)
    answers.write(READY.encode() + b"\n")
    answers.flush()
    for line in sys.stdin.buffer:
        _limit_computing(computing)
        for answer in answers_to(json.loads(line)):
            write(answers, answer)
            if answer.kind != "item":
                answers.flush()
            _limit_computing(computing)


def _limit_memory(most: int) -> None:
    try:
        import resource
    except ImportError:  # pragma: no cover - Windows has no such limit
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
    serve(*json.loads(sys.argv[1]))
