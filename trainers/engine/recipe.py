"""What a recipe is: a frozen config and a generator, found by name."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from napari_wsseg._registry import Registry
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import Checkpoint, Progress, UsageError
from napari_wsseg.nn.normalise import KINDS
from napari_wsseg.recipe_facts import RecipeFacts
from napari_wsseg.schema import ANATOMY, STAGES
from napari_wsseg.setting_fields import SettingField, fields_of
from trainers.engine.tracking import TRACKERS

if TYPE_CHECKING:
    from torch import nn

Events = Iterator[Progress | Checkpoint]


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """Settings that every recipe has."""

    passes: ClassVar[int] = 1
    """How often a film goes through the network before one backward."""

    size: Annotated[
        int,
        {
            "min": 64,
            "max": 2048,
            "step": 32,
            "basic": True,
            "label": "Working size (px)",
            "tooltip": "Films are letterboxed to this square; time grows with its area",
        },
    ] = 256
    epochs: Annotated[
        int,
        {
            "min": 1,
            "max": 1000,
            "basic": True,
            "tooltip": "How often the training films are gone through",
        },
    ] = 20
    batch: Annotated[
        int, {"min": 1, "max": 256, "basic": True, "label": "Films per batch"}
    ] = 8
    optimiser: Annotated[str, {"choices": ["adamw", "adam", "sgd", "radam"]}] = "adamw"
    learning_rate: Annotated[float, {"min": 1e-7, "max": 10.0, "step": 1e-4}] = 1e-3
    weight_decay: Annotated[float, {"min": 0.0, "max": 1.0, "step": 1e-4}] = 1e-2
    momentum: Annotated[
        float, {"min": 0.0, "max": 0.999, "step": 0.05, "tooltip": "SGD only"}
    ] = 0.9
    schedule: Annotated[
        str,
        {
            "choices": ["one-cycle", "poly", "cosine", "step", "constant"],
            "tooltip": "How the learning rate moves from the first batch to the last; "
            "poly: (1 - share done)^0.9; one-cycle: a cosine behind a warm-up",
        },
    ] = "one-cycle"
    step_epochs: Annotated[
        int,
        {
            "min": 0,
            "max": 1000,
            "label": "Epochs per step",
            "tooltip": "Schedule step only: after how many epochs the rate falls; "
            "0: after every two fifths of the run",
        },
    ] = 0
    step_factor: Annotated[
        float,
        {
            "min": 0.01,
            "max": 1.0,
            "step": 0.05,
            "tooltip": "Schedule step only: what the learning rate is multiplied by",
        },
    ] = 0.1
    average: Annotated[
        float,
        {
            "min": 0.0,
            "max": 0.9999,
            "step": 0.001,
            "label": "Weight averaging",
            "tooltip": "Decay of the running mean of the weights that is kept; 0: none",
        },
    ] = 0.99
    augment: Annotated[
        float,
        {
            "min": 0.0,
            "max": 2.0,
            "step": 0.1,
            "label": "Geometric augmentation",
            "tooltip": "Rotation, zoom and shift while training; 0: none",
        },
    ] = 1.0
    tone: Annotated[
        float,
        {
            "min": 0.0,
            "max": 4.0,
            "step": 0.1,
            "label": "Intensity augmentation",
            "tooltip": "Contrast, brightness, blur and noise while training; 0: none",
        },
    ] = 1.0
    flip: Annotated[
        bool,
        {
            "label": "Mirror films",
            "tooltip": "Off where left and right matter, as for the heart",
        },
    ] = True
    checks: Annotated[
        int,
        {
            "min": 1,
            "max": 1000,
            "label": "Validations",
            "tooltip": "How often the run is validated and saved on the way",
        },
    ] = 5
    check_every: Annotated[
        int,
        {
            "min": 0,
            "max": 1_000_000,
            "step": 100,
            "label": "Batches per validation",
            "tooltip": "Validate and save after every so many batches instead; 0: as "
            "often as said above",
        },
    ] = 0
    seed: Annotated[int, {"min": 0, "max": 2**31 - 1}] = 0
    device: Annotated[
        str,
        {
            "choices": ["auto", "cpu"],
            "tooltip": "auto: the first GPU that accelerate finds, else the processor",
        },
    ] = "auto"
    precision: Annotated[
        str,
        {
            "choices": ["auto", "fp32", "bf16", "fp16"],
            "tooltip": "auto: bf16 where the device computes it natively",
        },
    ] = "auto"
    tracker: Annotated[
        str,
        {
            "choices": list(TRACKERS),
            "tooltip": "Who else gets the settings and figures of a run; wandb and "
            "mlflow may send them to a server",
        },
    ] = "none"

    def networks(self, n_findings: int, built_on: Mapping[str, Any]) -> list[nn.Module]:
        """Return the networks that are learnt one after the other, by the settings.

        What a training needs of memory is told from them before it starts.

        Parameters
        ----------
        built_on
            Header of the classifier that the run would build on; empty: a usual one.

        Raises
        ------
        NotImplementedError
            If the recipe does not say; it is trained all the same.
        """
        raise NotImplementedError(f"no network is known of {type(self).__name__}")

    def film_input(self, built_on: Mapping[str, Any]) -> tuple[int, int]:
        """Return side and channels of a film as the network is given it."""
        return self.size, int(getattr(self, "channels", 1))


@dataclass(frozen=True, kw_only=True)
class InputConfig(TrainingConfig):
    """Settings of recipes that choose how films become a network's input."""

    normalisation: Annotated[
        str,
        {
            "choices": list(KINDS),
            "tooltip": "film: every film by its own greys; the others: fixed figures, "
            "those of the weights that a network starts from",
        },
    ] = "film"
    channels: Annotated[int, {"choices": [1, 3]}] = 1
    detail: Annotated[
        int,
        {
            "min": 0,
            "max": 2048,
            "label": "Detail (px)",
            "tooltip": "Soften films to what this many pixels a side hold; helps with "
            "few films and large findings, hides small ones; 0: all of it",
        },
    ] = 0

    def __post_init__(self) -> None:
        if self.normalisation == "imagenet-rgb" and self.channels != 3:
            raise UsageError("normalisation=imagenet-rgb needs channels=3")

    def input_header(self) -> dict[str, Any]:
        """Return what weights carry of it: how a film is given to them again."""
        return {
            "size": self.size,
            "normalisation": self.normalisation,
            "detail": self.detail,
            "flip": self.flip,
        }


