"""Whether a line that is not encrypted may be used."""

from __future__ import annotations

import ipaddress
import os

from napari_wsseg.jobs import UsageError

PLAIN_HTTP = "WSSEG_PACS_PLAIN_HTTP"
"""Environment: the network itself is closed."""

FILMS = "patients' films"


def require_closed_line(url: str, host: str, what: str = FILMS) -> None:
    """Check that what is not encrypted stays on this machine, or in a closed network.

    Parameters
    ----------
    url, host
        The archive's address, and the machine in it.
    what
        That could be read on the way.

    Raises
    ------
    UsageError
    """
    if is_here(host) or os.environ.get(PLAIN_HTTP) == "1":
        return
    scheme = url.partition(":")[0]
    raise UsageError(
        f"{scheme}://{host}: not encrypted, so {what} could be read on the way; use "
        f"https, or set {PLAIN_HTTP}=1 where the network itself is closed"
    )


def is_here(host: str) -> bool:
    """Whether a host is this machine, so that nothing leaves it."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
