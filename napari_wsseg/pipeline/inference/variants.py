"""The ways in which one run's stage "cam" can be read, by name; torch-free.

A classifier has a map per method and level, ``"layer-cam@4"``; a tied deconvolution
network has one per stage that it was trained to, ``"tdn-2"``. The run's own reading,
its default, lies in ``stages/cam/<run>``, any other beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from napari_wsseg.jobs import UsageError

#: Methods in `napari_wsseg.cam.methods`, as people write them. A list of its own,
#: because those bring torch along, which the window does without.
METHODS = {
    "cam": "CAM",
    "grad-cam": "Grad-CAM",
    "grad-cam++": "Grad-CAM++",
    "grad-cam++ (wsmis)": "Grad-CAM++ as WSMIS has it",
    "layer-cam": "LayerCAM",
}

#: What can be read before the last level, too: CAM needs the head's own weights.
_BY_GRADIENT = ("grad-cam", "grad-cam++", "layer-cam")

#: The maps of three levels in one.
FUSED = "layer-cam@3+4+5"

TDN = "tdn-"
TDN_STAGES = 3
"""Stages that a tied deconvolution network is trained to, after the baseline."""


def of_run(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the variants of a run's stage "cam", its default first.

    Parameters
    ----------
    config
        What `napari_wsseg.io.runs.RunFolder.config` returns: ``"recipe"`` and
        ``"settings"``. A run of another recipe than ``"classifier"`` or
        ``"tied_deconv"`` has none.
    """
    if config["recipe"] == "tied_deconv":
        every = [f"{TDN}{stage}" for stage in range(_tdn_stages(config) + 1)]
    elif config["recipe"] == "classifier":
        every = [f"{method}@5" for method in METHODS]
        every += [f"{method}@{level}" for level in (4, 3) for method in _BY_GRADIENT]
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
    if config["recipe"] == "tied_deconv":
        return f"{TDN}{_tdn_stages(config)}"
    return f"{settings.get('cam', 'grad-cam++')}@{settings.get('cam_level', 5)}"


def resolve(variant: str | None, config: Mapping[str, Any]) -> str:
    """Return `variant`, or the default for ``None``.

    Raises
    ------
    UsageError
        If the run has no such variant; the message names those it has.
    """
    known = of_run(config)
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


def words(variant: str) -> str:
    """Return a variant as people say it: "LayerCAM, level 4", "TDN stage 2"."""
    if variant.startswith(TDN):
        stage = variant.removeprefix(TDN)
        return "TDN baseline" if stage == "0" else f"TDN stage {stage}"
    method, levels = parts(variant)
    plural = "s" if len(levels) > 1 else ""
    listed = " + ".join(str(level) for level in levels)
    return f"{METHODS.get(method, method)}, level{plural} {listed}"


def parts(variant: str) -> tuple[str, tuple[int, ...]]:
    """Return method and levels of a classifier's variant."""
    method, _, levels = variant.rpartition("@")
    return method, tuple(int(level) for level in levels.split("+"))


def _tdn_stages(config: Mapping[str, Any]) -> int:
    return int(config["settings"].get("stages", TDN_STAGES))
