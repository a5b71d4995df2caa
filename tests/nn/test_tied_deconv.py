"""Oracles 18 to 20: identities of the tied deconvolution network."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from napari_wsseg.nn import _tied_ops as ops
from napari_wsseg.nn import pretrained, tied_maps
from napari_wsseg.nn.tied_deconv import Stages, TiedDeconv, build
from napari_wsseg.nn.tied_encoder import Encoder, FirstClassifier, from_vgg


def network(stage: int = 3, n_findings: int = 3, **options: Any) -> TiedDeconv:
    """Make a small network whose every head says something."""
    torch.manual_seed(stage)
    made = TiedDeconv("table1", n_findings, stage=stage, **{"width": 0.05, **options})
    for head in made.heads:
        nn.init.normal_(head.weight, std=0.3)
    for biases in made.biases:
        for bias in biases:
            nn.init.normal_(bias, std=0.1)
    return made.eval()


def films(count: int = 2, side: int = 64, seed: int = 5) -> torch.Tensor:
    return torch.randn(
        count, 1, side, side, generator=torch.Generator().manual_seed(seed)
    )


@pytest.mark.parametrize("kernel", [3, 5, 11])
def test_deconvolution_is_the_adjoint_of_its_convolution(kernel: int) -> None:
    x = torch.randn(2, 4, 24, 24)
    weight = torch.randn(6, 4, kernel, kernel)
    y = functional.conv2d(x, weight, padding=kernel // 2)
    z = torch.randn_like(y)
    forward = (y.double() * z.double()).sum()
    backward = (x.double() * ops.transposed(z, weight).double()).sum()
    scale = y.double().norm() * z.double().norm()
    assert abs(forward - backward) / scale < 1e-6


def test_deconvolution_is_what_autograd_sends_back_through_the_convolution() -> None:
    x = torch.randn(2, 4, 24, 24, requires_grad=True)
    weight = torch.randn(6, 4, 5, 5)
    y = functional.conv2d(x, weight, padding=2)
    z = torch.randn_like(y)
    (vjp,) = torch.autograd.grad(y, x, z)
    torch.testing.assert_close(ops.transposed(z, weight), vjp, rtol=1e-6, atol=1e-5)


def test_unpooling_is_what_autograd_sends_back_through_the_pooling() -> None:
    x = torch.randn(2, 4, 24, 24, requires_grad=True)
    y, switches = ops.pool(x)
    z = torch.randn_like(y)
    (vjp,) = torch.autograd.grad(y, x, z)
    assert torch.equal(ops.unpool(z, switches), vjp)


def test_pooling_maps_by_log_sum_exp_lies_between_mean_and_maximum() -> None:
    maps = torch.randn(3, 4, 20, 20)
    mean, peak = maps.mean((-2, -1)), maps.amax((-2, -1))
    for s in (0.5, 5.0, 50.0):
        pooled = ops.log_sum_exp(maps, s)
        assert ((pooled >= mean - 1e-6) & (pooled <= peak + 1e-6)).all()
    wide = maps.double()
    torch.testing.assert_close(
        ops.log_sum_exp(wide, 1e-7), wide.mean((-2, -1)), rtol=0, atol=1e-6
    )
    torch.testing.assert_close(
        ops.log_sum_exp(wide, 1e7), wide.amax((-2, -1)), rtol=0, atol=1e-6
    )


def test_pooling_maps_in_single_precision_agrees_with_the_formula_in_double() -> None:
    maps, s = torch.rand(3, 4, 20, 20), 5.0
    formula = (s * maps.double()).exp().mean((-2, -1)).log() / s
    torch.testing.assert_close(
        ops.log_sum_exp(maps, s).double(), formula, rtol=1e-6, atol=1e-6
    )


def test_pooling_large_maps_does_not_overflow() -> None:
    maps = torch.rand(3, 4, 20, 20) + 1e3
    pooled = ops.log_sum_exp(maps, 5.0)
    shifted = (5.0 * (maps.double() - 1e3)).exp().mean((-2, -1)).log() / 5.0 + 1e3
    torch.testing.assert_close(pooled.double(), shifted, rtol=1e-6, atol=0)


@pytest.mark.parametrize("n_findings", [1, 3])
@pytest.mark.parametrize("stage", [0, 1, 2])
def test_a_stage_says_at_first_what_the_one_before_it_says(
    stage: int, n_findings: int
) -> None:
    before = network(stage, n_findings)
    after = before.grow()
    x = films()
    coarse, fine = before(x), after(x)
    assert fine.shape[-1] == 2 * coarse.shape[-1]
    form, s = before.form, before.s
    torch.testing.assert_close(
        ops.log_sum_exp(tied_maps.activated(fine, form), s),
        ops.log_sum_exp(tied_maps.activated(coarse, form), s),
        rtol=1e-5,
        atol=1e-5,
    )
    torch.testing.assert_close(
        tied_maps.present(fine, form, s), tied_maps.present(coarse, form, s)
    )
    # And it can learn: the new columns have a gradient.
    tied_maps.loss(fine, torch.ones(2, n_findings), form, s).backward()
    assert after.heads[-1].weight.grad.abs().sum() > 0


@pytest.mark.parametrize("normalise", ["layer", "map"])
def test_adding_shares_equals_one_convolution_of_everything_concatenated(
    normalise: str,
) -> None:
    net, x = network(3, normalise=normalise), films()
    features = net.features(x)
    side = features[-1].shape[-1]
    expanded = [functional.interpolate(each, (side, side)) for each in features]
    weight = torch.cat([head.weight for head in net.heads], 1)
    at_once = functional.conv2d(torch.cat(expanded, 1), weight, net.heads[0].bias)
    torch.testing.assert_close(net(x), at_once, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("normalise", ["layer", "map"])
def test_normalising_before_expansion_equals_normalising_after_it(
    normalise: str,
) -> None:
    x = torch.randn(2, 5, 6, 6) * 3 + 1
    first = functional.interpolate(ops.normalise(x, normalise), scale_factor=4.0)
    last = ops.normalise(functional.interpolate(x, scale_factor=4.0), normalise)
    torch.testing.assert_close(first, last, rtol=1e-5, atol=1e-5)
    axes = ops.NORMALISATIONS[normalise]
    torch.testing.assert_close(
        first.mean(axes), torch.zeros_like(first.mean(axes)), rtol=0, atol=1e-5
    )
    torch.testing.assert_close(
        first.std(axes, correction=0),
        torch.ones_like(first.mean(axes)),
        rtol=1e-4,
        atol=0,
    )


def untied(
    net: TiedDeconv, x: torch.Tensor, weights: list[torch.Tensor]
) -> torch.Tensor:
    """Compute the loss with filters of their own for the way back, last block first."""
    h, switches = net.encoder(x)
    maps = net.heads[0](ops.normalise(h, net.normalise))
    for number, weight in enumerate(weights, start=1):
        h = ops.unpool(h, switches[-number])
        h = ops.transposed(h, weight, net.biases[number - 1][0]).relu()
        maps = functional.interpolate(maps, scale_factor=2.0)
        maps = maps + net.heads[number](ops.normalise(h, net.normalise))
    return tied_maps.loss(maps, torch.tensor([[1.0, 0, 1]]), net.form, net.s)


def test_gradients_of_a_tied_filter_are_those_of_both_ways_added() -> None:
    net, x = network(3).double(), films(1).double()
    tied_maps.loss(net(x), torch.tensor([[1.0, 0, 1]]), net.form, net.s).backward()
    twin = copy.deepcopy(net)
    twin.zero_grad()
    back = [
        twin.encoder.blocks[-number][0].weight.detach().clone().requires_grad_()
        for number in (1, 2, 3)
    ]
    untied(twin, x, back).backward()
    for number, own in enumerate(back, start=1):
        there = twin.encoder.blocks[-number][0].weight.grad
        together = net.encoder.blocks[-number][0].weight.grad
        assert own.grad is not None
        assert own.grad.abs().max() > 0
        torch.testing.assert_close(together, there + own.grad, rtol=1e-9, atol=1e-12)


def test_gradients_of_a_tied_filter_agree_with_finite_differences() -> None:
    net, x = network(1).double(), films(1, 32).double()
    target = torch.tensor([[1.0, 0, 1]])
    weight = net.encoder.blocks[-1][0].weight
    tied_maps.loss(net(x), target, net.form, net.s).backward()
    direction = torch.randn_like(weight)
    step, sides = 1e-6, []
    for sign in (1, -1):
        with torch.no_grad():
            weight += sign * step * direction
            sides.append(tied_maps.loss(net(x), target, net.form, net.s))
            weight -= sign * step * direction
    slope = (sides[0] - sides[1]) / (2 * step)
    torch.testing.assert_close(
        (weight.grad * direction).sum(), slope, rtol=1e-5, atol=1e-9
    )


def test_the_paper_s_widths_and_map_sizes() -> None:
    net = TiedDeconv("table1", 2, stage=3)
    kernels = [block[0].weight.shape for block in net.encoder.blocks]
    assert kernels == [
        (96, 1, 11, 11),
        (256, 96, 5, 5),
        (384, 256, 3, 3),
        (384, 384, 3, 3),
        (256, 384, 3, 3),
    ]
    assert [head.in_channels for head in net.heads] == [256, 384, 384, 256]
    # 1280 features, of which 3 maps with one bias each.
    assert sum(head.weight.numel() for head in net.heads) == 1280 * 3
    own = {name for name, _ in net.named_parameters() if name.startswith("biases")}
    assert len(own) == 3


@pytest.mark.parametrize(("arch", "side"), [("table1", 96), ("vgg16", 64)])
@pytest.mark.parametrize("channels", [1, 3])
def test_maps_are_twice_as_fine_at_every_stage(
    arch: str, side: int, channels: int
) -> None:
    for stage in range(4):
        net = TiedDeconv(arch, 14, stage=stage, width=0.03, in_channels=channels)
        maps = net(torch.randn(2, channels, side, side))
        assert maps.shape == (2, 15, side * 2**stage // 32, side * 2**stage // 32)
        assert maps.isfinite().all()


def test_vgg_goes_back_through_every_convolution_of_a_block() -> None:
    net = TiedDeconv("vgg16", 2, stage=3)
    assert [len(biases) for biases in net.biases] == [3, 3, 3]
    assert [head.in_channels for head in net.heads] == [512, 512, 256, 128]


def test_vgg_takes_the_weights_of_torchvision_and_sees_the_same() -> None:
    import torchvision

    theirs = torchvision.models.vgg16(weights=None).features.eval()
    ours = Encoder("vgg16", in_channels=3)
    state = {f"features.{key}": value for key, value in theirs.state_dict().items()}
    report = pretrained.load(
        ours, from_vgg({**state, "classifier.0.weight": torch.ones(1)})
    )
    assert report.missing == ()
    x = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(ours(x)[0], theirs(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("form", ["softmax", "relu"])
def test_unknown_labels_change_nothing(form: str) -> None:
    maps = torch.randn(4, tied_maps.count(form, 3), 6, 6)
    targets = torch.randint(0, 2, (4, 3)).float()
    targets[1, 2] = 255
    other = targets.clone()
    other[1, 2] = float("nan")
    moved = maps.clone().requires_grad_()
    loss = tied_maps.loss(moved, targets, form, 5.0)
    assert loss == tied_maps.loss(maps, other, form, 5.0)
    assert loss.isfinite()
    known = targets.clone()
    known[1, 2] = 1
    assert loss != tied_maps.loss(maps, known, form, 5.0)


def test_the_binary_form_is_softmax_and_cross_entropy_over_the_pair() -> None:
    maps, targets = torch.randn(6, 2, 5, 5), torch.randint(0, 2, (6, 1))
    pooled = ops.log_sum_exp(maps.relu(), 5.0)
    wanted = functional.cross_entropy(pooled, targets[:, 0])
    torch.testing.assert_close(
        tied_maps.loss(maps, targets.float(), "relu", 5.0), wanted
    )
    torch.testing.assert_close(
        tied_maps.present(maps, "relu", 5.0)[:, 0], pooled.softmax(1)[:, 1]
    )


def test_the_multi_label_form_is_a_sum_of_binary_cross_entropies() -> None:
    maps, targets = torch.randn(6, 4, 5, 5), torch.randint(0, 2, (6, 3)).float()
    pooled = ops.log_sum_exp(maps.softmax(1), 5.0)
    truth = torch.cat([torch.ones(6, 1), targets], 1)
    wanted = (
        functional.binary_cross_entropy(pooled, truth, reduction="none").sum(1).mean()
    )
    torch.testing.assert_close(
        tied_maps.loss(maps, targets, "softmax", 5.0), wanted, rtol=1e-4, atol=1e-5
    )
    heat = tied_maps.heat(maps, "softmax")
    assert heat.shape == (6, 3, 5, 5)
    assert (heat.sum(1) <= 1).all()


def test_extreme_maps_give_a_finite_loss_that_can_still_be_learnt_from() -> None:
    for form in tied_maps.FORMS:
        maps = torch.full((2, tied_maps.count(form, 2), 4, 4), 1e3)
        maps[:, 0] = -1e3
        maps.requires_grad_()
        loss = tied_maps.loss(maps, torch.zeros(2, 2), form, 5.0)
        loss.backward()
        assert loss.isfinite()
        assert maps.grad is not None
        assert maps.grad.isfinite().all()


def test_half_precision_training_keeps_every_stage_finite() -> None:
    net = network(3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        maps = net(films())
        loss = tied_maps.loss(maps, torch.ones(2, 3), net.form, net.s)
    loss.backward()
    assert loss.dtype == torch.float32
    assert all(
        parameter.grad is not None and parameter.grad.isfinite().all()
        for parameter in net.parameters()
    )


def test_only_tied_blocks_learn_when_the_others_are_frozen() -> None:
    net = network(2)
    net.freeze_untied()
    learning = [
        any(parameter.requires_grad for parameter in block.parameters())
        for block in net.encoder.blocks
    ]
    assert learning == [False, False, False, True, True]
    assert all(head.weight.requires_grad for head in net.heads)


@pytest.mark.parametrize("fully_connected", [True, False])
def test_the_first_classifier_gives_a_logit_per_finding(fully_connected: bool) -> None:
    net = FirstClassifier(
        "table1", 3, size=64, width=0.05, fully_connected=fully_connected
    )
    assert net(films()).shape == (2, 3)
    count = sum(parameter.numel() for parameter in net.head.parameters())
    assert (count > 1000) == fully_connected


def test_a_whole_run_s_weights_find_their_places_again() -> None:
    spec = {"arch": "table1", "n_findings": 2, "width": 0.05}
    one = Stages(2, **spec)
    again = build(stages=2, **spec)
    again.load_state_dict(one.state_dict())
    x = films()
    for stage in range(3):
        assert torch.equal(again.stage(stage)(x), one.stage(stage)(x))


def test_a_filter_is_kept_once_for_both_ways() -> None:
    net = network(3)
    kernels = [key for key, value in net.state_dict().items() if value.ndim == 4]
    assert len(kernels) == 5 + 4


@pytest.mark.parametrize(
    ("attempt", "message"),
    [
        (lambda: network(1)(torch.zeros(1, 1, 100, 96)), "100 × 96.*multiples of 32"),
        (lambda: TiedDeconv("table1", 2, stage=4), "stage is 4; give 0"),
        (lambda: network(3).grow(), "stage is 4; give 0"),
        (lambda: build(stages=5, arch="table1", n_findings=2), "stage is 5; give 0"),
        (
            lambda: Stages(1, arch="table1", n_findings=2, width=0.05).stage(2),
            "stage 2 was not trained; there are 0 to 1",
        ),
        (lambda: TiedDeconv("alexnet", 2), "no network 'alexnet'; there are: table1"),
        (lambda: TiedDeconv("table1", 2, form="tanh"), "no form 'tanh'"),
        (
            lambda: TiedDeconv("table1", 2, normalise="batch"),
            "no normalisation 'batch'",
        ),
    ],
)
def test_what_does_not_fit_is_refused_in_words(attempt: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        attempt()
