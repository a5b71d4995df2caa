"""Several trainings in a row as one run that stops and resumes anywhere.

Each phase goes on from the weights that those before it kept. What is kept, and where
the phase in hand is, lies in the run's resume state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from torch import Tensor

from napari_wsseg.jobs import Progress
from trainers.engine.loop import Task, fit
from trainers.engine.recipe import Context, Events, TrainingConfig

#: The best weights of every phase so far, by the phase's name.
Kept: TypeAlias = Mapping[str, Mapping[str, Tensor]]


@dataclass(frozen=True, slots=True)
class Phase:
    """One training of several.

    Parameters
    ----------
    name
        For a person, who reads it when the phase begins; also the key of what it keeps.
    config
        The recipe's settings, with this phase's own rate, schedule and epochs.
    steps
        Batches, known before the phase begins.
    task
        ``(kept, begun, steps) -> task``: builds the network from what earlier phases
        kept; the first of its `steps` batches is batch `begun` of the run.
    keeps
        Only tensors whose name begins so are kept.
    offers
        Whether the run has something to show from here on.
    """

    name: str
    config: TrainingConfig
    steps: int
    task: Callable[[Kept, int, int], Task]
    keeps: str = ""
    offers: bool = True


def fit_in_turn(
    phases: Sequence[Phase],
    context: Context,
    gathered: Callable[[Kept], Mapping[str, Tensor]],
) -> Events:
    """Train every phase after the other, as `fit` does each.

    Parameters
    ----------
    phases, context
        What is trained in turn, and the run.
    gathered
        Makes a checkpoint's weights of what the phases kept. Its header is the task's.
    """
    state: dict[str, Any] = dict(context.resume or {})
    kept: dict[str, Mapping[str, Tensor]] = dict(state.get("kept", {}))
    total = sum(phase.steps for phase in phases)
    begun = 0
    for number, phase in enumerate(phases):
        within = None
        if number == state.get("phase"):
            within = state["fit"]
        if number >= state.get("phase", 0):
            yield Progress(begun, total, phase.name)
            task = phase.task(kept, begun, phase.steps)
            for event in fit(task, phase.config, replace(context, resume=within)):
                if isinstance(event, Progress):
                    yield replace(event, step=begun + event.step, total=total)
                    continue
                if event.best:
                    kept[phase.name] = _beginning(event.weights, phase.keeps)
                yield replace(
                    event,
                    weights=gathered(kept) if phase.offers else {},
                    resume={"phase": number, "kept": dict(kept), "fit": event.resume},
                    best=event.best and phase.offers,
                )
            if context.cancel.is_set():
                return
        begun += phase.steps


def _beginning(weights: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name: value for name, value in weights.items() if name.startswith(prefix)}
