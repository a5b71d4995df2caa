"""Tied deconvolution network (Kim & Hwang 2016): finer maps from image-level labels.

A stack of convolutions is gone back through, layer by layer, by unpooling at its own
switches and by its own filters, transposed. Every layer's features give a share of the
activation maps.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from napari_wsseg.nn import _tied_ops as ops
from napari_wsseg.nn import tied_maps
from napari_wsseg.nn.tied_encoder import STRIDE, Encoder

LAST_STAGE = 3

FINEST = 4
"""Input pixels per pixel of the last stage's map."""


class TiedDeconv(nn.Module):
    """The network of one stage: 0 is the baseline, 1 to 3 go back that many blocks.

    Parameters
    ----------
    arch
        ``"table1"`` or ``"vgg16"``.
    n_findings
        K.
    stage
        Blocks that are gone back through; the maps are 2^stage times as fine.
    form
        ``"softmax"`` or ``"relu"`` as in `napari_wsseg.nn.tied_maps`; ``None``: the
        paper's for that many findings.
    s
        Log-sum-exp pooling's; between the mean (small) and the maximum (large).
    normalise
        ``"layer"`` or ``"map"`` as in `_tied_ops.normalise`.
    in_channels, width
        As in `Encoder`.

    Attributes
    ----------
    spec
        The arguments above as JSON values: ``TiedDeconv(**spec)`` builds it again.
    """

    def __init__(
        self,
        arch: str,
        n_findings: int,
        *,
        stage: int = 0,
        form: str | None = None,
        s: float = 5.0,
        normalise: str = "layer",
        in_channels: int = 1,
        width: float = 1.0,
    ) -> None:
        super().__init__()
        _check_stage(stage)
        if normalise not in ops.NORMALISATIONS:
            known = ", ".join(ops.NORMALISATIONS)
            raise ValueError(f"no normalisation {normalise!r}; there are: {known}")
        self.form = form or tied_maps.form_for(n_findings)
        self.s = s
        self.normalise = normalise
        self.spec: dict[str, Any] = {
            "arch": arch,
            "n_findings": n_findings,
            "stage": stage,
            "form": self.form,
            "s": s,
            "normalise": normalise,
            "in_channels": in_channels,
            "width": width,
        }
        self.encoder = Encoder(arch, in_channels=in_channels, width=width)
        # The filters are the encoder's own parameters; only these biases are new.
        self.biases = nn.ModuleList(
            nn.ParameterList(
                torch.zeros(conv.in_channels) for conv in self._undone(number)
            )
            for number in range(1, stage + 1)
        )
        maps = tied_maps.count(self.form, n_findings)
        self.heads = nn.ModuleList(
            nn.Conv2d(channels, maps, 1, bias=number == 0)
            for number, channels in enumerate(self.encoder.channels[:1:-1][: stage + 1])
        )
        nn.init.normal_(self.heads[0].weight, std=0.01)  # type: ignore[arg-type]
        nn.init.zeros_(self.heads[0].bias)  # type: ignore[arg-type]

    def features(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Return h_c and h_d of every layer gone back through, coarsest first (eq. 2).

        Each is normalised and on its own grid: the first at 1/32 of the size of the
        films (B, c, H, W), every next one twice as fine.
        """
        h, switches = self.encoder(x)
        found = [ops.normalise(h, self.normalise)]
        for number, biases in enumerate(self.biases, start=1):
            h = ops.unpool(h, switches[-number])
            own = biases.parameters()
            for conv, bias in zip(self._undone(number), own, strict=True):
                h = functional.relu(ops.transposed(h, conv.weight, bias))
            found.append(ops.normalise(h, self.normalise))
        return found

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return maps (B, M, h, w) before their nonlinearity (eqs. 4 to 6).

        A 1×1 convolution of expanded features is the expanded convolution of the
        features, so nothing is concatenated: every layer's share is computed on its
        own grid, and the shares are added.
        """
        shares = [
            head(features)
            for head, features in zip(self.heads, self.features(x), strict=True)
        ]
        total: torch.Tensor = shares[0]
        for finer in shares[1:]:
            total = functional.interpolate(total, scale_factor=2.0) + finer
        return total

    def maps_of_any_size(self, x: torch.Tensor) -> torch.Tensor:
        """Return the maps of films (B, c, S, S) of any side, as large as they are.

        A side that is no multiple of 32 is filled up with zeros below and to the
        right, as convolutions fill up a film's rim, and the maps are cut off where the
        film ends, expanded to the grid of the last stage.
        """
        side = x.shape[-1]
        more = -side % STRIDE
        if not more:
            maps: torch.Tensor = self(x)
            return maps
        maps = self(functional.pad(x, (0, more, 0, more)))
        cells = side // FINEST
        grid = [(side + more) // FINEST] * 2
        return functional.interpolate(maps, grid)[..., :cells, :cells]

    def grow(self) -> TiedDeconv:
        """Return the next stage's network, which as yet says what this one says.

        Its new layer's share of the maps starts at zero, and nearest-neighbour
        expansion does not change what log-sum-exp pooling yields.
        """
        stage = self.spec["stage"] + 1
        _check_stage(stage)
        grown = TiedDeconv(**{**self.spec, "stage": stage})
        grown.load_state_dict(self.state_dict(), strict=False)
        nn.init.zeros_(grown.heads[-1].weight)  # type: ignore[arg-type]
        return grown

    def freeze_untied(self) -> None:
        """Fix the blocks that are not gone back through (the paper's, for VOC)."""
        for block in self.encoder.blocks[: len(self.encoder.blocks) - len(self.biases)]:
            block.requires_grad_(False)

    def _undone(self, number: int) -> list[nn.Conv2d]:
        """Return the convolutions that deconvolution `number` undoes, last first."""
        return self.encoder.convolutions(-number)[::-1]


class Stages(nn.Module):
    """The networks of stages 0 to `stages`, each with weights of its own."""

    def __init__(self, stages: int, **spec: Any) -> None:
        super().__init__()
        _check_stage(stages)
        self.stages = nn.ModuleList(
            TiedDeconv(**spec, stage=stage) for stage in range(stages + 1)
        )

    def stage(self, number: int) -> TiedDeconv:
        """Return one stage's network; ValueError if it was not trained."""
        if not 0 <= number < len(self.stages):
            raise ValueError(
                f"stage {number} was not trained; there are 0 to {len(self.stages) - 1}"
            )
        network = self.stages[number]
        if not isinstance(network, TiedDeconv):
            raise TypeError(f"stage {number} is a {type(network).__name__}")
        return network


def build(**spec: Any) -> Stages:
    """Make the networks of every stage, random, from a checkpoint's description."""
    return Stages(**spec)


def _check_stage(stage: int) -> None:
    if not 0 <= stage <= LAST_STAGE:
        raise ValueError(f"stage is {stage}; give 0 (baseline) to {LAST_STAGE}")
