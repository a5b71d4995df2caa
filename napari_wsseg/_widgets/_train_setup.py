"""The upper half of the Train panel: what to train, from what, with which settings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from napari_wsseg._widgets._form import ConfigForm
from napari_wsseg._widgets._jobs import Request
from napari_wsseg._widgets._loading import Loaded, RecipeCard
from napari_wsseg._widgets._material import Material, share_in_words

#: Recipes in the order in which a project needs them, and what they are called here.
TITLES: Mapping[str, str] = {
    "classifier": "1 · Classifier (CAM, CRF)",
    "irnet": "2 · IRNet",
    "segmentation": "3 · Segmentation from weak masks",
    "chexseg": "4 · CheXseg: expert and weak masks",
}
EVERYTHING = "All stages, one after the other"

_PRESETS: Mapping[str, str] = {
    "fast": "fast: minutes, also without a graphics card",
    "wsmis": "wsmis: the settings of the paper, for a graphics card",
}


def title(recipe: str | None) -> str:
    """Return what a recipe is called on screen."""
    if recipe is None:
        return EVERYTHING
    return TITLES.get(recipe, recipe.replace("_", " ").replace("-", " ").capitalize())


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
        self._loaded: Loaded | None = None
        self._material: Material | None = None
        self._entered: dict[str, dict[str, Any]] = {}
        self.choice = _combo("What to train")
        self.choice.currentIndexChanged.connect(self._turn)
        self.about = _note()
        self.preset = _combo("How thoroughly every stage is trained")
        self.preset.currentIndexChanged.connect(self.changed)
        self.material = _note()
        self.material.setToolTip(
            "Expert films: of the train split, with a mask that a reader drew or "
            "approved.\nWeak films: only known to show a finding or not."
        )
        self.share = _Share()
        self.share.changed.connect(self._say_share)
        self.share.changed.connect(self.changed)
        self._form_place = QVBoxLayout()
        self.device = _note()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (self.choice, self.about, self.material, self.share, self.preset):
            layout.addWidget(widget)
        layout.addLayout(self._form_place)
        layout.addWidget(self.device)

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
        self._loaded = loaded
        names = [name for name in TITLES if name in loaded.recipes]
        names += [name for name in loaded.recipes if name not in names]
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
        self.device.setText(f"Runs on: {loaded.device}")
        self._turn()

    def choose(self, recipe: str | None) -> None:
        """Turn to a recipe."""
        self.choice.setCurrentIndex(max(0, self.choice.findData(recipe)))

    def show_material(self, material: Material | None) -> None:
        """Say what there is to learn from."""
        self._material = material
        self._say_share()

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
        preset = self.preset.currentData() or "fast"
        return Request(project, self.recipe, self.settings(), preset=preset)

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
        self.set_settings(self._entered.get(card.name, {}))

    def _say_share(self) -> None:
        material = self._material
        if material is None:
            self.material.setText("")
            return
        words = [material.summary(), material.caution()]
        if not self.share.isHidden() and self.form is not None:
            values = self._values()
            words.insert(1, _used(material, values))
            self.share.say(share_in_words(values["p"], int(values.get("batch", 1))))
        self.material.setText("\n".join(word for word in words if word))


def _used(material: Material, values: Mapping[str, Any]) -> str:
    most = values.get("n_expert") or 0
    if 0 < most < material.expert:
        return f"{most:,} of {material.expert:,} expert films will be used."
    return ""


class _Share(QWidget):
    """The share p of expert films in a batch: a slider, a number, and it in words."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        tip = "Share p of films with an expert mask in every batch, kept exactly"
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, 100)
        self.slider.setPageStep(10)
        self.slider.setMinimumWidth(60)
        self.box = QDoubleSpinBox()
        self.box.setRange(0.0, 1.0)
        self.box.setSingleStep(0.05)
        self.box.setDecimals(3)
        self.words = _note()
        label = QLabel("Expert share p")
        label.setBuddy(self.box)
        for widget in (self.slider, self.box, label):
            widget.setToolTip(tip)
            widget.setAccessibleName("Expert share p")
        row = QHBoxLayout()
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(label)
        row.addWidget(self.slider, 1)
        row.addWidget(self.box)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addLayout(row)
        layout.addWidget(self.words)
        self.slider.valueChanged.connect(self._from_slider)
        self.box.valueChanged.connect(self._from_box)

    def value(self) -> float:
        """Return p, in [0, 1]."""
        return round(float(self.box.value()), 3)

    def set_value(self, p: float) -> None:
        """Show p."""
        self.box.setValue(p)

    def say(self, words: str) -> None:
        """Say what p means for a batch."""
        self.words.setText(f"Expert: {words}")

    def _from_slider(self, hundredths: int) -> None:
        self.box.setValue(hundredths / 100)

    def _from_box(self, p: float) -> None:
        # The box is finer than the slider, which must not round it back.
        self.slider.blockSignals(True)
        self.slider.setValue(round(p * 100))
        self.slider.blockSignals(False)
        self.changed.emit()


def _combo(name: str) -> QComboBox:
    combo = QComboBox()
    combo.setAccessibleName(name)
    combo.setToolTip(name)
    combo.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    combo.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    combo.setMinimumWidth(120)
    return combo


def _note() -> QLabel:
    label = QLabel()
    label.setWordWrap(True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
    return label
