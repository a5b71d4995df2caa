"""The part of a session that knows which maps of the machine are on screen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from napari_wsseg.jobs import UsageError
from napari_wsseg.schema import Mask, StageMaps
from napari_wsseg.session import open_case as opened
from napari_wsseg.session.drafts import Drafts
from napari_wsseg.session.open_case import Shown
from napari_wsseg.session.state import Whole


class MapsShown(Whole):
    """Which run and which map each stage shows, and the drafts made of them."""

    def adopt(self, stage: str, run_id: str) -> None:
        """Let a stage show a run; the reader's masks of the open case stay as they are.

        Raises
        ------
        DataError
            The project is read-only or the disk refuses.
        """
        if self.project is None:
            raise UsageError("open a project first")
        self.project.adopt(stage, run_id, actor=self.reader)
        self.reload_stages()

    def reload_stages(self, preview: Mapping[str, str] | None = None) -> None:
        """Read the stages again, of the open case too, after maps have changed.

        With `preview`, stage to run id, every case shows runs that are not in use.
        """
        if self.project is None:
            return
        if not self.reading.stages:
            return
        runs = opened.adopted(self.project) | dict(preview or {})
        self._show_maps(self.showing.with_runs(runs))

    def choose_map(self, variant: str) -> None:
        """Let the stage "cam" show another of `showing.maps`, in every case.

        Raises
        ------
        UsageError
            The run has no such map.
        """
        self._show_maps(self.showing.with_map(variant))

    def refresh_maps(self) -> None:
        """Read again what is shown, after more of its maps have been computed."""
        self._show_maps(self.showing.shown)

    def maps_came(self) -> None:
        """Let the worklist follow maps that were computed in the background.

        What is drawn on the open case stays as it is, unless a stage had no map of it.
        """
        if self.project is None or self._loader is None:
            return
        shown = self.showing.shown
        if self.opened is not None and set(shown.runs) - set(self.opened.maps):
            self._show_maps(shown)
            return
        self._loader.forget()
        self.looking.drafts.take_new(Drafts.of(self.project, shown))
        self.stages_changed.emit()

    def stages(self) -> tuple[str, ...]:
        """Return the stages that have maps of the open case."""
        return tuple(self.opened.maps) if self.opened else ()

    def draft(self, stage: str, finding: str, shape: tuple[int, int]) -> Mask | None:
        """Return the (H, W) mask that a stage offers; ``None`` if it has none."""
        if self.opened is None:
            return None
        maps = self.opened.stage_maps(stage, snap=self.looking.snap)
        if maps is None:
            return None
        labels = self.opened.case.labels
        return self.looking.drafts.draft(maps, stage, finding, shape, labels)

    def _show_maps(self, shown: Shown) -> None:
        if self.project is None:
            return
        self.showing.start(self.project.folder, shown)
        self.looking.drafts = Drafts.of(self.project, shown)
        if self._loader is not None:
            self._loader.shown = shown
            self._loader.forget()
        if self.opened is None:
            self.stages_changed.emit()
            return
        folder, case_id = self.project.folder, self.opened.case.id
        self._background.submit(
            lambda: opened.read_maps(folder, case_id, shown),
            lambda maps: self._take_maps(case_id, maps, shown),
            lambda error: self.message.emit(str(error)),
        )

    def _take_maps(
        self, case_id: str, maps: dict[str, StageMaps], shown: Shown
    ) -> None:
        if shown is not self.showing.shown:
            return  # something else was chosen meanwhile
        if self.opened is not None and self.opened.case.id == case_id:
            self.opened = replace(self.opened, maps=maps, shown=shown)
        self.stages_changed.emit()
