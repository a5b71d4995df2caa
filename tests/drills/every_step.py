"""Fail every step of what a reader or a command does, one after another.

Run by ``test_every_step.py`` with ``failing_disk.so`` loaded before libc, and by hand::

    python tests/drills/every_step.py OPERATION[,…] [FAULT[,…]] [STRIDE] [SECONDS]

Everything is imported once; each try is a fork of that, on a copy of its own, and so is
the process that reads foreign files for it.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import gc
import importlib
import io
import json
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from helpers import noise_project  # noqa: E402
from helpers.noise_project import BLANK, Clock, blob, digest  # noqa: E402
from napari_wsseg import cli  # noqa: E402
from napari_wsseg.datasets import datasets  # noqa: E402
from napari_wsseg.export import formats, importers  # noqa: E402
from napari_wsseg.io import film_names  # noqa: E402
from napari_wsseg.io.guarded import reader as guarded  # noqa: E402
from napari_wsseg.io.guarded import serve as guarded_process  # noqa: E402
from napari_wsseg.io.project import Project  # noqa: E402
from napari_wsseg.io.project_folder import mask_store  # noqa: E402
from napari_wsseg.jobs import Checkpoint, DataError, Progress, WssegError  # noqa: E402
from napari_wsseg.session import Session  # noqa: E402

KILL = -1
FAULTS = {"ENOSPC": errno.ENOSPC, "EIO": errno.EIO, "kill": KILL}

Say = Callable[..., None]
Masks = dict[tuple[str, str], np.ndarray]


class Disk:
    """The shim's switches."""

    def __init__(self) -> None:
        self._so = ctypes.CDLL(None)
        self._so.drill_count.restype = ctypes.c_long

    def arm(self, root: Path, step: int, fault: int) -> None:
        self._so.drill_arm(str(root).encode(), ctypes.c_long(step), fault)

    def room(self) -> None:
        self._so.drill_room()

    def tripped(self) -> bool:
        return bool(self._so.drill_tripped())


@dataclass
class Told:
    """What was told as done, from the lines of a process that may have been killed."""

    masks: dict[str, str] = field(default_factory=dict)
    verdicts: dict[str, str] = field(default_factory=dict)
    begun: dict[str, str] = field(default_factory=dict)
    deciding: dict[str, str] = field(default_factory=dict)
    done: bool = False
    tripped: bool = False
    troubles: list[str] = field(default_factory=list)

    def hear(self, what: str, *rest: str) -> None:
        match what:
            case "begin":
                self.begun[rest[0]] = rest[1]
            case "done":
                self.masks[rest[0]] = rest[1]
                self.begun.pop(rest[0], None)
            case "deciding":
                self.deciding[rest[0]] = rest[1]
            case "decided":
                self.verdicts[rest[0]] = rest[1]
                self.deciding.pop(rest[0], None)
            case "undecided":
                self.deciding.pop(rest[0], None)
            case "end":
                self.done, self.tripped = True, rest[0] == "tripped"
            case _:
                self.troubles.append(" ".join((what, *rest)))


@dataclass(frozen=True)
class Operation:
    """One thing that is done while a step of it fails.

    Parameters
    ----------
    make
        Makes what there is before, in an empty folder.
    act
        Does it, in the folder; tells what is done.
    go_on
        Goes on in the same process, when there is room again.
    look
        Returns what is wrong afterwards, in a process of its own.
    """

    make: Callable[[Path], None]
    act: Callable[[Path, Say], Any]
    go_on: Callable[[Path, Say, Any], None]
    look: Callable[[Path, Told], list[str]]


# A reader's sitting ------------------------------------------------------------------


def make_reading(place: Path) -> None:
    folder = noise_project.make_project(place)
    first, second, third, _ = noise_project.case_ids(folder)
    with Project.open(folder, write=True) as project:
        for case in (first, second):
            project.put_mask(case, "nodule", blob().astype(bool), reader="ann")
        project.decide(third, "flag", reader="ann")
        # What a sitting that was killed left: an open stroke on a saved mask.
        before, after = blob().astype(bool), (blob() | blob(at=50)).astype(bool)
        project.journal.record(second, "nodule", "ann", before, after)


