"""An earlier film beside the open one, and the film's own pixels under a magnifier."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from helpers import noise_project
from napari_wsseg._widgets.canvas import orientation
from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg._widgets.canvas.tools.magnifier import SIDE, TIMES
from napari_wsseg._widgets.overlays.prior import NONE_KNOWN
from napari_wsseg._widgets.workbench import commands_of
from napari_wsseg.io.project_folder import follow_ups

pytestmark = pytest.mark.gui


def test_an_earlier_film_is_shown_beside_and_left_again(
    open_bench: Callable[..., Workbench], place: Path, qtbot: Any
) -> None:
    ids = noise_project.case_ids(place)
    taken = [(ids[2], "p", "1"), (ids[1], "p", "2"), (ids[0], "p", "3")]
    follow_ups.write(place, taken)
    bench = open_bench(place)
    messages: list[str] = []
    bench.session.message.connect(messages.append)
    QTest.keyClick(bench.canvas(), Qt.Key.Key_F8)
    view = commands_of(bench.viewer).prior
    assert view is not None
    qtbot.waitUntil(lambda: len(view.pictures) == 2)
    assert view._names()[0] == "earlier: film1 · 1 of 2 (← →)"
    QTest.keyClick(view, Qt.Key.Key_Left)
    assert view._names()[0].startswith("earlier: film2")
    qtbot.waitUntil(lambda: not view._latest._busy)
    QTest.keyClick(view, Qt.Key.Key_Escape)
    assert not view.isVisible()
    view.toggle()
    assert view.isVisible()
    bench.session.go_to(ids[3])
    qtbot.waitUntil(lambda: bench.session.case.id == ids[3])
    assert not view.isVisible(), "it is of the film that was left"
    view.toggle()
    assert messages[-1] == NONE_KNOWN


def test_the_magnifier_shows_the_films_own_pixels_however_the_view_is_turned(
    bench: Workbench,
) -> None:
    lens, film = bench.magnifier, bench.session.opened.radiograph.pixels
    bench.session.tone.choose("full", bench.session.case.id)
    for turned in (0, 1):
        if turned:
            orientation.turn(bench.viewer, "turn")
        # A pixel of the film takes eight of the lens.
        bench.viewer.scene.camera.zoom = 8 / TIMES
        shown = lens.picture((30.0, 40.0))[..., 0]
        middle = SIDE // 2
        assert shown[middle, middle] == pytest.approx(255 * film[30, 40], abs=25)
        up = shown[middle - 8, middle]
        beyond = film[30, 39] if turned else film[29, 40]
        assert up == pytest.approx(255 * beyond, abs=25), turned
    bench.session.tone.set_inverted(True)
    other = lens.picture((30.0, 40.0))[..., 0]
    np.testing.assert_allclose(shown.astype(int) + other, 255, atol=1)


def test_the_magnifier_is_there_while_its_key_is_held(bench: Workbench) -> None:
    lens = bench.magnifier
    lens._moved(bench.viewer, SimpleNamespace(position=(30.0, 40.0)))
    QTest.keyPress(bench.canvas(), Qt.Key.Key_F7)
    assert lens.lens is not None
    assert lens.lens.isVisible()
    assert lens.lens.testAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
    QTest.keyRelease(bench.canvas(), Qt.Key.Key_F7)
    bench.held.end_all()
    assert not lens.lens.isVisible()


def test_naparis_hints_stay_off_the_status_bar(bench: Workbench) -> None:
    bench.layers.active.mode = "paint"
    assert bench.viewer.help == ""
