"""The one training loop: steps, weight averaging, validation, saving, stopping."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedDataParallelKwargs
from torch import Tensor, nn
from torch.optim import Optimizer

from napari_wsseg.jobs import Checkpoint, JobFailed, Progress, UsageError
from napari_wsseg.nn import ranks
from napari_wsseg.pipeline.inference import serving
from trainers.engine import processes
from trainers.engine.recipe import Context, Events, TrainingConfig


@dataclass(frozen=True, slots=True)
class Task:
    """What a recipe hands to the loop.

    Parameters
    ----------
    model
        The network whose weights are learnt and saved.
    loss
        ``(model, step, device) -> scalar``: draws the batch of that step and
        computes its loss. A pure function of the step, so that runs can resume.
    validate
        ``(model, device) -> figures``; called without gradients, in eval mode.
    steps
        Batches in all.
    header
        What is needed to build and feed the network again.
    criterion
        Figure of `validate` that picks the best checkpoint.
    higher_is_better
        Whether more of it is better.
    rates
        Learning-rate factor by parameter-name prefix; 1 where none matches.
    bias_rate
        What the rate of every bias is multiplied by on top of that.
    extra_metrics
        ``steps done -> figures`` of the batches so far, e.g. the share of expert films
        in them; kept beside the loss and beside what is validated.
    """

    model: nn.Module
    loss: Callable[[nn.Module, int, torch.device], Tensor]
    validate: Callable[[nn.Module, torch.device], Mapping[str, float]]
    steps: int
    header: Mapping[str, Any]
    criterion: str
    higher_is_better: bool = True
    rates: Mapping[str, float] = field(default_factory=dict)
    bias_rate: float = 1.0
    extra_metrics: Callable[[int], Mapping[str, float]] = lambda _done: {}


def accelerator(config: TrainingConfig) -> Accelerator:
    """Return the accelerator for a config; bf16 only where it is native."""
    cpu = config.device == "cpu" or not _has_gpu()
    precision = config.precision
    if precision == "auto":
        device = torch.device("cpu" if cpu else "cuda")
        precision = "bf16" if serving.native_bf16(device) else "fp32"
    if precision == "fp16" and cpu:
        raise UsageError("precision=fp16 needs a GPU; use bf16, fp32 or auto")
    # A process keeps the first precision for good and refuses another; one that trains
    # several recipes in turn needs each recipe's own.
    AcceleratorState._reset_state(reset_partial_state=False)
    return Accelerator(
        cpu=cpu,
        mixed_precision="no" if precision == "fp32" else precision,
        # A head that a loss leaves out has no gradient to wait for.
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
    )


def fit(
    task: Task, config: TrainingConfig, context: Context, *, alone: bool = False
) -> Events:
    """Train, yielding progress, validations and checkpoints.

    A checkpoint with `best` set comes whenever validation has not been better; one
    with a resume state at every validation and when the run is cancelled.

    Where several processes learn together (`trainers.engine.processes`), each takes
    its share of every batch, their gradients are averaged, and all stop together.

    Parameters
    ----------
    task, config
        What is trained, and by which settings.
    context
        The run: where it lies, what cancels it, and what it goes on from.
    alone
        Train in this process, whatever others there are.

    Raises
    ------
    JobFailed
        If the loss or its gradient is no longer a number. The weights in hand have
        not been touched by it, and the checkpoints so far stay.
    """
    with processes.learning_together(alone=alone):
        yield from _fitted(task, config, context, alone=alone)


def _fitted(
    task: Task, config: TrainingConfig, context: Context, *, alone: bool
) -> Events:
    state = context.resume or {}
    learner = _Learner.begin(task, config, state, alone=alone)
    device = learner.hub.device
    best = state.get("best")
    checks = _check_steps(task.steps, config)
    for step in range(state.get("step", 0), task.steps):
        batch_metrics = learner.learn(step)
        so_far = task.extra_metrics(step + 1)
        yield Progress(step + 1, task.steps, "training", {**batch_metrics, **so_far})
        stopping = ranks.any_process(context.cancel.is_set(), device)
        if step + 1 not in checks and not stopping:
            continue
        metrics: dict[str, float] = {}
        better = False
        if step + 1 in checks:
            metrics = {**learner.validate(), **so_far}
            score = metrics.get(task.criterion)
            better = ranks.as_first(_better(score, best, task.higher_is_better), device)
            best = score if better else best
            yield Progress(step + 1, task.steps, "validating", metrics)
        yield Checkpoint(
            header=dict(task.header),
            weights=_on_cpu(learner.average.model.state_dict()),
            metrics=metrics,
            resume={"step": step + 1, "best": best, **learner.state()},
            best=better,
        )
        if stopping:
            context.cancel.set()
            return


@dataclass(frozen=True, slots=True)
class _Learner:
    """A network that learns, with all that a step of it changes."""

    task: Task
    config: TrainingConfig
    hub: Accelerator
    model: nn.Module
    optimiser: Optimizer
    average: _Average

    @classmethod
    def begin(
        cls,
        task: Task,
        config: TrainingConfig,
        state: Mapping[str, Any],
        *,
        alone: bool,
    ) -> Self:
        """Make one of a task's network, or go on from a state that was kept."""
        hub = accelerator(config)
        ranks.synchronise_norms(task.model, hub.device)
        # The order that convolutions compute in: a quarter faster, same but for
        # rounding.
        task.model.to(memory_format=torch.channels_last)
        average = _Average(task.model, config.average)
        optimiser = _optimiser(task, config)
        if state:
            task.model.load_state_dict(state["model"])
            average.load(state["average"], state["updates"])
            if "optimiser" in state:  # weights of another run have none
                optimiser.load_state_dict(state["optimiser"])
        model = hub.prepare_model(task.model, evaluation_mode=alone)
        optimiser = hub.prepare_optimizer(optimiser)
        average.to(hub.device)
        return cls(task, config, hub, model, optimiser, average)

    def learn(self, step: int) -> dict[str, float]:
        """Learn from the batch of a step; return its loss and learning rate."""
        config, hub = self.config, self.hub
        torch.manual_seed(config.seed * 1_000_003 + step)
        self.model.train()
        rate = _scheduled(config, step, self.task.steps)
        for group in self.optimiser.param_groups:
            group["lr"] = config.learning_rate * group["factor"] * rate
        with hub.autocast():
            loss = self.task.loss(self.model, step, hub.device)
        value = float(loss.detach())
        _require_number(value, "loss", step, config)
        self.optimiser.zero_grad(set_to_none=True)
        hub.backward(loss)
        norm = hub.clip_grad_norm_(self.model.parameters(), 5.0)
        if hub.scaler is None and norm is not None:
            # With fp16 the scaler leaves such a step out by itself.
            _require_number(float(norm), "gradient", step, config)
        self.optimiser.step()
        self.average.update(hub.unwrap_model(self.model))
        return {"loss": value, "learning_rate": config.learning_rate * rate}

    def validate(self) -> Mapping[str, float]:
        """Judge the average of the weights so far."""
        self.average.model.eval()
        with torch.no_grad():
            return self.task.validate(self.average.model, self.hub.device)

    def state(self) -> dict[str, Any]:
        """Return what another one goes on from."""
        return {
            "model": _on_cpu(self.hub.unwrap_model(self.model).state_dict()),
            "average": _on_cpu(self.average.model.state_dict()),
            "updates": self.average.updates,
            "optimiser": self.optimiser.state_dict(),
        }


