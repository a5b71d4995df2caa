"""DeepLabs on encoders that segmentation-models-pytorch would not dilate, or otherwise.

The decoders and heads are the library's own, with its own settings, under the same
names: its state dicts fit key by key.
"""

from __future__ import annotations

from typing import Any

from segmentation_models_pytorch import base
from segmentation_models_pytorch.decoders.deeplabv3 import decoder

#: Input pixels per pixel of the last map, as the library has them.
STRIDES = {"deeplabv3": 8, "deeplabv3plus": 16}

_CHANNELS = 256
_RATES = (12, 24, 36)
_DROPOUT = 0.5


class DeepLab(base.SegmentationModel):
    """An encoder, a decoder, a head for masks and one for presence.

    ``forward`` is the library's.

    Parameters
    ----------
    arch
        A key of `STRIDES`; the encoder must be dilated to that stride.
    encoder
        An encoder of segmentation-models-pytorch.
    n_findings
        Number of masks.
    """

    def __init__(self, arch: str, encoder: Any, n_findings: int) -> None:
        super().__init__()
        plus = arch == "deeplabv3plus"
        self.encoder = encoder
        self.decoder = _plus(encoder) if plus else _plain(encoder)
        self.segmentation_head = base.SegmentationHead(
            in_channels=_CHANNELS,
            out_channels=n_findings,
            kernel_size=1,
            upsampling=4 if plus else STRIDES[arch],
        )
        self.classification_head = base.ClassificationHead(
            in_channels=encoder.out_channels[-1], classes=n_findings, pooling="avg"
        )
        self.name = f"{arch}-{type(encoder).__name__}"


def _plain(encoder: Any) -> Any:
    return decoder.DeepLabV3Decoder(
        in_channels=encoder.out_channels[-1],
        out_channels=_CHANNELS,
        atrous_rates=_RATES,
        aspp_separable=False,
        aspp_dropout=_DROPOUT,
    )


def _plus(encoder: Any) -> Any:
    return decoder.DeepLabV3PlusDecoder(
        encoder_channels=encoder.out_channels,
        encoder_depth=5,
        out_channels=_CHANNELS,
        atrous_rates=_RATES,
        output_stride=STRIDES["deeplabv3plus"],
        aspp_separable=True,
        aspp_dropout=_DROPOUT,
    )