@dataclass(frozen=True, slots=True)
class Context:
    """What a recipe is given beside its config.

    Parameters
    ----------
    project
        Opened read-only; a recipe writes nothing but through what it yields.
    cancel
        Set when the run should stop after the batch in hand.
    resume
        What `Checkpoint.resume` held when the run was last saved, or ``None``.
    lock
        Filled by the recipe with what it learns from, one row per case and finding;
        written to ``data.lock.json`` before the first step.
    cache
        Folder of the run for what can be computed again; ``None``: none is to be had.
    """

    project: Project
    cancel: threading.Event
    resume: dict[str, Any] | None = None
    lock: list[dict[str, Any]] = field(default_factory=list)
    cache: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe(RecipeFacts):
    """One way to train, and all that is said of it anywhere.

    Parameters
    ----------
    config
        Frozen dataclass of its settings.
    train
        ``(context, config) -> iterator of Progress and Checkpoint``.
    """

    config: type[TrainingConfig]
    train: Callable[[Context, Any], Events]

    @property
    def stage(self) -> str:
        """The stage that its runs are looked at in."""
        return self.stages[0]

    def upstream(self, settings: Mapping[str, Any]) -> dict[str, str]:
        """Return each setting that names a run it builds on, and that run's stage."""
        usual = {each.name: each.default for each in fields(self.config)}
        return {
            key: str(settings.get(stage, usual[stage])) if stage in usual else stage
            for key, stage in self.builds_on.items()
        }


recipes: Registry[Recipe] = Registry("recipe", "trainers", "napari_wsseg.recipes")

