"""JPEG of more than 8 bits, lossless JPEG and JPEG-LS, for pydicom: by imagecodecs.

A decoding plugin as pydicom's guide asks for one. Pillow has libjpeg-turbo, too, but
for 8 bits alone; pydicom's other choice for these, pylibjpeg-libjpeg, is GPL. Its
choice for JPEG-LS, pyjpegls, has the same CharLS inside, but no wheels for new Pythons.
"""

from __future__ import annotations

from typing import Any

from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSTransferSyntaxes,
)

NAME = "imagecodecs"

_TURBO = (JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1)
SYNTAXES = (*_TURBO, *JPEGLSTransferSyntaxes)

DECODER_DEPENDENCIES = dict.fromkeys(SYNTAXES, ("imagecodecs",))


def is_available(uid: str) -> bool:
    """Whether pydicom may ask for this transfer syntax."""
    return uid in SYNTAXES


def decode(source: bytes, runner: Any) -> bytes:
    """Return the stored values of one frame; colours as they are in the stream."""
    import imagecodecs

    if runner.transfer_syntax in JPEGLSTransferSyntaxes:
        values = imagecodecs.jpegls_decode(source)
    else:
        # The same space in and out: whether it is YBR is for the DICOM header to say.
        space = "RGB" if runner.samples_per_pixel > 1 else None
        values = imagecodecs.jpeg8_decode(source, colorspace=space, outcolorspace=space)
    runner.set_option("bits_allocated", 8 * values.dtype.itemsize)
    runner.set_option("planar_configuration", 0)
    return values.tobytes()


def register() -> None:
    """Tell pydicom of this decoder, once a process."""
    for syntax in SYNTAXES:
        decoder = get_decoder(syntax)
        if NAME not in decoder.available_plugins:
            decoder.add_plugin(NAME, (__name__, decode.__name__))
