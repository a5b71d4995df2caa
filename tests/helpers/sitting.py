"""A sitting in the window: films read by every tool, and seen to be kept as drawn."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from helpers import window_input
from helpers.mask_tools import CTRL, SHIFT, Toolbox
from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg.io.project import Project
from napari_wsseg.schema import Verdict

FILMS = 15


ANATOMY = ("heart", "left_lung", "right_lung")


VERDICTS: tuple[Verdict, ...] = ("accept with edits", "accept", "reject", "flag")


CODES = {
    "accept": Qt.Key.Key_A,
    "accept with edits": Qt.Key.Key_S,
    "reject": Qt.Key.Key_R,
    "flag": Qt.Key.Key_G,
}


ALT = Qt.KeyboardModifier.AltModifier


@dataclass(eq=False)
class Sitting:
    """One window's sitting: what is drawn and what is decided, by whom."""

    bench: Workbench
    box: Toolbox = field(init=False)
    verdicts: dict[tuple[str, str], tuple[str, int | None, str]] = field(
        default_factory=dict
    )
    done: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.box = Toolbox(self.bench)

    @property
    def case_id(self) -> str:
        return self.bench.session.case.id

    def open(self, case_id: str) -> None:
        """Open a film by a click in the worklist, if it is not open."""
        if self.case_id != case_id:
            window_input.pick_row(self.bench, case_id)
        window_input.settle(self.bench)

    def turn_to(self, finding: str) -> None:
        """Turn to a finding with W."""
        for _ in self.bench.session.looking.names:
            if self.box.finding == finding:
                return
            self.box.key(Qt.Key.Key_W)
        assert self.box.finding == finding

    def look_at(self, view: str) -> None:
        """Turn to a stage with D."""
        for _ in range(8):
            if self.bench.session.looking.view == view:
                break
            self.box.key(Qt.Key.Key_D)
        window_input.settle(self.bench)
        assert self.bench.session.looking.view == view

    def read(self, number: int, tools: list[str], view: str) -> None:
        """Use tools on the open film, each on the next finding; decide on nothing."""
        names = self.bench.session.looking.names
        self.look_at(view)
        for step, tool in enumerate(tools):
            self.turn_to(names[(number + step) % len(names)])
            self.box.use(tool)

    def use_staged(self, tool: str, view: str) -> None:
        """Use a tool that begins with a stage, where the stage offers most."""
        session = self.bench.session
        self.look_at(view)
        stage = self.box.review.editing.starting.source()
        offers = {
            name: session.draft(stage, name, session.case.shape).sum()
            for name in session.looking.names
        }
        self.turn_to(max(offers, key=lambda name: offers[name]))
        self.box.use(tool)

    def decide(
        self, verdict: Verdict, *, confidence: int | None = None, comment: str = ""
    ) -> None:
        """Decide on the film by key or button, with what is noted of it."""
        session, panel = self.bench.session, self.box.review.decide
        case_id = self.case_id
        if comment:
            panel.comment.setFocus()
            QTest.keyClick(panel.comment, Qt.Key.Key_A, CTRL)
            QTest.keyClicks(panel.comment, comment)
            QTest.keyClick(panel.comment, Qt.Key.Key_Return)
        for _ in range(confidence or 0):
            QTest.keyClick(panel.confidence, Qt.Key.Key_Down)
        window_input.look(self.bench)
        self._expect_drafts(verdict)
        asked = len(self.verdicts) % 2
        if asked:
            window_input.click(panel.buttons[verdict])
        else:
            self.box.key(CODES[verdict])
        window_input.wait_for(
            lambda: (
                (held := session.list.decisions.get(case_id)) is not None
                and held.verdict == verdict
            )
        )
        window_input.settle(self.bench)
        key = session.reader, case_id
        self.verdicts[key] = verdict, confidence, comment
        self.done[verdict] += 1
        sys.stdout.write(f"{session.reader}, {case_id}: {verdict}\n")
        sys.stdout.flush()

    def decide_finding(self, verdict: Verdict) -> None:
        """Decide on the current finding alone."""
        finding, before = self.box.finding, self.case_id
        if verdict == "accept":
            self._expect_drafts(verdict, only=finding)
        window_input.look(self.bench)
        self.box.key(CODES[verdict], SHIFT)
        state = {"accept": "accepted", "accept with edits": "edited"}.get(verdict)
        state = state or "rejected"
        window_input.settle(self.bench)
        assert self.bench.session.finding_states()[finding] == state
        assert self.case_id == before, "the reader stays on the film"
        if verdict == "reject":
            assert not self.box.mask.any()
            self.box.note()
        self.done[f"{verdict}, one finding"] += 1

    def _expect_drafts(self, verdict: Verdict, only: str | None = None) -> None:
        """Note the outlines shown that this verdict makes masks of."""
        session = self.bench.session
        if not verdict.startswith("accept") or session.reading.mode == "adjudicate":
            return
        for name in session.looking.names if only is None else (only,):
            view = session.looking.view
            drawn = name in session.experts.annotated
            if not drawn and view in session.stages():
                mask = session.draft(view, name, session.case.shape)
                key = session.reader, self.case_id, name
                self.box.kept[key] = window_input.digest(mask)

    def see_that_all_is_shown(self) -> None:
        """Open every film again: the layers show what was drawn."""
        session = self.bench.session
        for case_id in list(session.list.order):
            self.open(case_id)
            shown = window_input.drawn(self.bench)
            for (reader, case, finding), mask in self.box.kept.items():
                if (reader, case) == (session.reader, case_id):
                    assert shown[finding] == mask, (case, finding)

    def see_that_all_is_on_disk(self, place: Path) -> None:
        """Compare masks and decisions with what the closed project holds."""
        with Project.open(place) as project:
            for (reader, case, finding), mask in self.box.kept.items():
                version = project.latest(case, finding, reader=reader)
                # What came with the film and was left as it was stays the importer's.
                version = version or project.latest(case, finding, reader="import")
                found = (
                    np.zeros(project.case(case).shape, bool)
                    if version is None
                    else project.read_mask(version)
                )
                assert window_input.digest(found) == mask, (reader, case, finding)
            for (reader, case), noted in self.verdicts.items():
                held = project.decision(case, reader=reader)
                assert (held.verdict, held.confidence, held.comment) == noted
            assert project.journal.pending() == []
        for command in (["fsck"], ["audit", "verify"]):
            result = wsseg(*command, "-p", str(place))
            assert result.returncode == 0, result.stdout + result.stderr
            sys.stdout.write(f"wsseg {' '.join(command)}: {result.stderr.strip()}\n")


