"""A study in the window: a blank film offers nothing, what is done is what is kept."""

from __future__ import annotations

from typing import Any

import pytest
from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QApplication

from helpers.noise_project import RUN, Clock
from napari_wsseg._widgets.workbench import commands_of
from napari_wsseg.session.effort import active_time

pytestmark = pytest.mark.gui


@pytest.mark.parametrize("arm", ["blank", "draft"])
def test_what_is_offered_and_what_is_kept_in_an_arm(
    open_bench: Any, place: Any, qtbot: Any, monkeypatch: pytest.MonkeyPatch, arm: str
) -> None:
    bench = open_bench(place)
    session = bench.session
    session.read_as("ann", arm=arm)
    qtbot.waitUntil(lambda: session.case is not None and not session.turning)
    qtbot.waitUntil(lambda: not bench.turn.going_on)
    offered = {} if arm == "blank" else {"cam": RUN}
    assert session.opened.shown.runs == offered
    assert bool(session.candidates()) == bool(offered)
    messages: list[str] = []
    session.message.connect(messages.append)
    commands_of(bench.viewer).take_best()
    assert bool(messages) == (arm == "blank")
    clock = Clock()
    monkeypatch.setattr(session.work, "_clock", clock)
    session.work.turn(session.case.id, "effusion")
    for gap in (3, active_time.PAUSE_SECONDS + 5, 2):
        clock.now += gap
        session.work.signal()
    QApplication.sendEvent(bench.main_window, QEvent(QEvent.Type.WindowDeactivate))
    clock.now += 10
    QApplication.sendEvent(bench.main_window, QEvent(QEvent.Type.WindowActivate))
    layer = bench.layers.experts["effusion"]
    layer.mode, layer.selected_label = "paint", 1
    with layer.block_history():
        layer.paint((80, 60), 1)
    session.decide("accept with edits")
    bench.loading.drain()
    (found,) = session.project.work_log.efforts()
    assert found.arm == arm
    assert found.by_finding["effusion"] == pytest.approx(5)
    assert found.strokes("effusion") == 1
    outcome = found.outcomes["effusion"]
    assert outcome.start == ("blank" if arm == "blank" else "cam")
    assert (outcome.offered_px is None) == (arm == "blank")
    assert not outcome.unedited
