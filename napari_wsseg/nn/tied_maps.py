"""From activation maps to heat, to probabilities and to a loss, in TDN's two forms.

``"softmax"`` (several findings): K + 1 maps, the background first; softmax over the
maps, log-sum-exp pooling, one binary cross-entropy per map, where the background is
taken to be present on every film. ``"relu"`` (one finding): a pair of maps, absent and
present; ReLU, log-sum-exp pooling, softmax over the pair, cross-entropy. With several
findings the second form has a pair of maps for each.
"""

from __future__ import annotations

import torch

from napari_wsseg.nn import losses, ranks
from napari_wsseg.nn._tied_ops import log_sum_exp

FORMS = ("softmax", "relu")

#: Keeps the logarithm of a probability of 0 or 1 finite.
_MARGIN = 1e-6


def form_for(n_findings: int) -> str:
    """Return the form that the paper uses for that many findings."""
    return "relu" if n_findings == 1 else "softmax"


def count(form: str, n_findings: int) -> int:
    """Return the number of maps for K findings."""
    if form not in FORMS:
        raise ValueError(f"no form {form!r}; there are: {', '.join(FORMS)}")
    return n_findings + 1 if form == "softmax" else 2 * n_findings


def activated(maps: torch.Tensor, form: str) -> torch.Tensor:
    """Apply the form's nonlinearity to maps (B, M, h, w), M of `count`."""
    maps = losses.at_least_single(maps)
    return maps.softmax(1) if form == "softmax" else maps.relu()


def heat(maps: torch.Tensor, form: str) -> torch.Tensor:
    """Return the findings' own maps (B, K, h, w), non-negative, not normalised."""
    active = activated(maps, form)
    return active[:, 1:] if form == "softmax" else active[:, 1::2]


def present(maps: torch.Tensor, form: str, s: float) -> torch.Tensor:
    """Return the probability of each finding.

    Parameters
    ----------
    maps : (B, M, h, w)
        M of `count`, before the form's nonlinearity.
    form
        One of `FORMS`.
    s
        Sharpness of the log-sum-exp pooling, above 0: near 0 the mean, the larger the
        nearer to the maximum.

    Returns
    -------
    (B, K) in [0, 1]
    """
    pooled = log_sum_exp(activated(maps, form), s)
    if form == "softmax":
        return pooled[:, 1:].clamp(0, 1)
    return (pooled[:, 1::2] - pooled[:, 0::2]).sigmoid()


def loss(
    maps: torch.Tensor, targets: torch.Tensor, form: str, s: float
) -> torch.Tensor:
    """Return the cross-entropy of maps (B, M, h, w) against image-level labels.

    Parameters
    ----------
    maps, form
        As the network returns them, M = K or one more; and what the loss takes them
        for.
    targets : (B, K)
        As in `napari_wsseg.nn.losses`: what is not in [0, 1] is unknown and changes
        nothing.
    s
        Sharpness of log-sum-exp pooling.
    """
    pooled = log_sum_exp(activated(maps, form), s)
    if form == "relu":
        # Two-way cross-entropy after a softmax is one of the difference.
        return losses.bce(pooled[:, 1::2] - pooled[:, 0::2], targets)
    truth = torch.cat([torch.ones_like(targets[:, :1]), targets], 1).to(pooled)
    counted = losses.known(truth)
    truth = torch.where(counted, truth, 0)
    sure = pooled * (1 - 2 * _MARGIN) + _MARGIN
    each = -truth * sure.log() - (1 - truth) * torch.log1p(-sure)
    films = ranks.total(torch.tensor(len(each), device=each.device))
    return ranks.total((each * counted).sum()) / films
