"""An archive asked over DIMSE.

It answers the same questions as one that speaks DICOMweb, so that an import or an
export does not know which of the two it speaks to. Each question has a line (an
association) of its own: one that broke costs one try.
"""

from __future__ import annotations

import io
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeAlias

from napari_wsseg.io.archives.archive_client import Archive, Level, Row, series_number
from napari_wsseg.io.archives.replies import (
    Answer,
    Film,
    Instance,
    NotWhole,
    Passing,
    Refused,
    Unreachable,
    reason,
)
from napari_wsseg.io.dimse.place import (
    MOVE,
    TITLE,
    Place,
    landing_place,
    own_title,
)
from napari_wsseg.io.dimse.receiving import FILMS, SYNTAXES, Received, receiving
from napari_wsseg.jobs import JobFailed

CONNECT_SECONDS, SILENT_SECONDS = 10, 60
"""For a line; between a question and its answer."""

_STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
_STUDY_ROOT_MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
_STUDY_ROOT_GET = "1.2.840.10008.5.1.4.1.2.2.3"

_PENDING = (0xFF00, 0xFF01)

_KEYS: Mapping[Level, str] = {
    "STUDY": "StudyInstanceUID",
    "SERIES": "SeriesInstanceUID",
    "IMAGE": "SOPInstanceUID",
}
"""The UID that is asked for at a level."""

Context: TypeAlias = tuple[str, list[str] | None]
"""A class, and the syntaxes that it may come in; ``None``: those without pictures."""


class DimseArchive(Archive):
    """An archive at a place, asked, fetched from and stored to.

    Parameters
    ----------
    where
        See `napari_wsseg.io.dimse.place.place`.
    wait
        Sleeps for seconds between two tries.

    Raises
    ------
    JobFailed
        The packages of the extra ``dimse`` are not installed.
    UsageError
        Our title, or where films are moved to, is off.
    """

    def __init__(
        self, where: Place, *, wait: Callable[[float], object] = time.sleep
    ) -> None:
        try:
            import pynetdicom
        except ImportError as error:
            raise JobFailed(
                f"{error.name or error} is not installed; pip install "
                "'napari-wsseg[dimse]', or take the archive's DICOMweb address"
            ) from error
        # It would write UIDs and answers into the log.
        logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)
        self._where = where
        self._net = pynetdicom
        self._landing = landing_place()
        self._title = own_title(self._landing)
        super().__init__(
            f"{where.host}:{where.port}",
            wait=wait,
            remedy=(
                f"; if it is there, it may not know our title {self._title}: have it "
                f"entered, or set {TITLE}"
            ),
        )

    def header(self, one: Instance) -> Any | None:
        """Return the archive's own header of a film; ``None`` if it has none.

        DIMSE gives headers with their pixels alone, so the film comes with it.

        Raises
        ------
        Unreachable, Refused
        """
        if not self.holds(one):
            return None
        header = self.fetch(one).header
        del header.PixelData
        return header

    def _rows(
        self, level: Level, questions: Iterator[dict[str, str]], *inside: str
    ) -> dict[str, Row]:
        places = dict(
            zip(("StudyInstanceUID", "SeriesInstanceUID"), inside, strict=False)
        )
        found: dict[str, Row] = {}
        for filters in questions:
            identifier = _identifier(level, {**filters, **places})
            for row in self._tried(partial(self._matches, identifier)):
                uid = str(row.get(_KEYS[level], ""))
                if uid:
                    found[uid] = _row(row)
        return found

    def _matches(self, identifier: Any) -> list[Any]:
        with self._line([(_STUDY_ROOT_FIND, None)]) as line:
            rows = []
            for answer, row in line.send_c_find(identifier, _STUDY_ROOT_FIND):
                status = _status(answer)
                if status in _PENDING:
                    rows.append(row)
                elif status:
                    raise Refused(f"{self.host}: cannot answer (0x{status:04X})")
            if any(row is None for row in rows):
                raise Refused(f"{self.host}: its answers cannot be read")
            return rows

    def _film(self, one: Instance) -> Film:
        data = self._moved(one) if self._landing else self._got(one)
        return Film(_read(data), data)

    def _got(self, one: Instance) -> bytes:
        """Return a film's file, by C-GET: it comes back on the line that asks."""
        received = Received()
        contexts: list[Context] = [(_STUDY_ROOT_GET, None)]
        contexts += [(film, [syntax]) for film in FILMS for syntax in SYNTAXES]
        roles = [self._net.build_role(film, scp_role=True) for film in FILMS]
        with self._line(contexts, roles, received.handlers(self._net.evt)) as line:
            if not _accepted(line, _STUDY_ROOT_GET):
                raise Refused(
                    f"{self.host}: does not give films by C-GET; let it know this "
                    f"machine by a title and port, and set {MOVE}=TITLE:PORT"
                )
            answers = line.send_c_get(_instance_identifier(one), _STUDY_ROOT_GET)
            statuses = [_status(answer) for answer, _ in answers]
        return received.film(self.host, one.uid, statuses)

    def _moved(self, one: Instance) -> bytes:
        """Return a film's file, by C-MOVE: it comes to a port the archive knows."""
        assert self._landing is not None
        received = Received()
        with receiving(self._net, self._where, self._landing, received):
            with self._line([(_STUDY_ROOT_MOVE, None)]) as line:
                answers = line.send_c_move(
                    _instance_identifier(one), self._landing.title, _STUDY_ROOT_MOVE
                )
                statuses = [_status(answer) for answer, _ in answers]
        if 0xA801 in statuses:
            raise Refused(
                f"{self.host}: knows no {self._landing.title} to move films to; have "
                f"it entered with this machine and port {self._landing.port}"
            )
        return received.film(self.host, one.uid, statuses)

    def _send(self, dataset: Any, uid: str) -> Answer:
        syntax = str(dataset.file_meta.TransferSyntaxUID)
        try:
            with self._line([(str(dataset.SOPClassUID), [syntax])]) as line:
                status = _status(line.send_c_store(dataset))
        except ValueError as error:  # no context of it was accepted
            raise Refused(
                f"{self.host}: it does not take this kind of object"
            ) from error
        if 0xA700 <= status <= 0xA7FF:
            raise Unreachable(f"{self.host}: has no room left (0x{status:04X})")
        return _answer(uid, status)

    @contextmanager
    def _line(
        self,
        contexts: list[Context],
        roles: list[Any] | None = None,
        handlers: list[Any] | None = None,
    ) -> Iterator[Any]:
        """Hold a line to the archive on which these classes are spoken of.

        Raises
        ------
        Passing, Unreachable, Refused
        """
        entity = self._net.AE(ae_title=self._title)
        entity.connection_timeout = entity.acse_timeout = CONNECT_SECONDS
        entity.dimse_timeout = entity.network_timeout = SILENT_SECONDS
        for kind, syntaxes in contexts:
            entity.add_requested_context(kind, syntaxes or SYNTAXES[:2])
        try:
            line = entity.associate(
                self._where.host,
                self._where.port,
                ae_title=self._where.title,
                ext_neg=roles or None,
                evt_handlers=handlers or [],
            )
            if not line.is_established:
                raise self._refusal(line)
            try:
                yield line
            finally:
                if line.is_established:
                    line.release()
        except (RuntimeError, OSError) as error:  # the line went while it was used
            raise Passing(type(error).__name__) from error

    def _refusal(self, line: Any) -> Exception:
        """Return why a line was not had."""
        if line.is_rejected:
            rejection = line.acceptor.primitive
            passing = getattr(rejection, "result", 1) == 2
            why = str(getattr(rejection, "reason_str", "") or "no reason given")
            if passing:
                return Passing(f"busy ({why})")
            return Unreachable(
                f"{self.host}: does not speak with us ({why}); the title before @ is "
                f"the archive's, ours is {self._title}: have it entered there, or set "
                f"{TITLE}"
            )
        if line.acceptor.primitive is not None and not line.accepted_contexts:
            return Refused(f"{self.host}: it does not take this kind of object")
        return Passing("no connection, or it broke off")


