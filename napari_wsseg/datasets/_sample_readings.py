"""The sample project as one meets it in the middle of its work: half of it corrected.

Two readers have read some films, and disagree about a few. What they drew is the true
mask of the synthetic film, a little off, as hands are; verdicts and masks go in by the
same ways as a reader's. Nobody of flesh has read these films, and their names say so.
"""

from __future__ import annotations

import csv
import re
import shutil
import zipfile
from collections.abc import Generator
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

from napari_wsseg.datasets import _sample, datasets
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError, Progress
from napari_wsseg.schema import Case, Mask, Verdict

FILMS = 36
"""So few are learnt from in minutes; see ``wsseg demo --films`` for more."""
SEED = 1181
"""Of seeds whose films have every finding in every split, one with a `TEACHING` film
among the first."""
DEPTH = 8
"""Bits of a pixel; films of the full twelve would be three times as large."""

SHIPPED = Path(__file__).parents[1] / "sample_data" / "project.zip"
"""The project as `benchmarks.window.sample_project` made it, with all its stages."""

FIRST, SECOND = "simulated reader A", "simulated reader B"
TRUTH = "import"
TEACHING = "cardiomegaly"
"""The finding that is met first: what the stages do is plainest on a heart."""
_BOTH_OF = 2
"""Of so many films with a finding that the first has read, the second has read one."""


def place(out: Path) -> Path:
    """Return where the half-corrected sample project is, or will be."""
    return out / "sample" / "synthetic-project"


def is_one(project: Path) -> bool:
    """Whether a folder is the half-corrected sample project, by where it lies."""
    home = re.fullmatch(r"sample(-\d+)?", project.parent.name)
    return home is not None and project.name == place(Path()).name


def half_read_project(
    out: Path, films: int | None = None
) -> Generator[Progress, None, Path]:
    """Yield progress while the sample project is laid out; return its folder.

    What is there already is kept. Else it is unpacked, with stages of two runs and a
    sweep, where the package has it; another number of films is made here and now.

    Parameters
    ----------
    films
        How many; ``None`` takes the project that is there, whatever it holds. Where it
        holds another number, one of as many is made in ``sample-FILMS`` beside it.
    """
    project = _with_films(out, films)
    if (project / "wsseg.toml").exists():
        return project
    if films in (None, FILMS) and SHIPPED.is_file():
        yield Progress(0, 0, "unpacking the synthetic sample project")
        growing = _growing(project.parent)
        shutil.rmtree(growing, ignore_errors=True)
        with zipfile.ZipFile(SHIPPED) as archive:
            archive.extractall(growing)
        growing.rename(project.parent)
        return project
    return (yield from _make(project, films or FILMS))


def make_half_read(out: Path, films: int = FILMS) -> Generator[Progress, None, Path]:
    """Yield progress while films are made and half of them read; return the project."""
    return (yield from _make(place(out), films))


def _with_films(out: Path, films: int | None) -> Path:
    """Return where the sample project of so many films is, or will be."""
    project = place(out)
    if films is None or _sample.film_count(project) in (0, films):
        return project
    return out / f"sample-{films}" / project.name


def _make(project: Path, films: int) -> Generator[Progress, None, Path]:
    # A sample that is there opens without it, a third of a second sooner.
    from napari_wsseg.phantom import ensure_demo_dataset

    # Films and project lie beside each other, and appear together when they are whole.
    growing = _growing(project.parent)
    yield Progress(0, films, "making synthetic films")
    source = ensure_demo_dataset(
        growing / "synthetic-films", n=films, seed=SEED, depth=DEPTH
    )
    begun = growing / project.name
    shutil.rmtree(begun, ignore_errors=True)
    labels = _labels(source)
    yield from datasets["folder"](begun, images=source / "images", labels=labels)
    labels.unlink()
    with Project.open(begun, write=True) as opened:
        _keep_truth(opened, source / "masks")
        _read(opened, source / "masks")
    growing.rename(project.parent)
    return project


def _growing(folder: Path) -> Path:
    """Return where a folder is made before it takes its place.

    Raises
    ------
    DataError
        The place is taken.
    """
    if folder.exists():
        raise DataError(
            f"{folder} is there and holds no sample project; choose another folder "
            "(wsseg demo --out DIR)"
        )
    return folder.with_name(f".{folder.name}-growing")


def _labels(source: Path) -> Path:
    """Write the films' labels once more, the teaching finding first."""
    with (source / "labels.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    columns = sorted(rows[0], key=lambda name: (name != "image", name != TEACHING))
    path = source.with_name("labels.csv")
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, columns)
        writer.writeheader()
        writer.writerows(rows)
    return path


def _keep_truth(project: Project, masks: Path) -> None:
    """Keep the true masks of the films that stages are measured on, and no others."""
    for case in (*project.cases("val"), *project.cases("test")):
        for finding, label in case.labels.items():
            truth = _true_mask(masks, case, finding) if label == 1 else None
            mask = np.zeros(case.shape, bool) if truth is None else truth
            project.put_mask(case.id, finding, mask, reader=TRUTH, tool="import")


def _true_mask(masks: Path, case: Case, finding: str) -> Mask:
    with Image.open(masks / finding / f"{case.name}.png") as image:
        return np.asarray(image) > 0


def _read(project: Project, masks: Path) -> None:
    """Let one reader read the films before the teaching one and some after, to half.

    So the first film that nobody has read shows what the stages do.
    """
    for name in (FIRST, SECOND):
        project.add_reader(name)
    cases = project.cases()
    train = [case for case in cases if case.split == "train"]
    teaching = [case for case in train if case.labels.get(TEACHING) == 1]
    start = cases.index(teaching[0]) if teaching else 0
    wanted = (len(train) + 1) // 2
    after = [case for case in cases[start + 1 :] if case.split == "train"]
    first = [*cases[:start], *after][:wanted]
    for number, case in enumerate(first):
        _read_film(project, case, number, FIRST, masks)
    marked = [
        case for case in first if case.split == "train" and 1 in case.labels.values()
    ]
    for number, case in enumerate(marked[::_BOTH_OF]):
        _read_film(project, case, number + 1, SECOND, masks)


def _read_film(
    project: Project, case: Case, number: int, reader: str, masks: Path
) -> None:
    drawn = False
    for finding, label in case.labels.items():
        if label != 1:
            continue
        mask = _by_hand(_true_mask(masks, case, finding), number, reader)
        project.put_mask(case.id, finding, mask, reader=reader, tool="brush")
        drawn = True
    verdict: Verdict = "accept with edits" if drawn else "accept"
    if reader == FIRST and number % 5 == 4:
        verdict = "flag"
    project.decide(
        case.id, verdict, reader=reader, confidence=2 + number % 2, seconds=20.0
    )


def _by_hand(truth: Mask, number: int, reader: str) -> Mask:
    """Return a mask as a hand draws it: a little large or small, and a little off."""
    chance = np.random.default_rng([number, len(reader)])
    side = max(2, round(np.sqrt(truth.sum()) / (5 if reader == SECOND else 14)))
    moved = ndimage.shift(truth.astype(np.uint8), chance.integers(-side, side + 1, 2))
    if reader == SECOND:
        return np.asarray(ndimage.binary_dilation(moved > 0, iterations=side))
    return np.asarray(moved > 0)
