"""The time that is written into rows."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> str:
    """Return UTC now, ISO 8601 to the millisecond.

    It is told to people only: order comes from row ids, because clocks go backwards.
    """
    return datetime.now(UTC).isoformat(timespec="milliseconds")
