"""Oracles 12 and 13: a slow double loop over pairs, gradients, analytic fields."""

from __future__ import annotations

import math
from itertools import product

import pytest
import torch

from napari_wsseg.nn import irnet_loss
from napari_wsseg.schema import IGNORE

Pixel = tuple[int, int]


def pixel_path(one: Pixel, other: Pixel) -> list[Pixel]:
    rows, columns = zip(one, other, strict=True)
    (y0, x0), (y1, x1) = one, other
    length = math.dist(one, other)
    return [
        (y, x)
        for y in range(min(rows), max(rows) + 1)
        for x in range(min(columns), max(columns) + 1)
        if abs((y1 - y0) * (x - x0) - (x1 - x0) * (y - y0)) / length < 1
    ]


def close_pairs(side: int, radius: int) -> list[tuple[Pixel, Pixel]]:
    pixels = list(product(range(side), range(side)))
    return [
        (one, other)
        for place, one in enumerate(pixels)
        for other in pixels[place + 1 :]
        if math.dist(one, other) < radius
    ]


def slow_terms(
    edge: torch.Tensor, field: torch.Tensor, seeds: torch.Tensor, radius: int
) -> dict[str, float]:
    """Sum over films, findings and pairs one by one: the definition, word by word."""
    sums: dict[str, list[float]] = {
        name: []
        for name in ("alike background", "alike finding", "different", "D0", "D1")
    }
    for film, finding in product(range(seeds.shape[0]), range(seeds.shape[1])):
        boundary = edge[film, 0].sigmoid().tolist()
        d = field[film].tolist()
        labels = seeds[film, finding].tolist()
        for one, other in close_pairs(len(labels), radius):
            first, second = labels[one[0]][one[1]], labels[other[0]][other[1]]
            if IGNORE in (first, second):
                continue
            a = 1 - max(boundary[y][x] for y, x in pixel_path(one, other))
            alike, different = -math.log(a + 1e-5), -math.log(1 + 1e-5 - a)
            delta = [d[c][one[0]][one[1]] - d[c][other[0]][other[1]] for c in (0, 1)]
            target = [other[c] - one[c] for c in (0, 1)]
            if first != second:
                sums["different"].append(different)
            elif first == 0:
                sums["alike background"].append(alike)
                sums["D0"].append((abs(delta[0]) + abs(delta[1])) / 2)
            else:
                sums["alike finding"].append(alike)
                off = [abs(delta[c] - target[c]) for c in (0, 1)]
                sums["D1"].append(sum(off) / 2)
    return {name: sum(values) / (len(values) + 1e-5) for name, values in sums.items()}


@pytest.mark.parametrize("findings", [1, 2])
def test_the_loss_is_that_of_a_slow_loop_over_all_pairs(findings: int) -> None:
    torch.manual_seed(0)
    edge = torch.randn(2, 1, 16, 16, dtype=torch.float64)
    field = torch.randn(2, 2, 16, 16, dtype=torch.float64)
    choice = torch.tensor([0, 1, IGNORE], dtype=torch.uint8)
    seeds = choice[torch.randint(0, 3, (2, findings, 16, 16))]
    pairs = irnet_loss.pairs(seeds, radius=5)
    slow = slow_terms(edge, field, seeds, 5)
    boundary = irnet_loss.boundary(edge, pairs)
    displacement = irnet_loss.displacement(field, pairs)
    assert boundary.alike_background.item() == pytest.approx(
        slow["alike background"], abs=1e-6
    )
    assert boundary.alike_finding.item() == pytest.approx(
        slow["alike finding"], abs=1e-6
    )
    assert boundary.different.item() == pytest.approx(slow["different"], abs=1e-6)
    assert displacement.background.item() == pytest.approx(slow["D0"], abs=1e-6)
    assert displacement.finding.item() == pytest.approx(slow["D1"], abs=1e-6)
    total = (slow["alike background"] + slow["alike finding"]) / 4
    total += slow["different"] / 2
    assert boundary.total.item() == pytest.approx(total, abs=1e-6)


