"""What is minimised: labels and masks with holes in them.

A target is counted where it lies in [0, 1]; -1, 255 (`napari_wsseg.schema.IGNORE`)
and NaN are unknown and change nothing. Where several processes learn together
(`napari_wsseg.nn.ranks`), means and overlaps are over the films of all of them.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from napari_wsseg.nn.ranks import total

UNSURE = 2
"""Target of a label that is uncertain, where that is a class of its own."""


def known(targets: torch.Tensor) -> torch.Tensor:
    """Return where targets of any shape count, as booleans of that shape."""
    return (targets >= 0) & (targets <= 1)


def mean_where(each: torch.Tensor, counted: torch.Tensor) -> torch.Tensor:
    """Return the mean of `each` where it is `counted`; 0 where nothing is."""
    return total((each * counted).sum()) / total(counted.sum()).clamp(min=1)


def at_least_single(logits: torch.Tensor) -> torch.Tensor:
    """Bring half-precision logits of mixed-precision training to single precision.

    Sums over a million pixels, and 1 − σ near 0, have no digits left in bfloat16.
    """
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


def bce(
    logits: torch.Tensor,
    targets: torch.Tensor,
    *,
    pos_weight: torch.Tensor | None = None,
) -> torch.Tensor:
    """Binary cross-entropy, mean over the known targets; 0 when there is none.

    Parameters
    ----------
    logits : (B, K) or (B, K, H, W)
    targets
        Same shape, any dtype; soft targets are welcome.
    pos_weight : (K,)
        How often a positive counts, per finding.
    """
    logits, counted = at_least_single(logits), known(targets)
    clean = torch.where(counted, targets.to(logits.dtype), 0)
    # A logit that does not count must not reach the sum even when it is infinite.
    safe = torch.where(counted, logits, 0)
    if pos_weight is not None:
        pos_weight = pos_weight.to(logits).view(-1, *[1] * (logits.ndim - 2))
    each = functional.binary_cross_entropy_with_logits(
        safe, clean, pos_weight=pos_weight, reduction="none"
    )
    return mean_where(each, counted)


def dice(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Class-average Dice loss (CheXseg): 1 − mean over findings, in [0, 1].

    Per finding, over the batch's known pixels: (2Σpg + 1) / (Σp + Σg + 1), so a
    finding that is absent and not predicted costs nothing.

    Parameters
    ----------
    logits, targets : (B, K, H, W)
    """
    logits, counted = at_least_single(logits), known(targets)
    truth = torch.where(counted, targets.to(logits.dtype), 0)
    found = torch.where(counted, logits.sigmoid(), 0)
    axes = (0, 2, 3)
    overlap = total((found * truth).sum(axes))
    each = (2 * overlap + 1) / (total(found.sum(axes) + truth.sum(axes)) + 1)
    return 1 - each.mean()


def exclusive(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of findings that exclude each other, against background.

    The background's logit is 0, so that a finding is above background where its logit
    is above 0; mean over the pixels that are known, 0 when there is none.

    Parameters
    ----------
    logits, targets : (B, K, H, W)
        A pixel that is no finding's, and not known of all, is left out. Of findings
        that overlap the last one counts.
    """
    logits = at_least_single(logits)
    found, unknown = targets == 1, ~known(targets)
    number = torch.zeros(targets.shape[0], *targets.shape[2:], dtype=torch.long)
    number = number.to(logits.device)
    for k in range(targets.shape[1]):
        number[found[:, k]] = k + 1
    left_out = unknown.any(1) & ~found.any(1)
    number[left_out] = -100
    background = logits.new_zeros(logits.shape[0], 1, *logits.shape[2:])
    each = functional.cross_entropy(
        torch.cat([background, logits], 1), number, reduction="none"
    )
    return mean_where(each, ~left_out)


def three_way(
    logits: torch.Tensor, unsure: torch.Tensor, targets: torch.Tensor
) -> torch.Tensor:
    """Cross-entropy of present, absent and uncertain (CheXpert's U-MultiClass).

    Of three logits only two differences matter: `logits`, of present against absent,
    whose sigmoid is the probability of present once uncertain is ruled out, which is
    how CheXpert asks such a network; and `unsure`, of uncertain against absent.

    Parameters
    ----------
    logits, unsure, targets : (B, K)
        Targets are 0, 1 or, for uncertain, `UNSURE`; any other counts for nothing.
    """
    classes = torch.stack(
        [torch.zeros_like(logits), logits, unsure], 1
    )  # absent, present, uncertain
    counted = (targets == 0) | (targets == 1) | (targets == UNSURE)
    number = torch.where(counted, targets, 0).long()
    each = functional.cross_entropy(at_least_single(classes), number, reduction="none")
    return mean_where(each, counted)


def distillation(
    student: torch.Tensor,
    teacher: torch.Tensor,
    *,
    temperature: float = 10.0,
    rescale: bool = False,
) -> torch.Tensor:
    """BCE(σ(s/τ), σ(t/τ)): a student's logits against a teacher's, both softened.

    Mean over the pixels that the teacher has seen; 0 when there is none.

    Parameters
    ----------
    student, teacher
        Logits of the same shape; NaN where the teacher has none.
    temperature
        τ. At 10 (CheXseg) this is a squared distance of logits divided by 8τ².
    rescale
        Multiply by τ², so that the gradient does not fade as τ grows. CheXseg does not.
    """
    student, teacher = at_least_single(student), at_least_single(teacher)
    seen = ~teacher.isnan()
    target = (torch.where(seen, teacher, 0) / temperature).sigmoid()
    softened = torch.where(seen, student, 0) / temperature
    each = functional.binary_cross_entropy_with_logits(
        softened, target, reduction="none"
    )
    mean = mean_where(each, seen)
    return mean * temperature**2 if rescale else mean
