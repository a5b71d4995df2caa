"""The cardiothoracic ratio of the open film: of what was drawn, and of the machine."""

from __future__ import annotations

from collections.abc import Mapping

from napari_wsseg.io import anatomy
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError
from napari_wsseg.ops.chest import measure, ratio_of_spans, role, span
from napari_wsseg.schema import Case, Mask
from napari_wsseg.session import Session

Span = tuple[float, float]


class ChestFacts:
    """What is measured of a chest, by film; the machine's maps are read once a film."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._case: str | None = None
        self._machine: dict[str, Span] = {}
        self._line = ""

    def line(self) -> str:
        """Return the ratio and whose masks it is of; empty where nothing is known."""
        session, case = self.session, self.session.case
        if session.project is None or session.experts is None or case is None:
            return ""
        if self._case != case.id:
            self._case = case.id
            self._read(session.project, case)
        drawn = _spans(
            {name: session.experts.masks[name] for name in session.experts.annotated}
        )
        ratio = ratio_of_spans({**_beside(self._machine, drawn), **drawn})
        if not drawn or ratio is None:
            return self._line
        return f"cardiothoracic ratio {ratio:.2f} ({_who_drew(drawn)})"

    def _read(self, project: Project, case: Case) -> None:
        """Look at what the anatomy stage has found, where this reader may see it."""
        self._machine, self._line = {}, ""
        hidden = self.session.reading.mode == "blind"
        if hidden or self.session.arm_of(case.id) == "blank":
            return  # What a machine measured is no help to be offered here.
        try:
            found = anatomy.masks(project, case)
        except DataError as error:
            self._line = f"anatomy unreadable: {error}"
            return
        if not found:
            return
        self._machine = _spans(found)
        chest = measure(found)
        ratio = chest.cardiothoracic_ratio
        text = (
            "no heart found" if ratio is None else f"cardiothoracic ratio {ratio:.2f}"
        )
        lungs = chest.left_lung + chest.right_lung
        self._line = f"{text}, lungs {lungs:.0%} of the film (machine)"


def _spans(masks: Mapping[str, Mask]) -> dict[str, Span]:
    """Return the edges of the parts of the ratio that are among masks."""
    found = {}
    for name, mask in masks.items():
        part = role(name)
        edges = span(mask) if part is not None else None
        if part is not None and edges is not None:
            found[part] = edges
    return found


def _beside(machine: Mapping[str, Span], drawn: Mapping[str, Span]) -> dict[str, Span]:
    """Return the machine's parts that fit what was drawn: no lung beside lungs."""
    if "lungs" in drawn:
        return {part: edges for part, edges in machine.items() if part == "heart"}
    return dict(machine)


def _who_drew(drawn: Mapping[str, Span]) -> str:
    """Say which part was drawn, and which is the machine's."""
    lungs = "lungs" in drawn or {"left_lung", "right_lung"} <= set(drawn)
    some = bool({"left_lung", "right_lung"} & set(drawn))
    if lungs:
        return "drawn" if "heart" in drawn else "lungs drawn, heart by machine"
    rest = "one lung by machine" if some else "lungs by machine"
    return f"heart drawn, {rest}" if "heart" in drawn else f"one lung drawn, {rest}"
