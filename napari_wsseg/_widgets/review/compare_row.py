"""With what the view shown is compared, and how."""

from __future__ import annotations

from qtpy.QtWidgets import (
    QButtonGroup,
    QComboBox,
    QGridLayout,
    QLabel,
    QPushButton,
    QWidget,
)

from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg._widgets.canvas.layer_set import STAGE_NAMES
from napari_wsseg._widgets.parts.connections import listen
from napari_wsseg.schema import STAGES
from napari_wsseg.session.view import VIEWS, Comparing

_WAYS: tuple[tuple[Comparing, str, str], ...] = (
    ("blend", "Blend", "One through the other; the slider mixes them"),
    ("swipe", "Swipe", "One over the other, with a divider to drag (or arrow keys)"),
    ("beside", "Beside", "Next to each other, zoomed and moved together"),
)


class CompareRow(QWidget):
    """A list of the other views, and three ways to compare; K blinks the two."""

    def __init__(self, bench: Workbench) -> None:
        super().__init__()
        self.bench, self.session = bench, bench.session
        self.other = QComboBox()
        self.other.setToolTip(
            "Compare what is shown with this; hold K to blink the two"
        )
        self.ways = QButtonGroup(self)
        self.buttons: dict[Comparing, QPushButton] = {}
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(3)
        grid.addWidget(QLabel("Compare with"), 0, 0)
        grid.addWidget(self.other, 0, 1, 1, 2)
        for column, (way, name, tip) in enumerate(_WAYS):
            button = QPushButton(name)
            button.setCheckable(True)
            button.setToolTip(tip)
            button.clicked.connect(lambda _=False, w=way: self._turned(w))
            self.ways.addButton(button)
            self.buttons[way] = button
            grid.addWidget(button, 1, column)
        self.other.activated.connect(self._chosen)
        session = self.session
        listen(
            self,
            self.refresh,
            session.looking.view_changed,
            session.case_changed,
            session.stages_changed,
        )
        self.refresh()

    def refresh(self) -> None:
        """Offer what the open film has."""
        looking, has = self.session.looking, self.session.stages()
        views = [v for v in VIEWS if v not in STAGES or v in has]
        offered = [None, *(view for view in views if view != looking.view)]
        known = [self.other.itemData(place) for place in range(self.other.count())]
        if known != offered:
            self.other.clear()
            for view in offered:
                self.other.addItem(STAGE_NAMES[view] if view else "nothing", view)
        self.other.setCurrentIndex(max(0, self.other.findData(looking.compared)))
        for way, button in self.buttons.items():
            button.setVisible(looking.compared is not None)
            button.setChecked(way == looking.comparing)
            button.setEnabled(way != "blend" or looking.can_blend)

    def _chosen(self, place: int) -> None:
        looking = self.session.looking
        looking.set_view(looking.view, compared=self.other.itemData(place))
        if looking.compared is None or looking.comparing == "blend":
            self.bench.focus_canvas()

    def _turned(self, way: Comparing) -> None:
        self.session.looking.compare_by(way)
        if way == "blend":
            self.bench.focus_canvas()
