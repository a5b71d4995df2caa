"""A conversation with an archive, in words that a person understands when it fails."""

from __future__ import annotations

import io
import logging
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeVar

from napari_wsseg.io.dicomweb.access import CA, PASSWORD, USER, Access
from napari_wsseg.io.dicomweb.query import Query
from napari_wsseg.jobs import DataError, JobFailed

TRIES = 5
FIRST_WAIT = 1.0
LONGEST_WAIT = 30.0
"""Seconds before the second try, doubled each time; never longer than this."""

_PASSING = (408, 425, 429, 500, 502, 503, 504)
"""Answers that another try may change."""

NOT_FILMS = frozenset(("SEG", "SR", "PR", "KO", "DOC", "REG", "RTSTRUCT", "ECG"))
"""Modalities of what no archive is asked for here."""

_REASONS = {
    0x0110: "it failed at its own work",
    0x0111: "it has an instance with this UID already",
    0x0122: "it does not take this kind of object",
    0x0124: "not allowed",
    0xA700: "it has no room left",
    0xA900: "the data set does not match its kind of object",
    0xC000: "it cannot understand the data set",
    0xC122: "it does not take this transfer syntax",
}
"""Failure Reason (PS3.18 table I.2-2)."""

Result = TypeVar("Result")
Status = Literal["stored", "already there", "refused"]


class Unreachable(JobFailed):
    """The archive does not answer, or lets nobody in: the next question is vain."""


class Refused(DataError):
    """The archive answered, and will not give or take this one thing."""


@dataclass(frozen=True, slots=True)
class Instance:
    """A film or other object in an archive, by the UIDs that lead to it."""

    study: str
    series: str
    uid: str


