"""What layers beside those of a case have in common: they come on wish, and go."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from napari.viewer import Viewer
from psygnal import SignalInstance

from napari_wsseg._widgets.canvas.case_layers import CaseLayers
from napari_wsseg.session import Session


class GuestLayers(ABC):
    """Follows the session, and is put away with its project.

    Attributes
    ----------
    wanted
        Which parts are shown when there is something to show.
    """

    at_first: ClassVar[Mapping[str, bool]]
    """What is wanted when the window opens."""

    def __init__(self, viewer: Viewer, session: Session, layers: CaseLayers) -> None:
        self.viewer, self.session, self.layers = viewer, session, layers
        self.wanted = dict(self.at_first)
        for signal in self._signals():
            signal.connect(self.refresh)
        session.project_changed.connect(self._forget)

    def close(self) -> None:
        """Let go of the session."""
        for signal in self._signals():
            signal.disconnect(self.refresh, missing_ok=True)
        self.session.project_changed.disconnect(self._forget, missing_ok=True)

    def want(self, part: str, wanted: bool) -> None:
        """Show a part from now on, or no longer."""
        self.wanted[part] = wanted
        self.refresh()

    @abstractmethod
    def refresh(self) -> None:
        """Show what is wanted of the open case."""

    @abstractmethod
    def _forget(self) -> None:
        """Put the layers of another project away."""

    @abstractmethod
    def _signals(self) -> tuple[SignalInstance, ...]:
        """Return what is followed by a `refresh`."""
