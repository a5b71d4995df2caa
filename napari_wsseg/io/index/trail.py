"""The audit trail against the tables: is each row still what was put down of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from napari_wsseg.io.index.database import Database
from napari_wsseg.schema import ORIGINAL_LABEL

_UNDO = "undo decision"

Entry = tuple[int, str, str, Mapping[str, Any]]
"""Number in the trail, actor, action, payload."""


def differences(database: Database) -> Iterator[str]:
    """Yield, by number, verdicts and masks that are not what the trail says.

    What a project of an earlier version did not put down cannot be compared.
    """
    entries = list(_entries(database))
    yield from _decisions(database, entries)
    yield from _masks(database, entries)
    yield from _finals(database, entries)
    yield from _adoptions(database, entries)
    yield from _undone(database, entries)
    yield from _work(database, entries)
    yield from _outcomes(database, entries)
    yield from _labels(database, entries)
    yield from _label_versions(database, entries)


def _entries(database: Database) -> Iterator[Entry]:
    rows = database.rows("SELECT seq, actor, action, payload FROM audit ORDER BY seq")
    for row in rows:
        yield row["seq"], row["actor"], row["action"], _object(row["payload"])


def _object(text: str) -> dict[str, Any]:
    """Return an object of JSON; empty where it is none, which then differs."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _decisions(database: Database, entries: list[Entry]) -> Iterator[str]:
    recorded = [
        (seq, (p.get("case"), p.get("verdict"), p.get("finding"), actor))
        for seq, actor, action, p in entries
        if action == "decision"
    ]
    rows = [
        (row["id"], (row["case_id"], row["verdict"], row["finding"], row["reader"]))
        for row in database.rows("SELECT * FROM decisions ORDER BY id")
    ]
    yield from _in_order("decision", recorded, rows)


def _finals(database: Database, entries: list[Entry]) -> Iterator[str]:
    recorded = [
        (seq, (p.get("case"), p.get("finding"), p.get("annotation"), actor))
        for seq, actor, action, p in entries
        if action == "final"
    ]
    rows = [
        (row["id"], (row["case_id"], row["finding"], row["annotation"], row["actor"]))
        for row in database.rows("SELECT * FROM finals ORDER BY id")
    ]
    yield from _in_order("final mask", recorded, rows)


def _adoptions(database: Database, entries: list[Entry]) -> Iterator[str]:
    recorded = [
        (seq, (p.get("stage"), p.get("run"), actor))
        for seq, actor, action, p in entries
        if action == "adopt"
    ]
    rows = [
        (row["id"], (row["stage"], row["run"], row["actor"]))
        for row in database.rows("SELECT * FROM adoptions ORDER BY id")
    ]
    yield from _in_order("adoption", recorded, rows)


_WORK = ("case", "finding", "arm", "seconds", "gestures", "earlier")
_OUTCOME = (
    *("decision", "finding", "start", "source_run", "offered_px", "added_px"),
    *("removed_px", "mask_px", "unedited"),
)


def _work(database: Database, entries: list[Entry]) -> Iterator[str]:
    recorded = [
        (seq, (*(p.get(name) for name in _WORK), actor))
        for seq, actor, action, p in entries
        if action == "work"
    ]
    rows = [
        (
            row["id"],
            (
                *(row["case_id"], row["finding"], row["arm"], row["seconds"]),
                *(_object(row["gestures"]), row["earlier"], row["reader"]),
            ),
        )
        for row in database.rows("SELECT * FROM work ORDER BY id")
    ]
    yield from _in_order("work", recorded, rows)


def _outcomes(database: Database, entries: list[Entry]) -> Iterator[str]:
    recorded = [
        (seq, tuple(p.get(name) for name in _OUTCOME))
        for seq, _, action, p in entries
        if action == "outcome"
    ]
    rows = [
        (row["id"], tuple(row[name] for name in _OUTCOME))
        for row in database.rows("SELECT * FROM outcomes ORDER BY id")
    ]
    yield from _in_order("outcome", recorded, rows)


