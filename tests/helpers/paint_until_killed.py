"""A process of its own that paints for ever, to be killed in the middle of it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from helpers import window_input


def main(folder: Path, seed: int = 0) -> None:
    bench = window_input.open_bench(folder)
    window_input.press(bench, "paint")
    while True:
        for _ in range(3):
            seed += 1
            window_input.stroke(bench, *window_input.scribble(seed))
            case = bench.session.case
            finding = bench.session.looking.finding
            assert case is not None
            assert finding is not None
            report = [case.id, finding.name, window_input.drawn(bench)[finding.name]]
            sys.stdout.write(json.dumps(report) + "\n")
            sys.stdout.flush()
        window_input.turn(bench)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
