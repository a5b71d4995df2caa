"""What a setting is: name, kind, bounds, default, words. The one reader of configs.

A recipe's config is a dataclass whose fields are ``Annotated[kind, {…}]``; the dict may
hold ``min``, ``max``, ``step``, ``choices``, ``label``, ``tooltip`` and ``basic``. The
form, the command line, the sweep box and the cards of recipes all read it here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Annotated, Any, get_args, get_origin, get_type_hints


@dataclass(frozen=True, slots=True)
class SettingField:
    """One setting of a recipe.

    Parameters
    ----------
    kind
        Its type, without its annotation.
    rules
        The annotation's dict; empty for a bare type.
    default
        ``dataclasses.MISSING`` where it has none.
    """

    name: str
    kind: Any
    rules: Mapping[str, Any]
    default: Any = MISSING

    @property
    def low(self) -> Any:
        """Least value, or ``None``."""
        return self.rules.get("min")

    @property
    def high(self) -> Any:
        """Greatest value, or ``None``."""
        return self.rules.get("max")

    @property
    def choices(self) -> tuple[Any, ...]:
        """All that it may be; empty: anything."""
        return tuple(self.rules.get("choices", ()))

    @property
    def label(self) -> str:
        """What it is called on screen."""
        return str(self.rules.get("label") or self.name.replace("_", " ").capitalize())

    @property
    def help(self) -> str:
        """What it does, for a person; empty where its name says it."""
        return str(self.rules.get("tooltip", ""))

    @property
    def basic(self) -> bool:
        """Whether it is shown without being asked for."""
        return bool(self.rules.get("basic"))

    @property
    def is_number(self) -> bool:
        """Whether it is a number, which a sweep can go through."""
        return self.kind in (int, float)

    def allows(self, value: Any) -> bool:
        """Whether a value of its kind is within its bounds; a NaN never is."""
        above = self.low is None or value >= self.low
        return bool(above and (self.high is None or value <= self.high))


def fields_of(config: type[Any]) -> dict[str, SettingField]:
    """Return every setting of a config by name, in order."""
    hints = get_type_hints(config, include_extras=True)
    found = {}
    for each in fields(config):
        default = each.default
        if default is MISSING and each.default_factory is not MISSING:
            default = each.default_factory()
        kind, rules = _split(hints[each.name])
        found[each.name] = SettingField(each.name, kind, rules, default)
    return found


def _split(hint: Any) -> tuple[Any, Mapping[str, Any]]:
    """Split ``Annotated[kind, {rules}]``; a bare type has no rules."""
    if get_origin(hint) is not Annotated:
        return hint, {}
    kind, *notes = get_args(hint)
    rules = next((note for note in notes if isinstance(note, Mapping)), {})
    return kind, rules
