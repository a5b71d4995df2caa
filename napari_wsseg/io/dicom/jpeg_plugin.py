"""JPEG of more than 8 bits, and lossless JPEG, for pydicom: through libjpeg-turbo.

A decoding plugin as pydicom's guide asks for one. Pillow has libjpeg-turbo, too, but
for 8 bits alone; pydicom's other choice for these, pylibjpeg-libjpeg, is GPL.
"""

from __future__ import annotations

from typing import Any

from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1

NAME = "libjpeg-turbo"

SYNTAXES = (JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1)

DECODER_DEPENDENCIES = dict.fromkeys(SYNTAXES, ("imagecodecs",))


def is_available(uid: str) -> bool:
    """Whether pydicom may ask for this transfer syntax."""
    return uid in SYNTAXES


def decode(source: bytes, runner: Any) -> bytes:
    """Return the stored values of one frame; colours as they are in the stream."""
    import imagecodecs

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
