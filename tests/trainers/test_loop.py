"""The training loop: optimisers, schedules, which checkpoint is kept, when to stop."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from napari_wsseg.io.project import Project
from napari_wsseg.jobs import Checkpoint, JobFailed, Progress
from trainers.engine.loop import Task, accelerator, fit
from trainers.engine.recipe import Context, TrainingConfig

STEPS = 10


def settings(**more: Any) -> TrainingConfig:
    plain: dict[str, Any] = {
        **{"device": "cpu", "precision": "fp32", "average": 0.0, "checks": STEPS},
        **{"schedule": "constant", "weight_decay": 0.0},
    }
    return TrainingConfig(**{**plain, **more})


def task(
    loss: Callable[[nn.Module, int], Tensor],
    scores: Iterator[Mapping[str, float]] | None = None,
    **more: Any,
) -> Task:
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 1))
    return Task(
        loss=lambda model, step, _device: loss(model, step),
        validate=lambda *_: next(scores) if scores else {},
        steps=STEPS,
        header={},
        **{"model": plain, "criterion": "figure", **more},
    )


def square(model: nn.Module, step: int) -> Tensor:
    torch.manual_seed(step)
    return (model(torch.randn(8, 4)) - 1).square().mean()


def context(project: Project) -> Context:
    return Context(project, threading.Event())


@pytest.mark.parametrize(
    ("name", "torchs"),
    [
        ("sgd", lambda p: torch.optim.SGD(p, 0.01, momentum=1e-4, weight_decay=0.1)),
        ("adam", lambda p: torch.optim.Adam(p, 0.01, weight_decay=0.1)),
        ("adamw", lambda p: torch.optim.AdamW(p, 0.01, weight_decay=0.1)),
        ("radam", lambda p: torch.optim.RAdam(p, 0.01, weight_decay=0.1)),
    ],
)
def test_every_optimiser_steps_as_torchs_own(
    spots_project: Project, name: str, torchs: Callable[[Any], torch.optim.Optimizer]
) -> None:
    config = settings(
        optimiser=name, learning_rate=0.01, weight_decay=0.1, momentum=1e-4
    )
    *_, last = fit(task(square), config, context(spots_project))
    assert isinstance(last, Checkpoint)
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 1))
    optimiser = torchs(plain.parameters())
    for step in range(STEPS):
        optimiser.zero_grad()
        square(plain, step).backward()
        nn.utils.clip_grad_norm_(plain.parameters(), 5.0)
        optimiser.step()
    for key, value in plain.state_dict().items():
        torch.testing.assert_close(last.weights[key], value, rtol=0, atol=1e-7)


def rates(project: Project, config: TrainingConfig, **more: Any) -> list[float]:
    return [
        event.metrics["learning_rate"]
        for event in fit(task(square, **more), config, context(project))
        if isinstance(event, Progress) and event.message == "training"
    ]


def test_the_rate_falls_every_few_epochs_as_torchs_steps(
    spots_project: Project,
) -> None:
    config = settings(
        schedule="step", epochs=5, step_epochs=2, step_factor=0.5, learning_rate=0.1
    )
    # Ten batches in five epochs: two a piece.
    expected = [0.1 * 0.5 ** (step // 4) for step in range(STEPS)]
    assert rates(spots_project, config) == pytest.approx(expected)


def test_the_poly_schedule_is_its_closed_form(spots_project: Project) -> None:
    found = rates(spots_project, settings(schedule="poly", learning_rate=0.1))
    expected = [0.1 * (1 - step / STEPS) ** 0.9 for step in range(STEPS)]
    assert found == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize(
    ("schedule", "torchs"),
    [
        (
            "poly",
            lambda o: torch.optim.lr_scheduler.PolynomialLR(o, STEPS, power=0.9),
        ),
        ("cosine", lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, STEPS)),
        (
            "step",
            lambda o: torch.optim.lr_scheduler.StepLR(o, STEPS // 5 * 2, gamma=0.1),
        ),
    ],
)
def test_every_schedule_is_torchs_own(
    spots_project: Project, schedule: str, torchs: Callable[[Any], Any]
) -> None:
    found = rates(spots_project, settings(schedule=schedule, learning_rate=0.1))
    optimiser = torch.optim.SGD(nn.Linear(1, 1).parameters(), 0.1)
    theirs, expected = torchs(optimiser), []
    for _ in range(STEPS):
        expected.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        theirs.step()
    assert found == pytest.approx(expected, abs=1e-7)


def test_what_a_task_tells_is_kept_with_its_losses_and_its_checkpoints(
    spots_project: Project,
) -> None:
    telling = task(
        square,
        iter([{"figure": 0.5}] * 2),
        extra_metrics=lambda done: {"films": float(done * 8)},
    )
    events = list(fit(telling, settings(checks=2), context(spots_project)))
    rows = [e for e in events if isinstance(e, Progress) and e.message == "training"]
    assert [row.metrics["films"] for row in rows] == [8.0 * n for n in range(1, 11)]
    kept = [event.metrics for event in events if isinstance(event, Checkpoint)]
    assert kept == [{"figure": 0.5, "films": 40.0}, {"figure": 0.5, "films": 80.0}]


def test_layers_named_learn_by_their_own_factor(spots_project: Project) -> None:
    config = settings(optimiser="sgd", momentum=0.0, learning_rate=0.01)
    still = task(square, rates={"1.": 0.0})
    before = {key: value.clone() for key, value in still.model.state_dict().items()}
    *_, last = fit(still, config, context(spots_project))
    assert isinstance(last, Checkpoint)
    assert torch.equal(last.weights["1.weight"], before["1.weight"])
    assert not torch.equal(last.weights["0.weight"], before["0.weight"])


@pytest.mark.parametrize(
    ("scores", "higher", "kept"),
    [
        ([0.5, 0.9, 0.7, 0.8], True, 2),
        ([0.5, 0.2, 0.7, 0.8], False, 2),
        ([math.nan, 0.2, math.nan, 0.1], True, 2),
        ([0.3, math.nan, math.nan, math.nan], False, 1),
    ],
)
def test_the_checkpoint_that_is_kept_is_the_best_by_the_figure_that_was_chosen(
    spots_project: Project, scores: list[float], higher: bool, kept: int
) -> None:
    scripted = task(
        square,
        iter([{"figure": value, "other": -value} for value in scores]),
        higher_is_better=higher,
    )
    events = fit(scripted, settings(checks=4), context(spots_project))
    checkpoints = [event for event in events if isinstance(event, Checkpoint)]
    assert [n for n, each in enumerate(checkpoints, 1) if each.best][-1] == kept


@pytest.mark.parametrize(
    ("bad", "what"),
    [
        (lambda model: model(torch.ones(1, 4)).sum() * math.inf, "loss"),
        # The root of nothing is a number, its slope is none.
        (lambda model: (model(torch.ones(1, 4)) * 0).sum().abs().sqrt(), "gradient"),
    ],
)
def test_what_is_no_number_stops_the_loop_before_it_reaches_the_weights(
    spots_project: Project, bad: Callable[[nn.Module], Tensor], what: str
) -> None:
    going = task(lambda model, step: bad(model) if step == 6 else square(model, step))
    seen: list[Progress | Checkpoint] = []
    with pytest.raises(
        JobFailed, match=rf"the {what} is not a number at step 7 .*lower the learning"
    ):
        seen.extend(fit(going, settings(), context(spots_project)))
    *_, last = [event for event in seen if isinstance(event, Checkpoint)]
    assert all(value.isfinite().all() for value in last.weights.values())
    assert all(value.isfinite().all() for value in going.model.state_dict().values())


def test_the_last_good_checkpoint_stays_on_disk(
    spots: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_wsseg.io import checkpoints
    from napari_wsseg.nn import losses
    from trainers.engine.run import Run

    real, calls = losses.bce, iter(range(1000))

    def failing(*given: Any, **named: Any) -> Tensor:
        return real(*given, **named) * (math.nan if next(calls) >= 6 else 1)

    monkeypatch.setattr(losses, "bce", failing)
    run = Run.prepare(
        "classifier",
        spots,
        {"size": 64, "epochs": 4, "batch": 4, "checks": 6, "device": "cpu"},
    )
    with pytest.raises(JobFailed, match="last good checkpoint is kept"):
        list(run)
    info = run.folder.info()
    assert info.state == "failed"
    assert "not a number at step" in info.message
    _, weights = checkpoints.read(run.folder.best)
    assert all(value.isfinite().all() for value in weights.values())


def test_runs_of_different_precision_train_one_after_the_other_in_one_process() -> None:
    kinds = ["fp32", "bf16", "fp32"]
    used = [accelerator(settings(precision=kind)).mixed_precision for kind in kinds]
    assert used == ["no", "bf16", "no"]


def test_weights_are_kept_in_the_plain_order_whatever_they_are_learnt_in(
    spots_project: Project,
) -> None:
    convolution = nn.Sequential(nn.Conv2d(3, 5, 3), nn.Flatten(), nn.LazyLinear(1))
    convolution(torch.zeros(1, 3, 6, 6))

    def loss(model: nn.Module, step: int) -> Tensor:
        kernel = model[0].weight  # type: ignore[index]
        assert kernel.is_contiguous(memory_format=torch.channels_last)
        return (model(torch.ones(1, 3, 6, 6)) - 1).square().mean()

    *_, last = fit(task(loss, model=convolution), settings(), context(spots_project))
    assert isinstance(last, Checkpoint)
    assert all(weight.is_contiguous() for weight in last.weights.values())
