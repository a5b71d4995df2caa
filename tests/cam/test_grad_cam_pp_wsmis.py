"""The published WSMIS code's Grad-CAM++, and how it departs from the paper's."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from napari_wsseg.cam import grad_cam_pp_wsmis, methods
from napari_wsseg.nn.classifier import Classifier, build


@pytest.fixture
def net() -> Classifier:
    torch.manual_seed(0)
    own = build("resnet18", 1).double().eval()
    nn.init.normal_(own.linear.weight)
    return own


def likeness(net: Classifier, images: torch.Tensor, logit: float) -> float:
    """Correlate its map with the exact one where the logit is `logit`."""
    with torch.no_grad():
        net.linear.bias += logit - net(images)[0, 0]
    both = [methods[name](net, images) for name in ("grad-cam++", "grad-cam++ (wsmis)")]
    return float(torch.corrcoef(torch.stack(both).flatten(1))[0, 1])


def test_its_map_departs_from_the_exact_one_as_the_logit_grows(net: Classifier) -> None:
    images = torch.rand(1, 1, 64, 64, dtype=torch.float64)
    unsure, sure, surest = (likeness(net, images, at) for at in (0.15, 4.1, 8.9))
    assert unsure > 0.98
    assert unsure > sure + 0.03 > surest + 0.06
    assert surest < 0.85


def test_the_exact_map_does_not_depend_on_the_logit(net: Classifier) -> None:
    images = torch.rand(1, 1, 64, 64, dtype=torch.float64)
    before = methods["grad-cam++"](net, images)
    with torch.no_grad():
        net.linear.bias += 8.0
    torch.testing.assert_close(methods["grad-cam++"](net, images), before)


def test_it_is_the_formula_of_the_code_term_by_term(net: Classifier) -> None:
    """The code feeds the gradient of exp(S): here it is autograd's own."""
    images = torch.rand(1, 1, 64, 64, dtype=torch.float64)
    with torch.no_grad():
        maps = net.features(images)
        net.linear.bias += 2.0
    leaf = maps.clone().requires_grad_()
    score = net.head(leaf)[0, 0]
    (fed,) = torch.autograd.grad(score.exp(), leaf)
    joint = (maps * fed**3).sum((2, 3), keepdim=True)
    alpha = fed**2 / (2 * fed**2 + joint)
    weights = (alpha * fed.relu()).sum((2, 3))
    theirs = (weights[..., None, None] * maps).sum(1).relu() / score.exp().detach()
    ours = methods["grad-cam++ (wsmis)"](net, images)[:, 0]
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)


def test_a_joint_sum_is_not_the_sum_of_maps_times_the_gradient() -> None:
    torch.manual_seed(1)
    maps, gradient = torch.rand(1, 3, 5, 5), torch.randn(1, 3, 5, 5)
    ours = grad_cam_pp_wsmis.channel_weights(maps, gradient, torch.ones(1))
    joint = (maps * gradient**3).sum((2, 3), keepdim=True)
    alone = maps.sum((2, 3), keepdim=True) * gradient**3
    for below, same in ((joint, True), (alone, False)):
        alpha = gradient**2 / (2 * gradient**2 + below)
        expected = (alpha * gradient.relu()).sum((2, 3))
        assert torch.allclose(ours, expected, rtol=1e-4) is same


def test_a_logit_beyond_all_floats_still_gives_a_map(net: Classifier) -> None:
    with torch.no_grad():
        net.linear.bias += 1000.0
    heat = methods["grad-cam++ (wsmis)"](net.float(), torch.rand(1, 1, 64, 64))
    assert heat.isfinite().all()
    assert heat.max() > 0
