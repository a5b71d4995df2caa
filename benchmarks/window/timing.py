"""What a step of the window takes, and tables of it."""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np


class Took(NamedTuple):
    """What a step took: by the clock, and of the processor in all threads."""

    ms: float
    computing_ms: float


class Watch:
    """Times from when it is made."""

    def __init__(self) -> None:
        self._began = time.perf_counter(), time.process_time()

    def read(self) -> Took:
        began, computed = self._began
        return Took(
            (time.perf_counter() - began) * 1000,
            (time.process_time() - computed) * 1000,
        )


class Table:
    """Rows of milliseconds, printed as they are known."""

    def __init__(self, title: str) -> None:
        self.rows: dict[str, list[Took]] = {}
        print(title, "", sep="\n")
        print("| what | median ms | p95 | longest | processor, median ms | n |")
        print("|---|---|---|---|---|---|", flush=True)

    def add(self, name: str, taken: list[Took]) -> None:
        self.rows[name] = taken
        times = [took.ms for took in taken]
        low, high = np.median(times), np.percentile(times, 95)
        computing = np.median([took.computing_ms for took in taken])
        print(
            f"| {name} | {low:.1f} | {high:.1f} | {max(times):.1f} | {computing:.1f} | "
            f"{len(times)} |",
            flush=True,
        )
