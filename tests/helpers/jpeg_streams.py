"""JPEG streams that no installed encoder writes: lossless, and 12 bits by cosines.

Written from ITU-T T.81 alone, so that a decoder is not tested with its own mistakes.
"""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn

Pixels = NDArray[np.uint16] | NDArray[np.uint8]


class Bits:
    """Bits of an entropy-coded segment, with the stuffing of T.81 B.1.1.5."""

    def __init__(self) -> None:
        self._bits: list[str] = []

    def put(self, value: int, length: int) -> None:
        if length:
            self._bits.append(format(value, f"0{length}b"))

    def bytes(self) -> bytes:
        text = "".join(self._bits)
        text += "1" * (-len(text) % 8)
        raw = int(text, 2).to_bytes(len(text) // 8, "big") if text else b""
        return raw.replace(b"\xff", b"\xff\x00")


def segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def huffman(kind: int, symbols: list[int], length: int) -> bytes:
    """A table whose codes are all `length` bits long (T.81 B.2.4.2)."""
    counts = [0] * 16
    counts[length - 1] = len(symbols)
    return segment(0xC4, bytes([kind, *counts, *symbols]))


def frame(marker: int, pixels: Pixels, bits: int) -> bytes:
    body = struct.pack(">BHHB", bits, *pixels.shape, 1) + bytes([1, 0x11, 0])
    return segment(marker, body)


def scan(first: int, last: int) -> bytes:
    return segment(0xDA, bytes([1, 1, 0, first, last, 0]))


def signed_bits(value: int, category: int) -> int:
    """The additional bits of a difference (T.81 F.1.2.1)."""
    return value if value >= 0 else value + (1 << category) - 1


def lossless(pixels: Pixels, bits: int, predictor: int = 1) -> bytes:
    """Process 14 (T.81 annex H); 1 predicts from the left, 2 from above, 7 of both."""
    values = pixels.astype(np.int64)
    left = np.roll(values, 1, axis=1)
    above = np.roll(values, 1, axis=0)
    guess = {1: left, 2: above, 7: (left + above) >> 1}[predictor].copy()
    guess[0, 1:] = left[0, 1:]
    guess[1:, 0] = above[1:, 0]
    guess[0, 0] = 1 << (bits - 1)
    differences = (values - guess + 2**15) % 2**16 - 2**15
    out = Bits()
    for value in differences.ravel().tolist():
        category = 16 if value == -(2**15) else abs(value).bit_length()
        out.put(category, 5)
        if category < 16:
            out.put(signed_bits(value, category), category)
    return (
        b"\xff\xd8"
        + frame(0xC3, pixels, bits)
        + huffman(0x00, list(range(17)), 5)
        + scan(predictor, 0)
        + out.bytes()
        + b"\xff\xd9"
    )


_ZIGZAG = sorted(
    range(64),
    key=lambda n: (
        n // 8 + n % 8,
        n % 8 if (n // 8 + n % 8) % 2 == 0 else n // 8,
    ),
)
_AC = [0x00, 0xF0, *(16 * run + size for run in range(16) for size in range(1, 15))]


def extended(pixels: Pixels, bits: int = 12) -> bytes:
    """Process 4, sequential with 12 bits (T.81 annex F); every step is one grey."""
    values = pixels.astype(np.float64) - 2 ** (bits - 1)
    rows, columns = pixels.shape
    assert rows % 8 == columns % 8 == 0
    out, before = Bits(), 0
    for top in range(0, rows, 8):
        for side in range(0, columns, 8):
            block = values[top : top + 8, side : side + 8]
            flat = np.rint(dctn(block, norm="ortho")).astype(int).ravel().tolist()
            before = _block(out, [flat[n] for n in _ZIGZAG], before)
    return (
        b"\xff\xd8"
        + segment(0xDB, bytes([0, *[1] * 64]))
        + frame(0xC1, pixels, bits)
        + huffman(0x00, list(range(16)), 5)
        + huffman(0x10, _AC, 8)
        + scan(0, 63)
        + out.bytes()
        + b"\xff\xd9"
    )


def _block(out: Bits, coefficients: list[int], before: int) -> int:
    step = coefficients[0] - before
    out.put(abs(step).bit_length(), 5)
    out.put(signed_bits(step, abs(step).bit_length()), abs(step).bit_length())
    run = 0
    for value in coefficients[1:]:
        if value == 0:
            run += 1
            continue
        while run > 15:
            out.put(_AC.index(0xF0), 8)
            run -= 16
        size = abs(value).bit_length()
        out.put(_AC.index(16 * run + size), 8)
        out.put(signed_bits(value, size), size)
        run = 0
    if run:
        out.put(_AC.index(0x00), 8)
    return coefficients[0]
