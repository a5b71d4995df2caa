"""Oracles 14 and 17: smp's own networks, and encoders that were classifiers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import segmentation_models_pytorch as smp
import torch
from safetensors.torch import save_file

from napari_wsseg.jobs import DataError, JobFailed
from napari_wsseg.nn import classifier, pretrained, segmenter

PEERS = segmenter.ARCHITECTURES
BACKBONES = list(segmenter.BACKBONE_OF)
STRIDES = {"unet": 32, "deeplabv3": 8, "deeplabv3plus": 16}


@pytest.mark.parametrize("arch", PEERS)
@pytest.mark.parametrize("encoder", segmenter.ENCODERS)
@pytest.mark.parametrize("channels", [1, 3])
def test_masks_are_those_of_smp_with_the_same_weights(
    arch: str, encoder: str, channels: int
) -> None:
    torch.manual_seed(0)
    ours = segmenter.build(arch, encoder, 2, in_channels=channels).eval()
    _trained(ours)
    own_dilation = arch != "unet" and encoder in BACKBONES
    # VGG and DenseNet, which the library does not dilate, get another to hold ours.
    named = "resnet18" if own_dilation and "resnet" not in encoder else encoder
    theirs = _smps(arch, named, ours, channels)
    if own_dilation:
        theirs.encoder = ours.net.encoder  # dilated as classifiers are, on purpose
    missing, unexpected = theirs.load_state_dict(ours.net.state_dict(), strict=False)
    assert missing == []
    assert all(key.startswith("classification_head") for key in unexpected)
    images = torch.rand(1, channels, 64, 96)
    with torch.no_grad():
        expected = theirs.eval()(images)
        torch.testing.assert_close(ours(images)[0], expected, rtol=1e-5, atol=1e-5)
    assert expected.std() > 1e-3


def _trained(net: segmenter.Segmenter) -> None:
    """Give every batch norm figures of its own, as training would."""
    for layer in net.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.running_mean.normal_(0, 0.1)
            layer.running_var.uniform_(0.5, 1.5)


def _smps(arch: str, encoder: str, like: segmenter.Segmenter, channels: int) -> Any:
    """Make the library's network, its decoder as wide as an encoder asks for."""
    if encoder == like.spec["encoder"]:
        return PEERS[arch](
            encoder, encoder_weights=None, in_channels=channels, classes=2
        )
    wide = like.net.encoder.out_channels
    registry = smp.encoders.encoders
    known = registry[encoder]
    registry[encoder] = {**known, "encoder": _Wide, "params": {"out_channels": wide}}
    try:
        return PEERS[arch](encoder, encoder_weights=None, classes=2)
    finally:
        registry[encoder] = known


class _Wide(torch.nn.Module):
    """Says how wide an encoder's maps are, and can be asked to dilate."""

    def __init__(self, out_channels: list[int], **_options: object) -> None:
        super().__init__()
        self.out_channels = out_channels
        self.output_stride = 16

    def set_in_channels(self, *_: object, **__: object) -> None: ...

    def make_dilated(self, *_: object, **__: object) -> None: ...


