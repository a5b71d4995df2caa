"""Figures of a run for TensorBoard, MLflow or Weights & Biases, if a person asks.

The trackers are accelerate's. They get the settings and the figures of a run, no film
and no name; whether that leaves this machine is the tracker's affair. What goes wrong
there costs the tracking, never the training.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_wsseg.jobs import UsageError

NONE = "none"
TRACKERS = (NONE, "tensorboard", "mlflow", "wandb")

FOLDER = "tracking"
"""In a run's folder: what a tracker writes to disk."""

_log = logging.getLogger(__name__)


def check(name: str) -> None:
    """Refuse a tracker whose package is not installed.

    Raises
    ------
    UsageError
    """
    from accelerate.utils import (
        is_mlflow_available,
        is_tensorboard_available,
        is_wandb_available,
    )

    there = {
        "tensorboard": is_tensorboard_available,
        "mlflow": is_mlflow_available,
        "wandb": is_wandb_available,
    }
    if name != NONE and not there[name]():
        raise UsageError(f"tracker={name}: {name} is not installed; pip install {name}")


class Tracking:
    """What a run tells its tracker; nothing where there is none.

    Parameters
    ----------
    name
        One of `TRACKERS`.
    run
        The run's id.
    folder
        Of the run.
    settings
        Told once, at the first figures.
    """

    def __init__(
        self, name: str, run: str, folder: Path, settings: Mapping[str, Any]
    ) -> None:
        self._name, self._run, self._folder = name, run, folder
        self._settings = settings
        self._tracker: Any = None
        self._broken = name == NONE

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Tell figures of a step."""
        if self._broken:
            return
        try:
            if self._tracker is None:
                # By now the loop has told accelerate which device it is.
                self._tracker = self._begun()
            self._tracker.log(dict(metrics), step=step)
        except Exception as error:  # a server that is away, a full disk, a login
            self._broken = True
            _log.warning("tracker=%s has ended, the run goes on: %s", self._name, error)

    def close(self) -> None:
        """End the tracking, whatever became of the run."""
        if self._tracker is None:
            return
        try:
            self._tracker.finish()
        except Exception as error:  # see above
            _log.warning("tracker=%s did not end well: %s", self._name, error)
        self._tracker = None

    def _begun(self) -> Any:
        from accelerate.tracking import LOGGER_TYPE_TO_CLASS

        kind = LOGGER_TYPE_TO_CLASS[self._name]
        if self._name == "mlflow":
            made = kind(
                experiment_name="napari-wsseg",
                logging_dir=str(self._folder / FOLDER),
                run_name=self._run,
            )
        elif kind.requires_logging_directory:
            made = kind(self._run, logging_dir=str(self._folder / FOLDER))
        else:
            made = kind("napari-wsseg", name=self._run, dir=str(self._folder))
        if hasattr(made, "start"):
            made.start()
        made.store_init_configuration(
            {
                name: value
                for name, value in self._settings.items()
                if isinstance(value, (bool, int, float, str))
            }
        )
        return made
