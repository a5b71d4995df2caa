"""A film fills the canvas, whatever its size, until the reader zooms or moves it."""

from __future__ import annotations

from collections.abc import Callable

from napari.viewer import Viewer
from qtpy.QtCore import QEvent, QObject, QTimer
from qtpy.QtWidgets import QWidget

MARGIN = 0.02
"""Share of the canvas left free: a square film is 618 px high at 1366 x 768."""


class FilmFit(QObject):
    """Fits the film anew when the canvas gets another size.

    Parameters
    ----------
    fit
        Fits the film; nothing while there is none.
    """

    def __init__(
        self, viewer: Viewer, fit: Callable[[], object], parent: QObject
    ) -> None:
        super().__init__(parent)
        self._viewer, self._fit = viewer, fit
        self._fitted: tuple[float, ...] = ()
        self._soon = QTimer(self, singleShot=True)
        self._soon.timeout.connect(self._refit)

    def watch(self, canvas: QWidget | None) -> None:
        """Follow the size of a canvas."""
        if canvas is not None:
            canvas.installEventFilter(self)

    def keep(self) -> None:
        """Remember how the camera stands: the film has just been fitted."""
        self._fitted = self._camera()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Note another size; the reader's own zoom and place are left alone."""
        if (
            event is not None
            and event.type() == QEvent.Type.Resize
            and self._fitted == self._camera()
        ):
            # napari tells the camera of the new size only after this.
            self._soon.start(0)
        return False

    def _refit(self) -> None:
        self._fit()
        self.keep()

    def _camera(self) -> tuple[float, ...]:
        camera = self._viewer.scene.camera
        return (float(camera.zoom), *(float(x) for x in camera.center))
