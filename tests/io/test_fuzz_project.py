"""A project's own files with values of any kind: a message, never a traceback.

``WSSEG_FUZZ_SECONDS`` says how long the slow variant goes on (an hour unless said
otherwise); each failure names its seed, which ``WSSEG_FUZZ_SEED``
repeats.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w

from helpers.fuzz_limits import most_memory
from helpers.small_project import SHAPE, blot, grey, write_png
from napari_wsseg import cli
from napari_wsseg.io import atomic, images, runs, stages
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import WssegError
from napari_wsseg.schema import Case, StageMaps, StageSettings
from napari_wsseg.session import Session

RUN = "classifier-20261121-000000-aaaa"

MOST_SECONDS = 30.0
MOST_BYTES = 2**30

ODD: list[Any] = [
    *(None, True, False, 0, -1, 1, 2**31, 2**63 - 1, -(2**63), 10**30),
    *(0.5, -0.0, 1e308, float("inf"), float("-inf"), float("nan")),
    *(
        "",
        " ",
        "x",
        "abc",
        "../../x",
        "/etc/passwd",
        "a" * 10_000,
        "\0",
        "\n",
        "\ud800",
    ),
    *("1e999", "=1+1", "<script>", "2026-13-45T99:99", "ü" * 300, "CON", "nodule"),
    *([], [1], [[]], {}, {"a": 1}, [None], ["x"], {"": {}}, [[1, 2], "3"]),
]
CELLS: list[Any] = [
    *(0, -1, 1, 2**31, 2**63 - 1, -(2**63), 0.5, 1e308, float("inf")),
    *("", "x", "../../x", "\0", "\n", "[1]", "{}", '{"nodule": []}', "1e999", "abc"),
    *(
        "a" * 5000,
        "2026-13-45T99:99",
        b"",
        b"\xff\xfe",
        b"x" * 4000,
        "accepted",
        "train",
    ),
]


def _make(place: Path) -> Path:
    """Make a project with one of everything that it may hold."""
    write_png(place / "images" / "film.png", grey(1))
    write_png(place / "images" / "other.png", grey(2))
    folder = place / "project"
    names = ["nodule", "effusion"]
    with Project.create(folder, findings=names, images=place / "images") as project:
        for name, split in (("film.png", "test"), ("other.png", "train")):
            uid = images.read(place / "images" / name).uid[:16]
            project.add_case(
                Case(uid, name, SHAPE, (0.2, 0.1), split, {"nodule": 1})  # type: ignore[arg-type]
            )
        case, other = (one.id for one in project.cases())
        first = project.put_mask(case, "nodule", blot(), reader="ann")
        project.put_mask(case, "nodule", blot(height=9), reader="bob", parent=first.id)
        project.put_mask(other, "effusion", blot(), reader="ann", source_run=RUN)
        project.journal.record(case, "effusion", "ann", ~blot() & blot(), blot())
        project.decide(case, "accept", reader="ann", seconds=2.5, confidence=3)
        project.decide(case, "reject", reader="bob", finding="nodule", comment="?")
        project.readers.settle(case, "nodule", first, actor="cid")
        project.readers.see(case, "ann")
        project.adopt("cam", RUN, actor="ann")
        project.withdraw(first, actor="ann", reason="small")
        project.put_void(case, blot())
        project.add_reader("ann")
        _add_run(project, case)
    return folder


def _add_run(project: Project, case: str) -> None:
    run = runs.RunFolder(project.folder / "runs" / RUN)
    settings = {"arch": "resnet18", "epochs": 1, "size": 64}
    config = {"recipe": "classifier", "created": "2026-11-21T00:00:00+00:00"}
    config |= {"findings": ["nodule", "effusion"], "settings": settings, "notes": {}}  # type: ignore[dict-item]
    atomic.write_json(run.path / "config.json", config)
    run.begin()
    run.log_metrics({"step": 1, "total": 2, "loss": 0.5})
    run.end("done", metrics={"val_auroc": 0.8}, seconds=3.0, message="fine")
    scores = {"pos_iou": 0.5, "interval": {"pos_iou": [0.4, 0.6]}}
    run.keep_evaluation("val", {"n_with_expert_masks": 1, "stages": {"cam": scores}})
    lock = [{"case": case, "source": "expert"}]
    atomic.write_json(run.path / "data.lock.json", lock)
    maps = StageMaps(np.full((2, 8, 8), 0.6, np.float32), np.ones(2, np.float32), {})
    stages.write(project.folder, "cam", RUN, case, maps)
    how = StageSettings(("nodule", "effusion"), (0.5, 0.5), (0.5, 0.5))
    stages.write_settings(project.folder, "cam", RUN, how)
    index = {"array": "films-64-0123abcd.u8", "shape": [1, 8, 8], "cases": [case]}
    atomic.write_json(project.folder / "cache" / "films-64.json", index)
    summary = {"mean": 0.5, "spread": None, "n": 1}
    scores = dict.fromkeys(
        ("pos_iou", "all_iou", "pooled_miou", "dice", "emptiness"), summary
    )
    row = {"value": 0.5, "split": "test", "finding": "nodule", "trials": 1, **scores}
    cell = {"value": 0.5, "trial": 0, "seed": 1, "run": RUN}
    state = {"schema": 1, "recipe": "chexseg", "key": "p", "settings": {"epochs": 1}}
    state |= {"values": [0.5], "planned": [0.5], "trials": 1, "splits": ["test"]}
    state |= {"truth": "abc", "cells": [cell], "summary": [row]}
    atomic.write_json(project.folder / "sweeps" / "one" / "sweep.json", state)


def _nodes(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield place
    if isinstance(value, dict):
        for name, one in value.items():
            yield from _nodes(one, (*place, name))
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from _nodes(one, (*place, number))


def _replaced(value: Any, place: tuple[Any, ...], odd: Any) -> Any:
    if not place:
        return odd
    holder = value
    for step in place[:-1]:
        holder = holder[step]
    holder[place[-1]] = odd
    return value


def _mutate_text(path: Path, random_: random.Random) -> str:
    data = bytearray(path.read_bytes())
    where = random_.randrange(max(1, len(data)))
    kind = random_.choice(["cut", "flip", "put", "empty"])
    if kind == "cut":
        del data[where:]
    elif kind == "flip" and data:
        data[where] ^= 1 << random_.randrange(8)
    elif kind == "put":
        data[where:where] = random_.choice([b"\xff", b"NaN", b"1e999", b"[" * 5000])
    else:
        data.clear()
    path.write_bytes(data)
    return f"{path.name}: {kind} at {where}"


def _mutate_json(path: Path, random_: random.Random) -> str:
    value = json.loads(path.read_text("utf-8"))
    place = random_.choice(list(_nodes(value)))
    odd = random_.choice(ODD)
    if place and random_.random() < 0.15:
        holder = value
        for step in place[:-1]:
            holder = holder[step]
        del holder[place[-1]]
        odd = "deleted"
    else:
        value = _replaced(value, place, odd)
    path.write_text(json.dumps(value).replace("Infinity", "1e999"), "utf-8")
    return f"{path.name}: {place} is {str(odd)[:40]!a}"


def _mutate_toml(path: Path, random_: random.Random) -> str:
    value = tomllib.loads(path.read_text("utf-8"))
    place = random_.choice(list(_nodes(value))[1:])
    odd = random_.choice([one for one in ODD if one is not None and one != "\ud800"])
    try:
        text = tomli_w.dumps(_replaced(value, place, odd))
    except (TypeError, ValueError):
        return "nothing"
    path.write_text(text, "utf-8")
    return f"{path.name}: {place} is {str(odd)[:40]!a}"


def _mutate_index(path: Path, random_: random.Random) -> str:
    with closing(sqlite3.connect(path, isolation_level=None)) as index:
        index.execute("PRAGMA foreign_keys = OFF")
        index.execute("PRAGMA ignore_check_constraints = ON")
        triggers = index.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
        ).fetchall()
        for name, _ in triggers:
            index.execute(f"DROP TRIGGER {name}")
        tables = [
            row[0]
            for row in index.execute(
                "SELECT name FROM sqlite_master WHERE type='table'"
            )
        ]
        table = random_.choice(tables)
        columns = [row[1] for row in index.execute(f"PRAGMA table_info({table})")]
        column, odd = random_.choice(columns), random_.choice(CELLS)
        try:
            index.execute(f"UPDATE {table} SET {column} = ?", (odd,))
        except (sqlite3.IntegrityError, sqlite3.OperationalError):
            return "nothing"
        finally:
            for _, sql in triggers:
                index.execute(sql)
    return f"{table}.{column} is {str(odd)[:40]!a}"


def _mutate_pages(path: Path, random_: random.Random) -> str:
    data = bytearray(path.read_bytes())
    for _ in range(random_.randrange(1, 40)):
        data[random_.randrange(len(data))] = random_.randrange(256)
    path.write_bytes(data)
    return "index.sqlite: bytes"


def mutate(folder: Path, random_: random.Random) -> str:
    """Change one thing in a project; return what."""
    texts = [p for p in sorted(folder.rglob("*.json")) if p.name[0] != "."]
    kinds: list[tuple[Callable[[Path, random.Random], str], list[Path]]] = [
        (_mutate_json, texts),
        (_mutate_json, texts),
        (_mutate_text, [*texts, *folder.rglob("*.jsonl"), folder / "wsseg.toml"]),
        (_mutate_text, [*folder.rglob("*.npz"), *folder.rglob("*.png")]),
        (_mutate_toml, [folder / "wsseg.toml"]),
        (_mutate_index, [folder / "index.sqlite"]),
        (_mutate_index, [folder / "index.sqlite"]),
        (_mutate_index, [folder / "index.sqlite"]),
        (_mutate_pages, [folder / "index.sqlite"]),
    ]
    how, paths = random_.choice(kinds)
    return how(random_.choice(sorted(paths)), random_)


def _read_in_a_session(folder: Path) -> None:
    """Open it as the window does, and turn through its films."""
    session = Session(reader="ann")
    try:
        session.open_project(folder)
        for case in session.project.cases() if session.project else ():
            session.go_to(case.id)
    finally:
        session.close()


def _list(folder: Path) -> None:
    for info in runs.listing(folder):
        list(runs.RunFolder(folder / "runs" / info.id).metrics())
    with Project.open(folder) as project:
        for case in project.cases():
            for finding in project.findings:
                project.history(case.id, finding.name)
            project.expert_annotations(case.id)
            stages.read(folder, "cam", RUN, case.id)
        project.decisions()
        project.readers.settled()
        project.readers.seen("ann")


COMMANDS = [
    ["audit", "verify"],
    ["agreement"],
    ["evaluate"],
    ["export", "csv", "--out", "{out}"],
    ["export", "coco", "--out", "{out}"],
    ["export", "png", "--out", "{out}"],
    ["fsck"],
    ["fsck", "--repair"],
    ["gc", "--dry-run"],
    ["names"],
    ["report", "--out", "{out}/report.html"],
]


def exercise(folder: Path, random_: random.Random, how_many: int) -> None:
    """Run some of the commands; whatever is no message of ours is raised."""
    for command in random_.sample(COMMANDS, how_many):
        arguments = [word.format(out=folder.parent / "out") for word in command]
        code = cli.main([*arguments, "-p", str(folder)])
        assert code in (0, 2, 3, 4), (command, code)
    for act in (_list, _read_in_a_session):
        with suppress(WssegError):
            act(folder)


def _round(template: Path, place: Path, seed: int, how_many: int) -> None:
    random_ = random.Random(seed)
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(template, place)
    what = mutate(place / "project", random_)
    began = time.process_time()
    try:
        exercise(place / "project", random_, how_many)
    except Exception as error:
        raise AssertionError(f"seed {seed}: {what}: {error!r}") from error
    assert time.process_time() - began < MOST_SECONDS, f"seed {seed}: {what}"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("template")
    _make(place)
    return place


def test_the_project_is_read_by_every_command_before_it_is_mutated(
    template: Path, tmp_path: Path
) -> None:
    shutil.copytree(template, tmp_path / "copy")
    folder = tmp_path / "copy" / "project"
    for command in COMMANDS:
        arguments = [word.format(out=tmp_path / "out") for word in command]
        assert cli.main([*arguments, "-p", str(folder)]) == 0, command
    _list(folder)
    _read_in_a_session(folder)


@pytest.mark.parametrize("repair", [[], ["--repair"]])
def test_strokes_of_a_film_that_is_not_there_are_told_and_stay(
    template: Path,
    tmp_path: Path,
    repair: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(template, tmp_path / "copy")
    folder = tmp_path / "copy" / "project"
    with closing(sqlite3.connect(folder / "index.sqlite")) as index, index:
        index.execute("UPDATE strokes SET case_id = 'x'")
    assert cli.main(["fsck", *repair, "-p", str(folder)]) == 3
    output = capsys.readouterr()
    assert "of film x, which the index does not have" in output.out + output.err
    with closing(sqlite3.connect(folder / "index.sqlite")) as index:
        assert index.execute("SELECT count(*) FROM strokes").fetchone() == (1,)


@pytest.mark.parametrize("seed", range(8))
def test_no_mutation_of_a_projects_files_raises(
    template: Path, tmp_path: Path, seed: int
) -> None:
    _round(template, tmp_path / "copy", seed, 3)


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_no_mutation_raises_for_an_hour(template: Path, tmp_path: Path) -> None:
    seed = int(os.environ.get("WSSEG_FUZZ_SEED", time.time_ns() % 2**32))
    until = time.monotonic() + float(os.environ.get("WSSEG_FUZZ_SECONDS", "3600"))
    first, bad = seed, []
    while time.monotonic() < until:
        try:
            _round(template, tmp_path / "copy", seed, 4)
        except AssertionError as error:
            bad.append(str(error))
            sys.stdout.write(f"{error}\n")
            sys.stdout.flush()
        seed += 1
    held = most_memory()
    sys.stdout.write(f"{seed - first} changed projects, {held / 2**20:.0f} MiB\n")
    assert held < MOST_BYTES
    assert bad == [], f"seeds {first} to {seed - 1}"
