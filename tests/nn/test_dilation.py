"""Oracle 5: a dilated stage, sampled, is the strided one."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from napari_wsseg.nn import backbones as _backbones
from napari_wsseg.nn import dilation
from napari_wsseg.nn.backbones import BACKBONES

DILATING = ("resnet18", "resnet50", "densenet121")


def maps(arch: str, output_stride: int, images: torch.Tensor) -> list[torch.Tensor]:
    torch.manual_seed(0)
    network = (
        _backbones.build(arch, output_stride=output_stride).eval().to(images.dtype)
    )
    levels = []
    for level in range(5):
        images = _backbones.run(network, BACKBONES[arch], level, images)
        levels.append(images)
    return levels


@pytest.mark.parametrize("arch", DILATING)
@pytest.mark.parametrize(("output_stride", "step"), [(16, 2), (8, 4)])
def test_a_dilated_trunk_sampled_at_the_old_stride_is_the_old_trunk(
    arch: str, output_stride: int, step: int
) -> None:
    images = torch.rand(1, 1, 64, 96, dtype=torch.float64)
    with torch.no_grad():
        strided = maps(arch, 32, images)[-1]
        dilated = maps(arch, output_stride, images)[-1]
    assert dilated.shape[-2:] == (64 // output_stride, 96 // output_stride)
    sampled = dilated[..., ::step, ::step]
    torch.testing.assert_close(sampled, strided, rtol=0, atol=1e-9)


@pytest.mark.parametrize("arch", BACKBONES)
@pytest.mark.parametrize("output_stride", [8, 16])
def test_a_dilated_map_has_one_pixel_for_every_stride_of_the_image(
    arch: str, output_stride: int
) -> None:
    with torch.no_grad():
        last = maps(arch, output_stride, torch.rand(1, 1, 64, 80))[-1]
    assert last.shape[-2:] == (64 // output_stride, 80 // output_stride)


def test_odd_sizes_round_up_at_stride_8() -> None:
    with torch.no_grad():
        last = maps("resnet18", 8, torch.rand(1, 1, 65, 79))[-1]
    assert last.shape[-2:] == (9, 10)


def test_a_stack_of_convolutions_keeps_its_even_pixels() -> None:
    torch.manual_seed(1)
    stack = nn.Sequential(
        nn.Conv2d(1, 4, 3, stride=2, padding=1), nn.Conv2d(4, 4, 3, padding=1)
    )
    x = torch.rand(1, 1, 17, 17)
    before = stack(x)
    assert dilation.dilate(stack, 1) == 2
    torch.testing.assert_close(stack(x)[..., ::2, ::2], before, rtol=0, atol=1e-6)


def test_an_output_stride_that_does_not_exist_is_refused_with_the_choices() -> None:
    with pytest.raises(ValueError, match=r"output stride is 4.*8, 16, 32"):
        _backbones.build("resnet18", output_stride=4)


def test_wsmis_vgg_has_its_fifth_block_on_a_grid_four_times_as_fine() -> None:
    """The pool before it differs, so the block is compared by itself: oracle 5."""
    torch.manual_seed(0)
    strided, dilated = (
        _backbones.build("vgg16", output_stride=stride).double().eval()
        for stride in (32, 8)
    )
    dilated.load_state_dict(strided.state_dict())
    x = torch.rand(1, 512, 18, 14, dtype=torch.float64)
    block = range(34, 43)
    fine, coarse = x, x[..., ::2, ::2]
    with torch.no_grad():
        for index in block:
            fine = dilated.features[index](fine)
            coarse = strided.features[index](coarse)
    torch.testing.assert_close(fine[..., ::2, ::2], coarse, rtol=0, atol=1e-9)
    pool = dilated.features[33]
    assert (pool.kernel_size, pool.stride, pool.padding) == (3, 1, 1)
    assert isinstance(dilated.features[43], nn.Identity)
