"""Where an archive listens, and the titles by which it and we are called."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from napari_wsseg.io.archives.closed_line import require_closed_line
from napari_wsseg.jobs import UsageError

SCHEME = "dimse"
TITLE, MOVE = "WSSEG_PACS_AET", "WSSEG_PACS_MOVE"
"""Environment: our title (AE title); title and port that films are moved to."""

DEFAULT_TITLE = "WSSEG"
_TITLE = re.compile(r"[^\\\x00-\x1f]{1,16}")


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
    require_closed_line(f"{SCHEME}://{host}", host)
    return Place(title, host, port)


@dataclass(frozen=True, slots=True)
class Landing:
    """Where films are moved to: our title and port, as the archive knows them."""

    title: str
    port: int


def landing_place() -> Landing | None:
    """Return where films are moved to; ``None`` if the environment names no place.

    Raises
    ------
    UsageError
        It is off.
    """
    value = os.environ.get(MOVE, "")
    if not value:
        return None
    title, _, port = value.rpartition(":")
    if not _TITLE.fullmatch(title) or not port.isdecimal() or not int(port) < 65536:
        raise UsageError(f"{MOVE}={value}: write TITLE:PORT, e.g. WSSEG:11112")
    return Landing(title, int(port))


def own_title(landing: Landing | None) -> str:
    """Return the title that we give ourselves.

    Raises
    ------
    UsageError
        It is off.
    """
    title = os.environ.get(TITLE) or (landing.title if landing else DEFAULT_TITLE)
    if not _TITLE.fullmatch(title):
        raise UsageError(f"{TITLE}={title}: a title has 1 to 16 characters")
    return title
