"""What each part of a session may rely on, whichever part gives it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from psygnal import SignalInstance

from napari_wsseg.schema import Mask

if TYPE_CHECKING:
    from napari_wsseg.io.project import Project
    from napari_wsseg.session.background import Background
    from napari_wsseg.session.case_loader import Loader
    from napari_wsseg.session.decisions import Deciding
    from napari_wsseg.session.expert_masks import ExpertMasks
    from napari_wsseg.session.open_case import OpenedCase
    from napari_wsseg.session.reading_list import ReadingList
    from napari_wsseg.session.reading_mode import Reading
    from napari_wsseg.session.shown_runs import Showing
    from napari_wsseg.session.versions import Comparing
    from napari_wsseg.session.view import Looking


class Whole:
    """A session's state and the few steps that its parts share; no code of its own."""

    project: Project | None
    opened: OpenedCase | None
    experts: ExpertMasks | None
    list: ReadingList
    looking: Looking
    showing: Showing
    reading: Reading
    comparing: Comparing
    message: SignalInstance
    stages_changed: SignalInstance
    mask_replaced: SignalInstance
    decided: SignalInstance
    _background: Background
    _clock: Callable[[], float]
    _loader: Loader | None
    _shown_at: float
    _deciding: Deciding | None

    if TYPE_CHECKING:

        @property
        def reader(self) -> str:
            """Who reads."""
            ...

        @property
        def readonly(self) -> bool:
            """Whether nothing may be written."""
            ...

        @property
        def turning(self) -> bool:
            """Whether another case was asked for and is not on screen yet."""
            ...

        @property
        def locked(self) -> bool:
            """Whether the open film may not be drawn on."""
            ...

        def go_to(self, case_id: str) -> None:
            """Open the case `case_id`."""
            ...

        def _tried(self, action: Callable[[], object]) -> bool: ...
        def _replace_mask(
            self, case_id: str, finding: str, mask: Mask | None
        ) -> None: ...
        def _changed(self, case_id: str) -> None: ...
        def _read_again(self) -> None: ...
        def _fail(self, error: Exception) -> None: ...
        def _succeed(self) -> None: ...
        def _change_reader(self, reading: Reading) -> None: ...
