"""Many films decoded at once, in order, few in memory."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from napari_wsseg.io import images
from napari_wsseg.jobs import DataError

_MOST_WORKERS = 4


class Facts(NamedTuple):
    """What a project keeps of a film; the pixels are let go."""

    uid: str
    shape: tuple[int, int]
    spacing_mm: tuple[float, float] | None
    remarks: tuple[str, ...]


def decoded(folder: Path, paths: Sequence[str]) -> Iterator[tuple[str, Facts | str]]:
    """Yield each path with its facts, or with the reason why it cannot be read."""
    workers = min(_MOST_WORKERS, os.cpu_count() or 1)
    waiting: deque[tuple[str, Future[Facts | str]]] = deque()
    todo = iter(paths)
    with ThreadPoolExecutor(workers, thread_name_prefix="decode") as pool:
        try:
            for path in islice(todo, 2 * workers):
                waiting.append((path, pool.submit(_facts, folder / path)))
            while waiting:
                path, future = waiting.popleft()
                yield path, future.result()
                for following in islice(todo, 1):
                    future = pool.submit(_facts, folder / following)
                    waiting.append((following, future))
        finally:
            pool.shutdown(cancel_futures=True)


def _facts(path: Path) -> Facts | str:
    try:
        radiograph, remarks = images.read_noting(path)
    except DataError as error:
        return reason(path, error)
    shape = (radiograph.pixels.shape[0], radiograph.pixels.shape[1])
    return Facts(radiograph.uid, shape, radiograph.spacing_mm, remarks)


def reason(path: Path, error: DataError) -> str:
    """Return an error's words without the path that a list shows beside them."""
    return str(error).removeprefix(f"{path}: ")
