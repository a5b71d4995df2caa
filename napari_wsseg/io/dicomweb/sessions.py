"""A session of the web that cannot be held for ever, nor filled without end."""

from __future__ import annotations

import time
from typing import Any

import requests

from napari_wsseg.io.dicomweb.access import Access
from napari_wsseg.io.films.limits import MAX_FILE_BYTES

CONNECT_SECONDS, SILENT_SECONDS = 10.0, 60.0
"""For a connection; between two pieces of an answer."""

WHOLE_SECONDS = 600.0
"""For an answer from its first byte to its last: a trickle is no answer."""

_MOST_BYTES = MAX_FILE_BYTES + 2**20
_PIECE = 2**20


class Session(requests.Session):  # type: ignore[misc]
    """Reads every answer here, with bounds; signs every question as `Access` says."""

    def __init__(self, access: Access) -> None:
        super().__init__()
        self.auth: Any = None
        if access.token:
            self.auth = _Bearer(access.token)
        elif access.password:
            self.auth = (access.user, access.password)
        self._ca = access.ca
        if access.ca:
            self.verify = access.ca
        if access.certificate:
            self.cert = (
                (access.certificate, access.key) if access.key else access.certificate
            )

    def merge_environment_settings(self, *arguments: Any, **options: Any) -> Any:
        """Believe the certificates that were named for the archive before all others.

        requests would let ``REQUESTS_CA_BUNDLE`` count before them.
        """
        found = super().merge_environment_settings(*arguments, **options)
        return {**found, "verify": self._ca} if self._ca else found

    def send(self, request: Any, **options: Any) -> Any:
        """Send a question; return its answer, whole.

        Raises
        ------
        requests.RequestException
            It broke off, took too long, or is larger than a film can be.
        """
        options["stream"] = True
        answer = super().send(request, **options)
        if not answer._content_consumed:
            answer._content = _body(answer)
            answer._content_consumed = True
        return answer


class _Bearer(requests.auth.AuthBase):  # type: ignore[misc]
    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: Any) -> Any:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _body(answer: Any) -> bytes:
    began, found = time.monotonic(), bytearray()
    for piece in answer.iter_content(_PIECE):
        found += piece
        if len(found) > _MOST_BYTES:
            answer.close()
            raise TooLarge(f"over {MAX_FILE_BYTES // 2**20} MiB")
        if time.monotonic() - began > WHOLE_SECONDS:
            answer.close()
            raise requests.ReadTimeout(f"not whole after {WHOLE_SECONDS:.0f} s")
    return bytes(found)


class TooLarge(requests.RequestException):  # type: ignore[misc]
    """An answer is larger than any film."""
