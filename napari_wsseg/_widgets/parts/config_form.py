"""A form made from a recipe's config dataclass: one place states a setting's bounds.

How a setting is written and read: `napari_wsseg.setting_fields`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import MISSING
from decimal import Decimal
from typing import Any

from magicgui.widgets import create_widget
from magicgui.widgets.bases import ValueWidget
from qtpy.QtCore import QEvent, QObject, Qt, Signal
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QLabel,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_wsseg._widgets.parts.collapsible import Fold
from napari_wsseg.setting_fields import SettingField, fields_of

LARGEST_INT = 2**31 - 1


class ConfigForm(QWidget):
    """The settings of one recipe; basic ones on top, the rest under a fold.

    Parameters
    ----------
    config
        Dataclass whose every field has a default.
    leave_out
        Fields that somebody else shows, e.g. as a slider.

    Signals
    -------
    changed()
        A value is another one.
    """

    changed = Signal()

    def __init__(
        self,
        config: type[Any],
        *,
        leave_out: Iterable[str] = (),
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.widgets: dict[str, ValueWidget[Any]] = {}
        self._quiet_wheel = _QuietWheel(self)
        basic, more = QFormLayout(), QFormLayout()
        for name, setting in fields_of(config).items():
            if name not in leave_out:
                self._add_row(basic if setting.basic else more, setting)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(_spaced(basic))
        self.more = Fold("More settings", "Settings that are seldom changed")
        self.more.body.addLayout(_spaced(more))
        layout.addWidget(self.more)
        self.more.setVisible(more.rowCount() > 0)

    def values(self) -> dict[str, Any]:
        """Return every setting of the form by name."""
        return {name: widget.value for name, widget in self.widgets.items()}

    def settle(self) -> None:
        """Take what is still being typed in a number's field for its value."""
        for widget in self.widgets.values():
            if isinstance(widget.native, QAbstractSpinBox):
                widget.native.stepBy(0)

    def set_values(self, values: Mapping[str, Any]) -> None:
        """Show `values`; names that the form does not have are left out."""
        for name, value in values.items():
            if name in self.widgets:
                native = self.widgets[name].native
                if isinstance(native, QDoubleSpinBox):
                    # Else a value finer than any seen so far is rounded to 0.
                    finer = max(native.decimals(), _decimals(float(value)))
                    native.setDecimals(finer)
                self.widgets[name].value = value

    def _add_row(self, rows: QFormLayout, setting: SettingField) -> None:
        title = setting.label
        widget = _widget(setting.name, setting.kind, _default(setting), setting.rules)
        widget.changed.connect(lambda *_: self.changed.emit())
        native = widget.native
        native.setToolTip(_tooltip(setting.rules, setting.default))
        native.setAccessibleName(title)
        native.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        native.setMinimumWidth(128)
        native.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        native.installEventFilter(self._quiet_wheel)
        label = QLabel(title)
        label.setWordWrap(True)
        label.setBuddy(native)
        label.setToolTip(native.toolTip())
        rows.addRow(label, native)
        self.widgets[setting.name] = widget


class _QuietWheel(QObject):
    """Keeps the wheel, meant to scroll the panel, from changing a setting unseen."""

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Let the wheel through only to the field that is being edited."""
        if event.type() == QEvent.Type.Wheel:
            if isinstance(watched, (QAbstractSpinBox, QComboBox)):
                if not watched.hasFocus():
                    event.ignore()
                    return True
        return bool(super().eventFilter(watched, event))


def labels(config: type[Any]) -> dict[str, str]:
    """Return what each setting of a recipe is called in the window, by name."""
    return {name: setting.label for name, setting in fields_of(config).items()}


def _default(setting: SettingField) -> Any:
    if setting.default is not MISSING:
        return setting.default
    raise ValueError(
        f"setting {setting.name!r} has no default; a form needs one to start from"
    )


def _widget(
    name: str, kind: Any, default: Any, rules: Mapping[str, Any]
) -> ValueWidget[Any]:
    """Make the field; bounds and steps are passed, else 1e-4 is rounded to 0.0."""
    if "choices" in rules:
        options: dict[str, Any] = {"choices": list(rules["choices"])}
    elif kind is int:
        options = {
            "min": rules.get("min", -LARGEST_INT),
            "max": min(rules.get("max", LARGEST_INT), LARGEST_INT),
            "step": rules.get("step", 1),
        }
    elif kind is float:
        options = {
            "min": rules.get("min", -1e9),
            "max": rules.get("max", 1e9),
            "step": rules.get("step") or _finest(default),
        }
    else:
        options = {}
    widget = create_widget(annotation=kind, name=name, options=options)
    if not isinstance(widget, ValueWidget):
        raise TypeError(f"setting {name!r} of type {kind} has no field to edit it in")
    if isinstance(widget.native, QAbstractSpinBox):
        # Else the 9 of a typed 96 is pushed up to a lower bound of 64 at once.
        widget.native.setKeyboardTracking(False)
    if kind is float and "choices" not in rules:
        _show_decimals(widget, default, options)
    if isinstance(widget.native, QCheckBox):
        # The row's label says what a tick means.
        widget.native.setText("")
    widget.value = default
    return widget


def _show_decimals(
    widget: ValueWidget[Any], default: float, options: Mapping[str, Any]
) -> None:
    """Show as many decimals as default, step and bound need, one to spare if few."""
    native = widget.native
    if not isinstance(native, QDoubleSpinBox):
        return
    low, high, step = options["min"], options["max"], options["step"]
    needed = max(_decimals(value) for value in (default, step, low))
    native.setDecimals(needed if needed > 3 else needed + 1)
    # Rounding happens with the decimals that are set, so the bounds come after.
    native.setRange(low, high)
    if low > 0 and high / low >= 1e3:
        # A learning rate is found by factors, not by equal steps.
        native.setStepType(QAbstractSpinBox.StepType.AdaptiveDecimalStepType)


def _decimals(value: float) -> int:
    """Return how many digits `value` has after the point: 1 for 0.5, 4 for 1e-4."""
    exponent = Decimal(repr(float(value))).normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _finest(default: float) -> float:
    """Return a step fit for `default`: a tenth of its leading digit."""
    if default == 0 or not math.isfinite(default):
        return 0.1
    return float(10.0 ** (math.floor(math.log10(abs(default))) - 1))


def _tooltip(rules: Mapping[str, Any], default: Any) -> str:
    lines = [str(rules["tooltip"])] if rules.get("tooltip") else []
    if "min" in rules and "max" in rules:
        lines.append(f"{rules['min']:g} to {rules['max']:g}")
    lines.append(f"usual: {default}")
    return "\n".join(lines)


def _spaced(rows: QFormLayout) -> QFormLayout:
    rows.setContentsMargins(0, 0, 0, 0)
    rows.setVerticalSpacing(4)
    rows.setHorizontalSpacing(8)
    rows.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    rows.setRowWrapPolicy(QFormLayout.RowWrapPolicy.DontWrapRows)
    return rows
