"""An archive that speaks DIMSE (PS3.7): C-FIND, C-GET or C-MOVE, C-STORE.

It answers the same questions as `napari_wsseg.io.dicomweb.client.Archive`, so that an
import or an export does not know which of the two it speaks to. Each question has a
line (an association) of its own: one that broke costs one try.
"""

from __future__ import annotations

import io
import logging
import os
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar
from urllib.parse import urlsplit

from napari_wsseg.io.dicomweb import access
from napari_wsseg.io.dicomweb.client import (
    FIRST_WAIT,
    LONGEST_WAIT,
    NOT_FILMS,
    TRIES,
    Answer,
    Film,
    Instance,
    NotWhole,
    Refused,
    Unreachable,
    check_whole,
    reason,
)
from napari_wsseg.io.dicomweb.query import Query
from napari_wsseg.io.films.limits import MAX_FILE_BYTES
from napari_wsseg.jobs import JobFailed, UsageError

SCHEME = "dimse"
TITLE, MOVE = "WSSEG_PACS_AET", "WSSEG_PACS_MOVE"
"""Environment: our title (AE title); title and port that films are moved to."""

DEFAULT_TITLE = "WSSEG"
CONNECT_SECONDS, SILENT_SECONDS = 10, 60
"""For a line; between a question and its answer."""

_FILMS = tuple(
    f"1.2.840.10008.5.1.4.1.1.{number}" for number in ("1.1", "1.1.1", "1", "7")
)
"""Storage classes of films: digital X-ray (two), computed radiography, secondary
capture. An archive may have been told of any of the syntaxes below."""

_SYNTAXES = (
    *("1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.1.99"),
    *("1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"),
    *("1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70"),
    *("1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81"),
    *("1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91"),
)
"""Each in a presentation context of its own, so that films come as they lie there."""

_STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
_STUDY_ROOT_MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
_STUDY_ROOT_GET = "1.2.840.10008.5.1.4.1.2.2.3"

_PENDING = (0xFF00, 0xFF01)
_TITLE = re.compile(r"[^\\\x00-\x1f]{1,16}")

Result = TypeVar("Result")
Context: TypeAlias = tuple[str, list[str] | None]
"""A class, and the syntaxes that it may come in; ``None``: those without pictures."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an archive listens.

    Parameters
    ----------
    title
        Its AE title, which it wants to be called by.
    host, port
        Of the machine.
    """

    title: str
    host: str
    port: int


def place(url: str) -> Place:
    """Return what an address ``dimse://AET@HOST:PORT`` means.

    Raises
    ------
    UsageError
        It is none, has a password in it, or its line could be read by others.
    """
    try:
        parts = urlsplit(url)
        title, host, port = parts.username, parts.hostname, parts.port
        more = parts.password or parts.path.strip("/") or parts.query or parts.fragment
    except ValueError as error:
        raise UsageError(f"not the address of an archive ({error})") from error
    if parts.scheme != SCHEME or not title or not host or not port or more:
        raise UsageError(
            f"not the address of an archive that speaks DIMSE; an example is "
            f"{SCHEME}://ORTHANC@pacs.example.org:4242, with its title (AET) before @"
        )
    if not _TITLE.fullmatch(title):
        raise UsageError(f"{title!r}: a title (AET) has 1 to 16 characters")
    access.require_closed_line(f"{SCHEME}://{host}", host)
    return Place(title, host, port)


@dataclass(frozen=True, slots=True)
class _Landing:
    """Where films are moved to: our title and port, as the archive knows them."""

    title: str
    port: int


def _landing() -> _Landing | None:
    told = os.environ.get(MOVE, "")
    if not told:
        return None
    title, _, port = told.rpartition(":")
    if not _TITLE.fullmatch(title) or not port.isdecimal() or not int(port) < 65536:
        raise UsageError(f"{MOVE}={told}: write TITLE:PORT, e.g. WSSEG:11112")
    return _Landing(title, int(port))


