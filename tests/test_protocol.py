"""What one end writes, the other reads."""

from __future__ import annotations

import json
from typing import Any

import pytest

from napari_wsseg import protocol
from napari_wsseg._widgets.processes.events import Noise, parse
from napari_wsseg.protocol import Beat, CellDone, Finished, Saved, Started, Step

LINES: list[tuple[dict[str, Any], protocol.Record]] = [
    (
        protocol.started(run="r", recipe="irnet", pid=7, device="cpu", threads=2),
        Started("r", "irnet", 7, "cpu"),
    ),
    (
        protocol.progress(1, 9, "training", metrics={"loss": 0.5}, eta_s=3.0),
        Step(1, 9, "training", {"loss": 0.5}, 3.0),
    ),
    (protocol.progress(1, 0, "scoring"), Step(1, 0, "scoring", {}, None)),
    (protocol.checkpoint(best=True, metrics={"d": 1.0}), Saved(True, {"d": 1.0})),
    (
        protocol.cell(
            key="p",
            value=0.2,
            trial=1,
            run="r",
            metrics={},
            done=2,
            total=6,
            folder="f",
        ),
        CellDone("0.2", 1, "r", 2, 6, "f"),
    ),
    (protocol.heartbeat(), Beat()),
    (
        protocol.finished(
            "done", run="r", metrics={"d": 1.0}, seconds=2.0, message="", exit_code=0
        ),
        Finished("done", "r", {}, {"d": 1.0}, 2.0, ""),
    ),
]


@pytest.mark.parametrize(("line", "record"), LINES)
def test_a_line_is_read_as_what_was_written(
    line: dict[str, Any], record: protocol.Record
) -> None:
    assert parse(json.dumps(line).encode()) == record


def test_every_record_of_the_reader_is_written_by_somebody() -> None:
    assert {line["event"] for line, _ in LINES} == set(protocol._READERS)


def test_an_exports_last_lines_are_none_of_a_trainings() -> None:
    for line in (
        protocol.finished(files=3),
        protocol.failed("x"),
        protocol.formats([]),
    ):
        assert protocol.is_last(line)
        assert isinstance(parse(json.dumps(line).encode()), Noise)
    assert not protocol.is_last(protocol.progress(0, 1, "exporting"))
