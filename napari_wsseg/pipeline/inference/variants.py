"""The ways in which one run's stage "cam" can be read, by name; torch-free.

A classifier has a map per method and level, ``"layer-cam@4"``; a tied deconvolution
network has one per stage that it was trained to, ``"tdn-2"``. The run's own reading,
its default, lies in ``stages/cam/<run>``, any other beside it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from napari_wsseg._declarations import declared
from napari_wsseg.jobs import UsageError
from napari_wsseg.recipe_facts import facts

#: Level behind which every method can be read; most need the head's own weights.
LAST = 5

#: The maps of three levels in one.
FUSED = "layer-cam@3+4+5"

TDN = "tdn-"
TDN_STAGES = 3
"""Stages that a tied deconvolution network is trained to, after the baseline."""


def methods() -> Mapping[str, Mapping[str, Any]]:
    """Return the facts of every CAM method that is installed, by name.

    They are read from source, because the methods bring torch along, which the window
    does without; where `napari_wsseg.cam` is there already, it is asked, too.
    """
    decorator, package = "napari_wsseg.cam.methods.register", "napari_wsseg.cam"
    known = {
        name: each.facts for name, each in declared(decorator, package, package).items()
    }
    live: Any = getattr(sys.modules.get(package), "methods", None)
    return {**known, **{name: live.facts(name) for name in live or ()}}


def run_variants(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the variants of a run's stage "cam", its default first.

    Parameters
    ----------
    config
        What `napari_wsseg.io.runs.RunFolder.config` returns: ``"recipe"``,
        ``"settings"`` and what the run kept of the recipe's facts. A run whose network
        is neither a classifier nor a tied deconvolution network has none.
    """
    kind = _network(config)
    if kind == "tied_deconv":
        every = [f"{TDN}{stage}" for stage in range(_tdn_stages(config) + 1)]
    elif kind == "classifier":
        levels = {name: _levels(name) for name in methods()}
        every = [
            f"{name}@{level}"
            for level in sorted({*sum(levels.values(), ())}, reverse=True)
            for name, own in levels.items()
            if level in own
        ]
        every.append(FUSED)
    else:
        return ()
    own = default(config)
    return (own, *(name for name in every if name != own))


def default(config: Mapping[str, Any]) -> str:
    """Return the variant that lies in ``stages/cam/<run>``.

    Of a classifier it is what its settings ``cam`` and ``cam_level`` say; of a tied
    deconvolution network it is the last stage that was trained.
    """
    settings = config["settings"]
    if _network(config) == "tied_deconv":
        return f"{TDN}{_tdn_stages(config)}"
    return f"{settings.get('cam', 'grad-cam++')}@{settings.get('cam_level', 5)}"


def resolve(variant: str | None, config: Mapping[str, Any]) -> str:
    """Return `variant`, or the default for ``None``.

    Raises
    ------
    UsageError
        If the run has no such variant; the message names those it has.
    """
    known = run_variants(config)
    if variant is None:
        return default(config)
    if variant not in known:
        raise UsageError(
            f"no map {variant!r} of a {config['recipe']} run; "
            f"there are: {', '.join(known) or 'none'}"
        )
    return variant


def stage_name(variant: str, config: Mapping[str, Any]) -> str:
    """Return the stage under which a variant's maps are kept (`io.stages`)."""
    return "cam" if variant == default(config) else f"cam~{variant}"


def variant_title(variant: str) -> str:
    """Return a variant as people say it: "LayerCAM, level 4", "TDN stage 2"."""
    if variant.startswith(TDN):
        stage = variant.removeprefix(TDN)
        return "TDN baseline" if stage == "0" else f"TDN stage {stage}"
    method, levels = parts(variant)
    plural = "s" if len(levels) > 1 else ""
    listed = " + ".join(str(level) for level in levels)
    title = methods().get(method, {}).get("title", method)
    return f"{title}, level{plural} {listed}"


def parts(variant: str) -> tuple[str, tuple[int, ...]]:
    """Return method and levels of a classifier's variant."""
    method, _, levels = variant.rpartition("@")
    return method, tuple(int(level) for level in levels.split("+"))


def _levels(method: str) -> tuple[int, ...]:
    levels = methods()[method].get("levels", (LAST,))
    return tuple(int(level) for level in levels)


def _network(config: Mapping[str, Any]) -> str:
    """Return the kind of network that a run trained."""
    own = config.get("facts", {}).get("network", "")
    kind = own or facts(config["recipe"]).network
    return kind or ("classifier" if "cam" in config["settings"] else "")


def _tdn_stages(config: Mapping[str, Any]) -> int:
    return int(config["settings"].get("stages", TDN_STAGES))
