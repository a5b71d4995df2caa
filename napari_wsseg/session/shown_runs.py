"""Which run, and which of its maps, every stage on screen comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from napari_wsseg.io import runs as _runs
from napari_wsseg.io import stages
from napari_wsseg.jobs import DataError, UsageError
from napari_wsseg.pipeline.inference import variants
from napari_wsseg.schema import StageMaps
from napari_wsseg.session.open_case import Shown

STAGE = "segmentation"
"""The stage whose drafts are renewed while one reads."""


@dataclass(frozen=True, slots=True)
class LiveDrafts:
    """Drafts of a run that learns while one reads: of the next films alone.

    Parameters
    ----------
    run
        Id of the run that learns; empty: none does.
    start
        The run that it began from, whose drafts it takes the place of.
    """

    run: str = ""
    start: str = ""

    def over(self, project: Path, case_id: str, shown: Shown) -> Shown:
        """Return what a film shows: where it has a newer draft, that one.

        Parameters
        ----------
        project, case_id
            The project's folder, and the case's 16 hexadecimal digits.
        shown
            What it would show without. Another run, looked at on purpose, stays.
        """
        if not self.run or shown.runs.get(STAGE) != self.start:
            return shown
        if stages.read_present(project, STAGE, self.run, case_id) is None:
            return shown
        return Shown({**shown.runs, STAGE: self.run}, shown.maps)


class Showing:
    """What the stages of one project show, and what else they could.

    Attributes
    ----------
    shown
        Runs and maps as they are now.
    maps
        The maps that the run behind the stage "cam" can give, its own first (see
        `napari_wsseg.pipeline.inference.variants`); none before any run.
    """

    def __init__(self) -> None:
        self.shown = Shown()
        self.maps: tuple[str, ...] = ()

    def start(self, project: Path, shown: Shown) -> None:
        """Show something else."""
        if shown.runs.get("cam") != self.shown.runs.get("cam") or not self.maps:
            self.maps = _maps(project, shown.runs.get("cam"))
        self.shown = shown

    @property
    def run(self) -> str | None:
        """The run behind the stage "cam"."""
        return self.shown.runs.get("cam")

    @property
    def map(self) -> str:
        """The map that the stage "cam" shows; empty before any run."""
        other = self.shown.maps_name("cam").partition("~")[2]
        return other or (self.maps[0] if self.maps else "")

    def with_runs(self, runs: Mapping[str, str]) -> Shown:
        """Return other runs; the map is kept where its run is."""
        same = runs.get("cam") == self.run
        return Shown(runs, self.shown.maps if same else {})

    def with_map(self, variant: str) -> Shown:
        """Return the same runs with another map.

        Raises
        ------
        UsageError
            The run has no such map.
        """
        if variant not in self.maps:
            raise UsageError(
                f"no map {variant!r}; there are: {', '.join(self.maps) or 'none'}"
            )
        own = variant == self.maps[0]
        return Shown(self.shown.runs, {} if own else {"cam": f"cam~{variant}"})


def read_every_map(
    project: Path, case_id: str, showing: Showing
) -> dict[str, StageMaps]:
    """Return what was computed of a case, by map; safe in any thread.

    Parameters
    ----------
    project, case_id
        The project's folder, and the case's 16 hexadecimal digits.
    showing
        Which run is behind the stage "cam", and which maps it can give.

    Raises
    ------
    DataError
        A file of maps is damaged.
    """
    found: dict[str, StageMaps] = {}
    if showing.run is None:
        return found
    for variant in showing.maps:
        kept = showing.with_map(variant).maps_name("cam")
        maps = stages.read(project, kept, showing.run, case_id)
        if maps is not None:
            found[variant] = maps
    return found


def _maps(project: Path, run: str | None) -> tuple[str, ...]:
    if run is None:
        return ()
    try:
        return variants.run_variants(_runs.find(project, run).config())
    except DataError:
        # Its maps may outlive a run's folder; there is nothing to choose then.
        return ()