class DimseArchive:
    """An archive at a place, asked, fetched from and stored to.

    Parameters
    ----------
    where
        See `place`.
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
        self.host = f"{where.host}:{where.port}"
        self._where = where
        self._wait = wait
        self._net = pynetdicom
        self._landing = _landing()
        own = os.environ.get(TITLE) or (
            self._landing.title if self._landing else DEFAULT_TITLE
        )
        if not _TITLE.fullmatch(own):
            raise UsageError(f"{TITLE}={own}: a title has 1 to 16 characters")
        self._title = own

    def find(self, query: Query) -> Iterator[Instance]:
        """Yield the films that a query asks for, each once.

        Raises
        ------
        Unreachable, Refused
        """
        studies = self._rows("STUDY", query.of_studies(), "StudyInstanceUID")
        for study in studies:
            inside = {"StudyInstanceUID": study}
            series = self._rows(
                "SERIES", query.of_series(), "SeriesInstanceUID", inside
            )
            for uid, row in series.items():
                if str(row.get("Modality", "")) in NOT_FILMS:
                    continue
                within = {**inside, "SeriesInstanceUID": uid}
                for sop in self._rows(
                    "IMAGE", query.of_instances(), "SOPInstanceUID", within
                ):
                    yield Instance(study, uid, sop)

    def holds(self, one: Instance) -> bool:
        """Whether the archive has an instance.

        Raises
        ------
        Unreachable, Refused
        """
        return one.uid in dict(self.series(one.study, one.series))

    def series(self, study: str, series: str) -> list[tuple[str, int]]:
        """Return UID and number of the instances of a series, lowest number first.

        Raises
        ------
        Unreachable, Refused
        """
        inside = {"StudyInstanceUID": study, "SeriesInstanceUID": series}
        rows = self._rows("IMAGE", iter([{}]), "SOPInstanceUID", inside)
        numbers = {uid: _number(row.get("InstanceNumber")) for uid, row in rows.items()}
        return sorted(numbers.items(), key=lambda each: (each[1], each[0]))

    def header(self, one: Instance) -> Any | None:
        """Return the archive's own header of a film; ``None`` if it has none.

        DIMSE gives headers with their pixels alone, so the film comes with it.

        Raises
        ------
        Unreachable, Refused
        """
        if not self.holds(one):
            return None
        found = self.fetch(one).header
        del found.PixelData
        return found

    def fetch(self, one: Instance) -> Film:
        """Return a film, of the UID that was asked for and whole.

        Raises
        ------
        Unreachable, Refused
        """

        def ask() -> Film:
            data = self._moved(one) if self._landing else self._got(one)
            header = _read(data)
            check_whole(header, one.uid)
            return Film(header, data)

        return self._tried(ask)

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
            status = self._tried(lambda: self._sent(dataset, one))
        except Refused as error:
            return Answer(one.uid, "refused", str(error))
        if status is None:
            return Answer(one.uid, "stored", "the line broke, but it has it")
        if 0xA700 <= status <= 0xA7FF:
            raise Unreachable(f"{self.host}: has no room left (0x{status:04X})")
        return _answer(one.uid, status, seen=self.holds(one))

    def _sent(self, dataset: Any, one: Instance) -> int | None:
        """Send a data set; return the status; ``None``: no answer, but it has it."""
        syntax = str(dataset.file_meta.TransferSyntaxUID)
        try:
            with self._line([(str(dataset.SOPClassUID), [syntax])]) as line:
                return _status(line.send_c_store(dataset))
        except _Broken:
            # It may have arrived all the same: nothing is sent twice unasked.
            if self.holds(one):
                return None
            raise
        except ValueError as error:  # no context of it was accepted
            raise Refused(
                f"{self.host}: it does not take this kind of object"
            ) from error

    def _rows(
        self,
        level: str,
        questions: Iterator[dict[str, str]],
        key: str,
        inside: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Return the answers that any of some questions finds, by their UID."""
        found: dict[str, Any] = {}
        for filters in questions:
            identifier = _identifier(level, key, {**filters, **(inside or {})})
            for row in self._tried(lambda ask=identifier: self._asked(ask)):  # type: ignore[misc]
                uid = str(row.get(key, ""))
                if uid:
                    found[uid] = row
        return found

    def _asked(self, identifier: Any) -> list[Any]:
        with self._line([(_STUDY_ROOT_FIND, None)]) as line:
            rows = []
            for told, row in line.send_c_find(identifier, _STUDY_ROOT_FIND):
                status = _status(told)
                if status in _PENDING:
                    rows.append(row)
                elif status:
                    raise Refused(f"{self.host}: cannot answer (0x{status:04X})")
            if any(row is None for row in rows):
                raise Refused(f"{self.host}: its answers cannot be read")
            return rows

    def _got(self, one: Instance) -> bytes:
        """Return a film's file, by C-GET: it comes back on the line that asks."""
        came = _Received()
        contexts: list[Context] = [(_STUDY_ROOT_GET, None)]
        contexts += [(film, [syntax]) for film in _FILMS for syntax in _SYNTAXES]
        roles = [self._net.build_role(film, scp_role=True) for film in _FILMS]
        with self._line(contexts, roles, came.handlers(self._net.evt)) as line:
            if not _accepted(line, _STUDY_ROOT_GET):
                raise Refused(
                    f"{self.host}: does not give films by C-GET; let it know this "
                    f"machine by a title and port, and set {MOVE}=TITLE:PORT"
                )
            told = [
                _status(status)
                for status, _ in line.send_c_get(_of(one), _STUDY_ROOT_GET)
            ]
        return came.film(self.host, one.uid, told)

    def _moved(self, one: Instance) -> bytes:
        """Return a film's file, by C-MOVE: it comes to a port the archive knows."""
        assert self._landing is not None
        came = _Received()
        with _receiving(self._net, self._where, self._landing, came):
            with self._line([(_STUDY_ROOT_MOVE, None)]) as line:
                answers = line.send_c_move(
                    _of(one), self._landing.title, _STUDY_ROOT_MOVE
                )
                told = [_status(status) for status, _ in answers]
        if 0xA801 in told:
            raise Refused(
                f"{self.host}: knows no {self._landing.title} to move films to; have "
                f"it entered with this machine and port {self._landing.port}"
            )
        return came.film(self.host, one.uid, told)

    @contextmanager
    def _line(
        self,
        contexts: list[Context],
        roles: list[Any] | None = None,
        handlers: list[Any] | None = None,
    ) -> Iterator[Any]:
        """Hold a line to the archive on which these classes are spoken of."""
        entity = self._net.AE(ae_title=self._title)
        entity.connection_timeout = entity.acse_timeout = CONNECT_SECONDS
        entity.dimse_timeout = entity.network_timeout = SILENT_SECONDS
        for kind, syntaxes in contexts:
            entity.add_requested_context(kind, syntaxes or _SYNTAXES[:2])
        line = entity.associate(
            self._where.host,
            self._where.port,
            ae_title=self._where.title,
            ext_neg=roles or None,
            evt_handlers=handlers or [],
        )
        if not line.is_established:
            raise self._no(line)
        try:
            yield line
        finally:
            if line.is_established:
                line.release()

    def _no(self, line: Any) -> Exception:
        """Return why a line was not had."""
        if line.is_rejected:
            told = line.acceptor.primitive
            passing = getattr(told, "result", 1) == 2
            words = str(getattr(told, "reason_str", "") or "no reason given")
            if passing:
                return _Broken(f"busy ({words})")
            return Unreachable(
                f"{self.host}: does not speak with us ({words}); the title before @ is "
                f"the archive's, ours is {self._title}: have it entered there, or set "
                f"{TITLE}"
            )
        if line.acceptor.primitive is not None and not line.accepted_contexts:
            return Refused(f"{self.host}: it does not take this kind of object")
        return _Broken("no connection, or it broke off")

    def _tried(self, ask: Callable[[], Result]) -> Result:
        """Return what a question brings, asked again while its failure may pass."""
        wait = FIRST_WAIT
        for tries in range(1, TRIES + 1):
            try:
                return ask()
            except (_Broken, NotWhole) as error:
                failure: Exception = error
            except (RuntimeError, OSError) as error:  # the line went while it was used
                failure = _Broken(type(error).__name__)
            if tries < TRIES:
                self._wait(min(wait, LONGEST_WAIT) * random.uniform(0.8, 1.2))
                wait *= 2
        if isinstance(failure, NotWhole):
            raise Refused(f"{self.host}: {failure}, {TRIES} times")
        raise Unreachable(
            f"{self.host}: does not answer ({failure}), {TRIES} times; if it is there, "
            f"it may not know our title {self._title}: have it entered, or set {TITLE}"
        )


