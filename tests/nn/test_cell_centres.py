"""A network's map lies where its cells look: at a point source, whatever the trunk."""

from __future__ import annotations

import sys
from typing import Any

import pytest
import torch
from torch import nn

from napari_wsseg.cam import methods
from napari_wsseg.cam.fusion import multi_level, multi_scale
from napari_wsseg.cam.level import AtLevel
from napari_wsseg.nn import cell_centres
from napari_wsseg.nn.classifier import Classifier
from napari_wsseg.nn.irnet import IRNet

SIDE = 256
NETWORKS = [
    ("resnet18", 32),
    ("resnet18", 8),
    ("resnet34", 16),
    ("resnet50", 32),
    ("densenet121", 32),
    ("densenet121", 16),
    ("densenet121", 8),
    ("vgg16", 16),
    ("vgg16", 8),
]


def linear(arch: str, stride: int) -> Classifier:
    """Return a network of symmetric filters that lets all light through, straight."""
    net = Classifier(arch, 1, output_stride=stride).eval()
    for name, layer in list(net.named_modules()):
        if isinstance(layer, nn.Conv2d):
            filters = torch.full_like(layer.weight, 0.02)
            middle = [side // 2 for side in layer.kernel_size]
            filters[:, :, middle[0], middle[1]] = 1
            layer.weight.data = filters / filters[0].sum()
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.MaxPool2d):
            mean = nn.AvgPool2d(layer.kernel_size, layer.stride, layer.padding)
            net.set_submodule(name, mean)
    nn.init.ones_(net.linear.weight)
    return net


def source(y: float, x: float, spread: float) -> torch.Tensor:
    rows, columns = torch.meshgrid(
        torch.arange(SIDE), torch.arange(SIDE), indexing="ij"
    )
    away = (rows - y) ** 2 + (columns - x) ** 2
    return (-away / (2 * spread**2)).exp()[None, None]


def centre(heat: torch.Tensor) -> tuple[float, float]:
    """Return the centre of mass of a map that is spread over the film, in pixels."""
    score = heat[0, 0].double()
    pixels = (torch.arange(len(score)).double() + 0.5) * SIDE / len(score) - 0.5
    total = score.sum()
    return float((score.sum(1) @ pixels) / total), float(
        (score.sum(0) @ pixels) / total
    )


@pytest.mark.parametrize(("arch", "stride"), NETWORKS)
def test_every_levels_map_of_a_point_lies_on_it_within_a_tenth_of_a_cell(
    arch: str, stride: int
) -> None:
    net, (y, x) = linear(arch, stride), (131.0, 119.0)
    for level, cells in enumerate(cell_centres.levels(net), 1):
        film = source(y, x, max(8.0, 0.75 * cells.stride))
        with torch.no_grad():
            maps = net.stages(film)[level - 1].sum(1, keepdim=True)
        drawn = cell_centres.placed(maps, cells, film.shape[-2:], torch.Size((64, 64)))
        found = centre(drawn)
        assert abs(found[0] - y) < 0.1 * cells.stride, (level, cells, found)
        assert abs(found[1] - x) < 0.1 * cells.stride, (level, cells, found)


#: Three quarters of a cell of the coarsest map of the film at half its side: what is
#: narrower than that falls between cells, which no drawing puts right.
WIDE = 0.75 * 32 / 0.5


@pytest.fixture
def large_film(monkeypatch: pytest.MonkeyPatch) -> torch.Tensor:
    """Return a film on which a source that wide is not cut off by the border."""
    monkeypatch.setattr(sys.modules[__name__], "SIDE", 512)
    return source(262.0, 238.0, WIDE)


def light(level: int) -> Any:
    """Return a way to read a map that is the light itself that comes through."""

    def read(net: Any, film: torch.Tensor, findings: Any = None) -> torch.Tensor:
        with torch.no_grad():
            return net.stages(film)[level - 1].sum(1, keepdim=True)

    return read


@pytest.mark.parametrize(
    ("arch", "stride", "scales"),
    [
        ("resnet18", 32, (0.5,)),
        ("resnet18", 32, (1.0, 0.5)),
        pytest.param("resnet18", 32, (0.75, 1.5), marks=pytest.mark.slow),
        pytest.param("resnet18", 8, (0.5, 1.5), marks=pytest.mark.slow),
        pytest.param("resnet34", 16, (0.5,), marks=pytest.mark.slow),
        pytest.param("resnet50", 32, (0.5,), marks=pytest.mark.slow),
        pytest.param("densenet121", 32, (0.5,), marks=pytest.mark.slow),
        pytest.param("densenet121", 8, (0.5, 0.75), marks=pytest.mark.slow),
        pytest.param("vgg16", 16, (0.5, 0.75), marks=pytest.mark.slow),
        pytest.param("vgg16", 8, (0.5, 0.75), marks=pytest.mark.slow),
    ],
)
def test_so_do_maps_of_films_of_another_size(
    large_film: torch.Tensor, arch: str, stride: int, scales: tuple[float, ...]
) -> None:
    """A tenth of the cell that the map has of the film as it is, whatever the size."""
    net = linear(arch, stride)
    for level, cells in enumerate(cell_centres.levels(net), 1):
        heat = multi_scale(
            light(level),
            net,
            large_film,
            scales=scales,
            flip=False,
            cells=cells,
            grid=128,
        )
        tenth = 0.1 * cells.stride
        assert centre(heat) == pytest.approx((262, 238), abs=tenth), (level, cells)


@pytest.mark.parametrize("flip", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_so_do_sums_over_scales_mirrors_and_levels(
    large_film: torch.Tensor, flip: bool
) -> None:
    net, how = linear("resnet18", 32), {"scales": (1.0, 0.5), "flip": flip, "grid": 128}
    cells = cell_centres.levels(net)
    for level in (3, 4, 5):
        heat = multi_scale(
            methods["layer-cam"],
            AtLevel(net, level),
            large_film,
            cells=cells[level - 1],
            **how,
        )
        tenth = 0.1 * cells[level - 1].stride
        assert centre(heat) == pytest.approx((262, 238), abs=tenth), level
    fused = multi_level(net, large_film, levels=(3, 4, 5), **how)
    assert centre(fused) == pytest.approx((262, 238), abs=0.8)


def test_drawn_as_if_cells_tiled_the_film_it_is_half_a_cell_off() -> None:
    net, film = linear("resnet18", 32), source(131.0, 119.0, 24.0)
    heat = multi_scale(methods["cam"], net, film, flip=False)
    assert centre(heat) == pytest.approx((131 + 15.5, 119 + 15.5), abs=3.2)


def test_irnets_levels_lie_on_one_another() -> None:
    net = IRNet(linear("resnet18", 32), placed=True)
    film, grid = source(131.0, 119.0, 24.0), torch.Size((64, 64))
    for number, level in enumerate(net.backbone.stages(film)):
        laid = net._laid(level.sum(1, keepdim=True), number, grid, film.shape[-2:])
        assert centre(laid) == pytest.approx((131, 119), abs=3.2)


def test_placing_is_plain_interpolation_where_cells_tile_the_image() -> None:
    maps = torch.rand(2, 3, 8, 8)
    cells = cell_centres.Cells(16, 7.5)
    drawn = cell_centres.placed(
        maps, cells, torch.Size((128, 128)), torch.Size((32, 32))
    )
    plain = nn.functional.interpolate(maps, (32, 32), mode="bilinear")
    torch.testing.assert_close(drawn, plain)
