"""In which order cases are read, and the scores that some orders need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_wsseg.io import stages
from napari_wsseg.io.project import Project
from napari_wsseg.ops import masks
from napari_wsseg.ops.tally import Overlap
from napari_wsseg.pipeline import agreement, film_orders, look_again
from napari_wsseg.pipeline.ordering import film_views
from napari_wsseg.session.case_list.reading_list import ReadingList

NAME, UNCERTAIN, READERS, MACHINE, AGAIN, DATE, RANDOM = (
    "Name",
    "Most uncertain first",
    "Readers disagree most",
    "Machine differs most",
    "Accepted, least likely first",
    "Last decided first",
    "Random",
)
NEXT = {
    "Next: random, a third negative": "random",
    "Next: unsure at the outline": "outline",
    "Next: stages disagree": "disagreement",
    "Next: by chance, then unsure": "clasp",
    "Next: as different as can be": "diverse",
}
"""Orders of `napari_wsseg.pipeline.film_orders`, under their names in the worklist."""

ORDERS = (NAME, UNCERTAIN, READERS, MACHINE, AGAIN, DATE, RANDOM, *NEXT)

SIDE = 256
"""Longest side, in pixels, at which a machine's mask is compared with an expert's."""


def ordered(
    reading: ReadingList,
    case_ids: Sequence[str],
    order: str,
    *,
    reader: str,
    scores: Mapping[str, float],
    now: datetime | None = None,
) -> list[str]:
    """Return cases in one of `ORDERS`; equals stay in the order of their files.

    By uncertainty, films that the reader was shown within a day wait at the end, those
    seen longest ago first. By chance, every reader has a shuffle of her own, which is
    the same each time.

    Parameters
    ----------
    reading
        The list, with decisions and when films were seen.
    case_ids
        Those that are wanted, in the order of their files.
    order
        One of `ORDERS`; any other word leaves them as they are.
    reader
        Whose shuffle.
    scores
        By case id, the highest first, for the orders that need them; films without one
        come last. For `NEXT`, those of `next_films`.
    now
        From when the day is counted back; by default now, UTC.
    """
    places = in_order(
        reading,
        reading.cases.places_of(case_ids),
        order,
        reader=reader,
        scores=scores,
        now=now,
    )
    return reading.cases.at(places)


def in_order(
    reading: ReadingList,
    places: NDArray[np.intp],
    order: str,
    *,
    reader: str,
    scores: Mapping[str, float],
    now: datetime | None = None,
) -> NDArray[np.intp]:
    """Return `ordered` of places in the order of files.

    Parameters
    ----------
    reading, order, reader, scores, now
        As in `ordered`.
    places : (M,) int
        Of the cases that are wanted.

    Returns
    -------
    (M,) int
    """
    if order == RANDOM:
        wanted = np.zeros(len(reading.cases), bool)
        wanted[places] = True
        shuffled = reading.shuffled(reader)
        return shuffled[wanted[shuffled]]
    if order == DATE:
        return reading.last_decided_first(places)
    if order in (READERS, MACHINE, AGAIN, *NEXT):
        return _highest_first(reading, places, scores)
    if order == UNCERTAIN:
        found = _highest_first(reading, places, scores) if scores else places
        recent = reading.recently_seen(now or datetime.now(UTC))
        waits = reading.cases.among(recent)[found]
        late = reading.cases.at(found[waits])
        late.sort(key=reading.seen.__getitem__)
        return np.concatenate([found[~waits], reading.cases.places_of(late)])
    return places


def _highest_first(
    reading: ReadingList, places: NDArray[np.intp], scores: Mapping[str, float]
) -> NDArray[np.intp]:
    falling = -reading.cases.column(scores)[places]
    return places[np.argsort(falling, kind="stable")]


def next_films(folder: Path, order: str) -> tuple[dict[str, float], str]:
    """Return each film's place in one of `NEXT`, the first highest, 0 to 1.

    Films on which somebody has a final verdict have none. With it comes why the order
    is by chance so far, empty if it is not.
    """
    name = NEXT[order]
    with Project.open(folder) as project:
        waiting = film_orders.unread(project, None)
        found = film_orders.ranked(project, name, case_ids=waiting)
        why = film_orders.by_chance_because(project, name)
    return {one: 1 - place / len(found) for place, one in enumerate(found)}, why


def between_readers(folder: Path) -> dict[str, float]:
    """Return how far readers who are done disagree, 0 to 1, by case id."""
    with Project.open(folder) as project:
        return agreement.disagreement(project)


def accepted_again(folder: Path, stage: str, run: str) -> dict[str, float]:
    """Return how early a film's accepted masks ask to be looked at again, by case id.

    1 is the first of all, see `napari_wsseg.pipeline.look_again`.

    Parameters
    ----------
    folder
        The project's.
    stage, run
        Not asked for: it goes by the last stage in use that has seen the film.
    """
    with Project.open(folder) as project:
        ranked = look_again.accepted(project)
    found: dict[str, float] = {}
    for place, one in enumerate(ranked):
        found.setdefault(one.case, 1 - place / len(ranked))
    return found


def machine_against_expert(folder: Path, stage: str, run: str) -> dict[str, float]:
    """Return 1 − the lowest Dice of a stage and the masks that count, by case id.

    Masks are compared at `SIDE`; films without an expert mask are left out.

    Parameters
    ----------
    folder
        The project's.
    stage, run
        As in `napari_wsseg.io.stages.folder`.

    Returns
    -------
    dict
        Case id to 0 (alike) to 1; empty where the stage never ran.

    Raises
    ------
    DataError
        A mask or a map is damaged.
    """
    from napari_wsseg import pipeline

    settings = stages.read_settings(folder, stage, run)
    found: dict[str, float] = {}
    if settings is None:
        return found
    with Project.open(folder) as project:
        for case_id in project.annotated():
            maps = stages.read(folder, stage, run, case_id)
            if maps is None:
                continue
            shape = film_views.small_shape(project.case(case_id).shape, SIDE)
            drafts = pipeline.stage_masks(maps, settings, shape)
            dices = [
                Overlap.between(
                    np.asarray(drafts[settings.findings.index(name)], bool),
                    masks.nearest(mask, shape),
                ).dice
                for name, mask in project.expert_masks(case_id).items()
                if name in settings.findings
            ]
            if dices:
                found[case_id] = 1 - min(dices)
    return found