class Reader:
    """Paints and decides, telling of each step what is certain."""

    def __init__(self, place: Path, say: Say) -> None:
        self.say, self.place, self.clock = say, place / "project", Clock()
        self.session = Session(reader="ann", clock=self.clock)
        self.open()

    def open(self) -> None:
        with contextlib.suppress(DataError):
            self.session.open_project(self.place)

    @property
    def can(self) -> bool:
        return self.session.case is not None and not self.session.readonly

    def paint(self, finding: str, flips: np.ndarray) -> None:
        if not self.can:
            return
        session = self.session
        assert session.experts is not None
        assert session.case is not None
        if not session.may_draw(finding):
            self.say("locked", finding, session.experts.unclear.get(finding, ""))
            return
        key = f"{session.case.id} {finding}"
        after = (session.experts.masks[finding] != 0) ^ (flips != 0)
        self.say("begin", key, digest(after))
        session.edit(finding, after.astype(session.experts.masks[finding].dtype))
        self.tell(key, finding)

    def tell(self, key: str, finding: str) -> None:
        experts = self.session.experts
        assert experts is not None
        if finding not in experts.unsaved:
            self.say("done", key, digest(experts.masks[finding]))

    def decide(self, verdict: str) -> None:
        if not self.can:
            return
        session = self.session
        assert session.case is not None
        case = session.case.id
        self.say("deciding", case, verdict)
        before = session.list.decisions.get(case)
        session.decide(verdict)  # type: ignore[arg-type]
        now = session.list.decisions.get(case)
        if now is not None and now is not before:
            self.say("decided", case, verdict)

    def quiet(self) -> None:
        self.clock.now += 30
        for _ in range(3):
            self.session.tick()

    def save_all(self) -> None:
        """There is room: what waited in memory is on disk after a tick."""
        session = self.session
        if not self.can:
            if session.project is not None:
                session.close()
            self.open()
        session.tick()
        if session.experts is None or session.case is None:
            self.say("cannot be opened")
            return
        if session.experts.unsaved:
            self.say("still unsaved", session.problem)
        for finding in session.experts.masks:
            if session.may_draw(finding) and finding in session.experts.annotated:
                self.tell(f"{session.case.id} {finding}", finding)


def act_reading(place: Path, say: Say) -> Reader:
    reader = Reader(place, say)
    session = reader.session
    reader.paint("nodule", blob(at=30))
    reader.paint("nodule", blob(at=60))
    reader.paint("nodule", blob(at=60))  # taken back
    reader.quiet()
    reader.paint("effusion", blob(at=20))
    reader.decide("accept")
    reader.paint("nodule", blob(at=44))
    session.step(1)
    reader.paint("nodule", blob(at=24))
    reader.decide("reject")
    session.step(-1)
    reader.quiet()
    reader.paint("effusion", blob(at=70, size=5))
    return reader


def go_on_reading(place: Path, say: Say, reader: Reader) -> None:
    reader.save_all()
    reader.paint("effusion", blob(at=5, size=4))
    reader.session.step(1)
    reader.paint("effusion", blob(at=5, size=4))
    reader.session.close()


def look_at_reading(place: Path, told: Told) -> list[str]:
    """Compare, paint on everywhere, compare again."""
    folder, wrong = place / "project", []
    first, second, *_ = noise_project.case_ids(folder)
    promised = {
        f"{first} nodule": digest(blob()),
        f"{second} nodule": digest(blob() | blob(at=50)),
        **told.masks,
    }
    session = Session(reader="ann")
    session.open_project(folder)
    if session.readonly or session.experts is None:
        return ["read-only"]
    painted: dict[str, str] = {}
    for case in session.list.order:
        session.go_to(case)
        for finding in session.looking.names:
            key, shown = f"{case} {finding}", session.experts.masks[finding]
            allowed = {promised.get(key), told.begun.get(key)} - {None}
            if key in told.begun and key not in promised:
                allowed.add(BLANK)  # the stroke in hand was cut, and the first
            if allowed and digest(shown) not in allowed:
                wrong.append(f"mask {key}")
            if not session.may_draw(finding):
                wrong.append(f"locked {key}: {session.experts.unclear}")
            after = shown.copy()
            after[0, :3] ^= True
            session.edit(finding, after)
            painted[key] = digest(after)
    session.close()
    with Project.open(folder) as project:
        for key, mask in painted.items():
            case, finding = key.split(" ", 1)
            if digest(project.expert_masks(case)[finding]) != mask:
                wrong.append(f"painted on, not kept: {key}")
        wrong += damage(project)
        if project.journal.pending():
            wrong.append("strokes left open")
        held = {case: d.verdict for case, d in project.decisions().items()}
    for case, verdict in told.verdicts.items():
        if held.get(case) not in (verdict, told.deciding.get(case)):
            wrong.append(f"decision on {case}: {held.get(case)}, not {verdict}")
    return wrong


