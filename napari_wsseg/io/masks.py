"""The former name of `io.external.mask_files`, for programs that call it so."""

from __future__ import annotations

from napari_wsseg.io.external.mask_files import blank, read

__all__ = ["blank", "read"]