def _require_number(value: float, what: str, step: int, config: TrainingConfig) -> None:
    if not math.isfinite(value):
        raise JobFailed(
            f"the {what} is not a number at step {step + 1} ({value}); lower the "
            f"learning rate (learning_rate={config.learning_rate:g}), or set "
            "precision=fp32; the last good checkpoint is kept"
        )


class _Average:
    """Running mean of the weights; buffers are taken over as they are.

    The decay warms up, so that the random first weights are soon forgotten.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.model = _copy(model) if decay > 0 else model

    def to(self, device: torch.device) -> None:
        self.model.to(device)

    def load(self, weights: Mapping[str, Tensor], updates: int) -> None:
        self.updates = updates
        if self.decay > 0:
            self.model.load_state_dict(weights)

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        self.updates += 1
        if self.decay <= 0:
            return
        decay = min(self.decay, self.updates / (self.updates + 9))
        theirs = model.state_dict()
        for name, mine in self.model.state_dict().items():
            if mine.dtype.is_floating_point:
                mine.lerp_(theirs[name].to(mine.dtype), 1 - decay)
            else:
                mine.copy_(theirs[name])


def _copy(model: nn.Module) -> nn.Module:
    import copy

    return copy.deepcopy(model)


def _on_cpu(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    plain = torch.contiguous_format
    return {
        name: tensor.detach().cpu().clone(memory_format=plain)
        for name, tensor in weights.items()
    }


def _optimiser(task: Task, config: TrainingConfig) -> Optimizer:
    groups: dict[float, list[nn.Parameter]] = {}
    for name, parameter in task.model.named_parameters():
        if parameter.requires_grad:
            factor = next(
                (f for prefix, f in task.rates.items() if name.startswith(prefix)), 1.0
            )
            if name.rpartition(".")[2] == "bias":
                factor *= task.bias_rate
            groups.setdefault(factor, []).append(parameter)
    parameters = [
        {"params": members, "factor": factor} for factor, members in groups.items()
    ]
    rate, decay = config.learning_rate, config.weight_decay
    # On a GPU fp16's scaler would have to know of it.
    fused = not _has_gpu() or config.device == "cpu"
    match config.optimiser:
        case "sgd":
            return torch.optim.SGD(
                parameters, lr=rate, momentum=config.momentum, weight_decay=decay
            )
        case "adam":
            return torch.optim.Adam(
                parameters, lr=rate, weight_decay=decay, fused=fused
            )
        case "radam":
            return torch.optim.RAdam(parameters, lr=rate, weight_decay=decay)
        case _:
            return torch.optim.AdamW(
                parameters, lr=rate, weight_decay=decay, fused=fused
            )


def _scheduled(config: TrainingConfig, step: int, total: int) -> float:
    """Return the factor on the learning rate at `step` of `total`."""
    done = step / max(total, 1)
    match config.schedule:
        case "poly":
            return float((1 - done) ** 0.9)
        case "cosine":
            return 0.5 * (1 + math.cos(math.pi * done))
        case "step":
            return float(config.step_factor ** math.floor(_stairs(config, done)))
        case "one-cycle":
            warm = 0.2
            if done < warm:
                return 0.04 + 0.96 * 0.5 * (1 - math.cos(math.pi * done / warm))
            return max(1e-3, 0.5 * (1 + math.cos(math.pi * (done - warm) / (1 - warm))))
        case _:
            return 1.0


def _stairs(config: TrainingConfig, done: float) -> float:
    """Return how many falls of the schedule "step" lie behind a share of the run."""
    if not config.step_epochs:
        return done * 10 / 4
    # The last bit of a share must not keep a fall from its own batch.
    return done * config.epochs / config.step_epochs + 1e-9


def _check_steps(steps: int, config: TrainingConfig) -> set[int]:
    """Return the batches behind which a run is validated; the last is one of them."""
    checks, every = config.checks, config.check_every
    if every:
        return {*range(every, steps, every), steps}
    return {max(1, round(steps * (n + 1) / checks)) for n in range(checks)} | {steps}


def _better(score: float | None, best: float | None, higher: bool) -> bool:
    """Whether a checkpoint replaces the best; without validation the last one does."""
    if score is None or best is None or math.isnan(best):
        return True
    if math.isnan(score):
        return False
    return score >= best if higher else score <= best


def _has_gpu() -> bool:
    return torch.cuda.is_available() or torch.backends.mps.is_available()
