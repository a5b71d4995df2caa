"""Rounds of reading and training, in copies of a project, by order and seed."""

from __future__ import annotations

import contextlib
import csv
import io
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np

from benchmarks.scripted_reader.offered_films import read_films
from benchmarks.scripted_reader.reading import GOAL, KEYS, TOOLS, Cost, read_film
from napari_wsseg import cli
from napari_wsseg.io.project import Project
from napari_wsseg.ops import masks
from napari_wsseg.pipeline import film_orders
from napari_wsseg.schema import Case

READER = "scripted reader"


@dataclass(frozen=True)
class Row:
    """What one arm cost after a number of films of train were read.

    Parameters
    ----------
    arm
        ``blank``, ``draft`` or ``loop``; the first two are read at 0 films alone.
    films
        Of train, read and learnt from.
    seconds, hands
        Medians of a mask of the split: the model's seconds, and those after the look.
    first, third
        Quartiles of the seconds.
    strokes, keys
        Medians.
    unedited, at_goal
        Shares of masks without a stroke, and of those that reached `reading.GOAL`.
    iou
        Mean IoU of the first draft offered.
    spent
        The model's seconds on films of train so far.
    """

    order: str
    seed: int
    tool: str
    arm: str
    films: int
    masks: int
    seconds: float
    hands: float
    first: float
    third: float
    strokes: float
    keys: float
    unedited: float
    at_goal: float
    iou: float
    spent: float


@dataclass(frozen=True)
class Plan:
    """What all rounds of one order and seed have in common.

    Parameters
    ----------
    project, truth, findings, split
        The project that is copied, where the truth is, and what is read of it.
    most
        Films of the split at most; 0: all.
    settings
        Of the training, as ``key=value``.
    at_once
        Rank films once, by the maps that the project came with; else anew in every
        round, by the maps of the round before.
    teach
        What learns from the films read: ``"chexseg"``, a training from the start, or
        ``"learn"``, ``wsseg learn --once``, which goes on from the segmenter in use.
    """

    project: Path
    truth: Path
    findings: tuple[str, ...]
    split: str
    most: int
    settings: tuple[str, ...]
    tool: str
    order: str
    seed: int
    at_once: bool = False
    teach: str = "chexseg"

    @property
    def label(self) -> str:
        """The order as rows name it, so that one table holds both ways of choosing."""
        order = f"{self.order} at once" if self.at_once else self.order
        return f"{order}, learn" if self.teach == "learn" else order

    def measured(self, folder: Path, arm: str, films: int, spent: float) -> Row:
        """Read the films of the split in an arm, with the runs that are in use."""
        with Project.open(folder) as project:
            cases = project.cases(self.split)[: self.most or None]
            runs = project.runs_in_use()
            read = read_films(project, cases, self.truth, self.findings, runs)
        if not read:
            sys.exit(f"no film of {self.split} has a mask in {self.truth}")
        tool = TOOLS[self.tool]
        costs = [read_film(one, tool, drafts=arm != "blank") for one in read]
        iou = float(np.mean([one.first_iou for one in read]))
        return self.row(arm, films, costs, iou, spent)

    def row(
        self, arm: str, films: int, costs: Sequence[Cost], iou: float, spent: float
    ) -> Row:
        """Return the figures of some masks."""
        seconds = [one.seconds for one in costs]
        first, median, third = np.percentile(seconds, [25, 50, 75])
        return Row(
            *(self.label, self.seed, self.tool, arm, films, len(costs)),
            float(median),
            float(np.median([one.hands for one in costs])),
            *(float(first), float(third)),
            float(np.median([one.strokes for one in costs])),
            float(np.median([one.keys for one in costs])),
            float(np.mean([one.unedited for one in costs])),
            float(np.mean([one.iou >= GOAL for one in costs])),
            *(iou, spent),
        )

    def ranked(self, folder: Path) -> list[str]:
        """Return films of train that nobody has read, by the maps there are now."""
        with Project.open(folder) as project:
            waiting = film_orders.unread(project)
            return film_orders.ranked(
                project, self.order, case_ids=waiting, seed=self.seed
            )

    def read_train(self, folder: Path, films: Sequence[str]) -> float:
        """Read films of train and accept them; return the model's seconds."""
        with Project.open(folder, write=True) as project:
            return sum(self._read_case(project, project.case(one)) for one in films)

    def _read_case(self, project: Project, case: Case) -> float:
        runs, spent = project.runs_in_use(), 0.0
        for finding in self.findings:
            read = read_films(project, [case], self._truth(finding), [finding], runs)
            blank = Cost(keys=KEYS["accept"])
            tool = TOOLS[self.tool]
            cost = read_film(read[0], tool, drafts=True) if read else blank
            small = np.zeros((1, 1), bool) if cost.mask is None else cost.mask
            mask = masks.nearest(small, case.shape)
            project.put_mask(case.id, finding, mask, reader=READER, tool="brush")
            project.work_log.enter(
                *(case.id, finding),
                reader=READER,
                seconds=cost.seconds,
                gestures={},
                arm="loop",
            )
            spent += cost.seconds
        project.decide(case.id, "accept", reader=READER, seconds=spent)
        return spent

    def _truth(self, finding: str) -> Path:
        return self.truth / finding if len(self.findings) > 1 else self.truth

    def train(self, folder: Path) -> None:
        """Train or go on learning, which also computes and uses the new maps.

        In this process, so that torch is loaded once for all rounds.
        """
        settings = [f"seed={self.seed}", *self.settings]
        command = {"chexseg": ["train", "chexseg"], "learn": ["learn", "--once"]}
        arguments = [*command[self.teach], "-p", str(folder), "--json"]
        arguments += ["--set", *settings]
        with contextlib.redirect_stdout(io.StringIO()):
            code = cli.main(arguments)
        if code:
            sys.exit(f"wsseg {' '.join(arguments)}: exit code {code}")


