"""Augmentation moves films and their targets together."""

from __future__ import annotations

import pytest
import torch

from napari_wsseg.schema import IGNORE
from trainers.data.augment import augment, mixed


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_strength_0_changes_nothing() -> None:
    films = torch.rand(3, 1, 32, 32)
    targets = torch.randint(0, 2, (3, 2, 32, 32), dtype=torch.uint8)
    same, kept = augment(
        films, targets, strength=0, tone=0, flip=False, generator=seeded()
    )
    assert torch.equal(same, films)
    assert kept is targets


def test_a_disc_and_its_mask_move_to_the_same_place() -> None:
    yy, xx = torch.meshgrid(torch.arange(96), torch.arange(96), indexing="ij")
    disc = ((yy - 30) ** 2 + (xx - 60) ** 2 < 15**2).to(torch.uint8)
    films = (0.1 + 0.8 * disc).view(1, 1, 96, 96).repeat(8, 1, 1, 1)
    targets = disc.view(1, 1, 96, 96).repeat(8, 1, 1, 1)
    moved, masks = augment(
        films, targets, strength=1, tone=1, flip=True, generator=seeded(1)
    )
    assert masks is not None
    for film, mask in zip(moved[:, 0], masks[:, 0], strict=True):
        bright = film > (film.max() + film.median()) / 2
        on = mask == 1
        overlap = (bright & on).sum() / (bright | on).sum()
        assert overlap > 0.85
    assert not torch.equal(masks[0], masks[1])


def test_what_comes_from_outside_the_film_is_ignored() -> None:
    targets = torch.zeros(4, 1, 64, 64, dtype=torch.uint8)
    _, masks = augment(
        torch.rand(4, 1, 64, 64),
        targets,
        strength=2,
        tone=0,
        flip=False,
        generator=seeded(2),
    )
    assert masks is not None
    assert set(masks.unique().tolist()) == {0, IGNORE}


def test_scores_move_with_their_film_and_are_unknown_outside_it() -> None:
    film = torch.rand(4, 1, 48, 48)
    film = torch.nn.functional.avg_pool2d(film, 9, stride=1, padding=4)
    logits = torch.cat([20 * film - 10, 5 - 3 * film], 1)
    moved, scores = augment(
        film, logits, strength=1.5, tone=0, flip=True, generator=seeded(3)
    )
    assert scores is not None
    outside = scores.isnan()
    assert 0.01 < outside.float().mean() < 0.5
    # Half a pixel in from the border, where films fade to black and scores do not.
    rim = torch.nn.functional.pad(outside[:, :1].float(), (1, 1, 1, 1), value=1.0)
    inside = torch.nn.functional.max_pool2d(rim, 3, 1) == 0
    assert inside.float().mean() > 0.4
    torch.testing.assert_close(scores[:, :1][inside], (20 * moved - 10)[inside])
    torch.testing.assert_close(scores[:, 1:][inside], (5 - 3 * moved)[inside])


def test_an_ignored_target_stays_ignored() -> None:
    targets = torch.full((2, 1, 32, 32), IGNORE, dtype=torch.uint8)
    _, masks = augment(
        torch.rand(2, 1, 32, 32),
        targets,
        strength=1,
        tone=1,
        flip=True,
        generator=seeded(3),
    )
    assert masks is not None
    assert set(masks.unique().tolist()) <= {IGNORE}


def test_without_flip_no_film_is_mirrored() -> None:
    ramp = torch.linspace(0, 1, 64).view(1, 1, 1, 64).expand(16, 1, 64, 64)
    kept, _ = augment(
        ramp, None, strength=0.3, tone=0.3, flip=False, generator=seeded(4)
    )
    assert (kept[..., 32:].mean((1, 2, 3)) > kept[..., :32].mean((1, 2, 3))).all()
    both, _ = augment(
        ramp, None, strength=0.3, tone=0.3, flip=True, generator=seeded(4)
    )
    left_brighter = both[..., :32].mean((1, 2, 3)) > both[..., 32:].mean((1, 2, 3))
    assert left_brighter.any()


def test_mixup_blends_films_and_labels_by_the_same_share() -> None:
    images = torch.eye(4).view(4, 1, 2, 2)
    labels = torch.eye(4)
    blended, targets = mixed(images, labels, alpha=1.0, generator=seeded(5))
    assert torch.allclose(blended.flatten(1), targets, atol=1e-6)
    assert torch.allclose(targets.sum(1), torch.ones(4), atol=1e-6)
    assert not torch.equal(targets, labels)


def test_mixup_leaves_unknown_labels_unknown() -> None:
    labels = torch.tensor([[1.0], [float(IGNORE)], [0.0]])
    for seed in range(5):
        _, targets = mixed(
            torch.rand(3, 1, 4, 4), labels, alpha=1.0, generator=seeded(seed)
        )
        assert ((targets == IGNORE) | ((targets >= 0) & (targets <= 1))).all()
        assert targets[1] == IGNORE


@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_the_same_generator_augments_alike(strength: float) -> None:
    films = torch.rand(4, 1, 32, 32)
    one, _ = augment(
        films, None, strength=strength, tone=strength, flip=True, generator=seeded(6)
    )
    two, _ = augment(
        films, None, strength=strength, tone=strength, flip=True, generator=seeded(6)
    )
    assert torch.equal(one, two)


def bars(count: int) -> torch.Tensor:
    films = torch.zeros(count, 1, 96, 96)
    films[:, :, 44:52, 20:76] = 1
    return films


def tilt(shape: torch.Tensor) -> float:
    """Return the angle of a shape's long axis, in degrees."""
    row, column = shape.nonzero().double().T
    covariance = torch.cov(torch.stack([column, row]))
    twice = torch.atan2(2 * covariance[0, 1], covariance[0, 0] - covariance[1, 1])
    return float(torch.rad2deg(twice / 2))


def test_films_are_turned_and_scaled_each_by_its_own_measure() -> None:
    moved, _ = augment(
        bars(64), None, strength=1, tone=0, flip=False, generator=seeded(7)
    )
    areas = moved.sum((1, 2, 3)) / (8 * 56)
    assert areas.min() < 0.85
    assert areas.max() > 1.15
    angles = [tilt(film > 0.5) for film in moved[:, 0]]
    assert min(angles) < -6
    assert max(angles) > 6
    assert max(map(abs, angles)) < 11


def test_brightness_changes_and_some_films_are_blurred() -> None:
    yy, xx = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    board = (0.3 + 0.4 * ((yy + xx) % 2)).view(1, 1, 64, 64).repeat(64, 1, 1, 1)
    toned, _ = augment(board, None, strength=0, tone=1, flip=False, generator=seeded(8))
    means = toned.mean((1, 2, 3))
    assert means.max() - means.min() > 0.1
    blurred = (toned.std((1, 2, 3)) < 0.1).float().mean()
    assert 0.05 < blurred < 0.3


def test_half_of_the_films_are_mirrored() -> None:
    ramp = torch.linspace(0, 1, 16).view(1, 1, 1, 16).expand(400, 1, 16, 16)
    both, _ = augment(ramp, None, strength=0, tone=0, flip=True, generator=seeded(9))
    mirrored = (both[:, 0, 0, 0] > both[:, 0, 0, -1]).float().mean()
    assert 0.42 < mirrored < 0.58
