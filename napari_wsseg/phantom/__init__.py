"""Synthetic chest radiographs: the generator behind the sample data."""

from napari_wsseg.phantom.film import FINDINGS, Phantom, generate

__all__ = ["FINDINGS", "Phantom", "generate"]
