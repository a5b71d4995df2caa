"""A reader's sitting, of which every step fails once."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
from drill_operation import Say, Told, damage

from helpers import noise_project
from helpers.noise_project import BLANK, Clock, blob, digest
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError
from napari_wsseg.session import Session


def make_reading(place: Path) -> None:
    folder = noise_project.make_project(place)
    first, second, third, _ = noise_project.case_ids(folder)
    with Project.open(folder, write=True) as project:
        for case in (first, second):
            project.put_mask(case, "nodule", blob().astype(bool), reader="ann")
        project.decide(third, "flag", reader="ann")
        # What a sitting that was killed left: an open stroke on a saved mask.
        before, after = blob().astype(bool), (blob() | blob(at=50)).astype(bool)
        project.journal.record(second, "nodule", "ann", before, after)


class Reader:
    """Paints and decides, telling of each step what is certain."""

    def __init__(self, place: Path, say: Say) -> None:
        self.say, self.place, self.clock = say, place / "project", Clock()
        self.session = Session(reader="ann", clock=self.clock)
        self.open()

    def open(self) -> None:
        with contextlib.suppress(DataError):
            self.session.open_project(self.place)

    @property
    def can(self) -> bool:
        return self.session.case is not None and not self.session.readonly

    def paint(self, finding: str, flips: np.ndarray) -> None:
        if not self.can:
            return
        session = self.session
        assert session.experts is not None
        assert session.case is not None
        if not session.may_draw(finding):
            self.say("locked", finding, session.experts.unclear.get(finding, ""))
            return
        key = f"{session.case.id} {finding}"
        after = (session.experts.masks[finding] != 0) ^ (flips != 0)
        self.say("begin", key, digest(after))
        session.edit(finding, after.astype(session.experts.masks[finding].dtype))
        self.tell(key, finding)

    def tell(self, key: str, finding: str) -> None:
        experts = self.session.experts
        assert experts is not None
        if finding not in experts.unsaved:
            self.say("done", key, digest(experts.masks[finding]))

    def decide(self, verdict: str) -> None:
        if not self.can:
            return
        session = self.session
        assert session.case is not None
        case = session.case.id
        self.say("deciding", case, verdict)
        before = session.list.decisions.get(case)
        session.decide(verdict)  # type: ignore[arg-type]
        now = session.list.decisions.get(case)
        if now is not None and now is not before:
            self.say("decided", case, verdict)

    def quiet(self) -> None:
        self.clock.now += 30
        for _ in range(3):
            self.session.tick()

    def save_all(self) -> None:
        """There is room: what waited in memory is on disk after a tick."""
        session = self.session
        if not self.can:
            if session.project is not None:
                session.close()
            self.open()
        session.tick()
        if session.experts is None or session.case is None:
            self.say("cannot be opened")
            return
        if session.experts.unsaved:
            self.say("still unsaved", session.problem)
        for finding in session.experts.masks:
            if session.may_draw(finding) and finding in session.experts.annotated:
                self.tell(f"{session.case.id} {finding}", finding)


def act_reading(place: Path, say: Say) -> Reader:
    reader = Reader(place, say)
    session = reader.session
    reader.paint("nodule", blob(at=30))
    reader.paint("nodule", blob(at=60))
    reader.paint("nodule", blob(at=60))  # taken back
    reader.quiet()
    reader.paint("effusion", blob(at=20))
    reader.decide("accept")
    reader.paint("nodule", blob(at=44))
    session.step(1)
    reader.paint("nodule", blob(at=24))
    reader.decide("reject")
    session.step(-1)
    reader.quiet()
    reader.paint("effusion", blob(at=70, size=5))
    return reader


def go_on_reading(place: Path, say: Say, reader: Reader) -> None:
    reader.save_all()
    reader.paint("effusion", blob(at=5, size=4))
    reader.session.step(1)
    reader.paint("effusion", blob(at=5, size=4))
    reader.session.close()


def look_at_reading(place: Path, reported: Told) -> list[str]:
    """Compare, paint on everywhere, compare again."""
    folder, wrong = place / "project", []
    first, second, *_ = noise_project.case_ids(folder)
    promised = {
        f"{first} nodule": digest(blob()),
        f"{second} nodule": digest(blob() | blob(at=50)),
        **reported.masks,
    }
    session = Session(reader="ann")
    session.open_project(folder)
    if session.readonly or session.experts is None:
        return ["read-only"]
    painted: dict[str, str] = {}
    for case in session.list.order:
        session.go_to(case)
        for finding in session.looking.names:
            key, shown = f"{case} {finding}", session.experts.masks[finding]
            allowed = {promised.get(key), reported.begun.get(key)} - {None}
            if key in reported.begun and key not in promised:
                allowed.add(BLANK)  # the stroke in hand was cut, and the first
            if allowed and digest(shown) not in allowed:
                wrong.append(f"mask {key}")
            if not session.may_draw(finding):
                wrong.append(f"locked {key}: {session.experts.unclear}")
            after = shown.copy()
            after[0, :3] ^= True
            session.edit(finding, after)
            painted[key] = digest(after)
    session.close()
    with Project.open(folder) as project:
        for key, mask in painted.items():
            case, finding = key.split(" ", 1)
            if digest(project.expert_masks(case)[finding]) != mask:
                wrong.append(f"painted on, not kept: {key}")
        wrong += damage(project)
        if project.journal.pending():
            wrong.append("strokes left open")
        held = {case: d.verdict for case, d in project.decisions().items()}
    for case, verdict in reported.verdicts.items():
        if held.get(case) not in (verdict, reported.deciding.get(case)):
            wrong.append(f"decision on {case}: {held.get(case)}, not {verdict}")
    return wrong
