"""``sweeps/<name>/sweep.json``: what a sweep has found so far."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari_wsseg.io import atomic
from napari_wsseg.io.values import NUMBER, Form

_NOTHING = type(None)
_VALUE: Form = (str, bool, *NUMBER, _NOTHING)
_MEAN_AND_STD: Form = {
    "mean": (*NUMBER, _NOTHING),
    "spread": (*NUMBER, _NOTHING),
    "n": int,
}

_ROW: Form = {
    "value": _VALUE,
    "split": str,
    "finding": str,
    "trials": int,
    "pos_iou": _MEAN_AND_STD,
    "all_iou": _MEAN_AND_STD,
    "pooled_miou": _MEAN_AND_STD,
    "dice": _MEAN_AND_STD,
    "emptiness": _MEAN_AND_STD,
}
_CELL: Form = {"value": _VALUE, "trial": int, "seed": int, "run": str}

_FORM: Form = {
    "recipe": str,
    "key": str,
    "settings": {str: object},
    "values": [_VALUE],
    "planned?": [_VALUE],
    "trials": int,
    "splits": [str],
    "truth": str,
    "cells": [_CELL],
    "summary": [_ROW],
}


def read(folder: Path) -> dict[str, Any]:
    """Return what ``sweep.json`` of a sweep's folder holds.

    Raises
    ------
    DataError
        It is missing or damaged.
    """
    return dict(atomic.read_json(folder / "sweep.json", _FORM))
