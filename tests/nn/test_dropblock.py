"""Oracle 7: how much falls out, and in what shape."""

from __future__ import annotations

import pytest
import torch

from napari_wsseg.nn.dropblock import DropBlock, strength


def expected_share(side: int, prob: float, block: int, *, compat: bool) -> float:
    """Share that falls out, from how many squares can cover each pixel."""
    fits = side if compat else side - block + 1
    gamma = prob / block**2 * (1 if compat else (side / fits) ** 2)
    reach = block // 2
    first = [max(0, i - (reach if compat else block - 1)) for i in range(side)]
    last = [min(fits - 1, i + (reach if compat else 0)) for i in range(side)]
    covers = torch.tensor([b - a + 1 for a, b in zip(first, last, strict=True)])
    kept = (1 - gamma) ** (covers[:, None] * covers)
    return 1 - kept.double().mean().item()


@pytest.mark.parametrize("compat", [False, True])
@pytest.mark.parametrize(("side", "prob"), [(64, 0.2), (64, 0.3), (16, 0.2)])
def test_the_share_that_falls_out_is_the_expected_one(
    side: int, prob: float, compat: bool
) -> None:
    torch.manual_seed(0)
    layer = DropBlock(prob, 7, compat=compat)
    kept = layer.keep_mask(torch.ones(800, 1, side, side))
    expected = expected_share(side, prob, 7, compat=compat)
    assert 1 - kept.mean().item() == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize(
    ("side", "prob", "compat", "measured"),
    [
        (64, 0.2, True, 0.168),
        (64, 0.3, True, 0.252),
        (16, 0.2, True, 0.134),
        (64, 0.2, False, 0.184),
        (64, 0.3, False, 0.254),
        (16, 0.2, False, 0.163),
    ],
)
def test_the_share_is_the_one_measured_on_the_published_code(
    side: int, prob: float, compat: bool, measured: float
) -> None:
    """Those figures are means of 200 masks: at 16² they scatter by 0.008 themselves."""
    torch.manual_seed(0)
    layer = DropBlock(prob, 7, compat=compat)
    kept = layer.keep_mask(torch.ones(200, 8, side, side))
    assert 1 - kept.mean().item() == pytest.approx(
        measured, abs=0.01 if side == 64 else 0.016
    )


def test_the_published_code_drops_the_same_squares_from_every_channel() -> None:
    torch.manual_seed(0)
    x = torch.ones(4, 6, 32, 32)
    alike = DropBlock(0.3, 7, compat=True).train()(x)
    assert (alike == alike[:, :1]).all()
    apart = DropBlock(0.3, 7).train()(x)
    assert not (apart == apart[:, :1]).all()


@pytest.mark.parametrize(
    ("schedule", "shares"),
    [
        ("linear", {0: 0.0, 25: 0.25, 100: 1.0}),
        ("ten-steps", {0: 0.0, 3: 1 / 3, 9: 1.0, 25: 1.0}),
        ("constant", {0: 1.0, 25: 1.0}),
    ],
)
def test_a_schedule_brings_the_share_into_force(
    schedule: str, shares: dict[int, float]
) -> None:
    for step, share in shares.items():
        assert strength(schedule, step, 100) == pytest.approx(share)


def test_a_schedule_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="linear, ten-steps"):
        strength("cosine", 0, 1)


@pytest.mark.parametrize("compat", [False, True])
def test_the_mean_is_kept(compat: bool) -> None:
    torch.manual_seed(0)
    layer = DropBlock(0.2, 7, compat=compat).train()
    x = torch.rand(200, 4, 16, 16) + 0.5
    assert layer(x).mean().item() == pytest.approx(x.mean().item(), rel=0.01)


def test_nothing_falls_out_in_eval_mode_without_probability_or_strength() -> None:
    x = torch.rand(2, 3, 9, 9)
    assert DropBlock(0.5).eval()(x) is x
    assert DropBlock(0.0).train()(x) is x
    layer = DropBlock(0.5).train()
    layer.strength = 0.0
    assert layer(x) is x


@pytest.mark.parametrize("compat", [False, True])
def test_one_seed_drops_one_square_of_the_block(
    compat: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def one_seed(shape: tuple[int, ...], **_options: object) -> torch.Tensor:
        drawn = torch.ones(shape)
        drawn[0, 0, shape[2] // 2, shape[3] // 2] = 0
        return drawn

    monkeypatch.setattr(torch, "rand", one_seed)
    layer = DropBlock(0.2, 7, compat=compat)
    dropped = layer.keep_mask(torch.ones(1, 1, 21, 25)) == 0
    rows, columns = dropped[0, 0].nonzero().T
    assert dropped.sum() == 49
    assert (rows.max() - rows.min(), columns.max() - columns.min()) == (6, 6)


def test_strength_scales_the_share_that_falls_out() -> None:
    torch.manual_seed(0)
    layer = DropBlock(0.2)
    layer.strength = 0.25
    kept = layer.keep_mask(torch.ones(200, 4, 32, 32))
    assert 1 - kept.mean().item() == pytest.approx(0.05, abs=0.01)


def test_a_map_smaller_than_the_block_is_dropped_whole_or_kept() -> None:
    torch.manual_seed(0)
    kept = DropBlock(0.5).keep_mask(torch.ones(50, 4, 3, 5)).flatten(2)
    assert ((kept.mean(2) == 0) | (kept.mean(2) == 1)).all()
    assert 0.3 < kept.mean() < 0.7


@pytest.mark.parametrize(("prob", "block"), [(1.0, 7), (-0.1, 7), (0.1, 4)])
def test_settings_that_make_no_sense_are_refused(prob: float, block: int) -> None:
    with pytest.raises(ValueError, match="give"):
        DropBlock(prob, block)
