"""Oracle 4: mirrored films have mirrored maps; sums are sums."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from napari_wsseg.cam import methods
from napari_wsseg.cam.fusion import multi_scale
from napari_wsseg.nn.classifier import Classifier, build


@pytest.fixture
def net() -> Classifier:
    torch.manual_seed(0)
    net = build("resnet18", 2, output_stride=8).eval()
    nn.init.normal_(net.linear.weight)
    return net


@pytest.mark.parametrize("name", ["cam", "grad-cam++"])
@pytest.mark.parametrize("scales", [(1.0,), (1.0, 0.5, 1.5)])
def test_a_mirrored_film_has_the_mirrored_map(
    name: str, scales: tuple[float, ...], net: Classifier
) -> None:
    images = torch.rand(1, 1, 48, 56)
    heat = multi_scale(methods[name], net, images, scales=scales)
    mirrored = multi_scale(methods[name], net, images.flip(-1), scales=scales)
    assert heat.max() > 0
    atol = 1e-5 * heat.max().item()
    torch.testing.assert_close(mirrored.flip(-1), heat, rtol=0, atol=atol)


def test_one_scale_without_mirror_is_the_method_itself(net: Classifier) -> None:
    images = torch.rand(1, 1, 64, 64)
    heat = multi_scale(methods["cam"], net, images, flip=False)
    assert torch.equal(heat, methods["cam"](net, images))


def test_scales_add_up_on_the_grid_of_the_first(net: Classifier) -> None:
    images = torch.rand(1, 1, 64, 64)
    cam = methods["cam"]
    one = multi_scale(cam, net, images, scales=(1,))
    half = multi_scale(cam, net, images, scales=(0.5,))
    both = multi_scale(cam, net, images, scales=(1, 0.5))
    grown = nn.functional.interpolate(half, (8, 8), mode="bilinear")
    assert both.shape == (1, 2, 8, 8)
    torch.testing.assert_close(both, one + grown)


def test_findings_are_passed_on(net: Classifier) -> None:
    images = torch.rand(1, 1, 64, 64)
    cam = methods["cam"]
    every = multi_scale(cam, net, images)
    assert torch.equal(multi_scale(cam, net, images, findings=[1]), every[:, [1]])


@pytest.mark.parametrize("scales", [(), (0.0,), (1.0, -0.5)])
def test_scales_that_make_no_sense_are_refused(
    scales: tuple[float, ...], net: Classifier
) -> None:
    with pytest.raises(ValueError, match="above 0"):
        multi_scale(methods["cam"], net, torch.rand(1, 1, 64, 64), scales=scales)
