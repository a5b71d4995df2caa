"""A process of its own that reads in an arm of a study, to be killed in the middle.

    python -m helpers.read_until_killed PROJECT ARM

It accepts one film with a stroke on it and strokes the next one, and writes a line for
each: the film, what is drawn on it, and how long the window has been open.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from qtpy.QtTest import QTest

from helpers import window_input


def main(folder: Path, arm: str) -> None:
    began = time.monotonic()
    bench = window_input.open_bench(folder)
    session = bench.session
    session.read_as("ann", arm=arm)
    window_input.wait_for(lambda: session.case is not None and not session.turning)
    window_input.settle(bench)
    window_input.press(bench, "paint")
    for seed in (1, 2):
        case = session.case
        assert case is not None
        window_input.stroke(bench, *window_input.scribble(seed))
        line = [case.id, window_input.drawn(bench), time.monotonic() - began]
        if seed == 1:
            window_input.press(bench, "accept with edits")
            window_input.wait_for(lambda before=case: session.case is not before)
            window_input.settle(bench)
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()
    while True:
        QTest.qWait(50)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
