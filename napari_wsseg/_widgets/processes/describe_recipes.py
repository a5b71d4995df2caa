"""Says in one JSON object which recipes there are and what they would run on.

Run as a process of its own: importing the recipes brings torch, which holds the
interpreter for most of a second at a time, even in a thread, and would make the
window stutter. Asking the graphics card here also leaves none of its memory taken.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from napari_wsseg import _plugins
from napari_wsseg._registry import OWN
from napari_wsseg.setting_fields import fields_of

KINDS: Mapping[str, type] = {"int": int, "float": float, "str": str, "bool": bool}


def describe() -> dict[str, Any]:
    """Return recipes, presets and device as JSON values."""
    import trainers
    from napari_wsseg.cam import methods
    from trainers.settings.suited import SUITED

    recipes = []
    for name in trainers.recipes.names():
        recipe = trainers.recipes[name]
        try:
            described = {**recipe.to_json(), "fields": describe_config(recipe.config)}
            json.dumps(described)
        except (TypeError, ValueError) as error:
            if trainers.recipes.owner(name) == OWN:
                raise
            trainers.recipes.withdraw(name, f"cannot be shown as a form: {error}")
            continue
        recipes.append(described)
    # Asked for here, where torch is, so that the window can name what is broken.
    methods.names()
    return {
        "recipes": recipes,
        "presets": list(trainers.presets),
        "preset_settings": trainers.presets,
        "auto": {kind: asdict(each) for kind, each in SUITED.items()},
        "preset_notes": {
            name: list(trainers.preset_notes.get(name, ())) for name in trainers.presets
        },
        "device": device(),
        "problems": [str(each) for each in _plugins.problems()],
    }


def describe_config(config: type[Any]) -> list[dict[str, Any]]:
    """Return name, kind, rules and default of every setting.

    Raises
    ------
    TypeError
        If a setting is of a kind that no form shows.
    """
    records = []
    for setting in fields_of(config).values():
        kind = getattr(setting.kind, "__name__", str(setting.kind))
        if kind not in KINDS:
            raise TypeError(
                f"setting {setting.name} is {kind}; a form shows {', '.join(KINDS)}"
            )
        records.append(
            {
                "name": setting.name,
                "kind": kind,
                "rules": dict(setting.rules),
                "default": setting.default,
            }
        )
    return records


def device() -> str:
    """Return what torch will train on, for a person."""
    import torch

    if torch.cuda.is_available():
        name = torch.cuda.get_device_name()
        free, total = (size / 2**30 for size in torch.cuda.mem_get_info())
        return f"{name}, {free:.0f} of {total:.0f} GB free"
    if torch.backends.mps.is_available():
        return "Apple graphics (mps)"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
    cores = cores or os.cpu_count() or 1
    return f"CPU, {cores} core{'s' if cores > 1 else ''}; no graphics card found"


if __name__ == "__main__":
    sys.stdout.write(json.dumps(describe()) + "\n")
