"""Our own operations on every device that is there, against the CPU's full sums."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from napari_wsseg.nn import _tied_ops, cell_centres
from napari_wsseg.nn.classifier import Classifier
from napari_wsseg.ops import affinity, crf

DEVICES = [
    torch.device(name)
    for name in ("cpu", "cuda")
    if name == "cpu" or torch.cuda.is_available()
]

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.parametrize("device", DEVICES, ids=str),
]


def drawn(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


def test_the_walk_is_that_of_the_full_matrix(device: torch.device) -> None:
    heat, edge = drawn(3, 16, 16), drawn(16, 16) / 4
    found = affinity.random_walk(heat.to(device), edge.to(device))
    assert found.device.type == device.type
    full = affinity.random_walk(heat.double(), edge.double(), method="dense")
    torch.testing.assert_close(found.cpu().double(), full, rtol=0, atol=1e-4)


def test_path_maxima_and_their_gradients_are_those_of_double_precision(
    device: torch.device,
) -> None:
    edge = drawn(2, 12, 12)
    weights = drawn(len(affinity.path_offsets(4)), 2, 12, 12)
    found = []
    for where, kind in ((device, torch.float32), (torch.device("cpu"), torch.float64)):
        leaf = edge.detach().clone().to(where, kind).requires_grad_()
        highest = affinity.path_max(leaf, 4)
        (highest * weights.to(where, kind)).sum().backward()
        assert leaf.grad is not None
        found.append((highest.detach().cpu().double(), leaf.grad.cpu().double()))
    torch.testing.assert_close(found[0], found[1], rtol=1e-5, atol=1e-5)


def test_pairs_are_sorted_alike(device: torch.device) -> None:
    seed = torch.tensor([0, 1, 255], dtype=torch.uint8)[(3 * drawn(12, 12)).long()]
    found = affinity.pair_labels(seed.to(device), 4)
    here, there = seed[:, :-1], seed[:, 1:]
    aside = [offset for offset, _ in affinity.path_offsets(4)].index((0, 1))
    known = (here != 255) & (there != 255)
    for own, wanted in (
        (found.background, known & (here == 0) & (there == 0)),
        (found.finding, known & (here == 1) & (there == 1)),
        (found.different, known & (here != there)),
    ):
        assert own.device.type == device.type
        assert torch.equal(own[aside, :, :-1].cpu(), wanted)


@pytest.mark.parametrize("binary", [True, False])
def test_the_crf_is_near_the_full_sum(device: torch.device, binary: bool) -> None:
    grey = functional.avg_pool2d(drawn(1, 1, 36, 36), 5, 1)[0, 0].clamp(0, 1)
    start = functional.avg_pool2d(drawn(1, 3, 36, 36), 5, 1)[0]
    solve = crf.dense_crf_binary if binary else crf.dense_crf
    found = solve(start.to(device), grey.to(device))
    assert found.device.type == device.type
    full = solve(start.double(), grey.double(), backend="exact")
    assert float((found.cpu() - full).abs().mean()) < 0.01


def test_cells_are_drawn_where_they_look(device: torch.device) -> None:
    cells = cell_centres.levels(Classifier("resnet18", 1))[-1]
    # A ramp stays one between the outermost centres, in pixels of the image.
    at = cells.first + cells.stride * torch.arange(8.0)
    ramp = at.expand(1, 1, 8, 8).to(device)
    size = torch.Size((128, 128))
    found = cell_centres.placed(ramp, cells, size, size)
    assert found.device.type == device.type
    wanted = torch.arange(128.0).clamp(float(at[0]), float(at[-1]))
    assert torch.allclose(found.cpu()[0, 0], wanted.expand(128, 128), atol=1e-3)


def test_what_is_pooled_goes_back_to_its_place(device: torch.device) -> None:
    x = drawn(2, 3, 8, 8).to(device)
    pooled, switches = _tied_ops.pool(x)
    back = _tied_ops.unpool(pooled, switches)
    assert back.device.type == device.type
    assert torch.equal(back[back > 0], x[back > 0])
    assert torch.equal(functional.max_pool2d(back, 2), pooled)
