"""Oracle 7: how much falls out, and in what shape."""

from __future__ import annotations

import pytest
import torch

from napari_wsseg.nn.dropblock import DropBlock


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
