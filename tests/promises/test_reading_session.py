"""Thirty films read from the first to the last: every tool, decision, reader, format.

Fifteen real films without any stage, read while a classifier learns from them; fifteen
films of the synthetic sample project with its five findings, read again blind by a
second reader, adjudicated and exported. What was drawn must be what is on disk.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from helpers import window_input
from helpers.mask_tools import BY_HAND, CTRL, FROM_STAGES, SHIFT, Toolbox
from napari_wsseg import jobs
from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg._widgets.export.panel import ExportPanel
from napari_wsseg._widgets.training.panel import TrainPanel
from napari_wsseg._widgets.workbench import commands_of
from napari_wsseg._widgets.worklist.panel import Worklist
from napari_wsseg.datasets import _sample, datasets
from napari_wsseg.export import Note, formats, importers
from napari_wsseg.io.project import Project
from napari_wsseg.schema import Verdict

pytestmark = [
    pytest.mark.gui,
    pytest.mark.slow,
    pytest.mark.data,
    pytest.mark.timeout(3600),
]

FILMS = 15
#: A minute or two of training on one core: it rests while the hand moves.
EPOCHS = 24
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


# The two projects ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def wingspan(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project of real films with four findings, no mask and no stage."""
    source, place = shared_data / "wingspan", tmp_path_factory.mktemp("wingspan")
    with (source / "labels.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] != "test"]
    some = [row for row in rows if row["cardiomegaly"] == "1"][:8]
    some += [row for row in rows if row["cardiomegaly"] == "0"][: FILMS - 8]
    (place / "films").mkdir()
    with (place / "labels.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("image", "cardiomegaly", *ANATOMY, "split"))
        for number, row in enumerate(some):
            split = "val" if number % 4 == 3 else "train"
            path = source / "images" / row["image"]
            (place / "films" / row["image"]).write_bytes(path.read_bytes())
            label = row["cardiomegaly"]
            writer.writerow((row["image"], label, "", "", "", split))
    for _ in datasets["folder"](
        place / "project", images=place / "films", labels=place / "labels.csv"
    ):
        pass
    return place / "project"


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the sample project, five findings, with a small classifier's stages."""
    making = _sample.sample_project(tmp_path_factory.mktemp("sample"), FILMS)
    place = jobs.finish(making)
    arguments = ["classifier", "-p", str(place), "--infer", "--json"]
    result = subprocess.run(
        [sys.executable, "-m", "trainers", *arguments, "--set", "size=64", "epochs=2"],
        capture_output=True,
        text=True,
        check=True,
    )
    end = json.loads(result.stdout.splitlines()[-1])
    assert end["status"] == "done", end
    with Project.open(place, write=True) as project:
        for stage in ("classifier", "cam", "crf"):
            project.adopt(stage, end["run"], actor="test")
    return place


# The first project --------------------------------------------------------------------


def hands_on(count: int, tools: Iterator[str]) -> list[str]:
    return [next(tools) for _ in range(count)]


def round_and_round(names: dict[str, object]) -> Iterator[str]:
    while True:
        yield from names


def read_on_while_it_learns(sitting: Sitting, order: list[str]) -> None:
    """Start a training, read eight films meanwhile, use it when it is done."""
    bench, tools = sitting.bench, round_and_round(BY_HAND)
    panel: TrainPanel = window_input.set_up_training(bench, size=96, epochs=EPOCHS)
    window_input.click(panel.start_button)
    window_input.raise_tab(bench, "Review")
    during = 0
    for number, case_id in enumerate(order[:8]):
        sitting.open(case_id)
        sitting.read(number, hands_on(2, tools), "expert")
        during += panel.jobs.busy
        verdict = VERDICTS[number % 4]
        sitting.decide(verdict, confidence=number % 4 or None, comment=f"film {number}")
    assert during >= 3, "the training was under way while films were read"
    sitting.done["films read while it trained"] = during
    window_input.raise_tab(bench, "Train")
    window_input.wait_for(lambda: panel.result.isVisible(), 1800)
    assert panel.result.headline.text() == "Done", panel.result.label.text()
    run, shown = panel.jobs.current.run, window_input.drawn(bench)
    window_input.click(panel.result.use_button)
    assert bench.session.project.adopted("cam") == run
    window_input.raise_tab(bench, "Review")
    window_input.wait_for(lambda: {"cam", "crf"} <= set(bench.session.stages()), 120)
    assert window_input.drawn(bench) == shown, "adopting changes no mask"


def read_what_is_offered(sitting: Sitting, order: list[str]) -> None:
    """Read the other films with what the stages offer; decide in every way."""
    tools, staged = round_and_round(BY_HAND), round_and_round(FROM_STAGES)
    for number, case_id in enumerate(order[8:], start=8):
        sitting.open(case_id)
        view = ("cam", "crf")[number % 2]
        sitting.use_staged(next(staged), view)
        sitting.read(number, hands_on(1, tools), view)
        sitting.decide(VERDICTS[(number + 1) % 4], comment="later: half sure")


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


def test_real_films_are_read_while_a_model_learns_from_them(
    open_window: Callable[[Path], Workbench], wingspan: Path
) -> None:
    began = time.monotonic()
    bench = open_window(wingspan)
    bench.main_window.resize(1900, 1000)
    QTest.qWait(200)
    sitting, order = Sitting(bench), list(bench.session.list.order)
    assert len(order) == FILMS
    read_on_while_it_learns(sitting, order)
    read_what_is_offered(sitting, order)
    change_minds(sitting, order)
    sitting.see_that_all_is_shown()
    bench.viewer.close()
    sitting.see_that_all_is_on_disk(wingspan)
    tell("wingspan", sitting, began)
    see_that_nothing_was_left_out(sitting, {*BY_HAND, *FROM_STAGES})


# The second project -------------------------------------------------------------------


def read_blind(sitting: Sitting, films: list[str]) -> None:
    """Read as a second reader who sees nothing of the first."""
    bench, session = sitting.bench, sitting.bench.session
    window_input.change_reader(bench, "bea", "blind", stages=False)
    assert (session.reader, session.reading.mode) == ("bea", "blind")
    for number, case_id in enumerate(films):
        sitting.open(case_id)
        assert not any(layer.data.any() for layer in bench.layers.experts.values())
        for finding in session.looking.names[: 1 + number % 2]:
            sitting.turn_to(finding)
            sitting.box.use(("brush", "polygon", "outline")[number % 3])
        sitting.decide("accept with edits")
    sitting.done["films read blind"] = len(films)


def see_how_they_agree(sitting: Sitting) -> None:
    bench = sitting.bench
    window_input.change_reader(bench, "cleo", "adjudicate")
    sitting.box.key(Qt.Key.Key_F3)
    window_input.wait_for(lambda: commands_of(bench.viewer).agreement is not None)
    table = commands_of(bench.viewer).agreement.table
    window_input.wait_for(lambda: table.rowCount() > 0)
    pairs = {table.item(row, 0).text() for row in range(table.rowCount())}
    assert "ann – bea" in pairs
    for row in range(table.rowCount()):
        cells = [table.item(row, column).text() for column in range(6)]
        sys.stdout.write("agreement: " + " | ".join(cells) + "\n")
    commands_of(bench.viewer).agreement.close()


def adjudicate(sitting: Sitting, films: list[str]) -> None:
    """End every disagreement: take the one's mask, the other's, or draw one's own."""
    bench, session = sitting.bench, sitting.bench.session
    assert set(session.list.cases) == set(films)
    for number, case_id in enumerate(films):
        sitting.open(case_id)
        for step, finding in enumerate(session.looking.names):
            sitting.turn_to(finding)
            theirs = [m.get(finding) for m in session.opened.others.values()]
            if all(mask is None for mask in theirs):
                continue
            sitting.box.key((Qt.Key.Key_A, Qt.Key.Key_B)[(number + step) % 2], ALT)
            window_input.settle(bench)
            sitting.box.note()
            if (number + step) % 3 == 2:
                sitting.box.use("brush")
        sitting.decide("accept")
        assert session.list.status(case_id) == "adjudicated"
    sitting.done["adjudicated"] = len(films)


def export_all(sitting: Sitting, place: Path) -> dict[str, Path]:
    """Export in every format of masks from the panel; return where to."""
    bench = sitting.bench
    window_input.raise_tab(bench, "Export")
    panel: ExportPanel = bench.main_window.findChild(ExportPanel)
    window_input.wait_for(lambda: bool(panel.formats), 120)
    out: dict[str, Path] = {}
    for name in formats.names():
        panel.format.setFocus()
        QTest.keyClick(panel.format, Qt.Key.Key_Home)
        while panel.format.currentData() != name:
            QTest.keyClick(panel.format, Qt.Key.Key_Down)
        window_input.wait_for(lambda: _told(panel), 120)
        preview = panel.preview.text()
        if "✗" in preview:
            assert name == "indexed_png", preview
            assert "findings overlap" in preview
            sys.stdout.write(f"export {name}: {preview}\n")
            continue
        window_input.click(panel.export_button)
        window_input.wait_for(lambda: not panel.busy, 240)
        assert "written" in panel.result.text(), panel.result.text()
        out[name] = Path(panel.folder.text())
        sys.stdout.write(f"export {name}: {panel.result.text()}\n")
    return out


def _told(panel: ExportPanel) -> bool:
    text = panel.preview.text()
    return bool(text) and "Looking" not in text and not panel._due.isActive()


def see_that_exports_are_as_drawn(out: dict[str, Path], place: Path) -> None:
    """Read every format back: each mask is that of the project, pixel for pixel."""
    with Project.open(place) as project:
        cases = {case.name: case for case in project.cases()}
        cases |= {Path(case.path).stem: case for case in project.cases()}
        cases |= {case.id: case for case in project.cases()}
        drawn = {
            (case.id, finding): window_input.digest(mask)
            for case in project.cases()
            for finding, mask in project.expert_masks(case.id).items()
        }
    for name in sorted(set(out) & set(importers.names())):
        back: dict[tuple[str, str], str] = {}
        for found in importers[name](out[name]):
            if isinstance(found, Note):
                continue
            case = cases[Path(found.film).name]
            finding = found.finding or found.guess
            back[case.id, finding] = window_input.digest(found.mask(case.shape))
        differing = [key for key in back if drawn[key] != back[key]]
        assert not differing, (name, differing)
        missing = set(drawn) - set(back)
        sys.stdout.write(
            f"{name}: {len(back)} masks as drawn, {len(missing)} not in it\n"
        )
        assert not missing, name
    pngs = list(out["png"].glob("*/*.png"))
    assert len(pngs) == len(drawn)
    for path in pngs:
        with Image.open(path) as image:
            found = window_input.digest(np.asarray(image))
        assert found == drawn[cases[path.stem].id, path.parent.name]


def test_the_sample_is_read_twice_adjudicated_and_exported(
    open_window: Callable[[Path], Workbench], sample: Path
) -> None:
    began = time.monotonic()
    bench = open_window(sample)
    bench.main_window.resize(1900, 1000)
    QTest.qWait(200)
    sitting, session = Sitting(bench), bench.session
    order = list(session.list.order)
    assert len(order) == FILMS
    assert len(session.looking.names) == 5
    assert session.synthetic
    tools, staged = round_and_round(BY_HAND), round_and_round(FROM_STAGES)
    for number, case_id in enumerate(order):
        sitting.open(case_id)
        view = ("cam", "crf", "expert")[number % 3]
        sitting.use_staged(next(staged), view)
        sitting.read(number, hands_on(1, tools), view)
        verdict = VERDICTS[number % 4]
        # The first three are for two readers: what both are done with.
        verdict = "accept with edits" if number < 4 else verdict
        sitting.decide(
            verdict, confidence=1 + number % 3, comment=f"No. {number}: ½ sure"
        )
    change_minds(sitting, order[4:])
    sitting.see_that_all_is_shown()

    films = order[:4]
    read_blind(sitting, films)
    sitting.see_that_all_is_shown()
    see_how_they_agree(sitting)
    adjudicate(sitting, films)
    window_input.change_reader(bench, "ann", "open")
    worklist = bench.main_window.findChild(Worklist)
    assert worklist.model.rowCount() == FILMS
    out = export_all(sitting, sample)
    bench.viewer.close()
    sitting.see_that_all_is_on_disk(sample)
    see_that_exports_are_as_drawn(out, sample)
    tell("sample", sitting, began)
    # Whether a stage of so small a training offers something to paint within is chance;
    # tests of the tools paint within one that does.
    see_that_nothing_was_left_out(sitting, {*BY_HAND, *FROM_STAGES})


def see_that_nothing_was_left_out(sitting: Sitting, wanted: set[str]) -> None:
    assert not wanted - set(sitting.box.used)
    more = {"decision undone", "reopened", "accept with edits, one finding"}
    assert not {*VERDICTS, *more} - set(sitting.done)


def tell(name: str, sitting: Sitting, began: float) -> None:
    seconds = time.monotonic() - began
    sys.stdout.write(
        f"{name}: {seconds:.0f} s, {len(sitting.box.kept)} masks as drawn\n"
        f"  tools {dict(sitting.box.used)}\n  decisions {dict(sitting.done)}\n"
    )
