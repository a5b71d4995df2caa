"""The candidate strip and the menu of labels: nothing happens by accident on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from helpers.pointer import turn_wheel
from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg._widgets.overlays.candidate_strip import CandidateStrip
from napari_wsseg._widgets.parts import shortcuts
from napari_wsseg._widgets.review.label_bar import label_menu
from napari_wsseg._widgets.workbench import commands_of

pytestmark = pytest.mark.gui

LETTERS = "ASRGDUTNWQI"
FOREIGN = (Qt.Key.Key_PageDown, Qt.Key.Key_PageUp)


@pytest.fixture
def strip(bench: Workbench, qtbot: Any) -> CandidateStrip:
    bench.session.looking.set_view("cam")
    commands = commands_of(bench.viewer)
    commands.pick()
    qtbot.waitUntil(lambda: commands.strip is not None and commands.strip.isVisible())
    return commands.strip


def kept(bench: Workbench) -> tuple[Any, ...]:
    """Return what no accident may ever change."""
    session = bench.session
    masks = {name: int(mask.sum()) for name, mask in session.experts.masks.items()}
    verdicts = {key: one.verdict for key, one in session.list.decisions.items()}
    return session.case.id, dict(session.case.labels), masks, verdicts


def heard_by(bench: Workbench) -> list[str]:
    """Let the film's keys be noted and nothing else."""
    heard: list[str] = []

    def noting(binding: str) -> Callable[[], None]:
        return lambda: heard.append(binding)

    shortcuts.unbind(bench.viewer)
    plain = {
        key.binding: noting(key.binding) for key in shortcuts.KEYS if key.binding != "K"
    }
    shortcuts.bind(bench.viewer, plain, bool, bool, lambda other: None)
    return heard


def test_the_wheel_over_the_strip_takes_nothing(
    bench: Workbench, strip: CandidateStrip
) -> None:
    before = kept(bench)
    for widget in (strip, *strip.tiles):
        for by in (-120, 120, 120):
            turn_wheel(widget, by)
    assert kept(bench) == before
    assert strip.isVisible()


def test_letters_and_pages_on_the_strip_are_the_films_each_once(
    bench: Workbench, strip: CandidateStrip
) -> None:
    heard, before = heard_by(bench), kept(bench)
    for letter in LETTERS:
        QTest.keyClick(strip, letter.lower())
    for page in FOREIGN:
        QTest.keyClick(strip, page)
    assert heard == [*LETTERS, "PageDown", "PageUp"]
    assert kept(bench) == before


@pytest.mark.parametrize("key", ["9", "0", "8", "7"])
def test_a_number_without_a_candidate_takes_none(
    bench: Workbench, strip: CandidateStrip, key: str
) -> None:
    before = kept(bench)
    QTest.keyClick(strip, key)
    assert kept(bench) == before


def test_wheel_and_letters_of_the_film_say_nothing_in_the_menu_of_labels(
    bench: Workbench, qtbot: Any
) -> None:
    menu = label_menu(bench, "effusion", bench.main_window)
    heard, before = heard_by(bench), kept(bench)
    menu.popup(bench.main_window.rect().center())
    qtbot.waitUntil(menu.isVisible, timeout=3000)
    for by in (-120, 120):
        turn_wheel(menu, by)
    for key in (Qt.Key.Key_PageDown, Qt.Key.Key_PageUp, Qt.Key.Key_Z, Qt.Key.Key_X):
        QTest.keyClick(menu, key)
    assert kept(bench) == before
    assert heard == [], "no film turns behind an open menu"
    QTest.keyClick(menu, Qt.Key.Key_Escape)
    qtbot.waitUntil(menu.isHidden, timeout=3000)
    assert kept(bench) == before
