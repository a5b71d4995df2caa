"""Pixel-level segmenter: where each finding is, and whether it is there at all."""

from __future__ import annotations

from typing import Any

import segmentation_models_pytorch as smp
import torch
from torch import nn
from torch.nn import functional

from napari_wsseg.jobs import DataError, JobFailed
from napari_wsseg.nn import _deeplab, pretrained
from napari_wsseg.nn import backbones as _backbones
from napari_wsseg.nn.anatomy import AnatomySegmenter

ARCHITECTURES = {
    "unet": smp.Unet,
    "deeplabv3": smp.DeepLabV3,
    "deeplabv3plus": smp.DeepLabV3Plus,
}

ANATOMY = "anatomy"
"""As an architecture: the anatomy stage's small network, which it can start from."""

ENCODERS = (
    *("resnet18", "resnet34", "resnet50", "se_resnext50_32x4d"),
    *("vgg16_bn", "densenet121", "timm-tf_efficientnet_lite0"),
)
"""Encoders that every architecture is tested with; `Segmenter` takes others, too."""

_OTHER_NAMES = {
    "vgg16": "vgg16_bn",
    "efficientnet_lite0": "timm-tf_efficientnet_lite0",
}
BACKBONE_OF = {_OTHER_NAMES.get(name, name): name for name in _backbones.BACKBONES}
"""Encoders that are our classifiers' networks, to the key."""


class Segmenter(nn.Module):
    """A segmentation-models-pytorch network for images of any size.

    Parameters
    ----------
    arch
        ``"unet"``, ``"deeplabv3"`` (a map of stride 8), ``"deeplabv3plus"`` (16), or
        ``"anatomy"``, which has no encoder to choose and reads grey films alone.
    encoder
        segmentation-models-pytorch's name, e.g. ``"resnet18"``. It refuses to dilate
        VGG and DenseNet, which a DeepLab needs; here they are dilated as our
        classifiers are.
    n_findings
        K, the number of masks; they may overlap.
    in_channels
        1 (grey) or 3.

    Attributes
    ----------
    net
        The network itself, with an image-level head on its encoder's last map.
    spec
        The arguments above as JSON values: ``Segmenter(**spec)`` builds it again.
    """

    def __init__(
        self,
        arch: str = "unet",
        encoder: str = "resnet18",
        n_findings: int = 1,
        *,
        in_channels: int = 1,
    ) -> None:
        super().__init__()
        if arch not in (*ARCHITECTURES, ANATOMY):
            known = ", ".join((*ARCHITECTURES, ANATOMY))
            raise ValueError(f"no segmenter {arch!r}; there are: {known}")
        self.spec: dict[str, Any] = {
            "arch": arch,
            "encoder": encoder,
            "n_findings": n_findings,
            "in_channels": in_channels,
        }
        if arch == ANATOMY:
            if in_channels != 1:
                raise DataError("arch=anatomy reads grey films: channels must be 1")
            self.net: Any = AnatomySegmenter(n_findings)
            self._step = 1
            return
        if arch == "unet" or encoder not in BACKBONE_OF:
            self.net = _of_smp(arch, encoder, n_findings, in_channels)
        else:
            self.net = _deeplab.DeepLab(
                arch,
                _dilated(encoder, in_channels, _deeplab.STRIDES[arch]),
                n_findings,
            )
        if arch != "unet":
            _accept_single_images(self.net.decoder)
        self._step = int(self.net.encoder.output_stride)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Segment images (B, c, H, W).

        Returns
        -------
        mask_logits : (B, K, H, W)
        present_logits : (B, K)
            Whether each finding is there at all.
        """
        height, width = images.shape[-2:]
        pads = (0, -width % self._step, 0, -height % self._step)
        if any(pads):
            images = functional.pad(images, pads, mode="replicate")
        masks, present = self.net(images)
        return masks[..., :height, :width], present


def build(
    arch: str = "unet",
    encoder: str = "resnet18",
    n_findings: int = 1,
    *,
    in_channels: int = 1,
    weights: pretrained.Weights = None,
) -> Segmenter:
    """Make a segmenter, its encoder filled with `weights` if they are given.

    Parameters
    ----------
    arch, encoder
        One of `ARCHITECTURES` or `ANATOMY`, and one of `ENCODERS`.
    n_findings, in_channels
        Channels of the output and of the input.
    weights
        ``None`` for random ones, ``"imagenet"`` for torchvision's or those that
        segmentation-models-pytorch knows, a weights file, or tensors by name: those
        of a `napari_wsseg.nn.classifier.Classifier` of the same architecture among
        others.

    Raises
    ------
    DataError
        When the weights are of another network or lack a part of the encoder.
    JobFailed
        When the ImageNet weights could not be fetched.
    """
    segmenter = Segmenter(arch, encoder, n_findings, in_channels=in_channels)
    if weights == "imagenet":
        state = (
            pretrained.imagenet(BACKBONE_OF[encoder])
            if encoder in BACKBONE_OF
            else _smp_imagenet(encoder)
        )
        load_encoder(segmenter, state)
    elif weights is not None:
        report = load_encoder(segmenter, pretrained.state(encoder, weights))
        pretrained.require_whole(segmenter.net.encoder, report, encoder)
    return segmenter


def load_encoder(
    segmenter: Segmenter, weights: pretrained.State
) -> pretrained.LoadReport:
    """Fill the encoder, e.g. from a classifier's state dict; report what did not fit.

    A classifier's head and added convolutions have no place in an encoder and are
    reported as unexpected.
    """
    return pretrained.load(segmenter.net.encoder, weights)


def _of_smp(arch: str, encoder: str, n_findings: int, in_channels: int) -> Any:
    """Make the library's network, which knows which encoders it can dilate."""
    try:
        return ARCHITECTURES[arch](
            encoder_name=encoder,
            encoder_weights=None,
            in_channels=in_channels,
            classes=n_findings,
            aux_params={"classes": n_findings, "pooling": "avg"},
        )
    except ValueError as error:
        raise DataError(
            f"{arch} needs a dilated encoder, and {encoder} cannot be dilated "
            f"({error}); take unet, or one of: {', '.join(ENCODERS)}"
        ) from error
    except KeyError as error:
        raise DataError(
            f"no encoder {encoder!r}; there are: {', '.join(ENCODERS)}"
        ) from error