class _Broken(Exception):
    """The line was not had, or broke off; another try may do."""


class _Received:
    """Films as they come in, with a bound on what one may hold."""

    def __init__(self) -> None:
        self._films: dict[str, bytes] = {}
        self._bytes = 0
        self._too_large = False

    def handlers(self, evt: Any) -> list[Any]:
        """Return what a line calls when something comes in."""
        return [(evt.EVT_C_STORE, self._store), (evt.EVT_DATA_RECV, self._count)]

    def _store(self, event: Any) -> int:
        self._films[str(event.request.AffectedSOPInstanceUID)] = event.encoded_dataset()
        return 0x0000

    def _count(self, event: Any) -> None:
        self._bytes += len(event.data)
        if self._bytes > MAX_FILE_BYTES + 2**20 and not self._too_large:
            self._too_large = True
            event.assoc.abort()

    def film(self, host: str, uid: str, told: list[int]) -> bytes:
        """Return the one film that was asked for."""
        if self._too_large:
            raise Refused(f"{host}: sent over {MAX_FILE_BYTES // 2**20} MiB")
        if uid in self._films:
            return self._films[uid]
        if self._films:
            raise NotWhole("sent another film than the one that was asked for")
        last = told[-1] if told else 0
        raise Refused(f"{host}: sent no film (0x{last:04X})")


