"""What archives answer, in words that a person understands when they refuse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from napari_wsseg.jobs import DataError, JobFailed

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

Status = Literal["stored", "already there", "refused"]


class Unreachable(JobFailed):
    """The archive does not answer, or lets nobody in: the next question is vain."""


class Refused(DataError):
    """The archive answered, and will not give or take this one thing."""


class Absent(Refused):
    """The archive answered that it has no such thing."""


class Passing(Exception):
    """A failure that another try may change.

    Parameters
    ----------
    reason
        For people.
    seconds
        After which the archive asks to be tried again; 0 if it names none.
    """

    def __init__(self, reason: str, seconds: float = 0.0) -> None:
        super().__init__(reason)
        self.seconds = seconds


class NotWhole(Passing):
    """What came is not what was asked for, or not all of it."""


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
    message: str = ""


def check_whole(header: Any, uid: str) -> None:
    """Check that a data set is the film that was asked for, with all of its pixels.

    Raises
    ------
    NotWhole
    """
    if str(header.get("SOPInstanceUID", "")) != uid:
        raise NotWhole("sent another film than the one that was asked for")
    if "PixelData" not in header:
        raise NotWhole("sent a film without pixels")
    if header.file_meta.TransferSyntaxUID.is_encapsulated:
        return
    sizes = (header.Rows, header.Columns, header.get("SamplesPerPixel") or 1)
    bits = int(header.BitsAllocated) * int(header.get("NumberOfFrames") or 1)
    for size in sizes:
        bits *= int(size)
    if len(header.PixelData) * 8 < bits:
        raise NotWhole("sent a film whose pixels break off")


def reason(code: int) -> str:
    """Say what a Failure Reason, or the status of a C-STORE, means."""
    return _REASONS.get(code, f"it gives the reason 0x{code:04X}")
