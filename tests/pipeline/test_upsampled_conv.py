"""A decoder block that is quick says what the slow one does."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from napari_wsseg.nn import segmenter
from napari_wsseg.pipeline.inference import serving, upsampled_conv


def lived_in(network: nn.Module) -> nn.Module:
    """Give norms something to fold, as they have after a training."""
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, 0, 0.3)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.normal_(module.bias, 0, 0.3)
    return network.eval()


@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (3, 2), (5, 5)])
def test_four_small_convolutions_are_one_of_a_map_drawn_twice_as_large(
    shape: tuple[int, int],
) -> None:
    torch.manual_seed(0)
    weight = torch.randn(3, 2, 3, 3, dtype=torch.float64)
    maps = torch.randn(2, 2, *shape, dtype=torch.float64)
    large = functional.interpolate(maps, scale_factor=2, mode="nearest")
    wanted = functional.conv2d(large, weight, padding=1)
    parts = functional.conv2d(maps, upsampled_conv.phases(weight), padding=1)
    height, width = shape
    for number, part in enumerate(parts.chunk(4, 1)):
        row, column = divmod(number, 2)
        torch.testing.assert_close(
            part[:, :, row : row + height, column : column + width],
            wanted[:, :, row::2, column::2],
        )


@pytest.mark.parametrize("shape", [(64, 64), (96, 40), (50, 70)])
def test_a_prepared_u_net_answers_as_it_did(shape: tuple[int, int]) -> None:
    network = lived_in(segmenter.build("unet", "resnet18", 2))
    quick = serving.prepared(copy.deepcopy(network))
    kinds = [type(module) for module in quick.modules()]
    assert kinds.count(upsampled_conv.QuickDecoderBlock) == 5
    films = torch.randn(2, 1, *shape)
    with torch.inference_mode():
        for made, wanted in zip(quick(films), network(films), strict=True):
            torch.testing.assert_close(
                made.sigmoid(), wanted.sigmoid(), rtol=0, atol=1e-5
            )


def test_a_map_that_is_not_wanted_twice_as_large_is_drawn_as_ever() -> None:
    network = lived_in(segmenter.build("unet", "resnet18", 1))
    block = network.net.decoder.blocks[0]  # type: ignore[union-attr, index]
    serving.prepared(network)
    quick = network.net.decoder.blocks[0]  # type: ignore[union-attr, index]
    assert isinstance(quick, upsampled_conv.QuickDecoderBlock)
    maps, beside = torch.randn(1, 512, 3, 3), torch.randn(1, 256, 5, 7)
    with torch.inference_mode():
        torch.testing.assert_close(quick(maps, 5, 7, beside), block(maps, 5, 7, beside))


def test_a_block_with_its_norms_is_left_alone() -> None:
    network = segmenter.build("unet", "resnet18", 1)
    assert upsampled_conv.quicken(network.net) == 0
