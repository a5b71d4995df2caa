"""Greys as each network is used to them."""

from __future__ import annotations

import pytest
import torch

from napari_wsseg.nn.normalise import KINDS, as_input, normalise


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gives_a_network_its_channels(kind: str) -> None:
    pixels = torch.randint(0, 256, (2, 16, 16), dtype=torch.uint8)
    images = as_input(pixels, kind, 3)
    assert images.shape == (2, 3, 16, 16)
    assert images.isfinite().all()


def test_imagenet_rgb_is_torchvisions_own_preprocessing() -> None:
    from torchvision.transforms.functional import normalize

    greys = torch.rand(2, 1, 8, 8)
    expected = normalize(
        greys.expand(-1, 3, -1, -1), [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    )
    torch.testing.assert_close(normalise(greys, "imagenet-rgb"), expected)


def test_xrayvision_reaches_from_minus_to_plus_1024() -> None:
    ends = normalise(torch.tensor([0.0, 1.0]).view(1, 1, 1, 2), "xrayvision")
    assert ends.flatten().tolist() == [-1024, 1024]


def test_three_means_do_not_fit_one_channel() -> None:
    with pytest.raises(ValueError, match="needs channels=3"):
        as_input(torch.zeros(1, 4, 4, dtype=torch.uint8), "imagenet-rgb", 1)


def test_a_kind_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="film, imagenet"):
        normalise(torch.zeros(1, 1, 4, 4), "mri")
