"""A training process in name only: speaks the protocol, or breaks it as told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

RUN = "classifier-20261121-001530-a1b2"


def say(event: str, **fields: object) -> None:
    sys.stdout.write(json.dumps({"event": event, **fields}) + "\n")
    sys.stdout.flush()


def start(run: str = RUN) -> None:
    say("started", run=run, recipe="classifier", pid=os.getpid(), device="cpu")


def finish(status: str, message: str = "") -> None:
    metrics = {"auroc": 0.91, "n_val": 25}
    say(
        "finished",
        status=status,
        run=RUN,
        metrics=metrics,
        seconds=1.5,
        message=message,
    )


def step(n: int, total: int, **metrics: float) -> None:
    say(
        "progress",
        step=n,
        total=total,
        message="training",
        metrics=metrics,
        eta_s=(total - n) * 0.1,
    )


def train(
    project: Path, steps: int, pause: float, *, heed_stop: bool = True, after: int = 0
) -> None:
    stop = project / "runs" / RUN / "stop"
    stop.parent.mkdir(parents=True, exist_ok=True)
    start()
    for n in range(after + 1, steps + 1):
        step(n, steps, loss=1 / n)
        if n % 5 == 0:
            step(n, steps, auroc=1 - 1 / n)
            say("checkpoint", best=True, metrics={"auroc": 1 - 1 / n})
        if heed_stop and stop.exists():
            finish("stopped", "stopped at your wish")
            return
        time.sleep(pause)
    finish("done")


def main(mode: str, project: Path) -> int:
    if mode == "done":
        train(project, 10, 0.01)
    elif mode == "resumed":
        train(project, 10, 0.01, after=5)
    elif mode == "slow":
        train(project, 2000, 0.02)
    elif mode == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        train(project, 2000, 0.02, heed_stop=False)
    elif mode == "failed":
        start()
        finish("failed", "no film of the train split has a label")
        return 4
    elif mode == "traceback":
        start()
        raise ValueError("heat is (3, 4) but pixels are (5, 6)")
    elif mode == "oom":
        start()
        sys.stderr.write(
            "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB\n"
        )
        return 1
    elif mode == "killed":
        start()
        os.kill(os.getpid(), signal.SIGKILL)
    elif mode == "quiet-exit":
        start()
    elif mode == "hang":
        start()
        time.sleep(600)
    elif mode == "before-start":
        time.sleep(600)
    elif mode == "maps-stopped":
        start()
        finish("stopped", "the training is done and kept; its maps were stopped")
        return 130
    elif mode == "sweep":
        sweep(project)
    elif mode == "score":
        for n in range(1, 4):
            step(n, 3)
        time.sleep(0.05)
    elif mode == "score-slowly":
        step(1, 100)
        time.sleep(600)
    elif mode == "stays":
        start()
        finish("done")
        time.sleep(600)
    elif mode == "garbage":
        garbage()
    elif mode == "flood":
        start()
        for n in range(20_000):
            step(n, 20_000, loss=1 / (n + 1))
        finish("done")
    elif mode == "family":
        start()
        # A loader process in the same group that keeps the pipe open.
        loader = subprocess.Popen(
            [sys.executable, "-c", "import time; time.sleep(600)"]
        )
        say("progress", step=0, total=0, message=str(loader.pid), metrics={})
        time.sleep(600)
    elif mode == "orphan":
        start()
        loader = subprocess.Popen(
            [sys.executable, "-c", "import time; time.sleep(600)"]
        )
        say("progress", step=0, total=0, message=str(loader.pid), metrics={})
        finish("done")
    else:
        raise ValueError(f"no mode {mode!r}")
    return 0


def sweep(project: Path) -> None:
    """Two values, two trials; the second trial of the second value is left out."""
    folder = project / "sweeps" / "chexseg-p-0000"
    folder.mkdir(parents=True, exist_ok=True)
    cells = [(0.2, 0), (0.8, 0), (0.2, 1)]
    for done in range(1, len(cells) + 1):
        start(f"chexseg-2026-{done}")
        step(1, 1, loss=0.5)
        (folder / "sweep.json").write_text(json.dumps(sheet(cells[:done])))
        value, trial = cells[done - 1]
        event = {"key": "p", "value": value, "trial": trial, "run": RUN, "done": done}
        say("cell", **event, metrics={}, total=4, folder=str(folder))
    finish("stopped")


def sheet(cells: list[tuple[float, int]]) -> dict[str, object]:
    rows = []
    for value in dict.fromkeys(value for value, _ in cells):
        trials = sum(value == other for other, _ in cells)
        std = 0.01 if trials > 1 else None
        metric = {"mean": value / 2, "spread": std, "n": trials}
        names = ("pos_iou", "dice", "all_iou", "pooled_miou", "emptiness")
        rows += [
            {"value": value, "split": "test", "finding": finding, "trials": trials}
            | dict.fromkeys(names, metric)
            for finding in ("mean over findings", "effusion")
        ]
    return {
        "recipe": "chexseg",
        "key": "p",
        "settings": {"epochs": 12, "seed": 0},
        "values": sorted({value for value, _ in cells}),
        "planned": [0.2, 0.8],
        "trials": 2,
        "splits": ["test"],
        "truth": "",
        "cells": [
            {"value": value, "trial": trial, "seed": trial, "run": f"run-{number}"}
            for number, (value, trial) in enumerate(cells)
        ],
        "summary": rows,
    }


def garbage() -> None:
    start()
    raw = sys.stdout.buffer
    raw.write(b"\xff\xfe\x00 not text\n")
    raw.write(b"[1, 2, 3]\n42\nnull\n\n")
    raw.write(b'{"event": "progress"}\n{"event": "no such"}\n{"event": ["x"]}\n')
    raw.write(b'{"event": "progress", "step": "many", "total": {}}\n')
    raw.write(b'{"event": "finished", "status": "perhaps"}\n')
    raw.write(b'{"event": "progress", "step": 1, "total"')
    raw.write(b"x" * 300_000 + b"\n")
    raw.write(b"[" * 50_000 + b"\n")
    raw.flush()
    step(3, 10, loss=float("nan"), dice=0.5)
    finish("done")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
