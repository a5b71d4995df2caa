"""A process of its own that opens a project's window and tells what is in it."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from helpers import window_input
from napari_wsseg.schema import STAGES


def main(folder: Path) -> None:
    bench = window_input.open_bench(folder)
    session = bench.session
    seen = {}
    for case_id in session.list.order:
        window_input.pick_row(bench, case_id)
        window_input.settle(bench)
        seen[case_id] = window_input.drawn(bench)
    assert session.project is not None
    report = {
        "masks": seen,
        "decisions": {i: d.verdict for i, d in session.list.decisions.items()},
        "adopted": {stage: session.project.adopted(stage) for stage in STAGES},
        "shown": dict(session.opened.shown.runs) if session.opened else {},
    }
    bench.viewer.close()
    sys.stdout.write(json.dumps(report) + "\n")
    sys.stdout.flush()
    # Without an event loop of its own a window is no longer there to be ended by Qt,
    # which may fall over what Python takes apart first. The report is out.
    os._exit(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
