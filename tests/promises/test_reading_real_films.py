"""Fifteen real films read from the first to the last while a classifier learns."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from qtpy.QtTest import QTest

from helpers import window_input
from helpers.mask_tools import BY_HAND, FROM_STAGES
from helpers.sitting import (
    ANATOMY,
    FILMS,
    VERDICTS,
    Sitting,
    change_minds,
    hands_on,
    print_summary,
    round_and_round,
    see_that_nothing_was_left_out,
)
from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg._widgets.training.panel import TrainPanel
from napari_wsseg.datasets import datasets

pytestmark = [
    pytest.mark.gui,
    pytest.mark.slow,
    pytest.mark.data,
    pytest.mark.timeout(3600),
]


#: A minute or two of training on one core: it rests while the hand moves.
EPOCHS = 24


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
    print_summary("wingspan", sitting, began)
    see_that_nothing_was_left_out(sitting, {*BY_HAND, *FROM_STAGES})
