"""How a tied deconvolution network's maps are computed, film by film."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from napari_wsseg.jobs import DataError
from napari_wsseg.nn import tied_maps
from napari_wsseg.nn.tied_deconv import Stages, TiedDeconv
from napari_wsseg.pipeline.inference import refining, variants
from napari_wsseg.pipeline.inference.work import Work
from napari_wsseg.schema import Case, StageMaps


@torch.no_grad()
def maps(work: Work, batch: list[Case]) -> Iterator[StageMaps]:
    """Read the maps of the stage that `work.variant` names, each by its own peak.

    Whether a finding is present is that stage's own word.
    """
    network = _stage(work)
    form, s = network.form, network.s
    images = work.input(batch)
    raw = network.maps_of_any_size(images)
    heat, present = tied_maps.heat(raw, form), tied_maps.present(raw, form, s)
    if work.flip:
        mirrored = network.maps_of_any_size(images.flip(-1))
        heat = (heat + tied_maps.heat(mirrored, form).flip(-1)) / 2
        present = (present + tied_maps.present(mirrored, form, s)) / 2
    heats, gates = heat.float().cpu().numpy(), present.float().cpu().numpy()
    for case, found, gate in zip(batch, heats, gates, strict=True):
        score = refining.relative(work, case, found, gate)
        yield StageMaps(score=score, present=gate)


def _stage(work: Work) -> TiedDeconv:
    model = work.model
    if not isinstance(model, Stages):
        name = type(model).__name__
        raise TypeError(f"{work.run} is a {name}, not a tied deconvolution network")
    last = len(model.stages) - 1
    text = work.variant.removeprefix(variants.TDN) or str(last)
    if not text.isdecimal() or int(text) > last:
        raise DataError(
            f"run {work.run} was trained up to stage {last}, so it has no map "
            f"{work.variant}; give one up to {variants.TDN}{last}, or resume the run"
        )
    return model.stage(int(text))
