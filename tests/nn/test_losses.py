"""Oracle 15: other people's losses, and targets with holes."""

from __future__ import annotations

import pytest
import segmentation_models_pytorch as smp
import torch
from torch import nn

from napari_wsseg.nn import losses


def test_bce_is_torchs_where_everything_is_known() -> None:
    torch.manual_seed(0)
    logits, targets = torch.randn(5, 3), torch.randint(0, 2, (5, 3))
    weight = torch.tensor([1.0, 4.0, 20.0])
    theirs = nn.BCEWithLogitsLoss(pos_weight=weight)(logits, targets.float())
    ours = losses.bce(logits, targets, pos_weight=weight)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)


def test_bce_of_masks_is_torchs_with_a_weight_per_finding() -> None:
    torch.manual_seed(0)
    logits, targets = torch.randn(2, 3, 8, 6), torch.rand(2, 3, 8, 6)
    weight = torch.tensor([1.0, 4.0, 20.0])
    theirs = nn.BCEWithLogitsLoss(pos_weight=weight.view(3, 1, 1))(logits, targets)
    ours = losses.bce(logits, targets, pos_weight=weight)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)


@pytest.mark.parametrize("unknown", [255.0, -1.0, float("nan")])
@pytest.mark.parametrize("logit", [0.0, 1e4, float("inf"), float("nan")])
def test_unknown_targets_change_neither_loss_nor_gradient(
    unknown: float, logit: float
) -> None:
    logits = torch.tensor([[0.3, -1.2, logit]], requires_grad=True)
    targets = torch.tensor([[1.0, 0.0, unknown]])
    loss = losses.bce(logits, targets)
    loss.backward()
    known = losses.bce(logits[:, :2], targets[:, :2])
    torch.testing.assert_close(loss, known)
    assert logits.grad is not None
    assert logits.grad[0, 2] == 0
    assert logits.grad[0, :2].abs().min() > 0


def test_a_batch_without_any_known_target_costs_nothing_and_can_be_stepped() -> None:
    logits = torch.randn(2, 3, 4, 4, requires_grad=True)
    targets = torch.full((2, 3, 4, 4), 255, dtype=torch.uint8)
    loss = losses.bce(logits, targets) + losses.dice(logits, targets)
    loss.backward()
    assert loss == 0
    assert logits.grad is not None
    assert logits.grad.abs().max() == 0


def test_dice_is_smps_with_the_same_smoothing() -> None:
    torch.manual_seed(0)
    logits, targets = torch.randn(2, 3, 8, 6), torch.randint(0, 2, (2, 3, 8, 6))
    # smp writes (I + s) / ((P + G) / 2 + s): its ½ is our 1.
    theirs = smp.losses.DiceLoss("multilabel", smooth=0.5)(logits, targets)
    ours = losses.dice(logits, targets.to(torch.uint8))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)


def test_dice_ignores_what_is_unknown() -> None:
    torch.manual_seed(0)
    logits = torch.randn(1, 2, 4, 8)
    targets = torch.randint(0, 2, (1, 2, 4, 8)).float()
    targets[..., 5:] = 255
    all_known = losses.dice(logits, targets)
    part = losses.dice(logits[..., :5], targets[..., :5])
    torch.testing.assert_close(all_known, part)


def test_a_finding_absent_and_not_predicted_costs_nothing() -> None:
    loss = losses.dice(torch.full((1, 1, 8, 8), -30.0), torch.zeros(1, 1, 8, 8))
    assert loss.item() == pytest.approx(0, abs=1e-6)


def test_distillation_is_torchs_bce_of_softened_logits() -> None:
    torch.manual_seed(0)
    student, teacher = torch.randn(4, 2), torch.randn(4, 2)
    theirs = nn.BCELoss()((student / 10).sigmoid(), (teacher / 10).sigmoid())
    ours = losses.distillation(student, teacher, temperature=10)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)


def test_rescaling_multiplies_by_the_temperature_squared() -> None:
    torch.manual_seed(0)
    student, teacher = torch.randn(4, 2), torch.randn(4, 2)
    plain = losses.distillation(student, teacher, temperature=7)
    scaled = losses.distillation(student, teacher, temperature=7, rescale=True)
    torch.testing.assert_close(scaled, 49 * plain, rtol=0, atol=1e-6)


def test_what_the_teacher_has_not_seen_teaches_nothing() -> None:
    torch.manual_seed(0)
    student = torch.randn(1, 2, 4, 8, requires_grad=True)
    teacher = torch.randn(1, 2, 4, 8).half()
    teacher[..., 5:] = float("nan")
    loss = losses.distillation(student, teacher)
    part = losses.distillation(student[..., :5], teacher[..., :5])
    torch.testing.assert_close(loss, part)
    loss.backward()
    assert student.grad is not None
    assert student.grad[..., 5:].abs().max() == 0
    assert student.grad[..., :5].abs().min() > 0
    nothing = losses.distillation(student, torch.full_like(student, float("nan")))
    assert nothing == 0


@pytest.mark.parametrize("temperature", [1.0, 6.0, 10.0])
def test_a_student_learns_its_teachers_logits(temperature: float) -> None:
    teacher = torch.tensor([-3.0, 0.5, 2.0])
    student = torch.zeros(3, requires_grad=True)
    loss = losses.distillation(student, teacher, temperature=temperature, rescale=True)
    loss.backward()
    slope = temperature * (0.5 - (teacher / temperature).sigmoid()) / 3
    assert student.grad is not None
    torch.testing.assert_close(student.grad, slope, rtol=0, atol=1e-6)


def test_hot_distillation_is_a_squared_distance_of_logits() -> None:
    torch.manual_seed(0)
    student, teacher = torch.randn(2, 500, dtype=torch.float64)
    itself = losses.distillation(teacher, teacher, temperature=10)
    divergence = losses.distillation(student, teacher, temperature=10) - itself
    ratio = divergence * 8 * 10**2 / ((student - teacher) ** 2).mean()
    assert ratio.item() == pytest.approx(1, abs=0.005)


def test_half_precision_logits_are_summed_in_single_precision() -> None:
    torch.manual_seed(0)
    logits = torch.randn(1, 1, 256, 256).to(torch.bfloat16)
    targets = torch.randint(0, 2, (1, 1, 256, 256), dtype=torch.uint8)
    for loss in (losses.bce, losses.dice):
        half, single = (loss(one, targets) for one in (logits, logits.float()))
        torch.testing.assert_close(half, single)
