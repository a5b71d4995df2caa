"""Oracle 4: mirrored films have mirrored maps; sums are sums."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from napari_wsseg.cam import methods
from napari_wsseg.cam.fusion import multi_level, multi_scale
from napari_wsseg.cam.level import AtLevel
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


def test_levels_are_fused_by_their_largest_share_of_their_own_peak(
    net: Classifier,
) -> None:
    images = torch.rand(2, 1, 64, 64)
    expected = []
    for level in (3, 4, 5):
        heat = methods["layer-cam"](AtLevel(net, level), images)
        heat = nn.functional.interpolate(heat, (8, 8), mode="bilinear")
        expected.append(heat / heat.amax((2, 3), keepdim=True))
    found = multi_level(net, images, levels=(3, 4, 5), flip=False)
    torch.testing.assert_close(found, torch.stack(expected).amax(0))


def test_fused_maps_lie_on_the_finest_grid_and_peak_at_one() -> None:
    torch.manual_seed(0)
    net = build("resnet18", 2, output_stride=32).eval()
    nn.init.normal_(net.linear.weight)
    heat = multi_level(net, torch.rand(2, 1, 64, 96), levels=(5, 3))
    assert heat.shape == (2, 2, 8, 12)
    assert heat.min() >= 0
    torch.testing.assert_close(heat.amax((2, 3)), torch.ones(2, 2))


def test_a_level_without_heat_adds_none(net: Classifier) -> None:
    nn.init.constant_(net.linear.weight, -1.0)  # no positive gradient at level 5
    images = torch.rand(1, 1, 64, 64)
    heat = multi_level(net, images, levels=(4, 5), flip=False)
    alone = methods["layer-cam"](AtLevel(net, 4), images)
    assert heat.isfinite().all()
    torch.testing.assert_close(heat, alone / alone.amax((2, 3), keepdim=True))


@pytest.mark.parametrize("scales", [(1.0,), (1.0, 1.5)])
def test_a_mirrored_film_has_the_mirrored_fused_map(
    scales: tuple[float, ...], net: Classifier
) -> None:
    # In float32 a rounding can move a value across a ReLU's kink, and its gradient
    # with it.
    net.double()
    images = torch.rand(1, 1, 48, 56, dtype=torch.float64)
    heat = multi_level(net, images, scales=scales)
    mirrored = multi_level(net, images.flip(-1), scales=scales)
    torch.testing.assert_close(mirrored.flip(-1), heat, rtol=0, atol=1e-5)


def test_findings_of_fused_maps_keep_their_order(net: Classifier) -> None:
    images = torch.rand(1, 1, 64, 64)
    every = multi_level(net, images)
    found = multi_level(net, images, findings=[1, 0])
    torch.testing.assert_close(found, every[:, [1, 0]])


@pytest.mark.parametrize("levels", [(), (4,), (5, 5)])
def test_fusing_fewer_than_two_levels_is_refused(
    levels: tuple[int, ...], net: Classifier
) -> None:
    with pytest.raises(ValueError, match="two or more"):
        multi_level(net, torch.rand(1, 1, 64, 64), levels=levels)
