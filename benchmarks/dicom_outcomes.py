"""What comes of each file of a folder: film or reason, seconds, and the memory of all.

    python benchmarks/dicom_outcomes.py FOLDER

One process reads them one after another, so its peak bounds that of each.
"""

from __future__ import annotations

import resource
import sys
import time
from collections import Counter
from pathlib import Path

from napari_wsseg.io import film_facts


def main(folder: Path) -> None:
    before = peak()
    worst = ("", 0.0)
    outcomes: Counter[str] = Counter()
    for path in sorted(p for p in folder.rglob("*") if p.suffix == ".dcm"):
        start = time.perf_counter()
        found = film_facts.read_facts(path)
        seconds = time.perf_counter() - start
        worst = max(worst, (path.name, seconds), key=lambda each: each[1])
        outcome = (
            found if isinstance(found, str) else f"film, {', '.join(found.remarks)}"
        )
        outcomes[outcome.removesuffix(", ")] += 1
        print(f"{path.relative_to(folder)}\t{seconds:.2f} s\t{outcome}")
    print(f"\n{sum(outcomes.values())} files, slowest {worst[0]} {worst[1]:.2f} s")
    print(
        f"peak memory {peak() / 2**20:.0f} MiB, {before / 2**20:.0f} of them at start"
    )
    for kind, count in outcomes.most_common():
        print(f"{count:4} {kind}")


def peak() -> int:
    """Bytes; Linux counts in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main(Path(sys.argv[1]))
