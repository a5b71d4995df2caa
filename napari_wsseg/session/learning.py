"""Whether a network may learn while one reads, and which films it draws next."""

from __future__ import annotations

import os

import psutil

from napari_wsseg.io.runs import RunFolder
from napari_wsseg.session.state import State

CORES, MEMORY = 2, 2 * 2**30
"""Processors, and free memory in bytes, below which learning would be felt."""

_DRAWN_AHEAD = 8
"""Films to come that are named to the learner."""


def refusal(state: State) -> str:
    """Return why nothing can be learnt while this reader reads; empty if it can."""
    reading, project = state.reading, state.project
    if project is None:
        return "no project is open"
    if project.readonly:
        return "the project is read-only here: nothing is accepted"
    if reading.mode == "adjudicate":
        return "who ends disagreements is offered no new drafts"
    if not reading.stages:
        return "what the machine found is hidden from this reader"
    if reading.arm in ("blank", "draft"):
        return f"the arm “{reading.arm}” of a study is offered no new drafts"
    start = project.adopted("segmentation")
    if start is None:
        return "no segmenter is in use yet; train one first (wsseg run)"
    lacking = RunFolder(project.folder / "runs" / start).lacks_weights
    return lacking or weak_machine()


def weak_machine() -> str:
    """Return why this machine cannot bear a training beside a reader; empty: it can."""
    allowed = getattr(os, "sched_getaffinity", None)
    cores = len(allowed(0)) if allowed else os.cpu_count() or 1
    if cores < CORES:
        return "this machine has one processor core, which the window needs"
    free = psutil.virtual_memory().available
    if free < MEMORY:
        return (
            f"only {free / 2**30:.1f} GiB of memory are free; it takes {MEMORY >> 30}"
        )
    return ""


def whose_masks(state: State) -> str:
    """Return the reader whose masks alone are learnt; empty: those that count.

    A blind reader, and one in a study, is taught by nobody else.
    """
    reading = state.reading
    return reading.reader if reading.scope or reading.arm else ""


def next_films(state: State) -> list[str]:
    """Return the films to come without a verdict, in the order of the worklist."""
    found: list[str] = []
    here = on_screen = state.case.id if state.case else None
    while len(found) < _DRAWN_AHEAD:
        here = state.list.unread_after(here)
        if here is None or here in (on_screen, *found):
            break
        found.append(here)
    return found