def wsseg(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "napari_wsseg.cli", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def hands_on(count: int, tools: Iterator[str]) -> list[str]:
    return [next(tools) for _ in range(count)]


def round_and_round(names: dict[str, object]) -> Iterator[str]:
    while True:
        yield from names


def change_minds(sitting: Sitting, order: list[str]) -> None:
    """Take a decision back, reopen a film, decide on single findings."""
    bench, session = sitting.bench, sitting.bench.session
    first, second = order[0], order[2]
    sitting.open(first)
    noted = sitting.verdicts[session.reader, first]
    sitting.decide("reject")
    sitting.box.key(Qt.Key.Key_Z, SHIFT)
    window_input.wait_for(lambda: session.case.id == first)
    window_input.settle(bench)
    assert session.list.decisions[first].verdict == noted[0]
    sitting.verdicts[session.reader, first] = noted
    sitting.done["decision undone"] += 1

    sitting.open(second)
    assert session.list.status(second) == "rejected"
    window_input.click(sitting.box.review.decide.reopen)
    window_input.settle(bench)
    assert session.list.status(second) in ("has mask", "to review")
    sitting.done["reopened"] += 1
    names = session.looking.names
    for finding, verdict in zip(names, ("accept with edits", "reject"), strict=False):
        sitting.turn_to(finding)
        sitting.box.use("brush")
        sitting.decide_finding(verdict)
    sitting.look_at("cam")
    undrawn = [n for n in names if n not in session.experts.annotated]
    for finding in undrawn[:1]:
        sitting.turn_to(finding)
        sitting.decide_finding("accept")
    sitting.decide("accept with edits", confidence=2)


def see_that_nothing_was_left_out(sitting: Sitting, wanted: set[str]) -> None:
    assert not wanted - set(sitting.box.used)
    more = {"decision undone", "reopened", "accept with edits, one finding"}
    assert not {*VERDICTS, *more} - set(sitting.done)


def print_summary(name: str, sitting: Sitting, began: float) -> None:
    seconds = time.monotonic() - began
    sys.stdout.write(
        f"{name}: {seconds:.0f} s, {len(sitting.box.kept)} masks as drawn\n"
        f"  tools {dict(sitting.box.used)}\n  decisions {dict(sitting.done)}\n"
    )