def test_gradients_are_those_of_finite_differences() -> None:
    torch.manual_seed(0)
    edge = torch.randn(1, 1, 6, 7, dtype=torch.float64, requires_grad=True)
    field = torch.randn(1, 2, 6, 7, dtype=torch.float64, requires_grad=True)
    pairs = irnet_loss.pairs(torch.randint(0, 2, (1, 1, 6, 7)), radius=3)
    assert torch.autograd.gradcheck(lambda e: irnet_loss.boundary(e, pairs).total, edge)
    assert torch.autograd.gradcheck(
        lambda f: irnet_loss.displacement(f, pairs).total, field
    )


def test_an_undecided_boundary_costs_log_2_for_every_kind_of_pair() -> None:
    seeds = torch.zeros(1, 1, 10, 10, dtype=torch.uint8)
    seeds[..., 5:] = 1
    terms = irnet_loss.boundary(
        torch.zeros(1, 1, 10, 10), irnet_loss.pairs(seeds, radius=4)
    )
    for term in (terms.alike_background, terms.alike_finding, terms.different):
        assert term.item() == pytest.approx(math.log(2), abs=1e-4)


def test_a_wall_between_unlike_pixels_costs_next_to_nothing() -> None:
    seeds = torch.zeros(1, 1, 11, 11, dtype=torch.uint8)
    seeds[..., 6:] = 1
    seeds[..., 5] = IGNORE
    wall = torch.full((1, 1, 11, 11), -20.0)
    wall[..., 5] = 20
    terms = irnet_loss.boundary(wall, irnet_loss.pairs(seeds, radius=5))
    assert terms.total.item() == pytest.approx(0, abs=1e-4)


def test_ignored_pixels_change_neither_loss() -> None:
    torch.manual_seed(0)
    seeds = torch.full((1, 1, 8, 8), IGNORE, dtype=torch.uint8)
    pairs = irnet_loss.pairs(seeds, radius=4)
    edge = torch.randn(1, 1, 8, 8, requires_grad=True)
    loss = irnet_loss.boundary(edge, pairs).total
    loss = loss + irnet_loss.displacement(torch.randn(1, 2, 8, 8), pairs).total
    loss.backward()
    assert loss == 0
    assert edge.grad is not None
    assert edge.grad.abs().max() == 0


def centred_field(side: int, centre: Pixel) -> torch.Tensor:
    """Return D(x) = centre − x."""
    rows, columns = torch.meshgrid(*[torch.arange(side)] * 2, indexing="ij")
    return torch.stack([centre[0] - rows, centre[1] - columns])[None].float()


def test_a_field_that_points_at_the_centroid_costs_nothing() -> None:
    field = centred_field(12, (4, 7))
    ones = torch.ones(1, 1, 12, 12, dtype=torch.uint8)
    pairs = irnet_loss.pairs(ones, radius=5)
    assert irnet_loss.displacement(field, pairs).finding == 0
    assert irnet_loss.displacement(-field, pairs).finding > 1


def test_a_field_that_is_the_same_everywhere_costs_the_background_nothing() -> None:
    field = torch.full((1, 2, 9, 9), 3.0)
    zeros = torch.zeros(1, 1, 9, 9, dtype=torch.uint8)
    assert irnet_loss.displacement(field, irnet_loss.pairs(zeros)).total == 0


def test_seeds_come_to_the_networks_grid_by_nearest_pixel() -> None:
    seeds = torch.randint(0, 2, (1, 2, 64, 48), dtype=torch.uint8)
    small = irnet_loss.on_grid(seeds, torch.empty(1, 1, 16, 12))
    assert small.dtype == torch.uint8
    torch.testing.assert_close(small, seeds[..., 2::4, 2::4])
