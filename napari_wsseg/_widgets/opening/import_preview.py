"""What ``wsseg init`` says of a project to be made, as rich text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from napari_wsseg.jobs import counted

_SHOWN = 200
"""Files that were left out, named one by one."""

_ROLES = {
    "image": "which film",
    "split": "train, val or test",
    "finding": "finding",
}


def style(red: str) -> str:
    """Return the style sheet of these texts; `red` is the colour of what is wrong."""
    return f".odd {{ color: {red}; font-weight: bold; }}"


def columns_text(columns: Sequence[Mapping[str, Any]]) -> str:
    """Return how the columns of a labels table are understood."""
    rows = [_column(column) for column in columns]
    return _titled("Columns of the labels", _table(rows))


def _column(column: Mapping[str, Any]) -> list[str]:
    values = [
        _marked(f"{count} “{value}”") if value in column["odd"] else f"{count} {value}"
        for value, count in column["values"].items()
    ]
    if column["odd"]:
        values.append(_marked("not understood: write 1, 0, -1 or nothing"))
        if column["role"] == "split":
            values[-1] = _marked("not understood: write train, val, test or nothing")
    return [
        f"<b>{escape(column['name'])}</b>",
        _ROLES.get(column["role"], ""),
        ", ".join(values),
    ]


def plan_text(plan: Mapping[str, Any]) -> str:
    """Return what is known before films have been read."""
    hidden = plan.get("names_hidden")
    names = (
        "Film names are <b>hidden</b>: the project has other ones; a key file outside "
        "knows them."
        if hidden
        else "Film names are <b>kept</b> in the project as they are."
    )
    counted = _counted(plan.get("summary") or {}, "to be read")
    return counted + f"<p>{names}</p>" + _left_out(plan)


def end_text(end: Mapping[str, Any]) -> str:
    """Return what a dry run or an import found once every film was read."""
    return _counted(end.get("summary") or {}, "can be imported") + _left_out(end)


def archive_text(address: str, folder: str) -> str:
    """Return what will happen where films come from an archive."""
    return (
        "<h3>Films come from an archive</h3>"
        f"<p>The archive at <b>{escape(address)}</b> is asked when you create the "
        f"project; films land in <b>{escape(folder)}</b>, patients' names and all, and "
        "stay there. Stopped, Create project goes on from there.</p>"
        "<p>Your name and password are those of the environment "
        "(WSSEG_PACS_USER, WSSEG_PACS_PASSWORD) or of the keyring, never of the "
        "project. The labels may begin with <b>AccessionNumber</b>, "
        "<b>StudyInstanceUID</b> or <b>SOPInstanceUID</b>.</p>"
    )


def failed_text(message: str) -> str:
    """Return why nothing can be made."""
    lines = "<br>".join(escape(line) for line in message.splitlines())
    return f'<h3>Nothing can be made yet</h3><p class="odd">{lines}</p>'


def _counted(summary: Mapping[str, Any], what: str) -> str:
    masks = summary.get("masks", {})
    rows = [
        [
            f"<b>{escape(finding)}</b>",
            ", ".join(f"{films} {word}" for word, films in counts.items()),
            counted(masks[finding], "mask") if finding in masks else "no masks",
        ]
        for finding, counts in summary.get("labels", {}).items()
    ]
    splits = summary.get("splits", {})
    shares = ", ".join(f"<b>{count}</b> {name}" for name, count in splits.items())
    how = escape(str(summary.get("how_split", "")))
    films = summary.get("films", 0)
    return (
        f"<h3>{counted(films, 'film')} {what}</h3>"
        + _table(rows)
        + f"<p>Split: {shares} <i>({how})</i></p>"
    )


def _left_out(event: Mapping[str, Any]) -> str:
    rejected = event.get("rejected") or []
    text = ""
    if warnings := event.get("warnings"):
        text += _titled("Worth a look", _listed(escape(each) for each in warnings))
    if rejected:
        shown = [
            f"<b>{escape(each['path'])}</b>: {escape(each['reason'])}"
            for each in rejected[:_SHOWN]
        ]
        if len(rejected) > _SHOWN:
            shown.append(f"and {len(rejected) - _SHOWN} more")
        text += _titled(f"Left out ({len(rejected)})", _listed(shown))
    return text


def _marked(text: str) -> str:
    return f'<span class="odd">{escape(text)}</span>'


def _titled(title: str, body: str) -> str:
    return f"<h4>{title}</h4>{body}"


def _listed(items: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{item}</li>' for item in items)}</ul>"


def _table(rows: Iterable[Sequence[str]]) -> str:
    lines = "".join(
        f"<tr>{''.join(f'<td>{cell}&nbsp;&nbsp;</td>' for cell in row)}</tr>"
        for row in rows
    )
    return f"<table cellpadding=2>{lines}</table>"
