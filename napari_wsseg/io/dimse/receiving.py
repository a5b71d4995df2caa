"""Films as they come in, over the line that asks or at a port of ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from napari_wsseg.io.archives.closed_line import is_here
from napari_wsseg.io.archives.replies import NotWhole, Refused, Unreachable
from napari_wsseg.io.dimse.place import MOVE, Landing, Place
from napari_wsseg.io.films.limits import MAX_FILE_BYTES

FILMS = tuple(
    f"1.2.840.10008.5.1.4.1.1.{number}" for number in ("1.1", "1.1.1", "1", "7")
)
"""Storage classes of films: digital X-ray (two), computed radiography, secondary
capture. An archive may have been told of any of the syntaxes below."""

SYNTAXES = (
    *("1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.1.99"),
    *("1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"),
    *("1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70"),
    *("1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81"),
    *("1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91"),
)
"""Each in a presentation context of its own, so that films come as they lie there."""


class Received:
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

    def film(self, host: str, uid: str, statuses: list[int]) -> bytes:
        """Return the file of the one film that was asked for.

        Parameters
        ----------
        host, uid
            Of the archive, for messages; and of the film.
        statuses
            What the archive answered meanwhile.

        Raises
        ------
        Refused, NotWhole
        """
        if self._too_large:
            raise Refused(f"{host}: sent over {MAX_FILE_BYTES // 2**20} MiB")
        if uid in self._films:
            return self._films[uid]
        if self._films:
            raise NotWhole("sent another film than the one that was asked for")
        last = statuses[-1] if statuses else 0
        raise Refused(f"{host}: sent no film (0x{last:04X})")


@contextmanager
def receiving(
    net: Any, where: Place, landing: Landing, received: Received
) -> Iterator[None]:
    """Listen at the port that an archive moves films to.

    Parameters
    ----------
    net
        The module pynetdicom.
    where, landing
        The archive, and where it moves films to.
    received
        Keeps what comes.

    Raises
    ------
    Unreachable
        The port cannot be listened at.
    """
    entity = net.AE(ae_title=landing.title)
    entity.require_called_aet = True
    entity.require_calling_aet = [where.title]
    own = "127.0.0.1" if is_here(where.host) else ""
    for film in FILMS:
        entity.add_supported_context(film, list(SYNTAXES))
    try:
        server = entity.start_server(
            (own, landing.port), block=False, evt_handlers=received.handlers(net.evt)
        )
    except OSError as error:
        raise Unreachable(
            f"port {landing.port} of {MOVE} cannot be listened at ({error.strerror})"
        ) from error
    try:
        yield
    finally:
        server.shutdown()
