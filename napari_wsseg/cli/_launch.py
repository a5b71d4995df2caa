"""One training in several processes of this machine, through torchrun."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import IO, Any

import psutil

from napari_wsseg import protocol
from napari_wsseg.jobs import JobFailed

Line = dict[str, Any]


def together(
    count: int,
    arguments: list[str],
    report: Callable[[Line], object],
    *,
    cancel: threading.Event,
) -> Line:
    """Run ``python -m trainers`` with these words; return its ``finished`` line.

    Parameters
    ----------
    count
        Processes; the first of them tells.
    report
        Is given every line but the last.
    cancel
        Ends all of them together, after the batch in hand.

    Raises
    ------
    JobFailed
        If they end without a last word.
    """
    command = [
        *(sys.executable, "-m", "torch.distributed.run"),
        *("--standalone", "--nproc-per-node", str(count)),
        *("-m", "trainers", *arguments, "--parent", str(os.getpid())),
        # torchrun takes any other code for a crash, and says so at length.
        "--exit-zero",
    ]
    threads = max(1, (os.cpu_count() or 1) // count)
    # In a session of its own: Ctrl-C is ours to hand on, so that all stop together.
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={
            "OMP_NUM_THREADS": str(threads),
            # It warns of a setting that some recipes need and others do not.
            "TORCH_CPP_LOG_LEVEL": "ERROR",
            **os.environ,
        },
    ) as child:
        over = threading.Event()
        asked = threading.Thread(target=_hand_on, args=(cancel, over, child))
        asked.start()
        try:
            for line in _lines(child.stdout):
                if protocol.is_a("finished", line):
                    return line
                report(line)
        finally:
            over.set()
            asked.join()
    raise JobFailed(
        "the training ended without a last word; what it saved is kept: resume its "
        "run, see wsseg train --help"
    )


def _hand_on(
    cancel: threading.Event, over: threading.Event, child: subprocess.Popen[str]
) -> None:
    while not over.wait(0.2):
        if cancel.is_set():
            with suppress(psutil.NoSuchProcess):
                for process in psutil.Process(child.pid).children():
                    process.terminate()
            return


def _lines(output: IO[str] | None) -> Iterator[Line]:
    for text in output or ():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict):
            yield line
