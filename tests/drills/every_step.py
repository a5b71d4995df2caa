"""Fail every step of what a reader or a command does, one after another.

Run by ``test_every_step.py`` with ``failing_disk.so`` loaded before libc, and by hand::

    python tests/drills/every_step.py OPERATION[,…] [FAULT[,…]] [STRIDE] [SECONDS]

Everything is imported once; each try is a fork of that, on a copy of its own, and so is
the process that reads foreign files for it.
"""

from __future__ import annotations

import errno
import gc
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import drill_commands as commands  # noqa: E402
import drill_sitting as sitting  # noqa: E402
from drill_forks import (  # noqa: E402
    Disk,
    fork_readers,
    forked,
    import_commands,
    register_recipe,
)
from drill_operation import Operation, Say, Told  # noqa: E402

from napari_wsseg.io import film_names  # noqa: E402

KILL = -1
FAULTS = {"ENOSPC": errno.ENOSPC, "EIO": errno.EIO, "kill": KILL}

Masks = dict[tuple[str, str], np.ndarray]


OPERATIONS = {
    "reading": Operation(
        sitting.make_reading,
        sitting.act_reading,
        sitting.go_on_reading,
        sitting.look_at_reading,
    ),
    "init": Operation(
        commands.make_films,
        commands.INIT,
        commands.no_more,
        commands.again(commands.start_again, commands.whole_project, commands.sound),
    ),
    "import": Operation(
        commands.make_imported,
        commands.IMPORT,
        commands.no_more,
        commands.again(commands.IMPORT, commands.imported, commands.sound),
    ),
    "names --hide": Operation(
        commands.make_names,
        commands.NAMES,
        commands.no_more,
        commands.again(
            commands.NAMES,
            commands.still_there,
            commands.no_name_left,
            commands.one_key,
            commands.sound,
        ),
    ),
    "fsck --repair": Operation(
        commands.make_damaged,
        commands.FSCK,
        commands.no_more,
        commands.again(commands.FSCK, commands.repaired, commands.sound),
    ),
    "gc": Operation(
        commands.make_waste,
        commands.GC,
        commands.no_more,
        commands.again(
            commands.GC, commands.cleared, commands.still_there, commands.sound
        ),
    ),
    "export": Operation(
        commands.make_read,
        commands.EXPORT,
        commands.no_more,
        commands.again(
            commands.export_anew,
            commands.exported,
            commands.still_there,
            commands.sound,
        ),
    ),
    "train": Operation(
        commands.make_read,
        commands.train,
        commands.no_more,
        commands.again(
            commands.train, commands.trained, commands.still_there, commands.sound
        ),
    ),
}


def one_try(
    base: Path, place: Path, operation: Operation, step: int, fault: int
) -> tuple[bool, list[str]]:
    """Return whether the step was reached, and what was wrong afterwards."""
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(base, place)
    os.environ[film_names.VARIABLE] = str(place / "keys")

    def act(say: Say) -> None:
        disk = Disk()
        disk.arm(place, step, fault)
        state = operation.act(place, say)
        tripped = disk.tripped()
        disk.room()
        operation.go_on(place, say, state)
        say("end", "tripped" if tripped else "passed")

    output, status = forked(act)
    reported = Told()
    for line in output:
        reported.hear(*line)
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    if not reported.done and not (killed and fault == KILL):
        reported.troubles.append(f"ended with {status}")

    def look(say: Say) -> None:
        for line in operation.look(place, reported):
            say(line)

    heard, _ = forked(look)
    wrong = reported.troubles + [" ".join(line) for line in heard]
    return reported.tripped or killed, wrong


def drill(
    name: str, fault: str, stride: int, deadline: float, first: int = 1
) -> dict[str, Any]:
    """Fail every `stride`-th step from the `first` one way until the run passes."""
    operation, began = OPERATIONS[name], time.monotonic()
    lost: list[str] = []
    with tempfile.TemporaryDirectory(
        dir="/dev/shm" if Path("/dev/shm").is_dir() else None
    ) as room:
        base, place = Path(room) / "base", Path(room) / "try"
        base.mkdir()
        # Films lie beside the project, by a relative path: a copy finds its own.
        os.environ[film_names.VARIABLE] = str(base / "keys")
        output, status = forked(lambda say: operation.make(base))
        if status:
            raise SystemExit(f"{name}: {output}")
        step, tries, passed = first, 0, False
        while not passed and time.monotonic() < deadline:
            reached, wrong = one_try(base, place, operation, step, FAULTS[fault])
            lost += [f"{fault} at {step}: {line}" for line in wrong]
            passed = not reached
            tries += reached
            step += stride
    return {
        "operation": name,
        "fault": fault,
        "tries": tries,
        "passed": passed,
        "lost": lost,
        "seconds": round(time.monotonic() - began, 1),
    }


def main() -> None:
    names = sys.argv[1].split(",") if len(sys.argv) > 1 else list(OPERATIONS)
    faults = sys.argv[2].split(",") if len(sys.argv) > 2 else list(FAULTS)
    stride = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    seconds = float(sys.argv[4]) if len(sys.argv) > 4 else 1e9
    first = int(sys.argv[5]) if len(sys.argv) > 5 else 1
    import_commands()
    fork_readers()
    if "train" in names:
        register_recipe()
    gc.freeze()  # or each fork copies what its collections look at
    for name in names:
        for fault in faults:
            share = time.monotonic() + seconds / len(names) / len(faults)
            sys.stdout.write(
                json.dumps(drill(name, fault, stride, share, first)) + "\n"
            )
            sys.stdout.flush()


if __name__ == "__main__":
    main()
