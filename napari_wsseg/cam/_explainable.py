"""What a CAM method needs from a classifier, and how it leaves it alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol, Self

import torch
from torch import nn


class Explainable(Protocol):
    """A classifier cut between its last map and its head.

    An attribute ``linear`` that is an `nn.Linear` promises
    ``head(A) == linear(A.mean((2, 3)))`` and gives every method its closed form.
    """

    def features(self, x: torch.Tensor, /) -> torch.Tensor:
        """Return the last map (B, C, h, w), after its ReLU, of images."""
        ...

    def head(self, features: torch.Tensor, /) -> torch.Tensor:
        """Return logits (B, K) of a last map."""
        ...

    def modules(self) -> Iterator[nn.Module]:
        """Yield itself and every module in it."""
        ...

    def eval(self) -> Self:
        """Switch off everything that is random or batch-dependent."""
        ...


@contextmanager
def in_eval_mode(classifier: Explainable) -> Iterator[None]:
    """Put every module in eval mode, and back into its own mode afterwards."""
    modes = [(module, module.training) for module in classifier.modules()]
    classifier.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


@contextmanager
def without_parameters(classifier: Explainable) -> Iterator[None]:
    """Keep parameters out of graphs made meanwhile; their flags come back afterwards.

    Such a graph keeps less, and a backward through it computes only what is asked for.
    """
    flags = [
        (parameter, parameter.requires_grad)
        for module in classifier.modules()
        for parameter in module.parameters(recurse=False)
    ]
    try:
        for parameter, _ in flags:
            parameter.requires_grad_(False)
        yield
    finally:
        for parameter, wanted in flags:
            parameter.requires_grad_(wanted)


def features(classifier: Explainable, images: torch.Tensor) -> torch.Tensor:
    """Return the last map (B, C, h, w) of images, without a graph."""
    with in_eval_mode(classifier), torch.no_grad():
        return classifier.features(images)


def linear_weight(
    classifier: Explainable, findings: Sequence[int] | None
) -> torch.Tensor | None:
    """Return the head's weight (K, C) if it is a mean and a linear layer."""
    linear = getattr(classifier, "linear", None)
    if not isinstance(linear, nn.Linear):
        return None
    weight = linear.weight.detach()
    return weight if findings is None else weight[list(findings)]


def heat_by_gradient(
    classifier: Explainable,
    maps: torch.Tensor,
    findings: Sequence[int] | None,
    weigh: Callable[[torch.Tensor], torch.Tensor],
) -> torch.Tensor:
    """Return the heat (B, K, h, w) that any differentiable head allows.

    One backward a finding, through the head alone; no parameter gets a gradient.

    Parameters
    ----------
    maps : (B, C, h, w)
        The last map, as `features` returns it.
    weigh
        From ∂logit/∂maps (B, C, h, w) to the heat of one finding (B, h, w).
    """
    (heat,) = heats_by_gradient(
        classifier,
        maps,
        lambda leaf: ([leaf], classifier.head(leaf)),
        findings,
        lambda _, gradient: weigh(gradient),
    )
    return heat


def heats_by_gradient(
    classifier: Explainable,
    maps: torch.Tensor,
    onward: Callable[[torch.Tensor], tuple[list[torch.Tensor], torch.Tensor]],
    findings: Sequence[int] | None,
    weigh: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
) -> list[torch.Tensor]:
    """Return the heat (B, K, h, w) of every map on the way from `maps` to the logits.

    The way is gone once, and once back for each finding, however many maps lie on it.

    Parameters
    ----------
    onward
        From `maps` to the list of maps to be read and the logits (B, K).
    weigh
        From one of those maps and ∂logit/∂map, each (B, C, h, w), to the heat of one
        finding (B, h, w).
    """
    # Maps made under inference_mode cannot be differentiated; a copy of them can.
    with (
        in_eval_mode(classifier),
        without_parameters(classifier),
        torch.inference_mode(False),
        torch.enable_grad(),
    ):
        read, logits = onward(maps.clone().requires_grad_())
        chosen = list(range(logits.shape[1]) if findings is None else findings)
        heats: list[list[torch.Tensor]] = [[] for _ in read]
        for place, finding in enumerate(chosen, 1):
            target = logits[:, finding].sum()
            # The last finding's backward takes the graph down with it.
            keep = place < len(chosen)
            gradients = torch.autograd.grad(target, read, retain_graph=keep)
            with torch.no_grad():
                for heat, one, gradient in zip(heats, read, gradients, strict=True):
                    heat.append(weigh(one, gradient).relu())
    return [torch.stack(heat, 1) for heat in heats]
