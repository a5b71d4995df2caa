"""The card that goes out with a run's weights: the run's own, and what it is for."""

from __future__ import annotations

from collections import Counter
from typing import Any

from napari_wsseg.io import atomic, runs
from napari_wsseg.io.files import row_files
from napari_wsseg.io.project import Project

UNEVALUATED = (
    "**Unevaluated**: no film of val or test has an expert mask that this run has not "
    "learnt from. Nobody knows how good it is."
)


def text(project: Project, folder: runs.RunFolder) -> tuple[str, bool]:
    """Return the card, and whether there were films to evaluate the run on."""
    rows = _learnt(folder)
    held_out = _held_out(project, rows)
    own = folder.path / "card.md"
    text = atomic.read_text(own, 2**24) if own.is_file() else f"# {folder.id}\n"
    verdict = (
        f"{held_out} films of val and test have expert masks that the run has not "
        "learnt from. `wsseg evaluate` and `wsseg report` give its figures on them, "
        "with intervals."
        if held_out
        else UNEVALUATED
    )
    return f"{text.rstrip()}\n\n{_rest(folder, rows, verdict)}", bool(held_out)


def _rest(folder: runs.RunFolder, rows: list[dict[str, Any]], verdict: str) -> str:
    counted = Counter(str(row.get("source", "label")) for row in rows)
    films = len({row.get("case") for row in rows})
    sources = ", ".join(
        f"{count} {source}" for source, count in sorted(counted.items())
    )
    share = folder.config().get("settings", {}).get("p")
    return f"""## Held-out films

{verdict}

## Data snapshot

{films} films: {sources or "nothing recorded"}. The list goes with the weights.
Share of expert films in a batch (p): {"does not apply" if share is None else share}

## Intended use

Research use only; not a medical device. To draft masks for readers who check every one,
on films like those that it learnt from. Not for diagnosis, triage or screening.

## Known failures

- Findings smaller than a few pixels of the size it works at are missed.
- Films from other devices, of other views, of children or with other devices in the
  chest than it learnt from may go wrong without a sign.
- Where it learnt from image-level labels, it may mark what goes with a finding (a tube,
  a marker) rather than the finding.
"""


_LOCK = {"case?": str, "source?": str}


def _learnt(folder: runs.RunFolder) -> list[dict[str, Any]]:
    path = folder.path / "data.lock.json"
    return list(row_files.read(path, _LOCK)) if path.is_file() else []


def _held_out(project: Project, rows: list[dict[str, Any]]) -> int:
    """Count films of val and test with expert masks, none of which was learnt from."""
    taught = {row.get("case") for row in rows if row.get("source") == "expert"}
    drawn = {*project.annotated("val"), *project.annotated("test")}
    return len(drawn - taught)