@contextmanager
def _receiving(
    net: Any, where: Place, landing: _Landing, came: _Received
) -> Iterator[None]:
    """Listen at the port that an archive moves films to."""
    entity = net.AE(ae_title=landing.title)
    entity.require_called_aet = True
    entity.require_calling_aet = [where.title]
    own = "127.0.0.1" if access.is_here(where.host) else ""
    for film in _FILMS:
        entity.add_supported_context(film, list(_SYNTAXES))
    try:
        server = entity.start_server(
            (own, landing.port), block=False, evt_handlers=came.handlers(net.evt)
        )
    except OSError as error:
        raise Unreachable(
            f"port {landing.port} of {MOVE} cannot be listened at ({error.strerror})"
        ) from error
    try:
        yield
    finally:
        server.shutdown()


def _identifier(level: str, key: str, terms: Mapping[str, str]) -> Any:
    from pydicom.dataset import Dataset

    made = Dataset()
    made.SpecificCharacterSet = "ISO_IR 192"
    made.QueryRetrieveLevel = level
    setattr(made, key, "")
    if level == "SERIES":
        made.Modality = ""
    if level == "IMAGE":
        made.InstanceNumber = None
    for name, value in terms.items():
        setattr(made, name, value)
    return made


def _of(one: Instance) -> Any:
    """Return the identifier of one instance."""
    inside = {"StudyInstanceUID": one.study, "SeriesInstanceUID": one.series}
    made = _identifier("IMAGE", "SOPInstanceUID", inside)
    del made.SpecificCharacterSet, made.InstanceNumber
    made.SOPInstanceUID = one.uid
    return made


def _status(told: Any) -> int:
    """Return the status of an answer; an empty one is a line that broke."""
    if "Status" not in told:
        raise _Broken("no answer, or it broke off")
    return int(told.Status)


def _accepted(line: Any, kind: str) -> bool:
    return any(str(each.abstract_syntax) == kind for each in line.accepted_contexts)


def _read(data: bytes) -> Any:
    from pydicom import dcmread

    try:
        return dcmread(io.BytesIO(data))
    except Exception as error:  # elements that were cut in two raise nearly anything
        raise NotWhole("sent a damaged film") from error


def _number(value: Any) -> int:
    text = str(value if value is not None else "")
    return int(text) if text.isdecimal() else 0


def _answer(uid: str, status: int, *, seen: bool) -> Answer:
    if status == 0:
        words = "" if seen else "it said so, but does not show it yet: look again later"
        return Answer(uid, "stored", words)
    if 0xB000 <= status <= 0xBFFF or status in (0x0001, 0x0107, 0x0116):
        return Answer(uid, "stored", f"it warns (0x{status:04X})")
    return Answer(uid, "refused", reason(status))
