"""A conversation with an archive: the order of its questions, and when to ask again.

A language (`napari_wsseg.io.dicomweb`, `napari_wsseg.io.dimse`) says how one question
is put and what its answer means.
"""

from __future__ import annotations

import random
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeVar

from napari_wsseg.io.archives.query import Query
from napari_wsseg.io.archives.replies import (
    Absent,
    Answer,
    Film,
    Instance,
    NotWhole,
    Passing,
    Refused,
    Unreachable,
    check_whole,
)

TRIES = 5
FIRST_WAIT = 1.0
LONGEST_WAIT = 30.0
"""Seconds before the second try, doubled each time; never longer than this."""

NOT_FILMS = frozenset(("SEG", "SR", "PR", "KO", "DOC", "REG", "RTSTRUCT", "ECG"))
"""Modalities of what no archive is asked for here."""

Level = Literal["STUDY", "SERIES", "IMAGE"]
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Row:
    """What a search says of a series or an instance; nothing where it has none."""

    modality: str = ""
    number: int = 0


class Archive(ABC):
    """An archive that is asked, fetched from and stored to.

    Parameters
    ----------
    host
        Host and port, for people.
    wait
        Sleeps for seconds between two tries.
    remedy
        What a person may do where nobody answers; follows the message.
    """

    def __init__(
        self,
        host: str,
        *,
        wait: Callable[[float], object] = time.sleep,
        remedy: str = "",
    ) -> None:
        self.host = host
        self._wait = wait
        self._remedy = remedy

    def find(self, query: Query) -> Iterator[Instance]:
        """Yield the films that a query asks for, each once.

        Raises
        ------
        Unreachable, Refused
        """
        for study in self._rows("STUDY", query.of_studies()):
            for series, row in self._rows("SERIES", query.of_series(), study).items():
                if row.modality in NOT_FILMS:
                    continue
                for uid in self._rows("IMAGE", query.of_instances(), study, series):
                    yield Instance(study, series, uid)

    def series(self, study: str, series: str) -> list[tuple[str, int]]:
        """Return UID and number of the instances of a series, lowest number first.

        Raises
        ------
        Unreachable, Refused
        """
        try:
            rows = self._rows("IMAGE", iter([{}]), study, series)
        except Absent:
            return []
        numbers = [(uid, row.number) for uid, row in rows.items()]
        return sorted(numbers, key=lambda each: (each[1], each[0]))

    def holds(self, one: Instance) -> bool:
        """Whether the archive has an instance.

        Raises
        ------
        Unreachable, Refused
        """
        return one.uid in dict(self.series(one.study, one.series))

    def fetch(self, one: Instance) -> Film:
        """Return a film, of the UID that was asked for and whole.

        Raises
        ------
        Unreachable, Refused
        """

        def ask() -> Film:
            film = self._film(one)
            check_whole(film.header, one.uid)
            return film

        return self._tried(ask)

    @abstractmethod
    def header(self, one: Instance) -> Any | None:
        """Return the archive's own header of an instance; ``None`` if it has none.

        Raises
        ------
        Unreachable, Refused
        """

    def store(self, dataset: Any) -> Answer:
        """Store a data set, unless the archive has its UID; return what was said.

        Raises
        ------
        Unreachable
            Nobody answers, nobody is let in, or there is no room left.
        """
        one = Instance(
            str(dataset.StudyInstanceUID),
            str(dataset.SeriesInstanceUID),
            str(dataset.SOPInstanceUID),
        )
        if self.holds(one):
            return Answer(one.uid, "already there")
        try:
            answer = self._tried(partial(self._sent_once, dataset, one))
        except Refused as error:
            return Answer(one.uid, "refused", str(error))
        if answer is None:
            return Answer(one.uid, "stored", "the line broke, but it has it")
        if answer.status == "stored" and not self.holds(one):
            unseen = "it said so, but does not show it yet: look again later"
            return Answer(one.uid, "stored", unseen)
        return answer

    def _sent_once(self, dataset: Any, one: Instance) -> Answer | None:
        """Send a data set; return the answer; ``None``: there was none, but it has it.

        An archive may have got it though it never said so: nothing is sent twice
        unasked.
        """
        try:
            return self._send(dataset, one.uid)
        except (Passing, Refused):
            if self.holds(one):
                return None
            raise

    def _tried(self, ask: Callable[[], Result]) -> Result:
        """Return what a question brings, asked again while its failure may pass."""
        wait = FIRST_WAIT
        for tries in range(1, TRIES + 1):
            try:
                return ask()
            except Passing as error:
                failure = error
            if tries < TRIES:
                wait = max(wait, failure.seconds)
                self._wait(min(wait, LONGEST_WAIT) * random.uniform(0.8, 1.2))
                wait *= 2
        if isinstance(failure, NotWhole):
            raise Refused(f"{self.host}: {failure}, {TRIES} times")
        raise Unreachable(
            f"{self.host}: does not answer ({failure}), {TRIES} times{self._remedy}"
        ) from failure

    @abstractmethod
    def _rows(
        self, level: Level, questions: Iterator[dict[str, str]], *inside: str
    ) -> dict[str, Row]:
        """Return what any of some questions finds, by its UID.

        Parameters
        ----------
        level
            Of what is searched for.
        questions
            Values by DICOM keyword; each is a search of its own.
        inside
            UID of the study, and of the series, that is searched.
        """

    @abstractmethod
    def _film(self, one: Instance) -> Film:
        """Return what the archive sends when it is asked for a film once."""

    @abstractmethod
    def _send(self, dataset: Any, uid: str) -> Answer:
        """Send a data set once; return what the archive said."""


def series_number(text: str) -> int:
    """Return the number that an archive gives an instance; 0 if it is none."""
    return int(text) if text.isdecimal() else 0
