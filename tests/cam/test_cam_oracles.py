"""Oracles 1 to 3: pytorch-grad-cam, autograd, and an identity."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from napari_wsseg.cam import grad_cam_pp, methods
from napari_wsseg.cam.level import AtLevel
from napari_wsseg.nn.classifier import Classifier, build

PEERS = {
    "grad-cam": "GradCAM",
    "layer-cam": "LayerCAM",
    "grad-cam++": "GradCAMPlusPlus",
}


def classifier(output_stride: int = 16) -> Classifier:
    torch.manual_seed(0)
    net = build("resnet18", 3, output_stride=output_stride).eval()
    nn.init.normal_(net.linear.weight)
    return net


def peer_maps(
    name: str, net: Classifier, images: torch.Tensor, *, level: int = 5
) -> np.ndarray:
    """Return (B, K, h, w) of pytorch-grad-cam, each divided by its own range.

    It works in the network's own precision and rounds to float32 at the end.
    """
    import pytorch_grad_cam  # brings scikit-learn and matplotlib
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    layer = net.backbone.get_submodule(f"layer{level - 1}")
    with getattr(pytorch_grad_cam, PEERS[name])(net, [layer]) as peer:
        # Its maps come at the size of the image; ask for the network's own grid.
        side = AtLevel(net, level).features(images).shape[-1]
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


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", ["grad-cam", "layer-cam"])
@pytest.mark.parametrize("output_stride", [8, 16])
def test_maps_are_those_of_pytorch_grad_cam(
    name: str, output_stride: int, dtype: torch.dtype
) -> None:
    net = classifier(output_stride).to(dtype)
    images = torch.rand(2, 1, 48, 48, dtype=dtype)
    ours = relative(methods[name](net, images))
    np.testing.assert_allclose(ours, peer_maps(name, net, images), rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["grad-cam", "layer-cam"])
@pytest.mark.parametrize("level", [3, 4])
def test_maps_of_earlier_levels_are_those_of_pytorch_grad_cam(
    name: str, level: int
) -> None:
    net = classifier(32).double()
    images = torch.rand(2, 1, 64, 64, dtype=torch.float64)
    ours = relative(methods[name](AtLevel(net, level), images))
    theirs = peer_maps(name, net, images, level=level)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)


class MapsThemselves(nn.Module):
    """A classifier whose images are its last maps, under 256 channels' weights."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(256, 1)
        nn.init.normal_(self.linear.weight, std=0.1)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        return x

    def head(self, features: torch.Tensor) -> torch.Tensor:
        return self.linear(features.mean((2, 3)))


def with_epsilon(
    net: Classifier | AtLevel | MapsThemselves, images: torch.Tensor
) -> torch.Tensor:
    """Return Grad-CAM++ with the epsilon that pytorch-grad-cam adds."""
    maps = net.features(images).detach().requires_grad_()
    logits = net.head(maps)
    heat = []
    for finding in range(logits.shape[1]):
        (gradient,) = torch.autograd.grad(
            logits[:, finding].sum(), maps, retain_graph=True
        )
        weights = grad_cam_pp.channel_weights(maps, gradient, eps=1e-6)
        heat.append((weights[..., None, None] * maps).sum(1).relu().detach())
    return torch.stack(heat, 1)


@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    # These weights are about g³/eps, so float32 keeps fewer of their digits.
    [(torch.float64, 1e-6), (torch.float32, 5e-6)],
)
@pytest.mark.parametrize("output_stride", [8, 16])
def test_grad_cam_pp_with_their_epsilon_is_pytorch_grad_cams(
    output_stride: int, dtype: torch.dtype, tolerance: float
) -> None:
    net = classifier(output_stride).to(dtype)
    images = torch.rand(1, 1, 48, 48, dtype=dtype)
    ours = relative(with_epsilon(net, images))
    theirs = peer_maps("grad-cam++", net, images)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance)


def test_grad_cam_pp_with_their_epsilon_is_pytorch_grad_cams_at_earlier_levels() -> (
    None
):
    net = classifier(32).double()
    images = torch.rand(1, 1, 64, 64, dtype=torch.float64)
    ours = relative(with_epsilon(AtLevel(net, 4), images))
    theirs = peer_maps("grad-cam++", net, images, level=4)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)


def test_exact_grad_cam_pp_parts_from_their_epsilon_as_maps_grow() -> None:
    torch.manual_seed(0)
    net = MapsThemselves()
    correlations = []
    for side in (7, 10, 16, 64):
        maps = torch.rand(1, 256, side, side) ** 4
        exact = methods["grad-cam++"](net, maps)
        theirs = with_epsilon(net, maps)
        pair = torch.stack([exact.flatten(), theirs.flatten()])
        correlations.append(torch.corrcoef(pair)[0, 1].item())
    assert correlations == sorted(correlations, reverse=True)
    assert correlations[0] > 0.99
    assert correlations[-1] < 0.8


def test_exact_grad_cam_pp_does_not_depend_on_the_size_of_the_map() -> None:
    torch.manual_seed(0)
    net = MapsThemselves()
    maps = torch.rand(1, 256, 8, 8) ** 4
    finer = maps.repeat_interleave(8, 2).repeat_interleave(8, 3)
    coarse = methods["grad-cam++"](net, maps)
    fine = methods["grad-cam++"](net, finer)[..., ::8, ::8]
    torch.testing.assert_close(fine, coarse, rtol=1e-5, atol=0)


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
    # In double precision: how float32 sums round differs from processor to processor.
    net = classifier().double()
    images = torch.rand(2, 1, 64, 96, dtype=torch.float64)
    cam = methods["cam"](net, images)
    grad_cam = methods["grad-cam"](net, images)
    pixels = cam[0, 0].numel()
    atol = 1e-12 * cam.max().item()
    torch.testing.assert_close(cam, grad_cam * pixels, rtol=0, atol=atol)
