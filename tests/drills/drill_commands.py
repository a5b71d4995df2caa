"""Commands of which every step fails once: what there is before, and what after."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from drill_operation import Say, Told, damage

from helpers import noise_project
from helpers.noise_project import blob, digest
from napari_wsseg import cli
from napari_wsseg.io.project import Project
from napari_wsseg.io.project_folder import mask_store
from napari_wsseg.jobs import WssegError


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

    def look(place: Path, reported: Told) -> list[str]:
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
