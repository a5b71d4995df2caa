"""Which films of a project are one patient's, oldest first: no name, number or date.

Patient IDs and dates are read at an import, compared and forgotten; what stays in
``follow_ups.json`` is the order of the films' ids, so that an earlier film can be
looked at beside a later one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import TypeAlias

from napari_wsseg.io import atomic

FILE = "follow_ups.json"

Series: TypeAlias = list[list[list[str]]]
"""By patient and then by time, oldest first: the ids of the films taken then."""


def write(folder: Path, films: Iterable[tuple[str, str, str]]) -> None:
    """Keep which films are one patient's; nothing if no two are.

    Parameters
    ----------
    folder
        The project's.
    films
        Case id, whose it is and when it was taken, each in any words of which the
        later sorts after the earlier; neither is kept.

    Raises
    ------
    DataError
        The disk refuses.
    """
    of_patient: dict[str, dict[str, list[str]]] = defaultdict(dict)
    for case_id, patient, when in films:
        if patient and when:
            of_patient[patient].setdefault(when, []).append(case_id)
    series = [
        [sorted(films) for _, films in sorted(times.items())]
        for times in of_patient.values()
        if len(times) > 1
    ]
    if series:
        atomic.write_json(folder / FILE, sorted(series))


def read(folder: Path) -> Series:
    """Return each patient's films, oldest first; empty where none is known.

    Raises
    ------
    DataError
        The file is damaged.
    """
    path = folder / FILE
    if not path.is_file():
        return []
    found: Series = atomic.read_json(path, [[[str]]])
    return found


def earlier(series: Series, case_id: str) -> tuple[str, ...]:
    """Return the films of the same patient taken before one, the newest first."""
    for times in series:
        for place, films in enumerate(times):
            if case_id in films:
                before = reversed(times[:place])
                return tuple(film for taken in before for film in taken)
    return ()
