"""How much a screen has room for."""

from __future__ import annotations

from qtpy.QtWidgets import QWidget

_TALL = 1000


def is_tall(widget: QWidget) -> bool:
    """Whether a widget's screen has the height for everything at its usual size."""
    screen = widget.screen()
    return screen is not None and screen.availableGeometry().height() >= _TALL