def _identifier(level: Level, terms: Mapping[str, str]) -> Any:
    """Return a question: what is asked for at a level, where attributes are given."""
    from pydicom.dataset import Dataset

    made = Dataset()
    made.SpecificCharacterSet = "ISO_IR 192"
    made.QueryRetrieveLevel = level
    setattr(made, _KEYS[level], "")
    if level == "SERIES":
        made.Modality = ""
    if level == "IMAGE":
        made.InstanceNumber = None
    for name, value in terms.items():
        setattr(made, name, value)
    return made


def _instance_identifier(one: Instance) -> Any:
    """Return the question for one instance."""
    inside = {"StudyInstanceUID": one.study, "SeriesInstanceUID": one.series}
    made = _identifier("IMAGE", inside)
    del made.SpecificCharacterSet, made.InstanceNumber
    made.SOPInstanceUID = one.uid
    return made


def _row(row: Any) -> Row:
    number = row.get("InstanceNumber")
    text = "" if number is None else str(number)
    return Row(str(row.get("Modality", "")), series_number(text))


def _status(answer: Any) -> int:
    """Return the status of an answer; an empty one is a line that broke."""
    if "Status" not in answer:
        raise Passing("no answer, or it broke off")
    return int(answer.Status)


def _accepted(line: Any, kind: str) -> bool:
    return any(str(each.abstract_syntax) == kind for each in line.accepted_contexts)


def _read(data: bytes) -> Any:
    from pydicom import dcmread

    try:
        return dcmread(io.BytesIO(data))
    except Exception as error:  # elements that were cut in two raise nearly anything
        raise NotWhole("sent a damaged film") from error


def _answer(uid: str, status: int) -> Answer:
    """Return what the status of a C-STORE (PS3.4 table B.2-1) says."""
    if status == 0:
        return Answer(uid, "stored")
    if 0xB000 <= status <= 0xBFFF or status in (0x0001, 0x0107, 0x0116):
        return Answer(uid, "stored", f"it warns (0x{status:04X})")
    return Answer(uid, "refused", reason(status))
