"""Oracles 14 and 17: smp's own networks, and encoders that were classifiers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import segmentation_models_pytorch as smp
import torch
from safetensors.torch import save_file

from napari_wsseg.jobs import DataError, JobFailed
from napari_wsseg.nn import classifier, pretrained, segmenter

PEERS = {"unet": smp.Unet, "deeplabv3plus": smp.DeepLabV3Plus}


@pytest.mark.parametrize(
    ("arch", "encoder"),
    [
        ("unet", "resnet18"),
        ("unet", "densenet121"),
        ("deeplabv3plus", "mobilenet_v2"),
        ("deeplabv3plus", "resnet18"),
    ],
)
def test_masks_are_those_of_smp_with_the_same_weights(arch: str, encoder: str) -> None:
    torch.manual_seed(0)
    ours = segmenter.build(arch, encoder, 2).eval()
    theirs = PEERS[arch](encoder, encoder_weights=None, in_channels=1, classes=2)
    missing, unexpected = theirs.load_state_dict(ours.net.state_dict(), strict=False)
    assert missing == []
    assert all(key.startswith("classification_head") for key in unexpected)
    if (arch, encoder) == ("deeplabv3plus", "resnet18"):
        theirs.encoder = ours.net.encoder  # dilated as classifiers are, on purpose
    images = torch.rand(2, 1, 64, 96)
    with torch.no_grad():
        torch.testing.assert_close(
            ours(images)[0], theirs.eval()(images), rtol=1e-5, atol=1e-5
        )


@pytest.mark.parametrize("arch", PEERS)
@pytest.mark.parametrize("shape", [(64, 64), (65, 50), (33, 97)])
def test_any_size_comes_back_at_its_size(arch: str, shape: tuple[int, int]) -> None:
    net = segmenter.build(arch, n_findings=3).eval()
    with torch.no_grad():
        masks, present = net(torch.rand(2, 1, *shape))
    assert masks.shape == (2, 3, *shape)
    assert present.shape == (2, 3)


@pytest.mark.parametrize("arch", PEERS)
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


@pytest.mark.parametrize(
    ("arch", "encoder"),
    [
        ("unet", "resnet18"),
        ("deeplabv3plus", "resnet18"),
    ],
)
def test_an_encoder_from_a_classifier_sees_bit_by_bit_the_same(
    arch: str, encoder: str
) -> None:
    torch.manual_seed(0)
    stride = 32 if arch == "unet" else 16
    teacher = classifier.build(encoder, 4, output_stride=stride)
    teacher.train()(torch.rand(4, 1, 64, 64))  # figures that a batch norm has seen
    teacher.eval()
    student = segmenter.build(arch, encoder, 2, weights=teacher.state_dict()).eval()
    images = torch.rand(1, 1, 64, 64)
    with torch.no_grad():
        levels = teacher.stages(images)
        features = student.net.encoder(images)
    for level, feature in zip(levels[1:], features[2:], strict=True):
        assert torch.equal(level, feature)
        assert (feature > 0).float().mean() > 0.1


def test_a_densenet_classifiers_trunk_fits_the_encoder_key_by_key() -> None:
    teacher = classifier.build("densenet121", 2, output_stride=32).eval()
    student = segmenter.build("unet", "densenet121").eval()
    report = segmenter.load_encoder(student, teacher.state_dict())
    assert report == pretrained.LoadReport((), ("linear.weight", "linear.bias"))
    images = torch.rand(1, 1, 64, 64)
    with torch.no_grad():
        last = student.net.encoder(images)[-1].relu()
        torch.testing.assert_close(teacher.features(images), last)


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


def test_the_spec_survives_json_and_builds_the_same_segmenter() -> None:
    first = segmenter.build("deeplabv3plus", n_findings=2)
    again = segmenter.Segmenter(**json.loads(json.dumps(first.spec)))
    again.load_state_dict(first.state_dict())
    images = torch.rand(1, 1, 64, 64)
    with torch.no_grad():
        assert torch.equal(first.eval()(images)[0], again.eval()(images)[0])


def test_parameter_groups_hold_every_parameter_once() -> None:
    net = segmenter.build("unet")
    together = [id(one) for group in net.parameter_groups().values() for one in group]
    assert sorted(together) == sorted(id(one) for one in net.parameters())


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
