"""Many films decoded at once, in order, few in memory."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from queue import SimpleQueue

from napari_wsseg.datasets.importing.resume import Resumed
from napari_wsseg.io import film_facts, images
from napari_wsseg.io.film_facts import Facts

_MOST_WORKERS = 8


def decoded(
    folder: Path, paths: Sequence[str], resumed: Resumed
) -> Generator[tuple[str, Facts | str], None, None]:
    """Yield each path with its facts, or with the reason why it cannot be read.

    DICOM and what lies in archives is read by processes of their own, see
    `napari_wsseg.io.film_facts`; pictures by threads of this one.

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
    workers = min(_MOST_WORKERS, os.cpu_count() or 1)
    readers = [film_facts.FactsReader() for _ in range(workers)]
    idle: SimpleQueue[film_facts.FactsReader] = SimpleQueue()
    for reader in readers:
        idle.put(reader)

    def read(path: str) -> Facts | str:
        place = folder / path
        known = resumed.get(path, place)
        if known is not None:
            return known
        if place.is_file() and not images.is_dicom(place):
            found = film_facts.read_facts(place)
        else:
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
            for reader in readers:
                reader.close()
            pool.shutdown(cancel_futures=True)
