"""One run in full, or two beside each other, as rows of words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from napari_wsseg._widgets.parts import formatting as _formatting
from napari_wsseg._widgets.processes.recipes import known
from napari_wsseg.io.files import row_files
from napari_wsseg.io.runs import RunFolder, RunInfo
from napari_wsseg.jobs import DataError, counted
from napari_wsseg.protocol import bounds_in_words, metrics_alone

Row = tuple[str, ...]


def details(project: Path, info: RunInfo) -> list[Row]:
    """Return name and value of all that is known of a run."""
    rows: list[Row] = [
        ("Run", info.id),
        ("State", _formatting.state(info.state)),
        ("Began", _formatting.moment(info.created)),
        ("Took", _formatting.duration(info.seconds)),
        ("Learnt from", learnt_from(project, info.id)),
    ]
    if info.message:
        rows.append(("Message", info.message))
    chosen = RunFolder(project / "runs" / info.id).choices()
    rows += [
        (f"{name.replace('_', ' ')}: weak masks", why) for name, why in chosen.items()
    ]
    rows += [
        (_formatting.metric_name(name), f"{_value(value)}{bounds}")
        for name, value in metrics_alone(info.metrics).items()
        for bounds in [bounds_in_words(info.metrics, name)]
    ]
    rows += evaluated(info).items()
    usual = defaults(info.recipe)
    changed = [name for name in info.config if differs(info, name, usual)]
    rest = [name for name in info.config if name not in changed]
    rows += [(f"{_name(name)} *", _value(info.config[name])) for name in changed]
    rows += [(_name(name), _value(info.config[name])) for name in rest]
    return rows


def compare(project: Path, one: RunInfo, other: RunInfo) -> list[Row]:
    """Return the settings that differ and all figures of two runs, side by side."""
    rows: list[Row] = [
        ("State", _formatting.state(one.state), _formatting.state(other.state))
    ]
    for name in dict.fromkeys(
        [*metrics_alone(one.metrics), *metrics_alone(other.metrics)]
    ):
        rows.append(
            (
                _formatting.metric_name(name),
                _value(one.metrics.get(name)) + bounds_in_words(one.metrics, name),
                _gain(one.metrics.get(name), other.metrics.get(name))
                + bounds_in_words(other.metrics, name),
            )
        )
    mine, theirs = evaluated(one), evaluated(other)
    for name in dict.fromkeys([*mine, *theirs]):
        rows.append((name, mine.get(name, "—"), theirs.get(name, "—")))
    rows.append(
        ("Learnt from", learnt_from(project, one.id), learnt_from(project, other.id))
    )
    rows.append(
        ("Took", _formatting.duration(one.seconds), _formatting.duration(other.seconds))
    )
    if one.recipe != other.recipe:
        rows.append(("Recipe", one.recipe, other.recipe))
    for name in dict.fromkeys([*one.config, *other.config]):
        values = one.config.get(name), other.config.get(name)
        if values[0] != values[1]:
            rows.append((_name(name), _value(values[0]), _value(values[1])))
    return rows


def evaluated(info: RunInfo) -> dict[str, str]:
    """Return name and value of what a run scored against experts, with intervals."""
    rows = {}
    if info.state == "done" and not info.evaluated:
        rows["Evaluated"] = "no: never compared with held-out expert masks"
    for split, result in info.evaluation.items():
        rows[f"Films with expert masks ({split})"] = str(result["n_with_expert_masks"])
        for stage, metrics in result.get("stages", {}).items():
            bounds = metrics.get("interval", {})
            for name in ("pos_iou", "dice", "all_iou", "emptiness"):
                value = metrics.get(name)
                text = f"{split} {_formatting.metric_name(name)} · {stage}"
                rows[text] = _with_interval(value, bounds.get(name))
        rows |= _classifier(split, result.get("classifier") or {})
    return rows


def _classifier(split: str, found: Mapping[str, Any]) -> dict[str, str]:
    """Return AUROC and F1 against image-level labels, by finding, with their films."""
    rows = {}
    for finding, row in (found.get("per_finding") or {}).items():
        title = finding.replace("_", " ")
        films = f" on {counted(row['n'], 'film')}" if row.get("n") else ""
        for name in ("auroc", "f1"):
            if row.get(name) is not None:
                bounds = (row.get("interval") or {}).get(name)
                text = f"{split} {_formatting.metric_name(name)} · {title}"
                rows[text] = _with_interval(row[name], bounds) + films
    return rows


def _with_interval(value: float | None, interval: Sequence[float] | None) -> str:
    """Return ``0.412 [0.350, 0.470]``, the interval at 95 %."""
    if value is None:
        return "—"
    bounds = f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else ""
    return f"{value:.3f}{bounds}"


def summary(info: RunInfo) -> str:
    """Return what was set otherwise than usual, in one line."""
    usual = defaults(info.recipe)
    names = [name for name in info.config if differs(info, name, usual)]
    if not usual:
        names = [name for name in ("p", "epochs", "size") if name in info.config]
    return ", ".join(f"{_name(name)} {_value(info.config[name])}" for name in names)


def score(info: RunInfo) -> str:
    """Return the figure by which the run is judged, or an empty string."""
    name = _formatting.telling(info.metrics)
    if name is None:
        return ""
    value = _formatting.format_metric(info.metrics[name])
    bounds = bounds_in_words(info.metrics, name)
    return f"{_formatting.metric_name(name)} {value}{bounds}"


def defaults(recipe: str) -> Mapping[str, Any]:
    """Return a recipe's usual settings; empty until the recipes have been loaded."""
    loaded = known()
    if loaded is None or recipe not in loaded.recipes:
        return {}
    return vars(loaded.recipes[recipe].config())


def differs(info: RunInfo, name: str, usual: Mapping[str, Any]) -> bool:
    """Whether a run's setting is not the usual one."""
    return name in usual and info.config[name] != usual[name]


def learnt_from(project: Path, run: str) -> str:
    """Return the number of films a run froze as its material, e.g. ``54 films``."""
    try:
        path = project / "runs" / run / "data.lock.json"
        films, expert = set(), set()
        for row in row_files.read(path, {"case": str}):
            films.add(row["case"])
            if row.get("source") == "expert":
                expert.add(row["case"])
    except (DataError, KeyError, TypeError):
        # A run that ended before it froze its material has none to tell of.
        return "—"
    text = counted(len(films), "film")
    return f"{text}, {len(expert):,} expert" if expert else text


def _name(setting: str) -> str:
    return setting.replace("_", " ")


def _value(value: Any) -> str:
    if value is None:
        return "—"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value) if value != "" else "(empty)"


def _gain(before: Any, after: Any) -> str:
    if not isinstance(before, (int, float)) or not isinstance(after, (int, float)):
        return _value(after)
    return f"{_value(after)} ({after - before:+.3g})"