def damage(project: Project) -> list[str]:
    """Return what fsck finds, but for masks whose row was never told as saved."""
    project.verify_audit()
    return [line for line in project.fsck() if "no row knows" not in line]


# Commands ---------------------------------------------------------------------------


def command(*arguments: str) -> int:
    """Run a command; what it says is dropped, a traceback is not."""
    with (
        contextlib.redirect_stderr(io.StringIO()),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        return cli.main(list(arguments))


def promised(folder: Path) -> dict[str, Any]:
    """Return every mask, decision and film of a project."""
    with Project.open(folder) as project:
        return {
            "masks": {
                f"{case.id} {finding} {reader}": digest(mask)
                for case in project.cases()
                for reader in ("ann", "ben")
                for finding, mask in project.expert_masks(
                    case.id, reader=reader
                ).items()
            },
            "decisions": {c: d.verdict for c, d in project.decisions().items()},
            "films": {
                c.id: float(project.radiograph(c).pixels.sum()) for c in project.cases()
            },
        }


def make_read(place: Path) -> None:
    """Make a project with masks and decisions, and keep aside what it holds."""
    folder = noise_project.make_project(place)
    with Project.open(folder, write=True) as project:
        for number, case in enumerate(project.cases()):
            mask = blob(at=10 + number).astype(bool)
            project.put_mask(case.id, "nodule", mask, reader="ann")
            project.decide(case.id, "accept", reader="ann")
    keep_aside(place)


def keep_aside(place: Path) -> None:
    (place / "promised.json").write_text(json.dumps(promised(place / "project")))


def still_there(place: Path) -> list[str]:
    before = json.loads((place / "promised.json").read_text())
    now = promised(place / "project")
    return [
        f"{kind} {name}: {now[kind].get(name)}, not {value}"
        for kind in before
        for name, value in before[kind].items()
        if now[kind].get(name) != value
    ]


def sound(place: Path) -> list[str]:
    with Project.open(place / "project") as project:
        return damage(project)


def by(*arguments: str) -> Callable[[Path, Say], int]:
    """Return what runs a command in the folder."""

    def act(place: Path, say: Say) -> int:
        code = command(*(word.replace("@", str(place)) for word in arguments))
        if code not in (0, 3, 4):
            say(f"exit code {code}")
        return code

    return act


def no_more(place: Path, say: Say, state: object) -> None:
    """Nothing goes on in the same process."""


def again(
    act: Callable[[Path, Say], int],
    *checks: Callable[[Path], list[str]],
    codes: tuple[int, ...] = (0,),
) -> Callable[[Path, Told], list[str]]:
    """Return what looks at once, runs the command again with room, and looks again."""

    def look(place: Path, told: Told) -> list[str]:
        wrong = still_there(place) if (place / "promised.json").exists() else []
        heard: list[str] = []
        code = act(place, lambda *arguments: heard.append(" ".join(arguments)))
        if code not in codes:
            heard.append(f"again: exit code {code}")
        return wrong + heard + [word for check in checks for word in check(place)]

    return look


def make_films(place: Path) -> None:
    folder = noise_project.make_project(place / "source")
    for n in range(2):
        mask = place / "masks" / "nodule" / f"film{n}.png"
        mask.parent.mkdir(parents=True, exist_ok=True)
        mask.write_bytes(mask_store.encode(blob(at=20 + n).astype(bool)))
    lines = "".join(f"film{n}.png,{n % 2}\n" for n in range(4))
    (place / "labels.csv").write_text("image,nodule\n" + lines)
    shutil.rmtree(folder)


INIT = by(
    *("init", "@/project", "--images", "@/source/films", "--masks", "@/masks"),
    *("--labels", "@/labels.csv", "--names", "hide"),
)


def start_again(place: Path, say: Say) -> int:
    """Run init again, unless it was done to its end."""
    return 0 if (place / "project" / "wsseg.toml").exists() else INIT(place, say)


def whole_project(place: Path) -> list[str]:
    with Project.open(place / "project") as project:
        cases = project.cases()
        drawn = sorted(
            m.sum() for c in cases for m in project.expert_masks(c.id).values()
        )
        for case in cases:
            project.radiograph(case)
    wrong = [] if (len(cases), drawn) == (4, [0, 64, 64]) else [f"{len(cases)} {drawn}"]
    return wrong + one_key(place)


def one_key(place: Path) -> list[str]:
    found = [p.name for p in (place / "keys").iterdir() if p.suffix == ".json"]
    return [] if len(found) == 1 else [f"key files: {found}"]


def make_names(place: Path) -> None:
    make_read(place)
    (place / "keys").mkdir()


def no_name_left(place: Path) -> list[str]:
    files = [p for p in (place / "project").rglob("*") if p.is_file()]
    return [f"{p.name} has a name" for p in files if b"film3.png" in p.read_bytes()]


def make_imported(place: Path) -> None:
    make_read(place)
    for n in range(3):
        path = place / "theirs" / "effusion" / f"film{n}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(mask_store.encode(blob(at=40 + n).astype(bool)))


def imported(place: Path) -> list[str]:
    found = [
        k for k in promised(place / "project")["masks"] if k.endswith("effusion ben")
    ]
    return [] if len(found) == 3 else [f"{len(found)} of 3 imported"]


def make_damaged(place: Path) -> None:
    make_read(place)
    folder = place / "project"
    first, *_ = noise_project.case_ids(folder)
    with Project.open(folder, write=True) as project:
        project.put_mask(first, "nodule", blob(at=70).astype(bool), reader="ann")
        version = project.latest(first, "nodule")
        assert version is not None
        project.journal.record(
            first,
            "nodule",
            "ann",
            blob(at=70).astype(bool),
            blob(at=70).astype(bool) | blob(at=30).astype(bool),
        )
    mask_store.place(folder, first, "nodule", version.mask_sha).write_bytes(b"damaged")
    stranger = folder / "masks" / first / "nodule" / "0123456789ab.png"
    stranger.write_bytes(mask_store.encode(blob(at=3).astype(bool)))
    (place / "promised.json").unlink()


def repaired(place: Path) -> list[str]:
    folder = place / "project"
    first, *_ = noise_project.case_ids(folder)
    with Project.open(folder) as project:
        tools = [v.tool for v in project.history(first, "nodule")]
        newest = project.expert_masks(first)["nodule"]
    kept = [p.name for p in (folder / ".trash").rglob("0123456789ab*")]
    wrong = [] if (newest & (blob(at=30) != 0)).sum() == 64 else ["the stroke is lost"]
    return (
        wrong
        + ([] if kept else ["the stranger is lost"])
        + ([] if "strokes alone" in tools else [f"{tools}"])
    )


def make_waste(place: Path) -> None:
    make_read(place)
    folder = place / "project"
    noise_project.add_stage(folder, run="used")
    noise_project.add_stage(folder, run="earlier")
    noise_project.adopt(folder, run="used")
    (folder / "cache").mkdir(exist_ok=True)
    (folder / "cache" / "films-64-0123abcd.u8").write_bytes(b"x" * 100)


def cleared(place: Path) -> list[str]:
    left = [
        *(place / "project" / "stages" / "cam").glob("earlier"),
        *(place / "project" / "cache").glob("*.u8"),
    ]
    return [str(path) for path in left]


def train(place: Path, say: Say) -> int:
    """Run a recipe of six steps that saves after the third, from where it was."""
    from napari_wsseg.io import runs
    from trainers.engine.run import Run

    before = runs.listing(place / "project")
    resume = before[0].id if before and before[0].state != "done" else None
    try:
        run = Run.prepare("drill", place / "project", None, resume=resume)
        for _ in run:
            pass
        return 0
    except WssegError:
        return 4


def trained(place: Path) -> list[str]:
    from napari_wsseg.io import runs

    done = [info for info in runs.listing(place / "project") if info.state == "done"]
    if not done:
        return ["no run is done"]
    folder = runs.find(place / "project", done[0].id)
    steps = [row["step"] for row in folder.metrics()]
    lines = (folder.path / "metrics.jsonl").read_text().splitlines()
    wrong = [] if steps == list(range(1, 7)) and len(lines) == 6 else [f"steps {steps}"]
    films = list((place / "project" / "cache").glob("films-*.u8"))
    named = [
        json.loads(p.read_text())["array"]
        for p in (place / "project" / "cache").glob("films-*.json")
    ]
    half = [p.name for p in films if p.name not in named]
    return (
        wrong
        + ([] if folder.best.exists() else ["no weights"])
        + [f"half: {p}" for p in half if not _gc_takes(place, p)]
    )


def _gc_takes(place: Path, name: str) -> bool:
    command("gc", "-p", str(place / "project"))
    return not (place / "project" / "cache" / name).exists()


def import_commands() -> None:
    """Import what commands and their readers need, once and not in every fork."""
    for name in cli.COMMANDS:
        importlib.import_module(f"napari_wsseg.cli._{name}")
    for registry in (datasets, formats, importers):
        registry.names()
    for name in ("film_facts", "film_identity", "dicom.dicomdir"):
        importlib.import_module(f"napari_wsseg.io.{name}")
    Image.init()


class ForkedReader:
    """A guarded reading process that is a fork of this one, and starts at once.

    It has what `subprocess.Popen` has and `GuardedReader` uses.
    """

    def __init__(self, limits: Sequence[int | None]) -> None:
        questions, asks = os.pipe()
        hears, answers = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            Disk().room()  # a process of its own counts no steps
            os.dup2(questions, 0)
            os.dup2(answers, 1)
            os.closerange(3, 256)
            sys.stdin = sys.__stdin__ = os.fdopen(0)
            sys.stdout = sys.__stdout__ = os.fdopen(1, "w")  # type: ignore[misc]
            computing, most_bytes = limits
            assert most_bytes is not None
            try:
                guarded_process.serve(computing, most_bytes)
            finally:
                os._exit(0)
        os.close(questions)
        os.close(answers)
        self.stdin, self.stdout = os.fdopen(asks, "wb"), os.fdopen(hears, "rb")
        assert self.stdout.readline().strip() == b"ready"

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> int:
        with contextlib.suppress(ChildProcessError):
            return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return -signal.SIGKILL


def fork_readers() -> None:
    """Let guarded reading processes be forks; tests/io tries the real ones."""
    guarded._started = ForkedReader  # type: ignore[assignment]


def register_recipe() -> None:
    import torch

    from napari_wsseg.io import film_cache
    from trainers.engine.recipe import TrainingConfig, recipe, recipes

    def steps(context: Any, config: TrainingConfig) -> Iterator[Progress | Checkpoint]:
        films = yield from film_cache.films(context.project, 64)
        first = int((context.resume or {}).get("step", 0)) + 1
        for step in range(first, 7):
            weights = {
                "w": torch.full(
                    (4,), float(films.take([context.project.cases()[0].id]).sum())
                )
            }
            yield Progress(step, 6, "step", {"loss": 1 / step})
            if step % 3 == 0:
                yield Checkpoint(
                    HEADER,
                    weights,
                    {"val": 1.0},
                    {"step": step, **weights},
                    best=True,
                )

    recipes.names()  # imports them all, once and not in every fork
    recipe("drill", config=TrainingConfig, stages=(), summary="a drill")(steps)


HEADER = {
    "recipe": "drill",
    "network": "none",
    "findings": ["nodule"],
    "size": 64,
    "normalisation": "film",
}

NAMES = by("names", "-p", "@/project", "--hide")
IMPORT = by("import", "png", "@/theirs", "-p", "@/project", "--reader", "ben")
GC = by("gc", "-p", "@/project")
FSCK = by("fsck", "-p", "@/project", "--repair")
EXPORT = by("export", "png", "-p", "@/project", "-o", "@/out")


def exported(place: Path) -> list[str]:
    found = list((place / "out").rglob("*.png"))
    return [] if len(found) >= 4 else [f"{len(found)} files"]


def export_anew(place: Path, say: Say) -> int:
    shutil.rmtree(place / "out", ignore_errors=True)
    return EXPORT(place, say)


OPERATIONS = {
    "reading": Operation(make_reading, act_reading, go_on_reading, look_at_reading),
    "init": Operation(
        make_films, INIT, no_more, again(start_again, whole_project, sound)
    ),
    "import": Operation(make_imported, IMPORT, no_more, again(IMPORT, imported, sound)),
    "names --hide": Operation(
        make_names,
        NAMES,
        no_more,
        again(NAMES, still_there, no_name_left, one_key, sound),
    ),
    "fsck --repair": Operation(
        make_damaged, FSCK, no_more, again(FSCK, repaired, sound)
    ),
    "gc": Operation(make_waste, GC, no_more, again(GC, cleared, still_there, sound)),
    "export": Operation(
        make_read, EXPORT, no_more, again(export_anew, exported, still_there, sound)
    ),
    "train": Operation(
        make_read, train, no_more, again(train, trained, still_there, sound)
    ),
}


# Trying -----------------------------------------------------------------------------


def forked(work: Callable[[Say], None]) -> tuple[list[list[str]], int]:
    """Return what a process of its own says, and how it ended."""
    ear, mouth = os.pipe()
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        os.close(ear)
        code = 1
        try:
            work(
                lambda *arguments: os.write(
                    mouth, json.dumps(arguments).encode() + b"\n"
                )
            )
            code = 0
        except BaseException:
            arguments = traceback.format_exc()[-1500:]
            os.write(mouth, json.dumps(["traceback", arguments]).encode() + b"\n")
        finally:
            os._exit(code)
    os.close(mouth)
    with os.fdopen(ear, "rb") as lines:
        said = [json.loads(line) for line in lines]
    _, status = os.waitpid(child, 0)
    return said, status


def one_try(
    base: Path, place: Path, operation: Operation, step: int, fault: int
) -> tuple[bool, list[str]]:
    """Return whether the step was reached, and what was wrong afterwards."""
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(base, place)
    os.environ[film_names.VARIABLE] = str(place / "keys")

    def act(say: Say) -> None:
        disk = Disk()
        disk.arm(place, step, fault)
        state = operation.act(place, say)
        tripped = disk.tripped()
        disk.room()
        operation.go_on(place, say, state)
        say("end", "tripped" if tripped else "passed")

    said, status = forked(act)
    told = Told()
    for line in said:
        told.hear(*line)
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    if not told.done and not (killed and fault == KILL):
        told.troubles.append(f"ended with {status}")

    def look(say: Say) -> None:
        for line in operation.look(place, told):
            say(line)

    heard, _ = forked(look)
    wrong = told.troubles + [" ".join(line) for line in heard]
    return told.tripped or killed, wrong


def drill(name: str, fault: str, stride: int, deadline: float) -> dict[str, Any]:
    """Fail every `stride`-th step of an operation one way until the run passes."""
    operation, began = OPERATIONS[name], time.monotonic()
    lost: list[str] = []
    with tempfile.TemporaryDirectory(
        dir="/dev/shm" if Path("/dev/shm").is_dir() else None
    ) as room:
        base, place = Path(room) / "base", Path(room) / "try"
        base.mkdir()
        # Films lie beside the project, by a relative path: a copy finds its own.
        os.environ[film_names.VARIABLE] = str(base / "keys")
        said, status = forked(lambda say: operation.make(base))
        if status:
            raise SystemExit(f"{name}: {said}")
        step, tries, passed = 1, 0, False
        while not passed and time.monotonic() < deadline:
            reached, wrong = one_try(base, place, operation, step, FAULTS[fault])
            lost += [f"{fault} at {step}: {line}" for line in wrong]
            passed = not reached
            tries += reached
            step += stride
    return {
        "operation": name,
        "fault": fault,
        "tries": tries,
        "passed": passed,
        "lost": lost,
        "seconds": round(time.monotonic() - began, 1),
    }


def main() -> None:
    names = sys.argv[1].split(",") if len(sys.argv) > 1 else list(OPERATIONS)
    faults = sys.argv[2].split(",") if len(sys.argv) > 2 else list(FAULTS)
    stride = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    seconds = float(sys.argv[4]) if len(sys.argv) > 4 else 1e9
    import_commands()
    fork_readers()
    if "train" in names:
        register_recipe()
    gc.freeze()  # or each fork copies what its collections look at
    for name in names:
        for fault in faults:
            share = time.monotonic() + seconds / len(names) / len(faults)
            sys.stdout.write(json.dumps(drill(name, fault, stride, share)) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
