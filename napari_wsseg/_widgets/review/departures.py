"""What is shown otherwise than the runs in use have it, and the one click back."""

from __future__ import annotations

from qtpy.QtWidgets import QFrame, QHBoxLayout, QPushButton
from superqt import QElidingLabel

from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg._widgets.canvas.layer_set import STAGE_NAMES
from napari_wsseg._widgets.parts.connections import listen
from napari_wsseg.pipeline.inference.variants import variant_title
from napari_wsseg.session import Session
from napari_wsseg.session.view import Departure

_DRAWN = {"outlined": "expert masks as outlines", "off": "expert masks not shown"}


class Departures(QFrame):
    """One line over the panel while anything departs from the runs in use.

    It names what departs, says that it holds on every film, and sets all of it back.
    """

    def __init__(self, bench: Workbench) -> None:
        super().__init__()
        self.bench, self.session = bench, bench.session
        self.text = QElidingLabel()
        self.text.setMinimumWidth(40)
        self.button = QPushButton("↺ Usual")
        self.button.setToolTip("Show everything as the runs in use have it")
        self.setStyleSheet(
            "Departures { background: #5b4a00; border-radius: 4px; } "
            "Departures QLabel { color: white; background: transparent; }"
        )
        layout = QHBoxLayout(self)
        layout.setContentsMargins(8, 1, 2, 1)
        layout.addWidget(self.text, 1)
        layout.addWidget(self.button)
        self.button.clicked.connect(self._reset)
        session, looking = self.session, self.session.looking
        listen(
            self,
            self.refresh,
            looking.view_changed,
            looking.threshold_changed,
            looking.finding_changed,
            session.case_changed,
            session.stages_changed,
            session.project_changed,
        )
        self.refresh()

    def refresh(self) -> None:
        """Name what departs, or be gone."""
        texts = departures(self.session)
        self.setVisible(bool(texts) and self.session.case is not None)
        self.text.setText("On every film: " + ", ".join(texts))
        self.setToolTip(
            "Not as the runs in use have it, and so on every film until it is set "
            "back:\n" + "\n".join(f"• {each}" for each in texts)
        )

    def _reset(self) -> None:
        session = self.session
        session.looking.forget_departures()
        if _other_map(session):
            session.choose_map(session.showing.maps[0])
        self.bench.focus_canvas()


def departures(session: Session) -> list[str]:
    """Return in words what is shown otherwise than the runs in use have it."""
    texts = [_text(session, each) for each in session.looking.departures()]
    if _other_map(session):
        texts.insert(0, f"CAM by {variant_title(session.showing.map)}")
    return texts


def _other_map(session: Session) -> bool:
    showing = session.showing
    return bool(showing.maps) and showing.map != showing.maps[0]


def _text(session: Session, each: Departure) -> str:
    looking = session.looking
    title = looking.title(each.finding)
    stage = STAGE_NAMES.get(each.stage, each.stage)
    match each.what:
        case "threshold":
            return f"{stage} of {title} cut at {each.value:.2f}, not {each.usual:.2f}"
        case "blend":
            return f"overlay {each.value:.0%}, not {each.usual:.0%}"
        case "comparison":
            return f"compared with {stage}"
        case "snap":
            return "outlines drawn to edges"
        case "alone":
            return f"{title} alone"
        case "drawing":
            return _DRAWN[looking.drawing]
    return f"{title} hidden"
