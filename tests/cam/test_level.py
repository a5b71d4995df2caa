"""Maps of an earlier level are those of the classifier cut there."""

from __future__ import annotations

import pytest
import torch

from napari_wsseg.cam import methods
from napari_wsseg.cam.level import AtLevel
from napari_wsseg.nn import backbones as _backbones
from napari_wsseg.nn import classifier


@pytest.fixture(scope="module")
def network() -> classifier.Classifier:
    torch.manual_seed(0)
    return classifier.build("resnet18", 2, output_stride=32).eval()


def test_the_last_level_is_the_classifier_itself(
    network: classifier.Classifier,
) -> None:
    images = torch.randn(1, 1, 64, 64)
    for name in methods:
        maps = methods[name](network, images)
        cut = methods[name](AtLevel(network, 5), images)
        torch.testing.assert_close(cut, maps)


@pytest.mark.parametrize(("level", "side"), [(3, 8), (4, 4), (5, 2)])
def test_earlier_levels_are_finer_and_lead_to_the_same_logits(
    network: classifier.Classifier, level: int, side: int
) -> None:
    images = torch.randn(2, 1, 64, 64)
    cut = AtLevel(network, level)
    with torch.no_grad():
        torch.testing.assert_close(cut.head(cut.features(images)), network(images))
    heat = methods["layer-cam"](cut, images)
    assert heat.shape == (2, 2, side, side)
    assert (heat >= 0).all()


def test_layer_cam_at_a_level_is_the_gradient_there(
    network: classifier.Classifier,
) -> None:
    images = torch.randn(1, 1, 64, 64)
    with torch.no_grad():
        maps = network.stages(images)[3]
    maps = maps.clone().requires_grad_()
    logits = network.head(network.onward(maps, 4))
    (gradient,) = torch.autograd.grad(logits[0, 1], maps)
    expected = (gradient.relu() * maps).sum(1).relu()[0]
    heat = methods["layer-cam"](AtLevel(network, 4), images, [1])
    torch.testing.assert_close(heat[0, 0], expected.detach())


@pytest.mark.parametrize("arch", _backbones.BACKBONES)
@pytest.mark.parametrize("output_stride", [8, 32])
def test_every_level_of_every_network_is_a_rectified_map_on_the_way_to_the_logits(
    arch: str, output_stride: int
) -> None:
    torch.manual_seed(0)
    net = classifier.build(arch, 2, output_stride=output_stride, dropblock=0.1).eval()
    torch.nn.init.normal_(net.linear.weight)
    images = torch.rand(1, 1, 64, 64)
    with torch.no_grad():
        expected = net(images)
        for level in (3, 4, 5):
            cut = AtLevel(net, level)
            maps = cut.features(images)
            assert maps.min() >= 0
            torch.testing.assert_close(cut.head(maps), expected)
            for further, behind in enumerate(cut.onward(maps), level + 1):
                torch.testing.assert_close(
                    behind, AtLevel(net, further).features(images)
                )


def test_a_level_that_is_not_there_is_refused(network: classifier.Classifier) -> None:
    with pytest.raises(ValueError, match="levels 1 to 5"):
        AtLevel(network, 6)
