"""From a run folder to the network it trained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from napari_wsseg._registry import find_group
from napari_wsseg.io import checkpoints, runs
from napari_wsseg.jobs import DataError
from napari_wsseg.nn import anatomy, classifier, segmenter, tied_deconv
from napari_wsseg.nn import backbones as _backbones
from napari_wsseg.nn.irnet import IRNet
from napari_wsseg.pipeline.inference.serving import Unfilled

MAX_SIZE = 4096
"""Largest working size that a run's header may ask for."""


def _irnet(*, placed: bool = False, **spec: Any) -> nn.Module:
    # A run of before it was a setting was trained without.
    return IRNet(classifier.build(**spec), placed=placed)


#: Kind of network, as a header names it, to what builds it from the header. A recipe
#: with a network of its own adds its kind here when it is imported.
BUILDERS: dict[str, Callable[..., nn.Module]] = {
    "classifier": classifier.build,
    "irnet": _irnet,
    "segmenter": segmenter.build,
    "tied_deconv": tied_deconv.build,
    "anatomy": anatomy.build,
    "encoder": _backbones.build,
}


def device_of(name: str) -> torch.device:
    """Return the device for ``"auto"`` or ``"cpu"``."""
    if name != "cpu" and torch.cuda.is_available():
        return torch.device("cuda")
    if name != "cpu" and torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def load(
    project: Path, run: str, *, device: torch.device | None = None
) -> tuple[nn.Module, dict[str, Any]]:
    """Return the network of a run in eval mode, and its header.

    Parameters
    ----------
    project
        The project's folder.
    run
        Id of a run.
    device
        Where the network is wanted; on the CPU without.

    Returns
    -------
    network : Module
    header : dict
        What the run's weights say of how they are built, fed and read.

    Raises
    ------
    DataError
        If there is no such run, it has no finished weights, or they do not fit their
        own header.
    """
    folder = runs.find(project, run)
    if folder.info().is_draft:
        raise DataError(
            f"run {run} holds another program's predictions and no weights: nothing "
            "can be computed by it; import its drafts of the other films, or use a run "
            "of this program"
        )
    header, weights = checkpoints.read(folder.best)
    try:
        if not 16 <= int(header.get("size", 16)) <= MAX_SIZE:
            raise ValueError(f"it works at {header['size']} pixels")
        # On no device first: a forged header may describe a network of any size.
        with torch.device("meta"):
            _check_shapes(build(header), weights)
        with Unfilled():
            network = build(header)
        network.load_state_dict(weights)
    except (RuntimeError, TypeError, ValueError, KeyError) as error:
        raise DataError(
            f"{folder.best} does not fit its own description: {error}"
        ) from error
    return network.eval().to(device or torch.device("cpu")), header


def _check_shapes(network: nn.Module, weights: dict[str, torch.Tensor]) -> None:
    for name, own in network.state_dict().items():
        if name in weights and weights[name].shape != own.shape:
            raise ValueError(
                f"{name} is {tuple(weights[name].shape)}, not {tuple(own.shape)}"
            )
    missing = set(network.state_dict()) - set(weights)
    if missing:
        raise ValueError(f"{sorted(missing)[0]} is missing")


def build(header: dict[str, Any]) -> nn.Module:
    """Build the network that a header describes, with random weights."""
    spec = dict(header["network"])
    kind = spec.pop("kind")
    if kind not in BUILDERS:
        find_group("napari_wsseg.recipes")
    if kind in BUILDERS:
        return BUILDERS[kind](**spec)
    raise DataError(
        f"the weights are of a {kind!r} network, which is not known here; "
        "update napari-wsseg, or install the package of its recipe"
    )


def require(header: dict[str, Any], kind: str, run: str) -> None:
    """Check that a run's network is of the kind that a stage needs.

    Parameters
    ----------
    header
        As `load` returns it.
    kind
        Kind of network that is needed, e.g. ``"classifier"``.
    run
        What the message calls the run.

    Raises
    ------
    DataError
        If it is not.
    """
    found = header["network"]["kind"]
    if found != kind:
        raise DataError(f"run {run} trained a {found}, but a {kind} is needed here")
