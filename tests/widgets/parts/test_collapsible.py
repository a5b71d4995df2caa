"""A section of a panel that folds away."""

from __future__ import annotations

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtWidgets import QPushButton

from napari_wsseg._widgets.parts.collapsible import Fold

pytestmark = pytest.mark.gui


def test_a_section_is_closed_at_first_and_hides_its_content_from_the_keyboard(
    qtbot: QtBot,
) -> None:
    fold, inside, changes = Fold("Log", "What was printed"), QPushButton("inside"), []
    fold.body.addWidget(inside)
    fold.toggled.connect(changes.append)
    qtbot.addWidget(fold)
    fold.show()
    assert not inside.isVisible()
    assert fold.heading.text() == "▸ Log"
    fold.heading.click()
    assert inside.isVisible()
    assert fold.heading.text() == "▾ Log"
    fold.set_open(True)
    fold.set_open(False)
    assert not inside.isVisible()
    assert changes == [True, False]


def test_an_open_section_is_as_high_as_what_is_in_it(qtbot: QtBot) -> None:
    fold, inside = Fold("Log"), QPushButton("inside")
    inside.setMinimumHeight(50)
    fold.body.addWidget(inside)
    qtbot.addWidget(fold)
    fold.show()
    fold.set_open(True)
    before = fold.sizeHint().height()
    inside.setMinimumHeight(400)
    qtbot.waitUntil(lambda: fold.sizeHint().height() >= before + 350)