def _undone(database: Database, entries: list[Entry]) -> Iterator[str]:
    recorded = [p.get("decision") for _, _, action, p in entries if action == _UNDO]
    for row in database.rows("SELECT decision FROM undone ORDER BY decision"):
        if row["decision"] not in recorded:
            yield f"decision {row['decision']} was taken back, which no row tells"


def _in_order(
    what: str,
    recorded: Sequence[tuple[int, tuple[object, ...]]],
    rows: Sequence[tuple[int, tuple[object, ...]]],
) -> Iterator[str]:
    """Compare rows with the trail's, both in the order in which they were made."""
    for (seq, was), (number, now) in zip(recorded, rows, strict=False):
        if was != now:
            yield f"{what} {number} was changed: row {seq} of the trail says otherwise"
            return
    if len(recorded) > len(rows):
        yield f"the {what} of row {recorded[len(rows)][0]} of the trail is missing"
    if len(rows) > len(recorded):
        yield f"{what} {rows[len(recorded)][0]} is not in the trail"


def _masks(database: Database, entries: list[Entry]) -> Iterator[str]:
    named = ("case", "finding", "mask", "version", "tool")
    rows = {
        row["id"]: (
            *(row["case_id"], row["finding"], row["mask_sha"], row["version"]),
            *(row["tool"], row["reader"]),
        )
        for row in database.rows("SELECT * FROM annotations ORDER BY id")
    }
    recorded: set[int] = set()
    for seq, actor, action, payload in entries:
        if action != "mask":
            continue
        number = payload.get("annotation")
        if not isinstance(number, int) or number not in rows:
            yield f"mask {number} of row {seq} of the trail is missing"
            continue
        recorded.add(number)
        if rows[number] != (*(payload.get(name) for name in named), actor):
            yield f"mask {number} was changed: row {seq} of the trail says otherwise"
    for number in rows.keys() - recorded:
        yield f"mask {number} is not in the trail"


def _labels(database: Database, entries: list[Entry]) -> Iterator[str]:
    """Compare the labels that were last set by a person; an import sets none."""
    last: dict[tuple[str, str], tuple[int, object]] = {}
    for seq, _, action, payload in entries:
        if action == "labels":
            for finding, value in _labels_of(payload).items():
                last[str(payload.get("case")), finding] = seq, value
    now = {
        row["id"]: _object(row["labels"])
        for row in database.rows("SELECT id, labels FROM cases")
    }
    for (case, finding), (seq, value) in last.items():
        if case not in now or now[case].get(finding) != value:
            yield f"label {finding!r} of case {case} is not what row {seq} says"


def _label_versions(database: Database, entries: list[Entry]) -> Iterator[str]:
    """Compare every version of a label with the entry that put it down."""
    named = ("id", "finding", "value", "source", "undoes")
    recorded: dict[object, tuple[object, ...]] = {}
    for _, actor, action, payload in entries:
        if action == "labels":
            for row in _label_rows(payload):
                # What a film came with is nobody's.
                reader = "" if row[3] == ORIGINAL_LABEL else actor
                recorded[row[0]] = (*row, payload.get("case"), reader)
    rows = {
        row["id"]: (*(row[n] for n in named), row["case_id"], row["reader"])
        for row in database.rows("SELECT * FROM labels ORDER BY id")
    }
    for number in recorded.keys() | rows.keys():
        if recorded.get(number) != rows.get(number):
            yield f"version {number} of a label is not what the trail says"


def _label_rows(payload: Mapping[str, Any]) -> list[list[Any]]:
    rows = payload.get("rows")
    if not isinstance(rows, list):
        return []
    lists = [row for row in rows if isinstance(row, list) and len(row) == 5]
    return [row for row in lists if isinstance(row[0], int)]


def _labels_of(payload: Mapping[str, Any]) -> Mapping[str, Any]:
    given = payload.get("labels")
    return given if isinstance(given, dict) else {}
