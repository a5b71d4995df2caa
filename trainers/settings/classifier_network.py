"""A classifier's network: its settings, and what they make."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from torch import nn

from napari_wsseg.jobs import UsageError
from napari_wsseg.nn import classifier
from napari_wsseg.nn.dropblock import SCHEDULES
from trainers.engine.recipe import InputConfig


@dataclass(frozen=True, kw_only=True)
class NetworkConfig(InputConfig):
    """Settings of a classifier's network and of its DropBlock."""

    arch: Annotated[
        str,
        {
            "choices": [
                *("resnet18", "resnet34", "resnet50", "vgg16", "densenet121"),
                "efficientnet_lite0",
            ],
            "basic": True,
            "label": "Network",
        },
    ] = "resnet18"
    extra_convs: Annotated[
        str,
        {
            "choices": ["auto", "yes", "no"],
            "label": "Added convolutions",
            "tooltip": "Three 3×3 convolutions behind the network, as WSMIS has them; "
            "auto: for vgg16 alone",
        },
    ] = "auto"
    output_stride: Annotated[
        int,
        {"choices": [8, 16, 32], "tooltip": "Input pixels per pixel of the last map"},
    ] = 16
    weights: Annotated[
        str,
        {
            "label": "Start from",
            "tooltip": "Empty: random weights; synthetic: learnt first from films that "
            "the generator makes; imagenet; or a file of the same network's weights",
        },
    ] = ""
    head_rate: Annotated[
        float,
        {
            "min": 0.1,
            "max": 100.0,
            "step": 1.0,
            "tooltip": "How many times as fast the layers behind the network learn",
        },
    ] = 1.0
    bias_rate: Annotated[
        float,
        {
            "min": 0.1,
            "max": 10.0,
            "step": 0.5,
            "tooltip": "How many times as fast biases learn as the weights beside them",
        },
    ] = 1.0
    dropblock: Annotated[
        float,
        {
            "min": 0.0,
            "max": 0.9,
            "step": 0.05,
            "label": "DropBlock",
            "tooltip": "Share of the map that falls out in squares while training, so "
            "that the network looks at more than the plainest spot; 0: none",
        },
    ] = 0.0
    dropblock_size: Annotated[
        int,
        {
            "min": 1,
            "max": 63,
            "step": 2,
            "label": "DropBlock side",
            "tooltip": "Side of those squares in pixels of the map, an odd number",
        },
    ] = 7
    dropblock_levels: Annotated[
        str,
        {
            "tooltip": "Levels of the network behind which it sits, 1 to 5, e.g. 4,5; "
            "0: behind the first filter"
        },
    ] = "4,5"
    dropblock_schedule: Annotated[
        str,
        {
            "choices": list(SCHEDULES),
            "tooltip": "How it comes into force: over the whole training, over ten "
            "batches as in WSMIS's code, or at once",
        },
    ] = "linear"
    dropblock_compat: Annotated[
        bool,
        {
            "tooltip": "Draw squares as WSMIS's code does: fewer, cut off by the "
            "border too, the same for all channels"
        },
    ] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.dropblock_size % 2 == 0:
            raise UsageError(
                f"dropblock_size={self.dropblock_size} is even; give an odd number"
            )
        if not set(self.levels) <= set(range(6)):
            raise UsageError(
                f"dropblock_levels={self.dropblock_levels}; give some of 0 to 5"
            )

    def networks(self, n_findings: int, built_on: Mapping[str, Any]) -> list[nn.Module]:
        """Return the classifier."""
        return [network(self, n_findings)]

    @property
    def levels(self) -> tuple[int, ...]:
        """Levels behind which DropBlock sits."""
        return tuple(numbers("dropblock_levels", self.dropblock_levels, int))


Number = TypeVar("Number", int, float)


def numbers(setting: str, text: str, kind: type[Number]) -> list[Number]:
    """Read numbers with commas between them.

    Parameters
    ----------
    setting
        What the message calls the setting.
    text
        Its value, e.g. ``"4,5"``.
    kind
        `int` or `float`.

    Raises
    ------
    UsageError
        If one is none, or there is not one.
    """
    try:
        return [kind(each) for each in text.split(",")]
    except ValueError as error:
        raise UsageError(
            f"{setting}={text} is not numbers with commas between them"
        ) from error


def network(
    config: NetworkConfig, n_findings: int, *, weights: Any = None
) -> classifier.Classifier:
    """Build the classifier that the settings describe.

    Parameters
    ----------
    config
        Settings of the network.
    n_findings
        Its outputs, 1 or more.
    weights
        What its trunk starts from: ``"imagenet"``, a file, or a state dict; random
        without.
    """
    return classifier.build(
        config.arch,
        n_findings,
        in_channels=config.channels,
        output_stride=config.output_stride,
        dropblock=config.dropblock,
        block=config.dropblock_size,
        dropblock_compat=config.dropblock_compat,
        dropblock_levels=config.levels,
        unsure=getattr(config, "uncertain", "") == "class",
        extra_convs={"auto": None, "yes": True, "no": False}[config.extra_convs],
        weights=weights,
    )