def _dilated(encoder: str, in_channels: int, stride: int) -> Any:
    """Make an encoder with the dilation that our classifiers have.

    segmentation-models-pytorch refuses to dilate VGG and DenseNet. Of a ResNet it also
    dilates the filter whose stride it takes out (torchvision and we do not), so a
    classifier's weights would see another image.
    """
    made = smp.encoders.get_encoder(encoder, in_channels=in_channels, weights=None)
    _backbones.dilate(made, BACKBONE_OF[encoder], stride)
    made._output_stride = stride
    return made


def _smp_imagenet(encoder: str) -> pretrained.State:
    try:
        loaded = smp.encoders.get_encoder(encoder, weights="imagenet")
    except KeyError as error:
        raise DataError(f"there are no ImageNet weights of {encoder}") from error
    except (OSError, ValueError, RuntimeError) as error:
        raise JobFailed(
            f"the ImageNet weights of {encoder} could not be fetched ({error}); give "
            "a weights file, or start from a classifier or random weights"
        ) from error
    state: pretrained.State = loaded.state_dict()
    return state


class _SteadyBatchNorm(nn.BatchNorm2d):
    """Batch norm that falls back on its running figures for a single value.

    One image pooled to one pixel has no variance; torch raises for it, and the last
    batch of an epoch is often one image.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training and x.numel() == x.shape[1]:
            return functional.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias
            )
        return super().forward(x)


def _accept_single_images(decoder: nn.Module) -> None:
    """Put `_SteadyBatchNorm` where ASPP pools a whole map to one pixel."""
    for name, layer in list(decoder.named_modules()):
        if isinstance(layer, nn.AdaptiveAvgPool2d):
            pooling: Any = decoder.get_submodule(name.rpartition(".")[0])
            for index, part in enumerate(pooling):
                if isinstance(part, nn.BatchNorm2d):
                    pooling[index] = _SteadyBatchNorm(part.num_features)
