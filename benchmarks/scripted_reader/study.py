"""``wsseg study`` on what two scripted readers did: a SIMULATION, not people.

    python -m benchmarks.scripted_reader.study -p PROJECT --truth MASKS --finding NAME

In a copy of the project both read the films of a split with the finding, each film in
an arm of its own (`napari_wsseg.session.effort.arms`), by the policy of
`benchmarks.reader_seconds`. The second one's hand is unsure: the rim of her truth is
moved by up to two pixels of 256. What they did is entered as a window enters it; then
the command's own table is printed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from scipy import ndimage

from benchmarks.scripted_reader.offered_films import film_of, truth_of
from benchmarks.scripted_reader.reading import TOOLS, Film, read_film
from benchmarks.scripted_reader.rounds import copy_project
from napari_wsseg import cli
from napari_wsseg.io.project import Project
from napari_wsseg.ops import masks
from napari_wsseg.schema import Case, Mask, Outcome
from napari_wsseg.session.effort.arms import assigned

READERS = {"first scripted reader": 0.0, "second scripted reader": 2.0}
"""By how many pixels of 256 the rim of a reader's truth is moved at most."""


def moved(truth: Mask, far: float, rng: np.random.Generator) -> Mask:
    """Return a mask whose rim is moved in and out by a smooth field."""
    field = ndimage.gaussian_filter(rng.standard_normal(truth.shape), 12)
    distance = ndimage.distance_transform_edt(truth)
    distance -= ndimage.distance_transform_edt(~truth)
    return np.asarray(distance > far * field / max(float(np.abs(field).max()), 1e-9))


def read(
    project: Project, case: Case, finding: str, film: Film, by: str, arm: str
) -> None:
    """Read one film in an arm, and enter what the window would."""
    offered = film.drafts[0] if arm != "blank" and film.drafts else None
    cost = read_film(film, TOOLS["grow"], drafts=offered is not None)
    assert cost.mask is not None
    drawn = masks.nearest(cost.mask, case.shape)
    project.put_mask(case.id, finding, drawn, reader=by, tool="grow")
    project.work_log.enter(
        *(case.id, finding),
        reader=by,
        seconds=cost.seconds,
        gestures={"grow stroke": cost.strokes} if cost.strokes else {},
        arm=arm,
    )
    decision = project.decide(case.id, "accept", reader=by, seconds=cost.seconds)
    nothing = np.zeros_like(drawn)
    given = nothing if offered is None else masks.nearest(offered, case.shape)
    outcome = Outcome(
        decision=decision.id,
        finding=finding,
        start="blank" if offered is None else "segmentation",
        source_run=None if offered is None else project.adopted("segmentation"),
        offered_px=None if offered is None else int(given.sum()),
        added_px=int((drawn & ~given).sum()),
        removed_px=int((given & ~drawn).sum()),
        mask_px=int(drawn.sum()),
        unedited=offered is not None and cost.unedited,
    )
    project.work_log.enter_outcome(outcome, actor=by)


def main() -> None:
    """Let both read, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("-p", "--project", type=Path, required=True)
    parser.add_argument("--truth", type=Path, required=True)
    parser.add_argument("--finding", required=True)
    parser.add_argument("--split", default="test")
    options = parser.parse_args()
    print("SIMULATION: two scripted readers, seconds of a model")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "project"
        copy_project(options.project, folder)
        with Project.open(folder, write=True) as project:
            runs = project.runs_in_use()
            for seed, (by, far) in enumerate(READERS.items()):
                arms = assigned(project.case_ids(), "simulation", by)
                rng = np.random.default_rng(seed)
                for case in project.cases(options.split):
                    truth = truth_of(
                        options.truth, options.finding, case, several=False
                    )
                    if truth is not None:
                        seen = moved(truth, far, rng)
                        film = film_of(project, case, options.finding, seen, runs)
                        read(project, case, options.finding, film, by, arms[case.id])
        sys.exit(cli.main(["study", "-p", str(folder)]))


if __name__ == "__main__":
    main()
