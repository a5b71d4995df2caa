"""Asks another process a question; the answer is one JSON object.

What imports torch holds the interpreter for most of a second at a time, even in a
thread, and would make the window stutter.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Generator, Sequence
from typing import Any


def ask(arguments: Sequence[str]) -> Generator[None, None, dict[str, Any]]:
    """Yield while ``python -m words`` runs; return the object on its last line.

    Left early, it ends the process.

    Raises
    ------
    RuntimeError
        If the process fails; the last line of its complaint is the message.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        while True:
            try:
                output, complaint = process.communicate(timeout=0.1)
                break
            except subprocess.TimeoutExpired:
                yield
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
    if process.returncode:
        raise RuntimeError((complaint.strip().splitlines() or ["no reason given"])[-1])
    # Only the last line is ours: a library may greet the world on import.
    answer: dict[str, Any] = json.loads(output.strip().splitlines()[-1])
    return answer
