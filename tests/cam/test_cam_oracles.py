"""Oracles 1 to 3: pytorch-grad-cam, autograd, and an identity."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pytorch_grad_cam import GradCAM, GradCAMPlusPlus, LayerCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import nn

from napari_wsseg.cam import grad_cam_pp, methods
from napari_wsseg.nn.classifier import Classifier, build

PEERS = {"grad-cam": GradCAM, "layer-cam": LayerCAM, "grad-cam++": GradCAMPlusPlus}


def classifier(output_stride: int = 16) -> Classifier:
    torch.manual_seed(0)
    net = build("resnet18", 3, output_stride=output_stride).eval()
    nn.init.normal_(net.linear.weight)
    return net


def peer_maps(name: str, net: Classifier, images: torch.Tensor) -> np.ndarray:
    """Return (B, K, h, w) of pytorch-grad-cam, each divided by its own range.

    It works in the network's own precision and rounds to float32 at the end.
    """
    with PEERS[name](net, [net.backbone.layer4]) as peer:
        # Its maps come at the size of the image; ask for the network's own grid.
        side = net.features(images).shape[-1]
        peer.get_target_width_height = lambda _images: (side, side)
        maps = [
            peer(images, [ClassifierOutputTarget(finding)] * len(images))
            for finding in range(3)
        ]
    return np.stack(maps, 1)


def relative(heat: torch.Tensor) -> np.ndarray:
    """Divide every map by its own range as pytorch-grad-cam does, twice."""
    maps = heat.detach().numpy()
    for _ in range(2):
        maps = maps - maps.min((-2, -1), keepdims=True)
        maps = maps / (1e-7 + maps.max((-2, -1), keepdims=True))
    return maps


@pytest.mark.parametrize("name", ["grad-cam", "layer-cam"])
@pytest.mark.parametrize("output_stride", [8, 16])
def test_maps_are_those_of_pytorch_grad_cam(name: str, output_stride: int) -> None:
    net = classifier(output_stride).double()
    images = torch.rand(2, 1, 48, 48, dtype=torch.float64)
    ours = relative(methods[name](net, images))
    np.testing.assert_allclose(ours, peer_maps(name, net, images), rtol=0, atol=1e-6)


def with_epsilon(net: Classifier, images: torch.Tensor) -> torch.Tensor:
    """Return Grad-CAM++ with the epsilon that pytorch-grad-cam adds."""
    maps = net.features(images).detach()
    heat = []
    for row in net.linear.weight.detach():
        gradient = (row / maps[0, 0].numel())[None, :, None, None].expand_as(maps)
        weights = grad_cam_pp.channel_weights(maps, gradient, eps=1e-6)
        heat.append((weights[..., None, None] * maps).sum(1).relu())
    return torch.stack(heat, 1)


@pytest.mark.parametrize("output_stride", [8, 16])
def test_grad_cam_pp_with_their_epsilon_is_pytorch_grad_cams(
    output_stride: int,
) -> None:
    net = classifier(output_stride).double()
    images = torch.rand(1, 1, 48, 48, dtype=torch.float64)
    np.testing.assert_allclose(
        relative(with_epsilon(net, images)),
        peer_maps("grad-cam++", net, images),
        rtol=0,
        atol=1e-6,
    )


def test_exact_grad_cam_pp_parts_from_their_epsilon_as_maps_grow() -> None:
    net = classifier(8)
    with torch.no_grad():
        net.linear.weight.mul_(0.1)
    correlations = []
    for side in (64, 192):
        images = torch.rand(1, 1, side, side)
        exact = methods["grad-cam++"](net, images)
        theirs = with_epsilon(net, images)
        pair = torch.stack([exact.flatten(), theirs.flatten()])
        correlations.append(torch.corrcoef(pair)[0, 1].item())
    assert correlations[1] < correlations[0]
    assert correlations[1] < 0.999


@pytest.mark.parametrize("name", sorted(PEERS))
def test_closed_forms_are_autograds_to_the_last_digit(name: str) -> None:
    net = classifier().double()
    images = torch.rand(2, 1, 64, 64, dtype=torch.float64)
    maps = net.features(images).detach().requires_grad_()
    heat = []
    for finding in range(3):
        (g,) = torch.autograd.grad(net.head(maps)[:, finding].sum(), maps)
        sums = maps.sum((2, 3), keepdim=True)
        alpha = torch.where(g != 0, g**2 / (2 * g**2 + sums * g**3), 0)
        weights = {
            "grad-cam": g.mean((2, 3), keepdim=True),
            "grad-cam++": (alpha * g.relu()).sum((2, 3), keepdim=True),
            "layer-cam": g.relu(),
        }[name]
        heat.append((weights * maps).sum(1).relu())
    expected = torch.stack(heat, 1).detach()
    difference = methods[name](net, images) - expected
    assert difference.abs().max() <= 1e-12 * max(1.0, expected.max().item())


def test_cam_is_grad_cam_times_the_number_of_pixels() -> None:
    net = classifier()
    images = torch.rand(2, 1, 64, 96)
    cam = methods["cam"](net, images)
    grad_cam = methods["grad-cam"](net, images)
    pixels = cam[0, 0].numel()
    atol = 1e-6 * cam.max().item()
    torch.testing.assert_close(cam, grad_cam * pixels, rtol=0, atol=atol)
