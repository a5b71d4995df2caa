"""The upper half of the Train panel: what to train, from what, with which settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QComboBox,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_wsseg._widgets.parts.config_form import ConfigForm
from napari_wsseg._widgets.parts.formatting import duration
from napari_wsseg._widgets.parts.share_slider import Share, WrappedLabel
from napari_wsseg._widgets.processes.recipes import Loaded, RecipeCard, facts_of
from napari_wsseg._widgets.processes.requests import Request
from napari_wsseg._widgets.training.data_summary import Material, share_in_words
from napari_wsseg._widgets.training.memory_note import MemoryNote
from napari_wsseg._widgets.training.sweep_form import SweepBox
from napari_wsseg.io.runs import RunInfo, nearest_preset
from napari_wsseg.recipe_facts import EXPERT_MASKS

EVERYTHING = "All stages, one after the other"
_WHOLE = 3
"""Trainings of it: classifier, IRNet and segmentation."""

_PRESETS: Mapping[str, str] = {
    "auto": "auto: what suits each finding, no GPU",
    "fast": "fast: minutes, no GPU",
    "focal": "focal: as fast, for small findings",
    "wsmis": "wsmis: as in the paper, for a GPU",
    "chexseg": "chexseg: as in the paper, for a GPU",
    "tdn": "tdn: as in the paper, for a GPU",
    "wsmis-compat": "wsmis-compat: as its published code",
    "chexseg-compat": "chexseg-compat: as its published code",
    "irn-compat": "irn-compat: as its published code",
}


def title(recipe: str | None) -> str:
    """Return what a recipe is called on screen."""
    if recipe is None:
        return EVERYTHING
    own = facts_of(recipe).title
    return own or recipe.replace("_", " ").replace("-", " ").capitalize()


def short_title(recipe: str | None) -> str:
    """Return what a recipe is called where room is short, e.g. ``CheXseg``."""
    short = title(recipe).split(" (")[0].split(":")[0].split(" from ")[0].split(",")[0]
    return short.split("· ")[-1]


class Setup(QWidget):
    """Choice of recipe, what there is to learn from, and the recipe's settings.

    Signals
    -------
    changed()
        Another recipe or setting was chosen.
    """

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.form: ConfigForm | None = None
        self._all: Loaded | None = None
        self._loaded: Loaded | None = None
        self._lesions: Sequence[str] | None = None
        self._material: Material | None = None
        self._last: RunInfo | None = None
        self._entered: dict[str, dict[str, Any]] = {}
        self._used: dict[str, dict[str, Any]] = {}
        self._in_use: list[RunInfo] = []
        self._preset: str | None = None
        self.choice = _combo("What to train")
        self.choice.currentIndexChanged.connect(self._turn)
        self.about = WrappedLabel()
        self.preset = _combo("How thoroughly every stage is trained")
        self.preset.currentIndexChanged.connect(self.changed)
        self.preset.currentIndexChanged.connect(self._say_notes)
        self.preset.currentIndexChanged.connect(lambda _: self._say_estimate())
        self.notes = WrappedLabel()
        self.notes.setToolTip("Where a preset is not what its paper, or its code, says")
        self.material = WrappedLabel()
        self.material.setToolTip(
            "Expert films: of the train split, with a mask that a reader drew or "
            "approved.\nWeak films: only known to show a finding or not."
        )
        self.share = Share()
        self.share.changed.connect(self._say_share)
        self.share.changed.connect(self.changed)
        self._form_place = QVBoxLayout()
        self.sweep = SweepBox()
        self.device, self.estimate, self.memory = (
            WrappedLabel(),
            WrappedLabel(),
            MemoryNote(),
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        first = (self.choice, self.about, self.material, self.share, self.preset)
        for widget in (*first, self.notes):
            layout.addWidget(widget)
        layout.addLayout(self._form_place)
        for widget in (self.device, self.memory, self.estimate, self.sweep):
            layout.addWidget(widget)

    @property
    def recipe(self) -> str | None:
        """The chosen recipe; ``None`` for all of them."""
        chosen: str | None = self.choice.currentData()
        return chosen

    @property
    def card(self) -> RecipeCard | None:
        """What is known of the chosen recipe."""
        if self._loaded is None or self.recipe is None:
            return None
        return self._loaded.recipes[self.recipe]

    def load(self, loaded: Loaded) -> None:
        """Offer the recipes, in the order in which a project needs them."""
        self._all = loaded
        self._loaded = loaded.suited(self._lesions)
        names = sorted(loaded.recipes, key=lambda name: facts_of(name).place)
        self.choice.blockSignals(True)
        self.choice.addItem(EVERYTHING, None)
        for name in names:
            self.choice.addItem(title(name), name)
            summary = loaded.recipes[name].summary
            self.choice.setItemData(
                self.choice.count() - 1, summary, Qt.ItemDataRole.ToolTipRole
            )
        self.choice.blockSignals(False)
        for name in loaded.presets:
            self.preset.addItem(_PRESETS.get(name, name), name)
        self._follow_preset()
        broken = [f"Not usable: {problem}." for problem in loaded.problems]
        self.device.setText("\n".join([f"Runs on: {loaded.device}", *broken]))
        self._turn()

    def choose(self, recipe: str | None) -> None:
        """Turn to a recipe."""
        self.choice.setCurrentIndex(max(0, self.choice.findData(recipe)))

    def show_material(self, material: Material | None) -> None:
        """Say what there is to learn from."""
        self._material = material
        self._say_share()

    def show_last(self, last: RunInfo | None) -> None:
        """Take the last finished run of the recipe as the measure of time."""
        self._last = last
        self._say_estimate()

    def show_used(
        self, used: Iterable[RunInfo], lesions: Sequence[str] | None = None
    ) -> None:
        """Begin each form by the settings of the run in use, until they are changed.

        What it was built on is left out: a new run is built on what is in use now.

        Parameters
        ----------
        used
            Runs in use of the project that is open.
        lesions
            Its findings that are no organ, which preset ``auto`` goes by, as in the
            commands; ``None``: it does not say.
        """
        before = self._start_of(self.recipe)
        self._suit(lesions)
        self._in_use = list(used)
        self._follow_preset()
        self._used = {
            info.recipe: {
                name: value
                for name, value in info.config.items()
                if name not in info.facts.builds_on
            }
            for info in self._in_use
        }
        self._say_estimate()
        after = self._start_of(self.recipe)
        if self.form is not None and after != before and self._values() == before:
            self.set_settings(after)

    def _suit(self, lesions: Sequence[str] | None) -> None:
        if lesions != self._lesions:
            self._lesions = lesions
            if self._all is not None:
                self._loaded = self._all.suited(lesions)
            self._say_notes()

    def _follow_preset(self) -> None:
        """Turn to the preset of the runs in use, unless another one was chosen."""
        if self._loaded is None:
            return
        found = nearest_preset(self._in_use, self._loaded.preset_settings)
        chosen = self.preset.currentData()
        if found is not None and chosen == (self._preset or self.preset.itemData(0)):
            self.preset.setCurrentIndex(self.preset.findData(found))
        self._preset = found

    def _start_of(self, recipe: str | None) -> dict[str, Any]:
        """Return the settings that a recipe's form begins with."""
        if recipe is None or self.card is None:
            return {}
        usual = vars(self.card.config())
        known = self._loaded.preset_settings if self._loaded is not None else {}
        # What was never trained here begins as the others here were, and else by the
        # preset that `wsseg train` takes.
        preset = known.get(self._preset or "fast", {}).get(recipe, {})
        used = {**preset, **self._used.get(recipe, {})}
        return {name: used.get(name, value) for name, value in usual.items()}

    def settings(self) -> dict[str, Any]:
        """Return the settings that differ from the recipe's defaults."""
        if self.form is None or self.card is None:
            return {}
        values = self._values()
        usual = vars(self.card.config())
        return {name: value for name, value in values.items() if value != usual[name]}

    def set_settings(self, values: Mapping[str, Any]) -> None:
        """Show the settings of an earlier run."""
        if self.form is not None:
            self.form.set_values(values)
            if "p" in values:
                self.share.set_value(float(values["p"]))

    def request(self, project: Path) -> Request:
        """Return what the reader has asked for."""
        if self.form is not None:
            self.form.settle()
        preset = self.preset.currentData() or "fast"
        return Request(project, self.recipe, self.settings(), preset=preset)

    def sweep_request(self, project: Path) -> Request | None:
        """Return the sweep that the reader has asked for."""
        if self.form is None or self.recipe is None:
            return None
        self.form.settle()
        return self.sweep.request(project, self.recipe, self._values())

    def show_memory(self, project: Path) -> None:
        """Say whether what is chosen will fit into memory."""
        settings = self.settings()
        if self.form is not None:
            settings["batch"] = self._values().get("batch")
        preset = self.preset.currentData() or "fast"
        self.memory.show_for(project, self.recipe, settings, preset)

    def _values(self) -> dict[str, Any]:
        values = self.form.values() if self.form is not None else {}
        if not self.share.isHidden():
            values["p"] = self.share.value()
        return values

    def _turn(self) -> None:
        """Show the form of the chosen recipe, as it was left."""
        if self.form is not None:
            self._entered[self.form.objectName()] = self._values()
            self._form_place.removeWidget(self.form)
            self.form.hide()
            self.form.deleteLater()
            self.form = None
        card = self.card
        self.preset.setVisible(card is None)
        self._say_notes()
        self.sweep.offer(card.config if card is not None else None)
        self.share.hide()
        if card is None:
            self.about.setText(
                "Classifier, IRNet and segmentation in turn; what is already done "
                "for the same films and settings is not done again."
            )
        else:
            self.about.setText(card.summary + ".")
            self._show_form(card)
        self._say_share()
        self.changed.emit()

    def _say_notes(self) -> None:
        """Say what the chosen preset is, while it is to be chosen at all."""
        known = self._loaded.preset_notes if self._loaded is not None else {}
        notes = known.get(self.preset.currentData() or "", ())
        self.notes.setText("\n".join(f"• {note}" for note in notes))
        self.notes.setVisible(bool(notes) and self.card is None)

    def _show_form(self, card: RecipeCard) -> None:
        usual = vars(card.config())
        mixes = isinstance(usual.get("p"), float)
        form = ConfigForm(card.config, leave_out=("p",) if mixes else ())
        form.setObjectName(card.name)
        form.changed.connect(self._say_share)
        form.changed.connect(self.changed)
        self.form = form
        self._form_place.addWidget(form)
        if mixes:
            self.share.set_value(usual["p"])
            self.share.show()
        self.set_settings(self._entered.get(card.name, self._start_of(card.name)))

    def _say_estimate(self) -> None:
        if self.recipe is None and (whole := self._whole_took()):
            self.estimate.setText(
                f"Time: about {duration(whole)}, as the runs in use took; what is done "
                "already is not done again."
            )
            return
        if self.form is None or self._last is None or self._last.recipe != self.recipe:
            self.estimate.setText(
                "Time: told once it runs; no earlier run to judge by."
            )
            return
        seconds = estimate(self._last, self._values())
        took = duration(self._last.seconds)
        self.estimate.setText(
            f"Time: about {duration(seconds)}, judged by the last run ({took})."
        )

    def _whole_took(self) -> float:
        """Return seconds that the stages in use took by the preset chosen, else 0."""
        chain = {info.recipe: info.seconds for info in self._in_use}
        same = self._preset is not None and self.preset.currentData() == self._preset
        return sum(chain.values()) if same and len(chain) >= _WHOLE else 0.0

    def _say_share(self) -> None:
        self._say_estimate()
        material = self._material
        if material is None:
            self.material.setText("")
            return
        texts = [material.summary()]
        if self.recipe is None or EXPERT_MASKS in facts_of(self.recipe).needs:
            texts.append(material.caution())
        if not self.share.isHidden() and self.form is not None:
            values = self._values()
            texts.insert(1, _used(material, values))
            self.share.say(share_in_words(values["p"], int(values.get("batch", 1))))
        self.material.setText("\n".join(word for word in texts if word))


def estimate(last: RunInfo, values: Mapping[str, Any]) -> float:
    """Return seconds that `values` may take, from what `last` took.

    Time grows with the epochs and with the area that a film is worked on at.
    """
    epochs = values.get("epochs", 1) / max(1, last.config.get("epochs", 1))
    side = values.get("size", 1) / max(
        1, last.config.get("size", values.get("size", 1))
    )
    return float(last.seconds * epochs * side**2)


def _used(material: Material, values: Mapping[str, Any]) -> str:
    most = values.get("n_expert") or 0
    if 0 < most < material.expert:
        return f"{most:,} of {material.expert:,} expert films will be used."
    return ""


def _combo(name: str) -> QComboBox:
    combo = QComboBox()
    combo.setAccessibleName(name)
    combo.setToolTip(name)
    combo.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    combo.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    combo.setMinimumWidth(120)
    return combo
