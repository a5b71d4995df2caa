"""Folders of synthetic films, as `wsseg init` reads them."""

from __future__ import annotations

import csv
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from napari_wsseg.phantom._files import write_dicom, write_mask, write_png
from napari_wsseg.phantom.film import FINDINGS, generate
from napari_wsseg.schema import SPLITS, Split

SAMPLE_SEED = 2343
"""Seed of the films in `sample_data` and of the demo project."""

_SPLIT_SHARES: Mapping[Split, float] = {"train": 0.60, "val": 0.15, "test": 0.25}
_NEGATIVE_SHARE = 0.4
_ALSO_SHARE = 0.3
_PARALLEL_FROM = 24  # films; below this, starting processes costs more than it saves

_DEPTH = 12

FileForm = Literal["png", "dicom", "mixed"]

Look: TypeAlias = tuple[int | tuple[int, int], int]
"""Size and depth of films, see `write_dataset`."""


@dataclass(frozen=True, slots=True)
class Planned:
    """One film of a data set before it is made.

    Parameters
    ----------
    image
        File name below ``images/``; begins with ``synthetic_``.
    seed
        What `generate` gets.
    findings
        What is to be found, in the order of `FINDINGS`.
    """

    image: str
    seed: int
    findings: tuple[str, ...]
    split: Split

    @property
    def stem(self) -> str:
        """File name without its ending."""
        return Path(self.image).stem


def plan(
    n: int,
    *,
    seed: int = SAMPLE_SEED,
    form: FileForm = "mixed",
    splits: Mapping[Split, float] = _SPLIT_SHARES,
) -> list[Planned]:
    """Say which films a data set of `n` holds, without making one.

    Four in ten have no finding; the others take turns in having each finding for
    certain and every other one by a chance of 0.3. Splits are filled evenly within
    each of these groups. What a film shows, its file's form and its split are drawn
    independently of what else is in its picture.

    Parameters
    ----------
    n
        Number of films, 1 or more.
    seed
        What everything depends on; 0 or above.
    form
        ``"png"``, ``"dicom"`` or ``"mixed"``: every other film.
    splits
        Share of the films by split; only their ratios count.

    Raises
    ------
    ValueError
        If `n` is below 1.
    """
    if n < 1:
        raise ValueError(f"a data set of {n} films is empty; ask for 1 or more")
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, n])))
    negatives = round(_NEGATIVE_SHARE * n)
    turns = sorted(i % len(FINDINGS) for i in range(n - negatives))
    groups = [-1] * negatives + turns  # in runs, which the splits are dealt along
    where = _split_evenly(n, splits, rng)
    chance = rng.random((n, len(FINDINGS))) < _ALSO_SHARE
    order = rng.permutation(n)
    planned = []
    for place, index in enumerate(order):
        group = groups[index]
        names = tuple(
            name
            for i, name in enumerate(FINDINGS)
            if group >= 0 and (i == group or chance[index, i])
        )
        dicom = form == "dicom" or (form == "mixed" and place % 2 == 0)
        image = f"synthetic_{place + 1:04d}.{'dcm' if dicom else 'png'}"
        film_seed = 1_000_003 * seed + place
        planned.append(Planned(image, film_seed, names, where[index]))
    return planned


def _split_evenly(
    n: int, splits: Mapping[Split, float], rng: np.random.Generator
) -> list[Split]:
    """Deal splits along the groups, so that each group is shared in proportion."""
    total = sum(splits.values())
    given = dict.fromkeys(SPLITS, 0.0)
    debts = {name: float(rng.uniform(0, 0.3)) for name in SPLITS}
    dealt: list[Split] = []
    for i in range(1, n + 1):
        owed = {
            name: share / total * i - given[name] + 0.1 * debts[name]
            for name, share in splits.items()
        }
        name = max(owed, key=lambda split: owed[split])
        given[name] += 1
        dealt.append(name)
    return dealt


