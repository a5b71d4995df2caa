"""Processes of a drill: forks of one that has imported everything once."""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from drill_operation import Say
from PIL import Image

from napari_wsseg import cli
from napari_wsseg.datasets import datasets
from napari_wsseg.export import formats, importers
from napari_wsseg.io.guarded import reader as guarded
from napari_wsseg.io.guarded import serve as guarded_process
from napari_wsseg.jobs import Checkpoint, Progress


class Disk:
    """The shim's switches."""

    def __init__(self) -> None:
        self._so = ctypes.CDLL(None)
        self._so.drill_count.restype = ctypes.c_long

    def arm(self, root: Path, step: int, fault: int) -> None:
        self._so.drill_arm(str(root).encode(), ctypes.c_long(step), fault)

    def room(self) -> None:
        self._so.drill_room()

    def tripped(self) -> bool:
        return bool(self._so.drill_tripped())


def import_commands() -> None:
    """Import what commands and their readers need, once and not in every fork."""
    for name in cli.COMMANDS:
        importlib.import_module(f"napari_wsseg.cli._{name}")
    for registry in (datasets, formats, importers):
        registry.names()
    for name in ("film_facts", "film_identity", "dicom.dicomdir"):
        importlib.import_module(f"napari_wsseg.io.{name}")
    Image.init()


class ForkedReader:
    """A guarded reading process that is a fork of this one, and starts at once.

    It has what `subprocess.Popen` has and `GuardedReader` uses.
    """

    def __init__(self, limits: Sequence[int | None]) -> None:
        questions, asks = os.pipe()
        hears, answers = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            Disk().room()  # a process of its own counts no steps
            os.dup2(questions, 0)
            os.dup2(answers, 1)
            os.closerange(3, 256)
            sys.stdin = sys.__stdin__ = os.fdopen(0)
            sys.stdout = sys.__stdout__ = os.fdopen(1, "w")  # type: ignore[misc]
            computing, most_bytes = limits
            assert most_bytes is not None
            try:
                guarded_process.serve(computing, most_bytes)
            finally:
                os._exit(0)
        os.close(questions)
        os.close(answers)
        self.stdin, self.stdout = os.fdopen(asks, "wb"), os.fdopen(hears, "rb")
        assert self.stdout.readline().strip() == b"ready"

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    # It keeps no file that a request to end would let it delete.
    terminate = kill

    def wait(self, _seconds: float | None = None) -> int:
        with contextlib.suppress(ChildProcessError):
            return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return -signal.SIGKILL


def fork_readers() -> None:
    """Let guarded reading processes be forks; tests/io tries the real ones."""
    guarded._started = ForkedReader  # type: ignore[assignment]


def register_recipe() -> None:
    import torch

    from napari_wsseg.io import film_cache
    from trainers.engine.recipe import TrainingConfig, recipe, recipes

    def steps(context: Any, config: TrainingConfig) -> Iterator[Progress | Checkpoint]:
        films = yield from film_cache.films(context.project, 64)
        first = int((context.resume or {}).get("step", 0)) + 1
        for step in range(first, 7):
            weights = {
                "w": torch.full(
                    (4,), float(films.take([context.project.cases()[0].id]).sum())
                )
            }
            yield Progress(step, 6, "step", {"loss": 1 / step})
            if step % 3 == 0:
                yield Checkpoint(
                    HEADER,
                    weights,
                    {"val": 1.0},
                    {"step": step, **weights},
                    best=True,
                )

    recipes.names()  # imports them all, once and not in every fork
    recipe("drill", config=TrainingConfig, stages=(), summary="a drill")(steps)


HEADER = {
    "recipe": "drill",
    "network": "none",
    "findings": ["nodule"],
    "size": 64,
    "normalisation": "film",
}


def forked(work: Callable[[Say], None]) -> tuple[list[list[str]], int]:
    """Return what a process of its own says, and how it ended."""
    ear, mouth = os.pipe()
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        os.close(ear)
        code = 1
        try:
            work(
                lambda *arguments: os.write(
                    mouth, json.dumps(arguments).encode() + b"\n"
                )
            )
            code = 0
        except BaseException:
            arguments = traceback.format_exc()[-1500:]
            os.write(mouth, json.dumps(["traceback", arguments]).encode() + b"\n")
        finally:
            os._exit(code)
    os.close(mouth)
    with os.fdopen(ear, "rb") as lines:
        reported = [json.loads(line) for line in lines]
    _, status = os.waitpid(child, 0)
    return reported, status
