"""What a classifier promises to whoever trains it or explains it."""

from __future__ import annotations

import json

import pytest
import torch
import torchvision

from napari_wsseg.jobs import DataError
from napari_wsseg.nn.backbones import BACKBONES
from napari_wsseg.nn.classifier import Classifier, build, load_backbone


@pytest.mark.parametrize("arch", BACKBONES)
@pytest.mark.parametrize("in_channels", [1, 3])
def test_every_architecture_classifies_grey_and_colour(
    arch: str, in_channels: int
) -> None:
    net = build(arch, 3, in_channels=in_channels).eval()
    with torch.no_grad():
        assert net(torch.rand(2, in_channels, 64, 64)).shape == (2, 3)


@pytest.mark.parametrize("arch", BACKBONES)
def test_five_levels_have_the_channels_that_are_told(arch: str) -> None:
    net = build(arch, 1).eval()
    with torch.no_grad():
        levels = net.stages(torch.rand(1, 1, 64, 64))
    assert tuple(level.shape[1] for level in levels) == net.level_channels
    assert [64 // level.shape[-1] for level in levels] == [4, 4, 8, 16, 16]
    assert levels[-1].min() >= 0


@pytest.mark.parametrize("extra_convs", [False, True])
def test_the_head_is_one_linear_layer_on_the_mean_of_the_map(extra_convs: bool) -> None:
    net = build("resnet18", 4, extra_convs=extra_convs).eval()
    images = torch.rand(2, 1, 64, 64)
    with torch.no_grad():
        maps = net.features(images)
        torch.testing.assert_close(net(images), net.linear(maps.mean((2, 3))))
    assert maps.shape[1] == net.linear.in_features == 512


def test_the_spec_survives_json_and_builds_the_same_classifier() -> None:
    first = build("resnet18", 2, output_stride=8, dropblock=0.1, extra_convs=True)
    again = Classifier(**json.loads(json.dumps(first.spec)))
    again.load_state_dict(first.state_dict())
    images = torch.rand(1, 1, 64, 64)
    with torch.no_grad():
        assert torch.equal(first.eval()(images), again.eval()(images))


def test_dropblock_has_no_weights_and_is_still_in_eval_mode() -> None:
    torch.manual_seed(0)
    plain = build("resnet18", 2)
    dropping = build("resnet18", 2, dropblock=0.3)
    dropping.load_state_dict(plain.state_dict())
    images = torch.rand(1, 1, 64, 64)
    with torch.no_grad():
        assert torch.equal(plain.eval()(images), dropping.eval()(images))


def test_dropblock_follows_the_schedule_it_is_given() -> None:
    torch.manual_seed(0)
    net = build("resnet18", 1, dropblock=0.3, output_stride=8)
    net.eval()
    net.dropblock.train()
    images = torch.rand(2, 1, 128, 128)
    with torch.no_grad():
        net.schedule_dropblock(0)
        plain = net.features(images)
        assert torch.equal(net.features(images), plain)
        net.schedule_dropblock(2.0)
        assert net.dropblock.strength == 1
        dropped = net.features(images)
    gone = ((dropped == 0) & (plain > 0)).float().sum() / (plain > 0).float().sum()
    assert gone > 0.15


def test_weights_of_another_network_are_refused() -> None:
    weights = torchvision.models.resnet34(weights=None).state_dict()
    with pytest.raises(DataError, match="another network"):
        build("resnet50", 2, weights=weights)


def test_weights_that_lack_a_part_of_the_trunk_are_refused() -> None:
    weights = build("resnet18", 2).backbone.state_dict()
    del weights["layer4.1.conv2.weight"]
    with pytest.raises(DataError, match=r"lack 1 .*layer4\.1\.conv2\.weight"):
        build("resnet18", 2, weights=weights)


def test_weights_without_a_fitting_key_are_refused() -> None:
    with pytest.raises(DataError, match="no tensor"):
        build("resnet18", 2, weights={"query": torch.zeros(1)})


def test_another_classifiers_head_is_never_taken_over() -> None:
    torch.manual_seed(0)
    first, second = build("resnet18", 2), build("resnet18", 2)
    untouched = second.linear.weight.clone()
    report = load_backbone(second, first.state_dict())
    assert report.unexpected == ("linear.weight", "linear.bias")
    assert torch.equal(second.linear.weight, untouched)
    assert torch.equal(second.backbone.conv1.weight, first.backbone.conv1.weight)


def test_an_unknown_architecture_is_refused_with_the_choices() -> None:
    with pytest.raises(ValueError, match=r"'alexnet'.*resnet18"):
        build("alexnet", 1)


@pytest.mark.parametrize("options", [{"in_channels": 2}, {"output_stride": 4}])
def test_options_that_do_not_exist_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"2|4"):
        build("resnet18", 1, **options)


def test_no_findings_are_refused() -> None:
    with pytest.raises(ValueError, match="1 or more"):
        build("resnet18", 0)


@pytest.mark.parametrize("arch", ["resnet18", "vgg16", "densenet121"])
@pytest.mark.parametrize(
    ("levels", "first"), [((0,), 1), ((2,), 2), ((4, 5), 4), ((5,), 5), ((), None)]
)
def test_dropblock_sits_where_it_is_put(
    arch: str, levels: tuple[int, ...], first: int | None
) -> None:
    """The first level whose map changes from one pass to the next is the one named."""
    torch.manual_seed(0)
    net = build(arch, 1, dropblock=0.6, block=3, dropblock_levels=levels).eval()
    net.dropblock.train()
    images = torch.rand(1, 1, 64, 64)
    with torch.no_grad():
        once, again = net.stages(images), net.stages(images)
    changed = [not torch.equal(a, b) for a, b in zip(once, again, strict=True)]
    assert changed == [first is not None and level >= first for level in range(1, 6)]


def test_dropblock_at_a_level_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\[6\]; give some of 0 to 5"):
        build("resnet18", 1, dropblock_levels=[6])


def test_a_deeper_network_of_the_family_is_refused() -> None:
    weights = torchvision.models.resnet34(weights=None).state_dict()
    with pytest.raises(DataError, match=r"another network than resnet18.*layer1\.2"):
        build("resnet18", 2, weights=weights)