@dataclass(frozen=True, slots=True)
class Film:
    """A film as it came: its data set, and the bytes of its file."""

    header: Any
    data: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What an archive said to an instance that was to be stored."""

    uid: str
    status: Status
    words: str = ""


class Archive:
    """An archive, entered as `Access` says.

    Parameters
    ----------
    wait
        Sleeps for seconds between two tries.

    Raises
    ------
    JobFailed
        The packages of the extra ``pacs`` are not installed.
    """

    def __init__(
        self, access: Access, *, wait: Callable[[float], object] = time.sleep
    ) -> None:
        try:
            from dicomweb_client import DICOMwebClient

            from napari_wsseg.io.dicomweb import sessions
        except ImportError as error:
            raise JobFailed(
                f"{error.name or error} is not installed; pip install "
                "'napari-wsseg[pacs]'"
            ) from error
        # It would write UIDs and questions into the log.
        logging.getLogger("dicomweb_client").setLevel(logging.ERROR)
        self.host = access.host
        self._wait = wait
        self._client = DICOMwebClient(
            access.url,
            session=sessions.Session(access),
            timeout=(sessions.CONNECT_SECONDS, sessions.SILENT_SECONDS),
            permissive_uid=True,
            chunk_size=2**30,  # whole bodies: an answer that is not read would block
        )
        self._client.set_http_retry_params(retry=False)

    def find(self, query: Query) -> Iterator[Instance]:
        """Yield the films that a query asks for, each once.

        Raises
        ------
        Unreachable, Refused
        """
        for study in self._searched(
            query.of_studies(), self._client.search_for_studies, "0020000D"
        ):
            yield from self._of_study(study, query)

    def _of_study(self, study: str, query: Query) -> Iterator[Instance]:
        series = self._rows(
            query.of_series(), self._client.search_for_series, "0020000E", study
        )
        for uid, row in series.items():
            if _value(row, "00080060") in NOT_FILMS:
                continue
            found = self._searched(
                query.of_instances(),
                self._client.search_for_instances,
                "00080018",
                study,
                uid,
            )
            for sop in found:
                yield Instance(study, uid, sop)

    def _searched(
        self,
        questions: Iterator[dict[str, str]],
        search: Any,
        tag: str,
        *inside: str,
    ) -> list[str]:
        return [*self._rows(questions, search, tag, *inside)]

    def _rows(
        self,
        questions: Iterator[dict[str, str]],
        search: Any,
        tag: str,
        *inside: str,
    ) -> dict[str, Mapping[str, Any]]:
        """Return the rows that any of some questions finds, by their UID."""
        found: dict[str, Mapping[str, Any]] = {}
        for filters in questions:
            offset = 0
            while True:
                ask = partial(
                    search, *inside, search_filters=filters, offset=offset or None
                )
                rows = self._tried(lambda ask=ask: _checked_rows(ask()))  # type: ignore[misc]
                new = {uid: row for row in rows if (uid := _value(row, tag))}
                fresh = new.keys() - found.keys()
                found.update(new)
                offset += len(rows)
                # Archives that know no offset send the same rows again.
                if not fresh or not rows:
                    break
        return found

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
        try:
            rows = self._rows(
                iter([{}]),
                self._client.search_for_instances,
                "00080018",
                study,
                series,
            )
        except Refused as error:
            if _is_absent(error):
                return []
            raise
        numbers = {uid: _number(_value(row, "00200013")) for uid, row in rows.items()}
        return sorted(numbers.items(), key=lambda each: (each[1], each[0]))

    def header(self, one: Instance) -> Any | None:
        """Return the archive's own header of an instance; ``None`` if it has none.

        Raises
        ------
        Unreachable, Refused
        """
        from pydicom.dataset import Dataset

        try:
            found = self._tried(
                lambda: self._client.retrieve_instance_metadata(
                    one.study, one.series, one.uid
                )
            )
            return Dataset.from_json(found, lambda tag, vr, uri: None)
        except Refused as error:
            if _is_absent(error):
                return None
            raise
        except (TypeError, KeyError, AttributeError, ValueError) as error:
            raise Refused(f"{self.host}: its header of a film is damaged") from error

    def fetch(self, one: Instance) -> Film:
        """Return a film, of the UID that was asked for and whole.

        Raises
        ------
        Unreachable, Refused
        """

        def ask() -> Film:
            found = self._client.retrieve_instance(
                one.study,
                one.series,
                one.uid,
                media_types=(("application/dicom", "*"),),
            )
            check_whole(found, one.uid)
            return Film(found, _encoded(found))

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
            told = self._tried(lambda: self._post(dataset, one))
        except Refused as error:
            return Answer(one.uid, "refused", str(error))
        if told is None:
            return Answer(one.uid, "stored", "the line broke, but it has it")
        return _answer(one.uid, told, seen=self.holds(one))

    def _post(self, dataset: Any, one: Instance) -> Any:
        try:
            return self._client.store_instances([dataset])
        except OSError:
            # It may have arrived all the same: nothing is sent twice unasked.
            if self.holds(one):
                return None
            raise

    def _tried(self, ask: Callable[[], Result]) -> Result:
        """Return what a question brings, asked again while its failure may pass."""
        import requests

        from napari_wsseg.io.dicomweb import sessions

        wait = FIRST_WAIT
        for tries in range(1, TRIES + 1):
            try:
                return ask()
            except requests.HTTPError as error:
                status = error.response.status_code
                if status not in _PASSING:
                    raise self._no(error) from error
                failure: Exception = error
                wait = max(wait, _asked_to_wait(error.response))
            except (requests.exceptions.SSLError, requests.exceptions.InvalidURL) as e:
                raise Unreachable(
                    f"{self.host}: no safe line ({_short(e)}); name the file of "
                    f"certificates that sign the archive's with --ca or {CA}"
                ) from e
            except sessions.TooLarge as error:
                raise Refused(f"{self.host}: sent {error}") from error
            except (requests.RequestException, NotWhole) as error:
                failure = error
            except (Unreachable, Refused):
                raise
            except Exception as error:  # an answer that is not DICOMweb at all
                raise Refused(
                    f"{self.host}: answers, but not as DICOMweb does; is the address "
                    "that of its DICOMweb service? Orthanc's ends in /dicom-web"
                ) from error
            if tries < TRIES:
                self._wait(min(wait, LONGEST_WAIT) * random.uniform(0.8, 1.2))
                wait *= 2
        if isinstance(failure, NotWhole):
            raise Refused(f"{self.host}: {failure}, {TRIES} times")
        raise Unreachable(
            f"{self.host}: does not answer ({_short(failure)}), {TRIES} times"
        ) from failure

    def _no(self, error: Any) -> DataError | JobFailed:
        """Return what an answer means that no other try will change."""
        status = error.response.status_code
        if status == 401:
            return Unreachable(
                f"{self.host}: lets nobody in without the right name (401); set {USER} "
                f"and {PASSWORD}, or use the keyring"
            )
        if status == 403:
            return Unreachable(f"{self.host}: does not allow this to you (403)")
        if status == 507:
            return Unreachable(f"{self.host}: has no room left (507)")
        words = _failures(error.response) or error.response.reason or "no reason given"
        return Refused(f"{self.host}: {words} ({status})")


class NotWhole(Exception):
    """What came is not what was asked for, or not all of it."""


def check_whole(found: Any, uid: str) -> None:
    """Check that a data set is the film that was asked for, with all of its pixels.

    Raises
    ------
    NotWhole
    """
    if str(found.get("SOPInstanceUID", "")) != uid:
        raise NotWhole("sent another film than the one that was asked for")
    if "PixelData" not in found:
        raise NotWhole("sent a film without pixels")
    if found.file_meta.TransferSyntaxUID.is_encapsulated:
        return
    sizes = (found.Rows, found.Columns, found.get("SamplesPerPixel") or 1)
    bits = int(found.BitsAllocated) * int(found.get("NumberOfFrames") or 1)
    for size in sizes:
        bits *= int(size)
    if len(found.PixelData) * 8 < bits:
        raise NotWhole("sent a film whose pixels break off")


def _checked_rows(found: Any) -> list[Mapping[str, Any]]:
    if not all(isinstance(row, dict) for row in found):
        raise TypeError("no rows of a search")
    return list(found)


def _encoded(found: Any) -> bytes:
    file = io.BytesIO()
    try:
        found.save_as(file, enforce_file_format=True)
    except Exception as error:  # elements that were cut in two raise nearly anything
        raise NotWhole("sent a damaged film") from error
    return file.getvalue()


def _is_absent(error: Refused) -> bool:
    return str(error).endswith(("(404)", "(410)"))


def _value(row: Mapping[str, Any], tag: str) -> str:
    found = row.get(tag)
    values = found.get("Value") if isinstance(found, dict) else None
    return str(values[0]) if values else ""


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0


def _asked_to_wait(response: Any) -> float:
    told = str(response.headers.get("Retry-After", ""))
    return float(told) if told.isdigit() else 0.0


def _answer(uid: str, told: Any, *, seen: bool) -> Answer:
    failed = [int(item.get("FailureReason") or 0) for item in _failed(told)]
    if failed:
        return Answer(uid, "refused", reason(failed[0]))
    if not seen:
        words = "it said so, but does not show it yet: look again later"
        return Answer(uid, "stored", words)
    for item in told.get("ReferencedSOPSequence", ()):
        if "WarningReason" in item:
            words = f"it warns (0x{int(item.WarningReason):04X})"
            return Answer(uid, "stored", words)
    return Answer(uid, "stored")


def _failed(told: Any) -> list[Any]:
    return [*told.get("FailedSOPSequence", ()), *told.get("OtherFailuresSequence", ())]


def reason(code: int) -> str:
    """Say what a Failure Reason, or the status of a C-STORE, means."""
    return _REASONS.get(code, f"it gives the reason 0x{code:04X}")


def _failures(response: Any) -> str:
    """Return the reasons in the body of a refusal; empty if it is not DICOM."""
    from pydicom.dataset import Dataset

    try:
        body = response.json()
        told = Dataset.from_json(body[0] if isinstance(body, list) else body)
        codes = [int(item.get("FailureReason") or 0) for item in _failed(told)]
    except Exception:  # whatever a gateway writes for people
        return ""
    return ", ".join(reason(code) for code in dict.fromkeys(codes))


def _short(error: Exception) -> str:
    """Return what failed, without addresses: they may hold a patient's number."""
    import requests

    if isinstance(error, requests.HTTPError):
        return f"{error.response.status_code} {error.response.reason or ''}".strip()
    kinds = (
        (requests.exceptions.SSLError, "its certificate is not believed"),
        (requests.Timeout, "too slow"),
        (requests.ConnectionError, "no connection, or it broke off"),
        (requests.exceptions.ChunkedEncodingError, "the answer broke off"),
    )
    for kind, words in kinds:
        if isinstance(error, kind):
            return words
    return type(error).__name__
