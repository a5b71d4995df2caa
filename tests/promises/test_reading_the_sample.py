"""Fifteen films of the sample read twice, adjudicated, exported: as they were drawn."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from helpers import window_input
from helpers.mask_tools import BY_HAND, FROM_STAGES
from helpers.sitting import (
    ALT,
    FILMS,
    VERDICTS,
    Sitting,
    change_minds,
    hands_on,
    print_summary,
    round_and_round,
    see_that_nothing_was_left_out,
)
from napari_wsseg import jobs
from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg._widgets.export.panel import ExportPanel
from napari_wsseg._widgets.workbench import commands_of
from napari_wsseg._widgets.worklist.panel import Worklist
from napari_wsseg.datasets import _sample
from napari_wsseg.export import Note, formats, importers
from napari_wsseg.io.project import Project

pytestmark = [
    pytest.mark.gui,
    pytest.mark.slow,
    pytest.mark.data,
    pytest.mark.timeout(3600),
]


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
        window_input.wait_for(lambda: _looked(panel), 120)
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


def _looked(panel: ExportPanel) -> bool:
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
    print_summary("sample", sitting, began)
    # Whether a stage of so small a training offers something to paint within is chance;
    # tests of the tools paint within one that does.
    see_that_nothing_was_left_out(sitting, {*BY_HAND, *FROM_STAGES})
