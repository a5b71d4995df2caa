"""An archive that speaks DICOMweb (PS3.18): QIDO-RS, WADO-RS, STOW-RS."""

from __future__ import annotations

import io
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, TypeVar

from napari_wsseg.io.archives.archive_client import Archive, Level, Row, series_number
from napari_wsseg.io.archives.replies import (
    Absent,
    Answer,
    Film,
    Instance,
    NotWhole,
    Passing,
    Refused,
    Unreachable,
    reason,
)
from napari_wsseg.io.dicomweb.access import CA, PASSWORD, USER, Access
from napari_wsseg.jobs import DataError, JobFailed

_PASSING = (408, 425, 429, 500, 502, 503, 504)
"""Answers that another try may change."""

_ABSENT = (404, 410)

_SEARCHES: Mapping[Level, tuple[str, str]] = {
    "STUDY": ("search_for_studies", "0020000D"),
    "SERIES": ("search_for_series", "0020000E"),
    "IMAGE": ("search_for_instances", "00080018"),
}
"""What searches at a level, and the tag of the UIDs that it finds."""

Result = TypeVar("Result")


class DicomWebArchive(Archive):
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
        super().__init__(access.host, wait=wait)
        self._client = DICOMwebClient(
            access.url,
            session=sessions.Session(access),
            timeout=(sessions.CONNECT_SECONDS, sessions.SILENT_SECONDS),
            permissive_uid=True,
            chunk_size=2**30,  # whole bodies: an answer that is not read would block
        )
        self._client.set_http_retry_params(retry=False)

    def header(self, one: Instance) -> Any | None:
        """Return the archive's own header of an instance; ``None`` if it has none.

        Raises
        ------
        Unreachable, Refused
        """
        from pydicom.dataset import Dataset

        try:
            found = self._tried(
                lambda: self._asked(
                    self._client.retrieve_instance_metadata,
                    one.study,
                    one.series,
                    one.uid,
                )
            )
            return Dataset.from_json(found, lambda tag, vr, uri: None)
        except Absent:
            return None
        except (TypeError, KeyError, AttributeError, ValueError) as error:
            raise Refused(f"{self.host}: its header of a film is damaged") from error

    def _rows(
        self, level: Level, questions: Iterator[dict[str, str]], *inside: str
    ) -> dict[str, Row]:
        search, tag = _SEARCHES[level]
        found: dict[str, Row] = {}
        for filters in questions:
            offset = 0
            while True:
                page = partial(
                    self._asked,
                    _search,
                    getattr(self._client, search),
                    *inside,
                    search_filters=filters,
                    offset=offset or None,
                )
                rows = self._tried(page)
                new = {uid: _row(row) for row in rows if (uid := _value(row, tag))}
                fresh = new.keys() - found.keys()
                found.update(new)
                offset += len(rows)
                # Archives that know no offset send the same rows again.
                if not fresh or not rows:
                    break
        return found

    def _film(self, one: Instance) -> Film:
        header = self._asked(
            self._client.retrieve_instance,
            one.study,
            one.series,
            one.uid,
            media_types=(("application/dicom", "*"),),
        )
        return Film(header, _encoded(header))

    def _send(self, dataset: Any, uid: str) -> Answer:
        return _answer(uid, self._asked(self._client.store_instances, [dataset]))

    def _asked(self, ask: Callable[..., Result], *given: Any, **options: Any) -> Result:
        """Return what one question brings; its failures in the words of all archives.

        Raises
        ------
        Passing, Unreachable, Refused
        """
        import requests

        from napari_wsseg.io.dicomweb import sessions

        try:
            return ask(*given, **options)
        except requests.HTTPError as error:
            if error.response.status_code not in _PASSING:
                raise self._refusal(error.response) from error
            raise Passing(_short(error), _asked_to_wait(error.response)) from error
        except (requests.exceptions.SSLError, requests.exceptions.InvalidURL) as error:
            raise Unreachable(
                f"{self.host}: no safe line ({_short(error)}); name the file of "
                f"certificates that sign the archive's with --ca or {CA}"
            ) from error
        except sessions.TooLarge as error:
            raise Refused(f"{self.host}: sent {error}") from error
        except requests.RequestException as error:
            raise Passing(_short(error)) from error
        except Exception as error:  # an answer that is not DICOMweb at all
            raise Refused(
                f"{self.host}: answers, but not as DICOMweb does; is the address "
                "that of its DICOMweb service? Orthanc's ends in /dicom-web"
            ) from error

    def _refusal(self, response: Any) -> DataError | JobFailed:
        """Return what an answer means that no other try will change."""
        status = response.status_code
        if status == 401:
            return Unreachable(
                f"{self.host}: lets nobody in without the right name (401); set {USER} "
                f"and {PASSWORD}, or use the keyring"
            )
        if status == 403:
            return Unreachable(f"{self.host}: does not allow this to you (403)")
        if status == 507:
            return Unreachable(f"{self.host}: has no room left (507)")
        why = _failures(response) or response.reason or "no reason given"
        kind = Absent if status in _ABSENT else Refused
        return kind(f"{self.host}: {why} ({status})")


def _search(search: Any, *inside: str, **options: Any) -> list[Mapping[str, Any]]:
    rows = search(*inside, **options)
    if not all(isinstance(row, dict) for row in rows):
        raise TypeError("no rows of a search")
    return list(rows)


def _encoded(header: Any) -> bytes:
    file = io.BytesIO()
    try:
        header.save_as(file, enforce_file_format=True)
    except Exception as error:  # elements that were cut in two raise nearly anything
        raise NotWhole("sent a damaged film") from error
    return file.getvalue()


def _row(row: Mapping[str, Any]) -> Row:
    return Row(_value(row, "00080060"), series_number(_value(row, "00200013")))


def _value(row: Mapping[str, Any], tag: str) -> str:
    found = row.get(tag)
    values = found.get("Value") if isinstance(found, dict) else None
    return str(values[0]) if values else ""


def _asked_to_wait(response: Any) -> float:
    """Return the seconds of a Retry-After; 0 if there is none."""
    seconds = str(response.headers.get("Retry-After", ""))
    return float(seconds) if seconds.isdigit() else 0.0


def _answer(uid: str, response: Any) -> Answer:
    """Return what a Store Instances Response (PS3.18 10.5.3) says of an instance."""
    failed = _failure_codes(response)
    if failed:
        return Answer(uid, "refused", reason(failed[0]))
    for item in response.get("ReferencedSOPSequence", ()):
        if "WarningReason" in item:
            warning = f"it warns (0x{int(item.WarningReason):04X})"
            return Answer(uid, "stored", warning)
    return Answer(uid, "stored")


def _failure_codes(response: Any) -> list[int]:
    items = (
        *response.get("FailedSOPSequence", ()),
        *response.get("OtherFailuresSequence", ()),
    )
    return [int(item.get("FailureReason") or 0) for item in items]


def _failures(response: Any) -> str:
    """Return the reasons in the body of a refusal; empty if it is not DICOM."""
    from pydicom.dataset import Dataset

    try:
        body = response.json()
        refusal = Dataset.from_json(body[0] if isinstance(body, list) else body)
        codes = _failure_codes(refusal)
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
    for kind, text in kinds:
        if isinstance(error, kind):
            return text
    return type(error).__name__
