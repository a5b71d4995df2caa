"""The part of a session that knows which maps of the machine are on screen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from napari_wsseg.jobs import UsageError
from napari_wsseg.schema import Mask, StageMaps
from napari_wsseg.session import open_case
from napari_wsseg.session.drafts import Drafts
from napari_wsseg.session.effort.arms import Arms
from napari_wsseg.session.open_case import Shown
from napari_wsseg.session.state import State


@dataclass(frozen=True)
class StageCommands:
    """Which run and which map each stage shows, and the drafts made of them."""

    state: State

    def adopt(self, stage: str, run_id: str) -> None:
        """Let a stage show a run; the reader's masks of the open case stay as they are.

        Raises
        ------
        DataError
            The project is read-only or the disk refuses.
        """
        state = self.state
        if state.project is None:
            raise UsageError("open a project first")
        state.project.adopt(stage, run_id, actor=state.reader)
        self.reload_stages()

    def reload_stages(self, preview: Mapping[str, str] | None = None) -> None:
        """Read the stages again, of the open case too, after maps have changed.

        With `preview`, stage to run id, every case shows runs that are not in use.
        """
        state = self.state
        if state.project is None:
            return
        if not state.reading.stages:
            return
        runs = state.project.runs_in_use() | dict(preview or {})
        self._show_maps(state.showing.with_runs(runs))

    def choose_map(self, variant: str) -> None:
        """Let the stage "cam" show another of `showing.maps`, in every case.

        Raises
        ------
        UsageError
            The run has no such map.
        """
        self._show_maps(self.state.showing.with_map(variant))

    def refresh_maps(self) -> None:
        """Read again what is shown, after more of its maps have been computed."""
        self._show_maps(self.state.showing.shown)

    def maps_came(self) -> None:
        """Let the worklist follow maps that were computed in the background.

        What is drawn on the open case stays as it is, unless a stage had no map of it.
        """
        state = self.state
        if state.project is None or state.loader is None:
            return
        shown = state.showing.shown
        if state.arms is not None:
            state.loader.forget()
            return
        if state.opened is not None and set(shown.runs) - set(state.opened.maps):
            self._show_maps(shown)
            return
        state.loader.forget()
        state.looking.drafts.take_new(Drafts.from_project(state.project, shown))
        state.stages_changed.emit()

    def stages(self) -> tuple[str, ...]:
        """Return the stages that have maps of the open case."""
        return tuple(self.state.opened.maps) if self.state.opened else ()

    def draft(self, stage: str, finding: str, shape: tuple[int, int]) -> Mask | None:
        """Return the (H, W) mask that a stage offers; ``None`` if it has none.

        Parameters
        ----------
        stage, finding
            Of the open case, at the thresholds that are set and, where so chosen, drawn
            to edges.
        shape
            Rows and columns of the mask: the film's, or fewer for a quick look.
        """
        state = self.state
        if state.opened is None:
            return None
        maps = state.opened.stage_maps(stage, snap=state.looking.snap)
        if maps is None:
            return None
        labels = state.opened.case.labels
        return state.looking.drafts.draft(maps, stage, finding, shape, labels)

    def _show_maps(self, shown: Shown) -> None:
        state = self.state
        if state.project is None:
            return
        if state.arms is not None:
            # What a film of a study offers is settled; later films follow new runs.
            state.arms = Arms.for_reader(state.project, state.reading)
            if state.loader is not None:
                state.loader.forget()
            return
        state.showing.start(state.project.folder, shown)
        state.looking.drafts = Drafts.from_project(state.project, shown)
        if state.loader is not None:
            state.loader.forget()
        if state.opened is None:
            state.stages_changed.emit()
            return
        folder, case_id = state.project.folder, state.opened.case.id
        own = state.shown_on(case_id)
        state.background.submit(
            lambda: open_case.read_maps(folder, case_id, own),
            lambda maps: self._take_maps(case_id, maps, shown, own),
            lambda error: state.message.emit(str(error)),
        )

    def _take_maps(
        self, case_id: str, maps: dict[str, StageMaps], shown: Shown, own: Shown
    ) -> None:
        state = self.state
        if shown is not state.showing.shown:
            return  # something else was chosen meanwhile
        if state.opened is not None and state.opened.case.id == case_id:
            state.opened = replace(state.opened, maps=maps, shown=own)
        state.stages_changed.emit()