def run(plan: Plan, rounds: Sequence[int], scratch: Path, table: Path) -> None:
    """Read films of train and train again, round after round, in a copy.

    Rows go to `table` as they come; those that it has are not made again.
    """
    done = {
        (one.arm, one.films)
        for one in rows(table)
        if (one.order, one.seed, one.tool) == (plan.label, plan.seed, plan.tool)
    }
    wanted = {("blank", 0), ("draft", 0), *(("loop", number) for number in rounds)}
    if wanted <= done:
        return
    folder = scratch / f"{plan.label}-{plan.seed}-{plan.tool}".replace(" ", "")
    copy_project(plan.project, folder)
    for arm in ("blank", "draft"):
        if (arm, 0) not in done:
            _add(table, plan.measured(folder, arm, 0, 0.0))
    read, spent, ranked = 0, 0.0, list[str]()
    for number in rounds:
        if not (plan.at_once and read):
            ranked = plan.ranked(folder)
        spent += plan.read_train(folder, ranked[: number - read])
        ranked = ranked[number - read :]
        read = number
        plan.train(folder)
        if ("loop", number) not in done:
            _add(table, plan.measured(folder, "loop", number, spent))
    shutil.rmtree(folder)


def copy_project(source: Path, target: Path) -> None:
    """Copy a project, which may know its films by where they lie beside it."""
    with Project.open(source) as project:
        films = project.images
    locks = shutil.ignore_patterns("*lock")
    shutil.copytree(source, target, ignore=locks, copy_function=_copied)
    with contextlib.redirect_stderr(io.StringIO()):
        if code := cli.main(["names", "--images", str(films), "-p", str(target)]):
            sys.exit(f"wsseg names: exit code {code}")


def _copied(source: str, target: str) -> None:
    """Copy a file, or link one that is written anew whenever it changes."""
    with contextlib.suppress(OSError):  # another disk
        if source.endswith((".npz", ".u8", ".safetensors", ".png")):
            os.link(source, target)
            return
    shutil.copy2(source, target)


def rows(table: Path) -> list[Row]:
    """Return the rows of a table, none where there is no such file."""
    if not table.is_file():
        return []
    kinds = {"order": str, "tool": str, "arm": str}
    kinds |= dict.fromkeys(("seed", "films", "masks"), int)
    with table.open(newline="") as file:
        return [
            Row(**{name: kinds.get(name, float)(value) for name, value in one.items()})
            for one in csv.DictReader(file)
        ]


def _add(table: Path, row: Row) -> None:
    new = not table.is_file()
    with table.open("a", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Row)])
        if new:
            writer.writeheader()
        writer.writerow(asdict(row))
