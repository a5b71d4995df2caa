"""The former name of `napari_wsseg.io.mask_files`, for programs that call it so."""

from __future__ import annotations

from napari_wsseg.io.mask_files import blank, read

__all__ = ["blank", "read"]
