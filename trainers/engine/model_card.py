"""The model card: what a run's weights are, in words, beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from napari_wsseg.io import atomic
from napari_wsseg.io.runs import RunFolder
from napari_wsseg.jobs import Checkpoint
from napari_wsseg.protocol import bounds_in_words, metrics_alone


def write(folder: RunFolder, checkpoint: Checkpoint) -> None:
    """Write ``card.md`` of a run for the checkpoint it offers."""
    config = folder.config()
    header = checkpoint.header
    origin = config.get("notes", {}).get("imported")
    rest = _origin(origin) if origin else _training(config, checkpoint.metrics)
    text = f"""# {folder.id}

Research use only; not a medical device.

Recipe: {config["recipe"]} · begun {config["created"]} (UTC)
Findings: {", ".join(header["findings"])}
{_not_learnt(header)}Network: {header["network"]}
{_start(header)}{_taught(header)}{_seeds(header)}Input: {_input(header)}

{_chosen(header)}{_live(header)}{rest}"""
    atomic.write(folder.path / "card.md", lambda file: file.write(text.encode()))


def _input(header: Mapping[str, Any]) -> str:
    return (
        f"films letterboxed to {header['size']} px, "
        f"normalisation {header['normalisation']}"
    )


def _start(header: Mapping[str, Any]) -> str:
    return f"Encoder started from: {header['start']}\n" if "start" in header else ""


def choices(header: Mapping[str, Any]) -> dict[str, str]:
    """Return, by finding, what a run chose to learn from and why, in words."""
    return {
        name: f"{each['source']}: {each['why']}"
        for name, each in header.get("chosen", {}).items()
    }


def _chosen(header: Mapping[str, Any]) -> str:
    lines = "".join(f"- {name}: {why}\n" for name, why in choices(header).items())
    return f"## Weak masks, chosen by finding\n\n{lines}\n" if lines else ""


def _live(header: Mapping[str, Any]) -> str:
    """Tell what was learnt while a reader read, and what was undone."""
    told = header.get("live")
    if not told:
        return ""
    undone = "".join(
        f"- {', '.join(each['films'])}: Dice {each['before']:.4f} before, "
        f"{each['after']:.4f} after\n"
        for each in told["undone"]
    )
    return f"""## Learnt while films were read

Began from: run {told["start"]}
Steps: {told["steps"]}, those that were undone included
Judged by: {told["judged_by"]}
Films learnt: {", ".join(told["learnt"]) or "none yet"}

Rounds that were undone, as held-out films got worse:
{undone or "none"}

"""


def _taught(header: Mapping[str, Any]) -> str:
    return f"Taught by: run {header['teacher']}\n" if "teacher" in header else ""


def _seeds(header: Mapping[str, Any]) -> str:
    return f"Seeds: {header['seeds']}\n" if "seeds" in header else ""


def _not_learnt(header: Mapping[str, Any]) -> str:
    names = ", ".join(header.get("not_learnt", ()))
    return f"Not learnt, for want of films: {names}\n" if names else ""


def _origin(origin: Mapping[str, Any]) -> str:
    more = "".join(
        f"{name.title()}: {origin[name]}\n"
        for name in ("library", "licence", "source")
        if name in origin
    )
    return f"""## Imported

{more}From {origin["file"]} (SHA-256 {origin["sha256"]}),
whose outputs were named as {", ".join(origin["outputs"])}.
What it was learnt from, only its makers know; nothing of this project went into it, and
its figures on this project's films are what wsseg evaluate says.
"""


def _training(config: Mapping[str, Any], metrics: Mapping[str, float]) -> str:
    settings = "\n".join(
        f"- {key}: {value}" for key, value in config["settings"].items()
    )
    lines = "\n".join(
        f"- {name}: {value:.4f}{bounds_in_words(metrics, name)}"
        for name, value in metrics_alone(metrics).items()
    )
    return f"""## Validation

{lines or "Unevaluated: no validation film had what the recipe is judged by."}

Figures are those of the project's own validation films, by which this checkpoint was
also chosen; the test films were not looked at.

## Settings

{settings}

## Learnt from

data.lock.json lists every case, and whether a label, a weak mask or an expert mask of
it was used. The weights may reflect how those films were chosen and labelled.
"""