@pytest.mark.parametrize("encoder", ["vgg16_bn", "densenet121"])
@pytest.mark.parametrize("arch", ["deeplabv3", "deeplabv3plus"])
def test_what_the_library_refuses_to_dilate_is_dilated_here(
    arch: str, encoder: str
) -> None:
    with pytest.raises(ValueError, match="not support dilated"):
        PEERS[arch](encoder, encoder_weights=None)
    net = segmenter.build(arch, encoder).eval()
    with torch.no_grad():
        last = net.net.encoder(torch.rand(1, 1, 64, 96))[-1]
    stride = STRIDES[arch]
    assert last.shape[-2:] == (64 // stride, 96 // stride)


def test_a_pair_that_nobody_can_dilate_is_refused_with_what_can_be_taken() -> None:
    with pytest.raises(DataError, match=r"vgg11 cannot be dilated.*unet.*resnet18"):
        segmenter.build("deeplabv3plus", "vgg11")
    with pytest.raises(DataError, match=r"no encoder 'resnet9000'.*resnet18"):
        segmenter.build("unet", "resnet9000")


@pytest.mark.parametrize("arch", [*PEERS, segmenter.ANATOMY])
@pytest.mark.parametrize("shape", [(64, 64), (65, 50), (33, 97)])
def test_any_size_comes_back_at_its_size(arch: str, shape: tuple[int, int]) -> None:
    net = segmenter.build(arch, n_findings=3).eval()
    with torch.no_grad():
        masks, present = net(torch.rand(2, 1, *shape))
    assert masks.shape == (2, 3, *shape)
    assert present.shape == (2, 3)


@pytest.mark.parametrize("arch", [*PEERS, segmenter.ANATOMY])
@pytest.mark.parametrize("batch", [1, 2])
def test_a_batch_of_one_film_trains(arch: str, batch: int) -> None:
    net = segmenter.build(arch, n_findings=1).train()
    masks, present = net(torch.rand(batch, 1, 64, 64))
    (masks.sum() + present.sum()).backward()
    assert all(one.grad is not None for one in net.parameters())


def test_a_batch_of_two_normalises_as_smp_does() -> None:
    torch.manual_seed(0)
    ours = segmenter.build("deeplabv3plus").train()
    theirs = smp.DeepLabV3Plus("resnet18", encoder_weights=None, in_channels=1)
    theirs.load_state_dict(ours.net.state_dict(), strict=False)
    theirs.encoder = ours.net.encoder
    images = torch.rand(2, 1, 64, 64)
    torch.manual_seed(1)
    expected = theirs.train()(images)
    torch.manual_seed(1)
    torch.testing.assert_close(ours(images)[0], expected)


@pytest.mark.parametrize("encoder", BACKBONES)
@pytest.mark.parametrize("arch", PEERS)
def test_an_encoder_from_a_classifier_sees_bit_by_bit_the_same(
    arch: str, encoder: str
) -> None:
    torch.manual_seed(0)
    teacher = classifier.build(
        segmenter.BACKBONE_OF[encoder],
        4,
        output_stride=STRIDES[arch],
        extra_convs=False,
    )
    teacher.train()(torch.rand(4, 1, 64, 64))  # figures that a batch norm has seen
    teacher.eval()
    student = segmenter.build(arch, encoder, 2, weights=teacher.state_dict()).eval()
    images = torch.rand(1, 1, 64, 64)
    with torch.no_grad():
        levels = [level.clone() for level in teacher.stages(images)]
        features = student.net.encoder(images)
    if encoder == "densenet121":
        # smp hands out its maps behind the next norm, the last without its ReLU.
        features[-1] = features[-1].relu()
        for k, norm in ((0, "transition1"), (1, "transition2"), (2, "transition3")):
            passage = teacher.backbone.get_submodule(f"features.{norm}")
            levels[k + 1] = passage.relu(passage.norm(levels[k + 1]))
    if encoder == "timm-tf_efficientnet_lite0":
        # smp hands out what blocks end in, our levels end behind the next expansion.
        trunk = teacher.backbone
        for k, stage in ((2, 2), (3, 3), (4, 5)):
            block = trunk.blocks[stage][0]
            features[k] = block.bn1(block.conv_pw(features[k]))
        features[5] = trunk.bn2(trunk.conv_head(features[5]))
    for level, feature in zip(levels[1:], features[2:], strict=True):
        assert torch.equal(level, feature)
        assert (feature > 0).float().mean() > 0.05


def test_a_classifiers_head_is_told_to_have_no_place_in_an_encoder() -> None:
    teacher = classifier.build("densenet121", 2, output_stride=32)
    report = segmenter.load_encoder(
        segmenter.build("unet", "densenet121"), teacher.state_dict()
    )
    assert report == pretrained.LoadReport((), ("linear.weight", "linear.bias"))


def test_what_does_not_fit_an_encoder_is_told() -> None:
    teacher = classifier.build("resnet18", 4, extra_convs=True)
    state = teacher.state_dict()
    del state["backbone.layer1.0.conv1.weight"]
    student = segmenter.build("unet")
    report = segmenter.load_encoder(student, state)
    assert report.missing == ("layer1.0.conv1.weight",)
    assert {key.partition(".")[0] for key in report.unexpected} == {"extra", "linear"}


def test_a_classifier_of_another_architecture_is_refused() -> None:
    teacher = classifier.build("resnet50", 1)
    with pytest.raises(DataError, match="another network"):
        segmenter.build("unet", "resnet18", weights=teacher.state_dict())


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda state: state.pop("backbone.layer4.1.bn2.weight"), "lack 1 tensors"),
        (
            lambda state: state.update({"backbone.layer4.2.conv1.weight": state["x"]}),
            "1 tensors more in its layers",
        ),
    ],
)
def test_weights_of_a_part_or_of_a_deeper_network_are_refused(
    spoil: Callable[[dict[str, torch.Tensor]], object], message: str
) -> None:
    state = classifier.build("resnet18", 1).state_dict() | {"x": torch.zeros(1)}
    spoil(state)
    with pytest.raises(DataError, match=message):
        segmenter.build("unet", "resnet18", weights=state)


