"""How `napari_wsseg.ops.crf` solves a CRF; free of torch itself."""
