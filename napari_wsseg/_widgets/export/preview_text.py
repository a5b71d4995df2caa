"""What an export writes, leaves out and warns of, for a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from qtpy.QtGui import QPalette

from napari_wsseg._widgets.parts.formatting import red
from napari_wsseg.jobs import counted

#: Lines of one kind that are shown; the rest is counted.
MOST = 6


IDENTITIES = {
    "same-patient": "<b>Same patient</b>: they join the patient and study that the "
    "archive has for each film",
    "de-identified": "<b>De-identified</b>: film and masks as nobody's, with new "
    "numbers; no study of the archive is touched",
}


def preview(record: Mapping[str, Any], palette: QPalette) -> str:
    """Say what would be written."""
    if "host" in record:
        return _would_store(record, palette)
    files = counted(record["files"], "file")
    text = f"Would write <b>{files}</b>"
    if record["masks"]:
        films, masks = (
            counted(record["cases"], "film"),
            counted(record["masks"], "mask"),
        )
        text += f": {masks} of {films}"
    if record["existing"]:
        text += f". {counted(record['existing'], 'file')} there would be replaced"
    return "<br>".join([f"{text}.", notes(record, palette)])


def _would_store(record: Mapping[str, Any], palette: QPalette) -> str:
    """Say what would be stored in an archive, and as whose."""
    instances = counted(record["instances"], "instance")
    text = (
        f"Would store <b>{instances}</b> of accepted films in {escape(record['host'])}"
    )
    identity = IDENTITIES[record["identity"]]
    return "<br>".join([f"{text}.", f"{identity}.", notes(record, palette)])


def notes(record: Mapping[str, Any], palette: QPalette) -> str:
    """Say what to look at first, what is lost and what is left out."""
    lines = []
    for head, kind in (
        ("⚠ Look first", "warnings"),
        ("Not kept by this format", "lost"),
        ("Left out", "skipped"),
    ):
        texts = record[kind]
        if texts:
            colour = f' style="color:{red(palette)}"' if kind == "warnings" else ""
            lines.append(f"<b{colour}>{head}:</b> {_bulleted(texts)}")
    return "<br>".join(lines)


def problem(message: str, palette: QPalette) -> str:
    """Say why nothing can be written as things stand."""
    return f'<span style="color:{red(palette)}">✗ {escape(message)}</span>'


def done(record: Mapping[str, Any]) -> str:
    """Say what was written, or what an archive answered."""
    if "host" in record:
        refused = len(record["refused"])
        sign = "⚠" if refused else "✓"
        text = f"{sign} {record['host']}: {record['stored']} stored, "
        text += f"{record['already_there']} already there, {refused} refused."
        return " ".join([text, *record["refused"][:MOST]])
    return f"✓ {counted(record['files'], 'file')} written."


def _bulleted(texts: Sequence[str]) -> str:
    sign = "<br>• " if len(texts) > 1 else ""
    shown = "".join(f"{sign}{escape(text)}" for text in texts[:MOST])
    more = len(texts) - MOST
    return f"{shown}<br>… and {more:,} more" if more > 0 else shown
