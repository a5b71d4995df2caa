"""Synthetic chest radiographs: the generator behind the sample data.

``generate`` makes one film from a seed, ``write_dataset`` a folder of them.
"""

from napari_wsseg.phantom.dataset import (
    SAMPLE_SEED,
    ensure_demo_dataset,
    write_dataset,
)
from napari_wsseg.phantom.film import FINDINGS, STRUCTURES, Phantom, generate

__all__ = [
    "FINDINGS",
    "SAMPLE_SEED",
    "STRUCTURES",
    "Phantom",
    "ensure_demo_dataset",
    "generate",
    "write_dataset",
]
