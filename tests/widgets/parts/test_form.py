"""A form must hand back exactly the settings that it was given."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import Annotated, Any

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import QApplication, QDoubleSpinBox, QFormLayout

import trainers
from napari_wsseg._widgets.parts.config_form import ConfigForm
from napari_wsseg._widgets.processes.describe_recipes import describe_config
from napari_wsseg._widgets.processes.recipes import rebuild

pytestmark = pytest.mark.gui


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings that have tripped forms."""

    learning_rate: Annotated[float, {"min": 1e-7, "max": 10.0}] = 1e-4
    tiny: Annotated[float, {"min": 0.0, "max": 1.0, "step": 1e-4}] = 3e-7
    bare: float = 0.125
    whole: Annotated[
        int, {"min": 1, "max": 1000, "basic": True, "label": "Epochs", "tooltip": "Tip"}
    ] = 20
    seed: Annotated[int, {"min": 0, "max": 2**31 - 1}] = 0
    choice: Annotated[str, {"choices": ["a", "b", "c"]}] = "b"
    stride: Annotated[int, {"choices": [8, 16, 32]}] = 16
    on: bool = True
    words: str = ""


@dataclass(frozen=True, kw_only=True)
class Sized:
    size: Annotated[int, {"min": 64, "max": 2048}] = 256


@pytest.fixture
def form(qtbot: QtBot) -> ConfigForm:
    form = ConfigForm(Config)
    qtbot.addWidget(form)
    form.show()
    return form


def test_an_untouched_form_gives_the_defaults_back(form: ConfigForm) -> None:
    assert Config(**form.values()) == Config()


@pytest.mark.parametrize("name", trainers.recipes.names())
def test_the_form_of_every_recipe_gives_its_defaults_back(
    qtbot: QtBot, name: str
) -> None:
    config = trainers.recipes[name].config
    form = ConfigForm(config)
    qtbot.addWidget(form)
    assert config(**form.values()) == config()


@pytest.mark.parametrize("name", trainers.recipes.names())
def test_a_recipe_told_by_another_process_makes_the_same_form(
    qtbot: QtBot, name: str
) -> None:
    config = trainers.recipes[name].config
    description = json.loads(json.dumps(describe_config(config)))
    form = ConfigForm(rebuild(name, description))
    qtbot.addWidget(form)
    assert config(**form.values()) == config()


def test_the_recipes_are_told_without_torch_in_this_process() -> None:
    script = (
        "import sys; from napari_wsseg._widgets.processes import recipes;"
        "loaded = recipes.load(); assert 'torch' not in sys.modules;"
        "print(*loaded.recipes, loaded.device)"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stderr
    assert set(trainers.recipes.names()) <= set(result.stdout.split())


@pytest.mark.parametrize(
    "preset",
    [(p, r) for p, recipes in trainers.presets.items() for r in recipes],
    ids=" ".join,
)
def test_the_form_shows_every_preset_unrounded(
    qtbot: QtBot, preset: tuple[str, str]
) -> None:
    named, recipe = preset
    if recipe not in trainers.recipes:
        pytest.skip(f"{recipe} is not here yet")
    wanted = trainers.presets[named][recipe]
    form = ConfigForm(trainers.recipes[recipe].config)
    qtbot.addWidget(form)
    form.set_values(wanted)
    shown = form.values()
    assert {name: shown[name] for name in wanted} == wanted


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("learning_rate", 1.5e-5),
        ("learning_rate", 1e-7),
        ("seed", 2**31 - 1),
        ("choice", "c"),
        ("stride", 32),
        ("on", False),
        ("words", "imagenet"),
    ],
)
def test_what_is_entered_comes_back(form: ConfigForm, name: str, value: Any) -> None:
    form.set_values({name: value})
    assert form.values()[name] == pytest.approx(value)


def test_a_learning_rate_is_not_rounded_to_zero_on_screen(form: ConfigForm) -> None:
    box = form.widgets["learning_rate"].native
    assert isinstance(box, QDoubleSpinBox)
    assert float(box.text()) == 1e-4


def test_values_out_of_range_cannot_be_entered(form: ConfigForm) -> None:
    box = form.widgets["whole"].native
    box.setValue(5000)
    assert form.values()["whole"] == 1000


def test_basic_settings_are_on_top_and_the_rest_is_folded(form: ConfigForm) -> None:
    assert form.widgets["whole"].native.isVisible()
    assert not form.widgets["seed"].native.isVisible()
    form.more.set_open(True)
    assert form.widgets["seed"].native.isVisible()


def test_labels_and_tooltips_come_from_the_config(form: ConfigForm) -> None:
    native = form.widgets["whole"].native
    assert native.toolTip() == "Tip\n1 to 1000\nusual: 20"
    assert native.accessibleName() == "Epochs"
    assert form.widgets["seed"].native.accessibleName() == "Seed"


def test_fields_can_be_left_to_somebody_else(qtbot: QtBot) -> None:
    form = ConfigForm(Config, leave_out=("choice",))
    qtbot.addWidget(form)
    assert "choice" not in form.values()


def test_a_change_is_told(qtbot: QtBot, form: ConfigForm) -> None:
    with qtbot.waitSignal(form.changed, timeout=1000):
        form.set_values({"whole": 3})


def test_a_setting_without_a_default_is_refused_with_its_name(qtbot: QtBot) -> None:
    @dataclass(frozen=True)
    class Bare:
        epochs: int

    with pytest.raises(ValueError, match=r"epochs.*no default"):
        ConfigForm(Bare)


def test_scrolling_the_panel_changes_no_setting(form: ConfigForm) -> None:
    box = form.widgets["whole"].native
    box.clearFocus()
    event = QWheelEvent(
        QPointF(5, 5),
        QPointF(5, 5),
        QPoint(0, 0),
        QPoint(0, 120),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(box, event)
    assert form.values()["whole"] == 20


def test_the_form_fits_a_narrow_dock(form: ConfigForm) -> None:
    form.more.set_open(True)
    assert form.minimumSizeHint().width() <= 300
    assert form.findChildren(QFormLayout)


def test_a_number_below_the_bound_can_be_passed_while_typing(qtbot: QtBot) -> None:
    form = ConfigForm(Sized)
    qtbot.addWidget(form)
    field = form.widgets["size"].native
    field.selectAll()
    qtbot.keyClicks(field, "96")
    form.settle()
    assert form.values() == {"size": 96}