@pytest.mark.parametrize("arch", ["resnet18", "densenet121"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_moco_cxr_file_fills_an_encoder_with_its_query_network(
    arch: str, channels: int, tmp_path: Path
) -> None:
    torch.manual_seed(1)
    query, key = (
        classifier.build(arch, 1, in_channels=3, output_stride=32) for _ in range(2)
    )
    state = {
        f"module.encoder_{which}.{name}": value
        for which, net in (("q", query), ("k", key))
        for name, value in net.backbone.state_dict().items()
    }
    head = "fc" if arch == "resnet18" else "classifier"
    state |= {f"module.encoder_q.{head}.{n}.weight": torch.zeros(8, 8) for n in (0, 2)}
    state |= {"module.queue": torch.zeros(8, 16), "module.queue_ptr": torch.zeros(1)}
    path = tmp_path / "checkpoint_0020.pth.tar"
    torch.save({"epoch": 20, "arch": arch, "state_dict": state}, path)
    net = segmenter.build("unet", arch, in_channels=channels, weights=path)
    encoder = net.net.encoder.eval()
    grey = torch.rand(2, 1, 64, 64)
    with torch.no_grad():
        seen = encoder(grey.expand(-1, channels, -1, -1))[-1].relu()
        theirs = query.eval().features(grey.expand(-1, 3, -1, -1))
    torch.testing.assert_close(seen, theirs, rtol=0, atol=0 if channels == 3 else 1e-4)


def test_the_spec_survives_json_and_builds_the_same_segmenter() -> None:
    first = segmenter.build("deeplabv3plus", n_findings=2)
    again = segmenter.Segmenter(**json.loads(json.dumps(first.spec)))
    again.load_state_dict(first.state_dict())
    images = torch.rand(1, 1, 64, 64)
    with torch.no_grad():
        assert torch.equal(first.eval()(images)[0], again.eval()(images)[0])


def test_an_unknown_segmenter_is_refused_with_the_choices() -> None:
    with pytest.raises(ValueError, match=r"'fcn'.*unet"):
        segmenter.build("fcn")


def test_imagenet_weights_of_other_encoders_go_through_smps_own_loader(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    torch.manual_seed(5)
    encoder = smp.encoders.get_encoder("mobilenet_v2", weights=None)
    path = tmp_path / "model.safetensors"
    # The published file has a classifier, which smp takes off.
    head = {"classifier.1.bias": torch.zeros(1), "classifier.1.weight": torch.zeros(1)}
    save_file({**encoder.state_dict(), **head}, path)
    monkeypatch.setattr(smp.encoders, "hf_hub_download", lambda *_, **__: str(path))
    net = segmenter.build("unet", "mobilenet_v2", weights="imagenet")
    first = next(net.net.encoder.parameters())
    torch.testing.assert_close(
        first, next(encoder.parameters()).sum(1, keepdim=True), check_stride=False
    )


def test_without_a_network_the_remedy_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def offline(*_args: object, **_options: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(smp.encoders, "hf_hub_download", offline)
    with pytest.raises(JobFailed, match=r"no route to host.*classifier"):
        segmenter.build("unet", "se_resnext50_32x4d", weights="imagenet")