def write_dataset(
    folder: Path,
    *,
    n: int,
    size: int | tuple[int, int] = 512,
    seed: int = SAMPLE_SEED,
    form: FileForm = "mixed",
    splits: Mapping[Split, float] = _SPLIT_SHARES,
    depth: int = _DEPTH,
    processes: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """Write `n` synthetic films with labels and true masks into `folder`.

    ::

        folder/images/synthetic_0001.dcm … synthetic_0002.png …   12 bits in 16
        folder/labels.csv                  image,<finding>…,split
        folder/masks/<finding>/<stem>.png  1-bit, of the positive cases alone
        folder/README.md                   what this is and how it was made

    All of it appears at once: it is made in a temporary folder beside `folder`, and
    renamed when it is whole.

    Parameters
    ----------
    folder, n
        New or empty; and how many films.
    size
        Rows and columns of a film, or both if they differ.
    seed
        What all that is drawn depends on.
    form
        ``"png"``, ``"dicom"`` or ``"mixed"``: every other film.
    splits
        Share of the films by split.
    depth
        How many of the 12 bits of a pixel carry anything; the lower ones are zero, so
        that files become smaller. 1 to 12.
    processes
        How many films are made at a time; ``None`` takes one process per core for a
        data set worth it.
    progress
        Called with (films done, films in all) after each.

    Returns
    -------
    Path
        `folder`.

    Raises
    ------
    FileExistsError
        If `folder` is there and holds anything.
    ValueError
        If `n` is below 1.
    """
    folder = Path(folder)
    if folder.exists() and any(folder.iterdir()):
        raise FileExistsError(f"{folder} is not empty; give a new folder")
    films = plan(n, seed=seed, form=form, splits=splits)
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        (scratch / "images").mkdir()
        for finding in FINDINGS:
            (scratch / "masks" / finding).mkdir(parents=True)
        _write_films(scratch, films, (size, depth), processes, progress)
        _write_labels(scratch / "labels.csv", films)
        _write_readme(
            scratch / "README.md",
            films,
            f"size={size}, seed={seed}, form={form!r}"
            + (f", depth={depth}" if depth < _DEPTH else ""),
        )
        scratch.chmod(0o755)
        if folder.exists():
            folder.rmdir()
        scratch.rename(folder)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
    return folder


def ensure_demo_dataset(
    folder: Path,
    n: int = 64,
    *,
    seed: int = SAMPLE_SEED,
    depth: int = _DEPTH,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """Make the demo project's films in `folder` unless they are there already.

    Parameters
    ----------
    folder
        Made if need be.
    n
        Number of films, 1 or more.
    seed, depth
        As in `write_dataset`.
    progress
        Called with (films done, films in all) after each; not where they are there.

    Returns
    -------
    Path
        `folder`.

    Raises
    ------
    FileExistsError
        If `folder` holds something else.
    """
    folder = Path(folder)
    labels = folder / "labels.csv"
    if labels.is_file():
        with labels.open(newline="", encoding="utf-8") as stream:
            there = [row["image"] for row in csv.DictReader(stream)]
        if there == [film.image for film in plan(n, seed=seed)]:
            return folder
        raise FileExistsError(
            f"{folder} holds another data set of {len(there)} films; "
            "give a new folder or remove it"
        )
    return write_dataset(folder, n=n, seed=seed, depth=depth, progress=progress)


def _write_films(
    folder: Path,
    films: list[Planned],
    look: Look,
    processes: int | None,
    progress: Callable[[int, int], None],
) -> None:
    if processes is None:
        processes = (os.cpu_count() or 1) if len(films) >= _PARALLEL_FROM else 1
    if processes > 1:
        try:
            _write_films_in_parallel(folder, films, look, processes, progress)
            return
        except BrokenProcessPool:
            # a script without ``if __name__ == "__main__"`` cannot start others
            warnings.warn(
                "could not start further processes; making one film at a time",
                stacklevel=3,
            )
    for done, film in enumerate(films, 1):
        write_film(folder, film, *look)
        progress(done, len(films))


def _write_films_in_parallel(
    folder: Path,
    films: list[Planned],
    look: Look,
    processes: int,
    progress: Callable[[int, int], None],
) -> None:
    # Spawned, not forked: a fork of a process with threads, as napari's is, may hang.
    pool = ProcessPoolExecutor(processes, mp_context=get_context("spawn"))
    try:
        jobs = [pool.submit(write_film, folder, film, *look) for film in films]
        for done, job in enumerate(as_completed(jobs), 1):
            job.result()
            progress(done, len(films))
    finally:
        pool.shutdown(cancel_futures=True)


def write_film(
    folder: Path, film: Planned, size: int | tuple[int, int], depth: int = _DEPTH
) -> None:
    """Make one planned film and write its image and the masks it has.

    Parameters
    ----------
    folder
        Of the data set; has ``images/``, and ``masks/<finding>/`` of each finding.
    film
        One of `plan`.
    size
        Side of a square film, or (rows, columns), in pixels; 64 or more.
    depth
        As in `write_dataset`.
    """
    phantom = generate(film.seed, size=size, findings=film.findings)
    dropped = np.uint16(2 ** (_DEPTH - depth) - 1)
    phantom = replace(phantom, pixels=phantom.pixels & ~dropped)
    path = folder / "images" / film.image
    if path.suffix == ".dcm":
        write_dicom(path, phantom)
    else:
        write_png(path, phantom)
    for finding in film.findings:
        write_mask(
            folder / "masks" / finding / f"{film.stem}.png", phantom.masks[finding]
        )


def _write_labels(path: Path, films: list[Planned]) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["image", *FINDINGS, "split"])
        for film in films:
            cells = [int(name in film.findings) for name in FINDINGS]
            writer.writerow([film.image, *cells, film.split])


def _write_readme(path: Path, films: list[Planned], settings: str) -> None:
    negative = sum(not film.findings for film in films)
    dicom = sum(film.image.endswith(".dcm") for film in films)
    call = f"write_dataset(folder, n={len(films)}, {settings})"
    path.write_text(
        f"""\
# Synthetic chest radiographs

**None of these films shows a person.** They were computed by
`napari_wsseg.phantom`, from a seed, to try the software with. They are not for
clinical use, nor for judging how well a model reads real films.

- {len(films)} films, {negative} of them without a finding; 12 bits in 16;
  {dicom} DICOM (DX), {len(films) - dicom} PNG; "SYNTHETIC" is written into the pixels.
- `labels.csv`: `image`, one column a finding (1 present, 0 absent), `split`.
- `masks/<finding>/<film>.png`: the true mask, where the finding is present. It is
  drawn from the geometry that casts the shadow, not from the picture. The mask of
  cardiomegaly is the heart.
- Made by `napari_wsseg.phantom`:
  `{call}`;
  the same call makes the same films.
- Licence: that of napari-wsseg, BSD-3-Clause.
""",
        encoding="utf-8",
    )
