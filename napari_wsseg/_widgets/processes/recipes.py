"""The recipes as the panels know them, told by a process that imports torch."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, make_dataclass, replace
from typing import Annotated, Any

from napari_wsseg import jobs, recipe_facts
from napari_wsseg._widgets.processes import query as _query
from napari_wsseg._widgets.processes.describe_recipes import KINDS
from napari_wsseg.io.runs import PresetSettings
from napari_wsseg.recipe_facts import RecipeFacts


@dataclass(frozen=True, slots=True)
class RecipeCard:
    """What the panels need to know of a recipe.

    Parameters
    ----------
    config
        A dataclass with the fields, bounds and defaults of the recipe's own.
    facts
        All that the recipe says of itself; ``None``: what its source says.
    """

    name: str
    config: type[Any]
    stages: tuple[str, ...]
    summary: str
    facts: RecipeFacts | None = None


@dataclass(frozen=True, slots=True)
class Loaded:
    """All that was told of the recipes.

    Parameters
    ----------
    presets
        Names of ways to run every stage.
    preset_notes
        What each of them is, and where it is not what its paper says.
    device
        What a training will run on, for a person.
    problems
        What of other packages cannot be used, and whose it is.
    preset_settings
        What each preset sets, by recipe.
    auto
        What preset ``auto`` sets, and why: ``"lesions"`` where a finding is no organ,
        ``"organs"`` where there is none such. Each has ``settings`` and ``note``.
    """

    recipes: Mapping[str, RecipeCard]
    presets: tuple[str, ...]
    device: str
    problems: tuple[str, ...] = ()
    preset_notes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    preset_settings: PresetSettings = field(default_factory=dict)
    auto: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def suited(self, lesions: Sequence[str] | None) -> Loaded:
        """Return the same with ``auto`` as it suits findings, as the commands have it.

        Parameters
        ----------
        lesions
            Those that are no organ, see `napari_wsseg.pipeline.inference.places`;
            ``None``: no project says.
        """
        suited = self.auto.get("lesions" if lesions else "organs")
        if lesions is None or suited is None:
            return self
        note = suited["note"].format(findings=", ".join(lesions))
        notes = [*self.preset_notes.get("auto", ()), note[:1].upper() + note[1:] + "."]
        return replace(
            self,
            preset_settings={**self.preset_settings, "auto": suited["settings"]},
            preset_notes={**self.preset_notes, "auto": notes},
        )


#: Recipes do not change while the program runs, so they are asked for once.
_known: list[Loaded] = []


def facts_of(recipe: str) -> RecipeFacts:
    """Return what a recipe says of itself, before the recipes are loaded, too."""
    loaded = known()
    card = loaded.recipes.get(recipe) if loaded is not None else None
    if card is not None and card.facts is not None:
        return card.facts
    record = recipe_facts.facts(recipe)
    if card is None or record.stages:
        return record
    return replace(record, stages=card.stages, summary=card.summary)


def known() -> Loaded | None:
    """Return the recipes if they have been loaded."""
    return _known[0] if _known else None


def load() -> Loaded:
    """Return the recipes; takes seconds the first time.

    Raises
    ------
    RuntimeError
        If they cannot be imported; the last line of the reason is the message.
    """
    return jobs.finish(ask())


def load_softly() -> Iterator[Loaded | str | None]:
    """Yield ``None`` while waiting, then the recipes or why they cannot be had.

    For a worker: one that yields can be left at any time, and an error is a value
    because a RuntimeError may get lost on its way out of a worker, and the panel
    would say "loading" for ever.
    """
    try:
        yield (yield from ask())
    except Exception as error:
        yield (
            f"The recipes could not be loaded ({error}). "
            "Run “wsseg doctor” in a terminal to see what is missing."
        )


def ask() -> Generator[None, None, Loaded]:
    """Yield while another process imports the recipes; return what it told."""
    if _known:
        return _known[0]
    _known[:] = [
        _read(
            (
                yield from _query.ask(
                    ["napari_wsseg._widgets.processes.describe_recipes"]
                )
            )
        )
    ]
    return _known[0]


def rebuild(name: str, record: Iterable[Mapping[str, Any]]) -> type[Any]:
    """Return a frozen dataclass with the settings that were told."""
    return make_dataclass(name, map(_field, record), frozen=True, kw_only=True)


def _field(record: Mapping[str, Any]) -> tuple[str, Any, Any]:
    kind, rules = KINDS[record["kind"]], record["rules"]
    return record["name"], Annotated[kind, rules], field(default=record["default"])


def _read(record: Mapping[str, Any]) -> Loaded:
    cards = {
        card["name"]: RecipeCard(
            card["name"],
            rebuild(card["name"].replace("-", "_"), card["fields"]),
            tuple(card["stages"]),
            card["summary"],
            recipe_facts.read(card["name"], card),
        )
        for card in record["recipes"]
    }
    problems = tuple(record.get("problems", ()))
    return Loaded(
        cards,
        tuple(record["presets"]),
        record["device"],
        problems,
        record.get("preset_notes", {}),
        record.get("preset_settings", {}),
        record.get("auto", {}),
    )
