"""Where a sweep is asked for: which setting, which values, how many trials."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QSpinBox,
)

from napari_wsseg._widgets.parts.collapsible import Fold
from napari_wsseg._widgets.parts.config_form import labels
from napari_wsseg._widgets.parts.share_slider import WrappedLabel
from napari_wsseg._widgets.processes.requests import Request, Sweep
from napari_wsseg._widgets.training import sweep_plot as _sweep_plot
from napari_wsseg.jobs import counted
from napari_wsseg.setting_fields import fields_of

#: Values that are offered for the share p.
_OF_P = "0, 0.2, 0.4, 0.6, 0.8, 1"


class SweepBox(Fold):
    """A fold that starts a sweep of the chosen recipe, or goes on with one.

    Signals
    -------
    started(), resumed()
        The reader wants a new sweep; wants to go on with the one that is shown.
    """

    started = Signal()
    resumed = Signal()

    def __init__(self) -> None:
        super().__init__(
            "Sweep of a setting",
            "Train at several values, several times each, and see which does best",
        )
        self._states: dict[str, dict[str, Any]] = {}
        self._project: Path | None = None
        self.key = QComboBox()
        self.key.setAccessibleName("Setting that is swept")
        self.key.currentIndexChanged.connect(self._suggest)
        self.values = QLineEdit()
        self.values.setAccessibleName("Values, with commas between them")
        self.values.textChanged.connect(self._say)
        self.trials = QSpinBox()
        self.trials.setRange(1, 100)
        self.trials.setValue(3)
        self.trials.setToolTip("How often each value is trained, each with its seed")
        self.trials.setAccessibleName("Trials")
        self.trials.valueChanged.connect(self._say)
        self.label = WrappedLabel()
        self.start_button = QPushButton("Start sweep")
        self.earlier = QComboBox()
        self.earlier.setAccessibleName("Earlier sweeps")
        self.earlier.setToolTip("Sweeps of this recipe that have been begun")
        self.earlier.currentIndexChanged.connect(self._show_earlier)
        self.resume_button = QPushButton("Go on")
        self.plot = _sweep_plot.SweepPlot()
        self._build()

    def _build(self) -> None:
        rows = QFormLayout()
        rows.addRow("Setting", self.key)
        rows.addRow("Values", self.values)
        rows.addRow("Trials", self.trials)
        again = QHBoxLayout()
        again.addWidget(self.earlier, 1)
        again.addWidget(self.resume_button)
        self.body.addLayout(rows)
        self.body.addWidget(self.label)
        self.body.addWidget(self.start_button)
        self.body.addLayout(again)
        self.body.addWidget(self.plot)
        for combo in (self.key, self.earlier):
            combo.setSizeAdjustPolicy(
                QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
            )
            combo.setMinimumWidth(80)
        for button in (self.start_button, self.resume_button):
            button.setMinimumHeight(28)
        self.start_button.clicked.connect(lambda *_: self.started.emit())
        self.resume_button.clicked.connect(lambda *_: self.resumed.emit())

    def offer(self, config: type[Any] | None) -> None:
        """Offer the settings of a recipe that can be swept, the share p first."""
        names = swept(config) if config is not None else []
        if names != [self.key.itemData(n) for n in range(self.key.count())]:
            called = labels(config) if config is not None else {}
            self.key.blockSignals(True)
            self.key.clear()
            for name in names:
                self.key.addItem(called[name], name)
            self.key.blockSignals(False)
            self._suggest()
        self.setVisible(bool(names))

    def show_earlier(self, project: Path, recipe: str | None) -> None:
        """List the sweeps of a recipe that there are."""
        self._project = project
        self._states = sweeps(project, recipe)
        names, chosen = list(self._states), self.earlier.currentText()
        self.earlier.blockSignals(True)
        self.earlier.clear()
        self.earlier.addItems(names)
        if chosen in names:
            self.earlier.setCurrentText(chosen)
        self.earlier.blockSignals(False)
        self._show_earlier()

    def request(
        self, project: Path, recipe: str, settings: Mapping[str, Any]
    ) -> Request:
        """Return the sweep that is asked for, on top of `settings`."""
        key = str(self.key.currentData())
        rest = {name: value for name, value in settings.items() if name != key}
        sweep = Sweep(
            key,
            tuple(self._values()),
            self.trials.value(),
            title=self.key.currentText(),
        )
        return Request(project, recipe, rest, sweep=sweep)

    def earlier_request(self, project: Path) -> Request | None:
        """Return the shown sweep again: what is done of it is kept."""
        state = self._states.get(self.earlier.currentText())
        if state is None:
            return None
        values = tuple(str(value) for value in state["values"])
        key = str(state["key"])
        sweep = Sweep(
            key,
            tuple(str(value) for value in state.get("planned", values)),
            int(state["trials"]),
            self.earlier.currentText(),
            self._setting(key),
        )
        return Request(project, str(state["recipe"]), state["settings"], sweep=sweep)

    def _setting(self, key: str) -> str:
        """Return what the form calls a setting; empty where it has none so."""
        return self.key.itemText(self.key.findData(key))

    def _values(self) -> list[str]:
        entries = self.values.text().replace(";", ",").split(",")
        return [word.strip() for word in entries if word.strip()]

    def _suggest(self) -> None:
        self.values.setText(_OF_P if self.key.currentData() == "p" else "")
        self.values.setPlaceholderText("values, with commas between them")

    def _say(self) -> None:
        values = self._values()
        self.start_button.setEnabled(bool(values))
        trainings = counted(len(values) * self.trials.value(), "training")
        self.label.setText(
            f"{trainings}, one after the other; none is put in use."
            if values
            else "Give the values to train at."
        )

    def _show_earlier(self) -> None:
        name = self.earlier.currentText()
        state = self._states.get(name)
        for widget in (self.earlier, self.resume_button):
            widget.setVisible(state is not None)
        folder = self._project / "sweeps" / name if self._project and state else None
        called = self._setting(str(state["key"])) if state is not None else ""
        self.plot.show_folder(folder, called)
        if state is not None:
            done, total = progress(state)
            self.resume_button.setEnabled(done < total)
            self.resume_button.setText(f"Go on ({done}/{total})")
            self.resume_button.setToolTip(
                "Train and score what is missing; what is done is kept"
                if done < total
                else "All of it is done"
            )


def sweeps(project: Path, recipe: str | None) -> dict[str, dict[str, Any]]:
    """Return the sweeps of a recipe by name, the newest first."""
    files = sorted(
        project.glob("sweeps/*/sweep.json"),
        key=lambda path: path.stat().st_mtime,
        reverse=True,
    )
    states = {path.parent.name: _sweep_plot.read(path.parent) for path in files}
    return {
        name: state
        for name, state in states.items()
        if state is not None and state.get("recipe") == recipe
    }


def progress(state: Mapping[str, Any]) -> tuple[int, int]:
    """Return how many trainings of a sweep are done, and how many there are."""
    values = state.get("planned", state["values"])
    return len(state["cells"]), max(len(state["cells"]), len(values) * state["trials"])


def swept(config: type[Any]) -> list[str]:
    """Return the settings of a recipe that are numbers, but for the seed."""
    names = [
        name
        for name, setting in fields_of(config).items()
        if setting.is_number and name not in ("seed", "checks")
    ]
    return sorted(names, key=lambda name: name != "p")
