"""What the reader looks at: finding, stage, blend and thresholds."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from psygnal import Signal

from napari_wsseg.jobs import UsageError
from napari_wsseg.schema import STAGES, Finding
from napari_wsseg.session.drafts import Drafts

VIEWS = ("film", *STAGES, "expert")
"""What the canvas can show: the bare film, one stage, or expert masks alone."""

Comparing = Literal["blend", "swipe", "beside"]
"""How two views are compared: one through the other, with a divider, side by side."""


Drawing = Literal["filled", "outlined", "off"]
"""How expert masks are drawn."""

DRAWINGS: tuple[Drawing, ...] = ("filled", "outlined", "off")

USUAL_BLEND = 0.5
"""How strongly a stage covers the film until the reader sets it."""


@dataclass(frozen=True, slots=True)
class Departure:
    """One thing that is shown otherwise than the run in use has it.

    Parameters
    ----------
    what
        ``"blend"``, ``"threshold"``, ``"snap"``, ``"comparison"``, ``"alone"``,
        ``"drawing"`` or ``"hidden"``.
    stage, finding
        What it is about; empty where it is about all of them.
    value, usual
        As it is now and as it would be, where these are numbers.
    """

    what: str
    stage: str = ""
    finding: str = ""
    value: float = 0.0
    usual: float = 0.0


class Looking:
    """The reader's choice of finding, view, blend and thresholds, kept across cases."""

    finding_changed = Signal()
    view_changed = Signal()
    threshold_changed = Signal()

    def __init__(self) -> None:
        self.findings: tuple[Finding, ...] = ()
        self.drafts = Drafts()
        self.index = 0
        self.view = "expert"
        self.compared: str | None = None
        self.comparing: Comparing = "blend"
        self.blend = USUAL_BLEND
        self.snap = False
        self.numbers = True
        self.alone = False
        self.drawing: Drawing = "filled"
        self.put_away: frozenset[str] = frozenset()

    def start(self, findings: tuple[Finding, ...], drafts: Drafts) -> None:
        """Begin with another project: first finding, last stage that has run."""
        self.findings, self.index, self.drafts = findings, 0, drafts
        ran = [stage for stage in STAGES if stage in drafts.settings]
        self.view, self.compared = ran[-1] if ran else "expert", None
        self.alone, self.put_away = False, frozenset()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the findings, in the project's order."""
        return tuple(finding.name for finding in self.findings)

    def title(self, name: str) -> str:
        """Return what a finding is called on screen."""
        return next((one.title for one in self.findings if one.name == name), name)

    @property
    def finding(self) -> Finding | None:
        """The finding that is looked at and painted."""
        return self.findings[self.index] if self.findings else None

    def set_finding(self, name: str) -> None:
        """Turn to another finding."""
        if name in self.names and self.names.index(name) != self.index:
            self.index = self.names.index(name)
            self.finding_changed.emit()

    def step_finding(self, by: int) -> None:
        """Turn to the finding `by` places on, round and round."""
        if self.findings:
            index = (self.index + by) % len(self.findings)
            self.set_finding(self.names[index])

    def set_view(self, view: str, *, compared: str | None = None) -> None:
        """Show one of `VIEWS`, or compare it with another.

        Only stages can be blended; others are compared with a divider then.

        Raises
        ------
        UsageError
            There is no such view.
        """
        for name in filter(None, (view, compared)):
            if name not in VIEWS:
                raise UsageError(f"no view {name!r}; there are: {', '.join(VIEWS)}")
        self.view = view
        self.compared = None if compared == view else compared
        if self.compared and self.comparing == "blend" and not self.can_blend:
            self.comparing = "swipe"
        self.view_changed.emit()

    @property
    def can_blend(self) -> bool:
        """Whether both views are stages."""
        return self.view in STAGES and self.compared in STAGES

    def compare_by(self, comparing: Comparing) -> None:
        """Compare the two views in another way."""
        if comparing != "blend" or self.can_blend:
            self.comparing = comparing
            self.view_changed.emit()

    def step_view(self, available: Collection[str]) -> None:
        """Turn to the next view; of the stages, only to those in `available`."""
        shown = [view for view in VIEWS if view not in STAGES or view in available]
        here = shown.index(self.view) if self.view in shown else -1
        self.set_view(shown[(here + 1) % len(shown)])

    def set_blend(self, blend: float) -> None:
        """Set how strongly a stage covers the film, or the second stage the first."""
        self.blend = min(max(blend, 0.0), 1.0)
        self.view_changed.emit()

    def set_snap(self, snap: bool) -> None:
        """Draw what stages offer to the edges of the film, or as it is."""
        if snap != self.snap:
            self.snap = snap
            self.threshold_changed.emit()

    def set_numbers(self, numbers: bool) -> None:
        """Let every finding on the film carry its number, or none."""
        if numbers != self.numbers:
            self.numbers = numbers
            self.threshold_changed.emit()

    def set_alone(self, alone: bool) -> None:
        """Show the finding that is looked at alone, or every one."""
        if alone != self.alone:
            self.alone = alone
            self.view_changed.emit()

    def set_drawing(self, drawing: Drawing) -> None:
        """Draw expert masks filled, as outlines, or not at all."""
        if drawing != self.drawing:
            self.drawing = drawing
            self.view_changed.emit()

    def step_drawing(self) -> None:
        """Draw expert masks in the next way, round and round."""
        place = (DRAWINGS.index(self.drawing) + 1) % len(DRAWINGS)
        self.set_drawing(DRAWINGS[place])

    def put(self, names: Collection[str], *, away: bool) -> None:
        """Put the masks and outlines of findings away, or show them again."""
        kept = self.put_away | set(names) if away else self.put_away - set(names)
        if kept != self.put_away:
            self.put_away = frozenset(kept)
            self.view_changed.emit()

    def shows(self, finding: str) -> bool:
        """Whether a finding is to be seen: not put away, nor another one alone."""
        if self.alone and self.finding is not None:
            return finding == self.finding.name
        return finding not in self.put_away

    def set_threshold(self, stage: str, finding: str, threshold: float) -> None:
        """Move the threshold of one finding at one stage, for every case.

        Parameters
        ----------
        stage, finding
            As in `Drafts.set_threshold`.
        threshold
            Score in [0, 1] at and above which a pixel is the finding.

        Raises
        ------
        ValueError
            The stage's run was not trained on the finding.
        """
        self.drafts.set_threshold(stage, finding, threshold)
        self.threshold_changed.emit()

    def reset_threshold(self, stage: str, finding: str) -> None:
        """Go back to the run's own threshold of one finding at one stage."""
        self.drafts.reset_threshold(stage, finding)
        self.threshold_changed.emit()

    def departures(self) -> tuple[Departure, ...]:
        """Return what is shown otherwise than the runs in use have it, on every film.

        Nothing of it changes when the film is turned.
        """
        found = [
            Departure("threshold", stage, finding, value, own)
            for stage, finding, value, own in self.drafts.moved()
        ]
        if round(self.blend - USUAL_BLEND, 3):
            found.append(
                Departure("blend", self.view, value=self.blend, usual=USUAL_BLEND)
            )
        if self.compared is not None:
            found.append(Departure("comparison", self.compared))
        if self.snap:
            found.append(Departure("snap"))
        if self.alone and self.finding is not None:
            found.append(Departure("alone", finding=self.finding.name))
        if self.drawing != "filled":
            found.append(Departure("drawing"))
        found += [Departure("hidden", finding=name) for name in sorted(self.put_away)]
        return tuple(found)

    def forget_departures(self) -> None:
        """Show everything as the runs in use have it."""
        for stage, finding, *_ in self.drafts.moved():
            self.drafts.reset_threshold(stage, finding)
        self.blend, self.compared, self.comparing = USUAL_BLEND, None, "blend"
        self.snap = self.alone = False
        self.drawing, self.put_away = "filled", frozenset()
        self.threshold_changed.emit()
        self.view_changed.emit()
