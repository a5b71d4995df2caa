"""Many films decoded at once, in order, few in memory."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from queue import SimpleQueue

from napari_wsseg.datasets.importing.resume import Resumed
from napari_wsseg.io.film_facts import Facts, FactsReader
from napari_wsseg.io.guarded.reader import borrowed_kind

_MOST_WORKERS = 8

_WORTH_ONE = 4
"""Films that are worth the start of one more process."""


def decoded(
    folder: Path, paths: Sequence[str], resumed: Resumed
) -> Generator[tuple[str, Facts | str], None, None]:
    """Yield each path with its facts, or with the reason why it cannot be read.

    Films are read by processes of their own, see `napari_wsseg.io.film_facts`.

    Parameters
    ----------
    folder
        Folder or archive of the films.
    paths
        Of films, relative to it.
    resumed
        What is known of them from before; learns what is read.

    Yields
    ------
    path, facts
        In the order of `paths`.
    """
    workers = min(_MOST_WORKERS, os.cpu_count() or 1, 1 + len(paths) // _WORTH_ONE)
    with ExitStack() as lent:
        readers = [
            lent.enter_context(borrowed_kind(FactsReader)) for _ in range(workers)
        ]
        idle: SimpleQueue[FactsReader] = SimpleQueue()
        for reader in readers:
            idle.put(reader)

        def read(path: str) -> Facts | str:
            place = folder / path
            known = resumed.get(path, place)
            if known is not None:
                return known
            reader = idle.get()
            try:
                found = reader.facts(place)
            finally:
                idle.put(reader)
            resumed.put(path, place, found)
            return found

        waiting: deque[tuple[str, Future[Facts | str]]] = deque()
        todo = iter(paths)
        with ThreadPoolExecutor(workers, thread_name_prefix="decode") as pool:
            try:
                for path in islice(todo, 2 * workers):
                    waiting.append((path, pool.submit(read, path)))
                while waiting:
                    path, future = waiting.popleft()
                    yield path, future.result()
                    for following in islice(todo, 1):
                        waiting.append((following, pool.submit(read, following)))
            finally:
                if waiting:  # nobody waits for what is being read
                    for reader in readers:
                        reader.close()
                pool.shutdown(cancel_futures=True)