Train = Callable[[Context, Any], Events]


def recipe(
    name: str,
    *,
    config: type[TrainingConfig],
    stages: tuple[str, ...],
    summary: str,
    title: str = "",
    order: int = 100,
    network: str = "",
    needs: tuple[str, ...] = (),
    judged_by: str = "",
    builds_on: Mapping[str, str] | None = None,
    in_run: bool = False,
) -> Callable[[Train], Train]:
    """Return the decorator that registers a generator as the recipe `name`.

    The window, the command line and the list of runs know of a recipe what is said
    here, see `napari_wsseg.recipe_facts.RecipeFacts`. Write it as literals: the window
    reads them without importing the recipe, which brings torch.

    Parameters
    ----------
    name
        What the recipe is called in commands and run folders.
    config
        Frozen dataclass of its settings.
    stages, summary, title, order, network, needs, judged_by, builds_on, in_run
        As in `napari_wsseg.recipe_facts.RecipeFacts`.

    Raises
    ------
    UsageError
        If one of the stages is unknown (`napari_wsseg.schema`).
    """
    known = (*STAGES, ANATOMY)
    strange = [stage for stage in stages if stage not in known]
    if strange:
        raise UsageError(
            f"recipe {name!r} makes the stage {strange[0]!r}, which is none of: "
            + ", ".join(known)
        )

    def enlist(train: Train) -> Train:
        enter = recipes.register(name, module=train.__module__)
        enter(
            Recipe(
                name=name,
                config=config,
                stages=tuple(stages),
                summary=summary,
                train=train,
                title=title,
                order=order,
                network=network,
                needs=tuple(needs),
                judged_by=judged_by,
                builds_on=dict(builds_on or {}),
                in_run=in_run,
            )
        )
        return train

    return enlist


def in_turn(preset: Mapping[str, Any]) -> list[Recipe]:
    """Return the recipes that ``wsseg run`` trains by a preset's settings, in order.

    Those of the usual way from films to masks; where a preset leaves out the first of
    them, those that it has itself.
    """
    every = sorted((recipes[name] for name in recipes), key=lambda one: one.place)
    usual = [one for one in every if one.in_run]
    if not preset or usual[0].name in preset:
        return usual
    return [one for one in every if one.name in preset]


def configure(name: str, settings: dict[str, Any]) -> TrainingConfig:
    """Build a recipe's config from settings whose values may still be text.

    Raises
    ------
    UsageError
        For an unknown setting, a value that cannot be read or one out of its range.
    """
    kind = recipes[name].config
    known = fields_of(kind)
    values = {}
    for key, value in settings.items():
        if key not in known:
            raise UsageError(
                f"recipe {name} has no setting {key!r}; there are: "
                + ", ".join(sorted(known))
            )
        values[key] = _checked(known[key], value)
    return kind(**values)


def settings_of(config: TrainingConfig) -> dict[str, Any]:
    """Return a config as plain values, ready for JSON."""
    return asdict(config)


def _checked(setting: SettingField, value: Any) -> Any:
    key = setting.name
    read = _read(key, value, setting.kind)
    if setting.choices and read not in setting.choices:
        allowed = ", ".join(str(choice) for choice in setting.choices)
        raise UsageError(f"{key}={value} is not one of: {allowed}")
    if not setting.allows(read):
        raise UsageError(
            f"{key}={value} is out of range; it goes from {setting.low} to "
            f"{setting.high}"
        )
    return read


def _read(key: str, value: Any, kind: type) -> Any:
    if kind is bool and isinstance(value, str):
        booleans = {"true": True, "yes": True, "1": True, "false": False, "no": False}
        booleans["0"] = False
        if value.lower() not in booleans:
            raise UsageError(f"{key}={value} is not yes or no")
        return booleans[value.lower()]
    try:
        return kind(value)
    except (TypeError, ValueError) as error:
        wanted = {int: "a whole number", float: "a number"}.get(kind, kind.__name__)
        raise UsageError(f"{key}={value} is not {wanted}") from error
