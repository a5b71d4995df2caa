"""Every classifier that the settings name."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch

from napari_wsseg.jobs import UsageError
from trainers.engine.recipe import configure
from trainers.settings import classifier as _classifier
from trainers.settings import classifier_network as _classifier_network
from trainers.settings.classifier import ClassifierConfig


def config(**settings: Any) -> ClassifierConfig:
    made = configure("classifier", settings)
    assert isinstance(made, ClassifierConfig)
    return made


@pytest.mark.parametrize("arch", ["vgg16", "resnet18", "resnet50", "densenet121"])
@pytest.mark.parametrize("stride", [8, 16, 32])
def test_every_network_comes_at_every_stride_plain_or_with_added_convolutions(
    arch: str, stride: int
) -> None:
    for extra, channels in product(("yes", "no"), (1, 3)):
        settings = config(
            arch=arch, output_stride=stride, extra_convs=extra, channels=channels
        )
        net = _classifier_network.network(settings, 2).eval()
        assert len(net.extra) == (6 if extra == "yes" else 0)
        with torch.no_grad():
            maps = net.features(torch.rand(1, channels, 64, 64))
        assert maps.shape == (1, net.level_channels[-1], 64 // stride, 64 // stride)
        assert maps.min() >= 0


@pytest.mark.parametrize(("arch", "added"), [("vgg16", 6), ("resnet18", 0)])
def test_added_convolutions_are_vggs_own_unless_said(arch: str, added: int) -> None:
    assert len(_classifier_network.network(config(arch=arch), 1).extra) == added


def test_dropblock_is_what_the_settings_say() -> None:
    settings = config(
        dropblock=0.2, dropblock_size=5, dropblock_levels="0,3", dropblock_compat=True
    )
    net = _classifier_network.network(settings, 1)
    assert (net.dropblock.prob, net.dropblock.block) == (0.2, 5)
    assert net.dropblock.compat
    assert net.spec["dropblock_levels"] == [0, 3]


def test_the_header_says_how_maps_become_masks() -> None:
    settings = config(
        cam_cut="otsu",
        cam_rule="triplet",
        cam_top=0.8,
        cam_min_area=0.002,
        cam_fill_holes=True,
    )
    model = _classifier_network.network(settings, 1)
    header = _classifier.header(settings, model, ["spot"])
    assert header["cut"] == "otsu"
    assert header["mask"] == {
        "rule": "triplet",
        "top": 0.8,
        "min_area": 0.002,
        "fill_holes": True,
    }
    plain = _classifier.header(config(), model, ["spot"])
    assert plain["cut"] == "fixed"
    assert plain["mask"]["rule"] == "threshold"
    assert plain["mask"]["min_area"] == 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dropblock_size": 4}, "dropblock_size=4 is even"),
        ({"dropblock_levels": "4,6"}, "dropblock_levels=4,6; give some of 0 to 5"),
        ({"dropblock_levels": "last"}, "is not numbers with commas"),
        ({"cam_scales": "1,0"}, "cam_scales=1,0; give numbers above 0"),
        ({"cam_scales": "one"}, "is not numbers with commas"),
        ({"normalisation": "imagenet-rgb"}, "needs channels=3"),
        ({"extra_convs": "maybe"}, "is not one of: auto, yes, no"),
    ],
)
def test_settings_that_make_no_sense_are_refused_in_words(
    settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        config(**settings)
