"""What every CAM method promises, whoever wrote it."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import nn

from napari_wsseg.cam import methods
from napari_wsseg.cam.fusion import multi_level
from napari_wsseg.cam.level import AtLevel
from napari_wsseg.nn.classifier import Classifier, build

GRADIENT_METHODS = [name for name in methods.names() if name != "cam"]


class TwoLayerHead(nn.Module):
    """A classifier of somebody else: its head is no linear layer on a mean."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Conv2d(1, 8, 3, stride=8, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.drop = nn.Dropout(0.5)
        self.first, self.second = nn.Linear(16, 12), nn.Linear(12, 3)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.trunk(x)).relu()

    def head(self, features: torch.Tensor) -> torch.Tensor:
        pooled = torch.cat([features.mean((2, 3)), features.amax((2, 3))], 1)
        return self.second(self.drop(self.first(pooled).tanh()))


def tensors_alive() -> int:
    return sum(issubclass(type(one), torch.Tensor) for one in gc.get_objects())


class LinearHead(TwoLayerHead):
    """A classifier of somebody else with a linear layer on a mean."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 3)

    def head(self, features: torch.Tensor) -> torch.Tensor:
        return self.linear(features.mean((2, 3)))


def own_classifier() -> Classifier:
    own = build("resnet18", 3, dropblock=0.3)
    nn.init.normal_(own.linear.weight)
    return own


def classifiers(method: str) -> list[nn.Module]:
    torch.manual_seed(0)
    return [LinearHead()] if method == "cam" else [LinearHead(), TwoLayerHead()]


@pytest.mark.parametrize("name", methods.names())
def test_heat_is_one_finite_non_negative_map_a_finding(name: str) -> None:
    for classifier in classifiers(name):
        heat = methods[name](classifier, torch.rand(2, 1, 64, 96))
        maps = classifier.features(torch.rand(2, 1, 64, 96))
        assert heat.shape == (2, 3, *maps.shape[-2:])
        assert heat.isfinite().all()
        assert heat.min() >= 0
        assert heat.max() > 0


@pytest.mark.parametrize("name", methods.names())
def test_findings_choose_maps_and_their_order(name: str) -> None:
    images = torch.rand(2, 1, 64, 64)
    for classifier in classifiers(name):
        every = methods[name](classifier, images)
        chosen = methods[name](classifier, images, [2, 0])
        torch.testing.assert_close(chosen, every[:, [2, 0]])


@pytest.mark.parametrize("name", methods.names())
def test_a_batch_gives_the_maps_of_its_films_one_by_one(name: str) -> None:
    images = torch.rand(3, 1, 64, 64)
    for classifier in classifiers(name):
        together = methods[name](classifier, images)
        alone = torch.cat([methods[name](classifier, one[None]) for one in images])
        torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", methods.names())
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_constant_image_has_finite_heat(name: str, value: float) -> None:
    for classifier in classifiers(name):
        heat = methods[name](classifier, torch.full((1, 1, 64, 64), value))
        assert heat.isfinite().all()


@pytest.mark.parametrize("name", methods.names())
def test_the_classifier_is_left_exactly_as_it_was_found(name: str) -> None:
    images = torch.rand(2, 1, 64, 64)
    for classifier in [own_classifier(), *classifiers(name)]:
        classifier.train()
        next(classifier.children()).eval()  # a frozen trunk in a training net
        for one in classifier.parameters():
            one.grad = torch.full_like(one, 3.0)
        modes = [module.training for module in classifier.modules()]
        state = {key: one.clone() for key, one in classifier.state_dict().items()}
        wanted = [one.requires_grad for one in classifier.parameters()]
        methods[name](classifier, images)
        assert [module.training for module in classifier.modules()] == modes
        assert [one.requires_grad for one in classifier.parameters()] == wanted
        assert all(bool((one.grad == 3).all()) for one in classifier.parameters())
        for key, value in classifier.state_dict().items():
            assert torch.equal(value, state[key]), key
        for module in classifier.modules():
            assert not module._forward_hooks
            assert not module._backward_hooks


@pytest.mark.parametrize("name", methods.names())
def test_a_method_that_fails_gives_the_mode_back(name: str) -> None:
    for classifier in classifiers(name):
        classifier.train()
        with pytest.raises(RuntimeError):
            methods[name](classifier, torch.rand(1, 2, 64, 64))
        assert all(module.training for module in classifier.modules())


@pytest.mark.parametrize("name", methods.names())
def test_heat_has_no_graph(name: str) -> None:
    for classifier in classifiers(name):
        heat = methods[name](classifier, torch.rand(1, 1, 64, 64))
        assert not heat.requires_grad
        assert heat.grad_fn is None


def looks() -> dict[str, Callable[[torch.Tensor], torch.Tensor]]:
    """Return every way to read a map that goes by gradient, ready to be asked."""
    net, other = own_classifier(), TwoLayerHead()
    ways = {name: partial(methods[name], other) for name in GRADIENT_METHODS}
    for name in GRADIENT_METHODS:
        ways[f"{name}@4"] = partial(methods[name], AtLevel(net, 4))
    ways["fused"] = partial(multi_level, net, flip=False)
    return ways


def test_no_tensor_and_no_graph_is_left_behind() -> None:
    images, ways = torch.rand(1, 1, 64, 64), looks()
    for ask in ways.values():
        ask(images)
    gc.collect()
    gc.disable()  # what only the collector finds counts as left behind
    try:
        for name, ask in ways.items():
            before = tensors_alive()
            ask(images)
            assert tensors_alive() == before, name
    finally:
        gc.enable()


@pytest.mark.parametrize(
    "way", [*GRADIENT_METHODS, *(f"{name}@4" for name in GRADIENT_METHODS), "fused"]
)
def test_graphs_are_gone_before_the_map_is_handed_over(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[weakref.ref[torch.Tensor]] = []
    grad = torch.autograd.grad

    def watched(target: torch.Tensor, *args: object, **how: object) -> object:
        kept.append(weakref.ref(target))
        return grad(target, *args, **how)

    monkeypatch.setattr(torch.autograd, "grad", watched)
    gc.collect()
    gc.disable()
    try:
        heat = looks()[way](torch.rand(1, 1, 64, 64))
        assert len(kept) == heat.shape[1]  # one backward a finding, no more
        assert all(one() is None for one in kept)
    finally:
        gc.enable()


def test_a_backward_keeps_no_graph_behind_the_last_finding(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    retained: list[bool] = []
    grad = torch.autograd.grad

    def watched(*args: object, retain_graph: bool, **how: object) -> object:
        retained.append(retain_graph)
        return grad(*args, retain_graph=retain_graph, **how)

    monkeypatch.setattr(torch.autograd, "grad", watched)
    methods["layer-cam"](TwoLayerHead(), torch.rand(1, 1, 64, 64))
    assert retained == [True, True, False]


def test_levels_share_one_way_there_and_one_way_back_a_finding() -> None:
    net, passes = own_classifier(), []
    net.backbone.layer3.register_forward_hook(lambda *_: passes.append(3))
    net.backbone.layer4.register_forward_hook(lambda *_: passes.append(4))
    multi_level(net, torch.rand(1, 1, 64, 64), flip=False)
    assert passes == [3, 4]


def test_a_classifier_that_was_frozen_in_part_is_so_afterwards() -> None:
    net = own_classifier()
    net.backbone.layer1.requires_grad_(False)
    wanted = [one.requires_grad for one in net.parameters()]
    net.train()
    multi_level(net, torch.rand(2, 1, 64, 64))
    methods["layer-cam"](AtLevel(net, 4), torch.rand(2, 1, 64, 64))
    assert [one.requires_grad for one in net.parameters()] == wanted
    assert all(module.training for module in net.modules())
    assert all(one.grad is None for one in net.parameters())
    for module in net.modules():
        assert not module._forward_hooks
        assert not module._backward_hooks


def test_a_head_that_fails_gives_the_parameters_back() -> None:
    net = TwoLayerHead()
    net.first = nn.Linear(5, 12)
    with pytest.raises(RuntimeError):
        methods["layer-cam"](net, torch.rand(1, 1, 64, 64))
    assert all(one.requires_grad for one in net.parameters())


@pytest.mark.parametrize("name", methods.names())
def test_maps_are_the_same_in_training_mode_and_without_gradients(name: str) -> None:
    images = torch.rand(1, 1, 64, 64)
    for classifier in classifiers(name):
        expected = methods[name](classifier.eval(), images)
        assert torch.equal(methods[name](classifier.train(), images), expected)
        with torch.no_grad():
            assert torch.equal(methods[name](classifier, images), expected)
        with torch.inference_mode():
            assert torch.equal(methods[name](classifier, images).clone(), expected)


def test_cam_of_another_head_is_refused_with_a_remedy() -> None:
    with pytest.raises(ValueError, match=r"TwoLayerHead .* use grad-cam"):
        methods["cam"](TwoLayerHead(), torch.rand(1, 1, 64, 64))


def test_a_classifier_without_a_linear_attribute_is_explained_through_its_head() -> (
    None
):
    class Hidden(nn.Module):
        def __init__(self, inner: Classifier) -> None:
            super().__init__()
            self.inner = inner

        def features(self, x: torch.Tensor) -> torch.Tensor:
            return self.inner.features(x)

        def head(self, features: torch.Tensor) -> torch.Tensor:
            return self.inner.head(features)

    inner = build("resnet18", 3).double()
    nn.init.normal_(inner.linear.weight)
    images = torch.rand(2, 1, 64, 64, dtype=torch.float64)
    for name in GRADIENT_METHODS:
        torch.testing.assert_close(
            methods[name](Hidden(inner), images),
            methods[name](inner, images),
            rtol=0,
            atol=1e-12,
        )
