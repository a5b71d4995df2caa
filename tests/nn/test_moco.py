"""Momentum contrast: keys that follow, a queue, and what counts as another film."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch.nn import functional

from napari_wsseg.nn import backbones as _backbones
from napari_wsseg.nn import classifier, segmenter
from napari_wsseg.nn.moco import Moco


def small(**options: Any) -> Moco:
    torch.manual_seed(0)
    return Moco(**{"dim": 8, "queue": 6, **options})


def filled(**options: Any) -> Moco:
    net = small(**options)
    net.enqueue(functional.normalize(torch.randn(6, 8), dim=1), torch.arange(10, 16))
    return net


def test_the_loss_is_the_cross_entropy_of_ones_own_key_among_the_queue() -> None:
    net = filled().eval()
    first, second = torch.rand(2, 3, 1, 64, 64)
    with torch.no_grad():
        query, key = net.encoder_q(first), net.encoder_k(second)
        found = net(first, second, torch.tensor([1, 2, 3]))
    each = []
    for mine, other in zip(query, key, strict=True):
        likeness = [float(mine @ other), *(float(mine @ old) for old in net.queue)]
        total = sum(math.exp(one / 0.2) for one in likeness)
        each.append(-math.log(math.exp(likeness[0] / 0.2) / total))
    assert float(found) == pytest.approx(sum(each) / 3, abs=1e-5)


def test_an_earlier_key_of_the_same_film_is_no_counterexample() -> None:
    net = filled().eval()
    images = torch.rand(1, 1, 64, 64)
    with torch.no_grad():
        key = net.encoder_k(images)
        before = net(images, images, torch.tensor([1]))
        net.enqueue(key, torch.tensor([1]))
        same = net(images, images, torch.tensor([1]))
        other = net(images, images, torch.tensor([2]))
    assert other > before > same


def test_the_queue_forgets_the_oldest_first() -> None:
    net = small()
    for start in range(0, 16, 4):
        keys = torch.full((4, 8), float(start))
        net.enqueue(keys, torch.arange(start, start + 4))
    assert sorted(net.films.tolist()) == [10, 11, 12, 13, 14, 15]
    place = net.films.tolist().index(13)
    assert net.queue[place].tolist() == [12.0] * 8


def test_keys_follow_queries_by_the_momentum_and_have_no_gradient() -> None:
    net = filled(momentum=0.9).train()
    with torch.no_grad():
        for parameter in net.encoder_q.parameters():
            parameter.add_(1)
    before = net.encoder_k.head[0].weight.clone()
    query = net.encoder_q.head[0].weight.clone()
    net(*torch.rand(2, 4, 1, 64, 64), torch.arange(4)).backward()
    expected = 0.9 * before + 0.1 * query
    torch.testing.assert_close(net.encoder_k.head[0].weight, expected)
    assert all(one.grad is None for one in net.encoder_k.parameters())
    assert all(one.grad is not None for one in net.encoder_q.parameters())


def test_codes_are_of_unit_length_in_the_order_of_their_films() -> None:
    net = small()
    images = torch.rand(5, 1, 64, 64)
    for mode in (True, False):
        keys = net.train(mode).keys(images)
        torch.testing.assert_close(keys.norm(dim=1), torch.ones(5))
    # Behind frozen figures every film's key is its own, however they were shuffled.
    for layer in net.encoder_k.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.train = lambda *_, same=layer: same  # type: ignore[method-assign]
            layer.training = False
    shuffled = net.train().keys(images)
    torch.testing.assert_close(shuffled, net.encoder_k(images), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("arch", ["resnet18", "densenet121", "vgg16"])
def test_what_it_learns_fits_classifiers_and_encoders_bit_by_bit(arch: str) -> None:
    net = small(arch=arch).eval()
    state = net.encoder_q.backbone.state_dict()
    alone = _backbones.build(**net.spec).eval()
    alone.load_state_dict(state)
    stem = next(iter(state))
    made = classifier.build(arch, 1, weights=state)
    assert torch.equal(made.backbone.state_dict()[stem], state[stem])
    encoder = {value: key for key, value in segmenter.BACKBONE_OF.items()}[arch]
    student = segmenter.build("unet", encoder, weights=state).net.encoder
    assert all(torch.equal(student.state_dict()[key], state[key]) for key in state)
