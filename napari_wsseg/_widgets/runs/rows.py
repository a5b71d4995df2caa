"""A run in the list of runs: its cells and its tooltip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from napari_wsseg._widgets.parts import formatting as _formatting
from napari_wsseg._widgets.runs import details as _details
from napari_wsseg._widgets.training.setup import short_title
from napari_wsseg.io.runs import RunInfo
from napari_wsseg.jobs import counted

UNEVALUATED = (
    "Unevaluated: it was never compared with expert masks of held-out films. "
    "“Evaluate” does so."
)


def cells(
    info: RunInfo, used: Mapping[str, Sequence[str]], moving: str
) -> tuple[str, ...]:
    """Return the words of a run's row.

    Parameters
    ----------
    used
        Run id to the stages that it is in use for.
    moving
        How far it is, if it is under way.
    """
    return (
        "●" if info.id in used else "",
        f"{short_title(info.recipe)}\n{_formatting.moment(info.created)}",
        f"{_formatting.SIGNS.get(info.state, '')} "
        f"{_formatting.state(info.state)}{moving}",
        f"{_result(info)}\n{_in_short(info)}".strip(),
    )


def left_out(damaged: Mapping[str, str]) -> str:
    """Return what is said of run folders that cannot be read, nothing of none."""
    if not damaged:
        return ""
    why = [f"{name}: {text.split(f'{name}/')[-1]}" for name, text in damaged.items()]
    more = " …" if len(why) > 2 else ""
    return (
        f"⚠ {counted(len(damaged), 'run')} cannot be read and "
        f"{'is' if len(damaged) == 1 else 'are'} left out. {'; '.join(why[:2])}{more}"
    )


def tip(info: RunInfo, used: Mapping[str, Sequence[str]]) -> str:
    """Return what a run's row says when pointed at."""
    lines = [info.id, _details.summary(info), info.message]
    if _stamped(info):
        lines.append(UNEVALUATED)
    if info.id in used:
        lines.append(f"In use for: {', '.join(used[info.id])}")
    return "\n".join(word for word in lines if word)


def _stamped(info: RunInfo) -> bool:
    return info.state == "done" and not info.evaluated


def _result(info: RunInfo) -> str:
    """Return a run's figure, stamped when nobody's word stands behind it."""
    score = _details.score(info) or "—"
    return f"{score} ⚠ unevaluated" if _stamped(info) else score


def _in_short(info: RunInfo) -> str:
    """Return the settings that tell a run apart, so few that rows stay low."""
    settings = _details.summary(info).split(", ")
    more = "\N{NO-BREAK SPACE}…" if len(settings) > 2 else ""
    return ", ".join(settings[:2]) + more
