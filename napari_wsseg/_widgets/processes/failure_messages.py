"""Why a training failed, in words for a person, from what it left on its way out."""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence

OUT_OF_MEMORY = "Out of memory: try a smaller batch or size."

_KNOWN = (
    (
        r"out of memory|outofmemory|memoryerror|can't allocate memory"
        r"|cannot allocate memory|bad_alloc",
        OUT_OF_MEMORY,
    ),
    (
        r"no space left on device|disk quota exceeded",
        "The disk is full: free some space, then press Resume.",
    ),
    (
        r"read-only file system|permission denied",
        "The project folder may not be written to: check its permissions.",
    ),
    (
        r"no module named '?([\w.]+)",
        "A part of the installation is missing: run “wsseg doctor” in a terminal.",
    ),
    (
        r"cuda error|cudnn|no kernel image|nccl",
        "The graphics card reported an error: run “wsseg doctor”, or train on the CPU.",
    ),
)


def is_memory(message: str) -> bool:
    """Whether a training that ended with these words had too little memory."""
    return bool(re.search(r"\bmemory\b", message, re.IGNORECASE))


def explain(message: str, tail: Sequence[str]) -> str:
    """Return why it failed: a known cause with its remedy, else its own last line.

    Parameters
    ----------
    message
        What the process itself gave as reason, may be empty.
    tail
        The last lines of its standard error.
    """
    reason = message.strip() or _last_error(tail)
    for pattern, advice in _KNOWN:
        # A traceback above the last line may speak of memory without having died of
        # it, so only the reason itself and the closing lines count.
        found = re.search(pattern, "\n".join([reason, *list(tail)[-3:]]), re.IGNORECASE)
        if found:
            return advice if reason in ("", advice) else f"{advice}\n({_short(reason)})"
    if not reason:
        return "The training failed without saying why."
    return f"The training failed: {_short(reason)}"


def system_kill(number: int, tail: Sequence[str]) -> str:
    """Return what to say of a process that the system ended with signal `number`."""
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    if name == "SIGKILL":
        return (
            "The system ended the training (SIGKILL), most often because memory ran "
            "out: try a smaller batch or size, then Resume."
        )
    return f"The training crashed ({name}). {_short(_last_error(tail))}".strip()


def _last_error(tail: Sequence[str]) -> str:
    """Return the last line that names an error, else the last line."""
    lines = [line.strip() for line in tail if line.strip()]
    for line in reversed(lines):
        if re.match(r"[\w.]*(Error|Exception|Interrupt|Failed)\b", line):
            return line
    return lines[-1] if lines else ""


def _short(reason: str) -> str:
    """Cut at a length that a narrow panel shows in a few lines."""
    reason = re.sub(r"^napari_wsseg\.jobs\.\w+:\s*", "", reason)
    return reason if len(reason) <= 300 else reason[:297] + "…"
