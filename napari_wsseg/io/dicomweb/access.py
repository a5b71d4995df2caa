"""How an archive is reached: its address, who asks, and whether the line is safe.

Who asks comes from the environment or the keyring, never from a command line or a
project: both can be read by others.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from napari_wsseg.io.archives.closed_line import FILMS, require_closed_line
from napari_wsseg.jobs import UsageError

USER, PASSWORD = "WSSEG_PACS_USER", "WSSEG_PACS_PASSWORD"
TOKEN, CA = "WSSEG_PACS_TOKEN", "WSSEG_PACS_CA"
CERTIFICATE, KEY = "WSSEG_PACS_CERT", "WSSEG_PACS_KEY"
"""Environment: who asks; whose certificates are believed; our own certificate."""

SERVICE = "napari-wsseg"
"""In the keyring, followed by a space and the archive's host and port."""


@dataclass(frozen=True, slots=True)
class Access:
    """An archive's address and how it is entered.

    Parameters
    ----------
    url
        Of the DICOMweb service, without a slash at its end.
    user, password, token
        A name and its password, or a bearer token; not shown by `repr`.
    ca
        File with the certificates that sign the archive's; ``None``, the usual ones.
    certificate, key
        Files of the certificate that we show, if the archive wants one.
    """

    url: str
    user: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    ca: str | None = None
    certificate: str | None = None
    key: str | None = None

    @property
    def host(self) -> str:
        """Host and port, for people: no path, nothing of who asks."""
        return urlsplit(self.url).netloc


def to(url: str, *, ca: Path | None = None) -> Access:
    """Return how the archive at a URL is entered, from environment or keyring.

    Raises
    ------
    UsageError
        It is no address of the web, has a password in it, is not encrypted although
        a password would be sent, or a certificate's file is not there.
    """
    try:
        parts = urlsplit(url)
        secret_in_url = parts.username is not None or parts.password is not None
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise UsageError(f"not the address of an archive ({error})") from error
    if secret_in_url:
        raise UsageError(
            f"a user or password in an address is seen by others; leave it out and set "
            f"{USER} and {PASSWORD}, or use the keyring (docs/pacs.md)"
        )
    if parts.scheme not in ("http", "https") or not host:
        raise UsageError(
            f"{url}: not the address of an archive; an example is "
            "https://pacs.example.org/dicom-web"
        )
    if parts.query or parts.fragment:
        raise UsageError(f"{url}: an archive's address has no ? and no #")
    user, password, token = _who(parts.netloc)
    if parts.scheme != "https":
        require_closed_line(url, host, "a password" if password or token else FILMS)
    return Access(
        url.rstrip("/"),
        user,
        password,
        token,
        ca=_file(str(ca) if ca else os.environ.get(CA, ""), "--ca"),
        certificate=_file(os.environ.get(CERTIFICATE, ""), CERTIFICATE),
        key=_file(os.environ.get(KEY, ""), KEY),
    )


def _who(place: str) -> tuple[str, str, str]:
    """Return user, password and token; empty where nobody says them."""
    token = os.environ.get(TOKEN, "")
    user, password = os.environ.get(USER, ""), os.environ.get(PASSWORD, "")
    if token or password:
        return user, password, token
    return (*_from_keyring(place, user), "")


def _from_keyring(place: str, user: str) -> tuple[str, str]:
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError:
        return user, ""
    try:
        found = keyring.get_credential(f"{SERVICE} {place}", user or None)
    except KeyringError:  # there is none here, or it stayed locked
        return user, ""
    return (found.username, found.password) if found else (user, "")


def _file(name: str, option: str) -> str | None:
    if name and not Path(name).is_file():
        raise UsageError(f"{option}: {name} is not a file")
    return name or None
