"""What is to be known of a recipe without its code: title, stages, needs, judge."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import lru_cache
from typing import Any

from napari_wsseg._declarations import declared

EXPERT_MASKS = "expert masks"
"""A need: at least one training film must have an expert mask."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeFacts:
    """What a recipe says of itself; the one place that says it is its decorator.

    Parameters
    ----------
    stages
        Stages whose maps its runs make and that they are adopted for, the one it is
        named by first; none for a recipe that others only start from.
    summary
        One line for a person.
    title
        What it is called on screen; empty: its name.
    order
        Its place in lists, and among what ``wsseg run`` trains.
    network
        Kind of network that it trains (`napari_wsseg.pipeline.inference.networks`).
    needs
        What it cannot learn without, beside labels: `EXPERT_MASKS`.
    judged_by
        Figure of its own validation that is measured against what people said; empty
        where it is validated on what machines made.
    builds_on
        Setting that names a run it builds on, to the stage whose run is meant by
        none, or to the setting that names that stage.
    in_run
        Whether ``wsseg run`` trains it.
    """

    name: str
    stages: tuple[str, ...] = ()
    summary: str = ""
    title: str = ""
    order: int = 100
    network: str = ""
    needs: tuple[str, ...] = ()
    judged_by: str = ""
    builds_on: Mapping[str, str] = field(default_factory=dict)
    in_run: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values, as a run keeps it and a window is told it."""
        names = {each.name for each in fields(RecipeFacts)}
        return {key: value for key, value in asdict(self).items() if key in names}

    @property
    def place(self) -> tuple[int, str]:
        """What lists of recipes are sorted by."""
        return self.order, self.name


def read(name: str, record: Mapping[str, Any]) -> RecipeFacts:
    """Return facts from JSON values; what is unknown or of another kind is left out."""
    plain = RecipeFacts(name=name)
    known: dict[str, Any] = {}
    for each in fields(RecipeFacts):
        value, usual = record.get(each.name), getattr(plain, each.name)
        if isinstance(usual, tuple) and isinstance(value, (list, tuple)):
            known[each.name] = tuple(str(one) for one in value)
        elif isinstance(value, type(usual)):
            known[each.name] = value
    return RecipeFacts(**{**known, "name": name})


def facts(name: str) -> RecipeFacts:
    """Return what an installed recipe says of itself; a bare name if there is none."""
    found = every().get(name)
    return RecipeFacts(name=name) if found is None else found


def every() -> Mapping[str, RecipeFacts]:
    """Return the facts of every installed recipe, read without importing it."""
    return _every(tuple(sys.path))


@lru_cache(maxsize=4)
def _every(path: tuple[str, ...]) -> Mapping[str, RecipeFacts]:
    decorator = "trainers.engine.recipe.recipe"
    found = declared(decorator, "trainers", "napari_wsseg.recipes")
    return {name: read(name, each.facts) for name, each in found.items()}
