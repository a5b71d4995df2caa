"""A reader's process killed at random moments: only the stroke in hand may be lost."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers import noise_project
from helpers.noise_project import BLANK, digest
from napari_wsseg.io.project import Project
from napari_wsseg.session import Session

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

VERDICTS = ("accept", "accept with edits", "reject", "flag")


def read_for_ever(place: Path, seed: int, say: Any) -> None:
    """Paint, undo, fold, decide and turn pages, telling each before and after."""
    rng = np.random.default_rng(seed)
    session = Session(reader="ann")
    session.save_failed.connect(lambda *arguments: say("refused", *map(str, arguments)))
    session.open_project(place)
    say("read-only" if session.readonly else "open")
    while True:
        for _ in range(int(rng.integers(1, 6))):
            assert session.experts is not None
            assert session.case is not None
            case, finding = session.case.id, str(rng.choice(noise_project.FINDINGS))
            before = session.experts.masks[finding]
            after = before.copy()
            y, x = rng.integers(0, 80), rng.integers(0, 64)
            after[y : y + 14, x : x + 14] = rng.integers(0, 2)
            for mask in (after, before) if rng.random() < 0.2 else (after,):
                say("begin", case, finding, digest(mask))
                session.edit(finding, mask)
                say("done", case, finding, digest(mask))
        match rng.integers(0, 4):
            case 0:
                session.experts.fold()
            case 1:
                verdict = str(rng.choice(VERDICTS))
                say("deciding", case, "", verdict)
                session.decide(verdict)  # type: ignore[arg-type]
                say("decided", case, "", verdict)
            case _:
                session.step(int(rng.choice((-1, 1))))
        session.tick()


@dataclass
class Drill:
    """What the killed processes said, and what the disk had of it."""

    place: Path
    masks: dict[tuple[str, str], str] = field(default_factory=dict)
    verdicts: dict[str, str] = field(default_factory=dict)
    strokes: int = 0
    decisions: int = 0
    inside: int = 0
    cut: int = 0
    lost: list[str] = field(default_factory=list)

    def kill_one(self, seed: int) -> None:
        """Let a process work, kill it, and look at what it left."""
        begun: tuple[str, str, str] | None = None
        deciding: tuple[str, str] | None = None
        for what, *rest in lives(self.place, seed):
            if what == "begin":
                begun = rest[0], rest[1], rest[2]
            elif what == "done":
                self.masks[rest[0], rest[1]], begun = rest[2], None
                self.strokes += 1
            elif what == "deciding":
                deciding = rest[0], rest[2]
            elif what in ("refused", "read-only"):
                # A reader is told so at once: nothing was promised.
                self.lost.append(f"{seed}: {what} {rest}")
            elif what == "decided":
                self.verdicts[rest[0]], deciding = rest[2], None
                self.decisions += 1
        self.inside += begun is not None or deciding is not None
        self._look(seed, begun, deciding)

    def _look(
        self,
        seed: int,
        begun: tuple[str, str, str] | None,
        deciding: tuple[str, str] | None,
    ) -> None:
        session = Session(reader="ann")
        session.open_project(self.place)
        session.close()
        with Project.open(self.place) as project:
            self.lost += [f"{seed}: {line}" for line in project.fsck()]
            project.verify_audit()
            assert project.journal.pending() == []
            found = {
                (case.id, finding): digest(mask)
                for case in project.cases()
                for finding, mask in project.expert_masks(case.id).items()
            }
            decided = {i: str(d.verdict) for i, d in project.decisions().items()}
        for key, reported in self.masks.items():
            # A finding whose strokes were all undone has no mask, rather than a blank.
            if found.get(key, BLANK) != reported:
                if (
                    begun is None
                    or key != begun[:2]
                    or found.get(key, BLANK) != begun[2]
                ):
                    self.lost.append(f"{seed}: mask {key}")
        if begun is not None and found.get(begun[:2], BLANK) != begun[2]:
            self.cut += 1
        for case_id, verdict in self.verdicts.items():
            if decided.get(case_id) != verdict:
                if deciding != (case_id, decided.get(case_id)):
                    self.lost.append(f"{seed}: decision on {case_id}")
        self.masks, self.verdicts = found, decided


def lives(place: Path, seed: int) -> Iterator[list[str]]:
    """Yield what a process of its own says until it is killed at some moment."""
    ear, mouth = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(ear)
            read_for_ever(
                place,
                seed,
                lambda *arguments: os.write(
                    mouth, json.dumps(arguments).encode() + b"\n"
                ),
            )
        finally:
            os._exit(code)
    os.close(mouth)
    with os.fdopen(ear, "rb") as lines:
        # Some die while they open, and recover what the one before them left.
        if seed % 5:
            yield json.loads(lines.readline())
        time.sleep(float(np.random.default_rng(seed).uniform(0, 0.3)))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status), "it ended by itself"
        for line in lines:
            yield json.loads(line)


def drilled(tmp_path: Path, kills: int) -> Drill:
    drill = Drill(noise_project.make_project(tmp_path))
    for seed in range(kills):
        drill.kill_one(seed)
    summary = (
        f"{kills} kills: {drill.strokes} strokes and {drill.decisions} decisions told "
        f"done, {drill.inside} kills inside one, {drill.cut} strokes in hand cut, "
        f"{len(drill.lost)} lost"
    )
    sys.stdout.write(summary + "\n")
    assert drill.strokes > kills, "a drill without strokes shows nothing"
    assert drill.lost == []
    return drill


def test_a_dozen_kills_lose_nothing_but_the_stroke_in_hand(tmp_path: Path) -> None:
    drilled(tmp_path, 12)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_two_hundred_kills_lose_nothing_but_the_stroke_in_hand(tmp_path: Path) -> None:
    assert drilled(tmp_path, 200).inside > 20
