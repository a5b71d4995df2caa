"""Films that several processes look at give what one process finds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from helpers import film_tasks, noise_project, training_project
from napari_wsseg import jobs
from napari_wsseg.cli import main
from napari_wsseg.io import stages
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError, JobFailed, UsageError
from napari_wsseg.pipeline import film_workers
from napari_wsseg.pipeline.film_workers import HERE, Workers, over_films
from napari_wsseg.schema import StageSettings

FILMS = 11


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project with maps of two stages, and masks that differ from them."""
    folder = tmp_path_factory.mktemp("workers")
    place = noise_project.make_project(folder, cases=FILMS)
    run = training_project.make_run(place, "classifier", "done")
    for stage, value in (("cam", 0.9), ("crf", 0.6)):
        noise_project.add_stage(place, stage, run, value=value)
        halves = StageSettings(noise_project.FINDINGS, (0.5, 0.5), (0.5, 0.5))
        stages.write_settings(place, stage, run, halves)
        noise_project.adopt(place, stage, run)
    with Project.open(place, write=True) as project:
        for number, case in enumerate(project.cases()):
            mask = np.zeros(case.shape, bool)
            mask[: 8 * number, 4 : 30 + number] = number % 4 != 3
            name = noise_project.FINDINGS[number % 2]
            project.put_mask(case.id, name, mask, reader="ann")
    return place


@pytest.fixture(autouse=True)
def _small_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(film_workers, "FILMS", 3)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def test_a_pool_answers_in_the_order_of_the_films_and_raises_what_was_raised(
    place: Path,
) -> None:
    pool = Workers(processes=2)
    with Project.open(place) as project:
        cases = project.cases()
        answers = {
            who: jobs.finish(
                over_films(
                    who, film_tasks.path_and_process, project, cases, "looking", "!"
                )
            )
            for who in (HERE, pool)
        }
        paths = [f"{case.path}!" for case in cases]
        assert [path for path, _ in answers[pool]] == paths
        assert answers[HERE] == [(path, os.getpid()) for path in paths]
        assert os.getpid() not in {process for _, process in answers[pool]}
        with pytest.raises(DataError, match=r"film7.png: torn"):
            jobs.finish(
                over_films(pool, film_tasks.refuses, project, cases, "looking", 7)
            )
        with pytest.raises(JobFailed, match="ended from outside"):
            jobs.finish(over_films(pool, film_tasks.dies, project, cases, "looking"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--processes", "0"], "there must be one"),
        (["--processes", "2", "--dask", "local:2"], "goes without --processes"),
        (["--dask", "here"], "local:4"),
    ],
)
def test_workers_that_cannot_be_are_refused(
    place: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", "-p", str(place), "--split", "all", *arguments]) == 2
    assert message in capsys.readouterr().err
    with pytest.raises(UsageError):
        Workers(processes=-1)


@pytest.mark.slow
def test_figures_and_pages_are_the_same_whoever_looked(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found, pages = [], []
    for way in ([], ["--processes", "2"], ["--dask", "local:2"]):
        arguments = ["-p", str(place), "--split", "all", *way]
        assert main(["evaluate", *arguments, "--json", "--draws", "50"]) == 0
        found.append(json.loads(capsys.readouterr().out.splitlines()[-1]))
        out = tmp_path / str(len(pages))
        assert main(["report", *arguments, "-o", str(out)]) == 0
        pages.append((out / "index.html").read_text())
    assert found[0] == found[1] == found[2]
    assert found[0]["n_with_expert_masks"] == FILMS
    assert 0 < found[0]["stages"]["cam"]["pos_iou"] < 1
    assert _without_time(pages[0]) == _without_time(pages[1]) == _without_time(pages[2])
    assert not list((place / "cache").glob("plan-*"))


def _without_time(page: str) -> list[str]:
    return [line for line in page.splitlines() if "2026-" not in line]


@pytest.mark.slow
def test_a_pool_ends_with_the_process_that_asked(place: Path, tmp_path: Path) -> None:
    script = (
        "from pathlib import Path\n"
        "from helpers import film_tasks\n"
        "from napari_wsseg import jobs\n"
        "from napari_wsseg.io.project import Project\n"
        "from napari_wsseg.pipeline import film_workers as f\n"
        "if __name__ == '__main__':\n"
        "    f.FILMS = 3\n"
        f"    with Project.open(Path({str(place)!r})) as p:\n"
        "        jobs.finish(f.over_films(f.Workers(processes=2), film_tasks.waits, p,"
        f" p.cases(), 'x', {str(tmp_path)!r}))\n"
    )
    path = tmp_path / "asks.py"
    path.write_text(script)
    tests = str(Path(film_tasks.__file__).parents[1])
    where = os.pathsep.join([tests, *sys.path])
    asked = subprocess.Popen(
        [sys.executable, str(path)], env={**os.environ, "PYTHONPATH": where}
    )
    until = time.monotonic() + 120
    while time.monotonic() < until and asked.poll() is None:
        begun = [one.name for one in tmp_path.iterdir() if one.name.isdecimal()]
        if len(begun) == 2:
            break
        time.sleep(0.05)
    workers = [psutil.Process(int(pid)) for pid in begun]
    asked.kill()
    asked.wait()
    _, alive = psutil.wait_procs(workers, timeout=30)
    assert len(workers) == 2
    assert not alive
