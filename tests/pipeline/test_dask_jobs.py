"""Maps by Dask's workers, by processes, by a job array and by one job are the same."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import psutil
import pytest

from helpers import noise_project, training
from napari_wsseg import cli, jobs
from napari_wsseg.io import stages
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import JobFailed, UsageError
from napari_wsseg.pipeline import dask_client, dask_jobs
from napari_wsseg.pipeline.infer import Shard, infer

STAGES = ("cam", "crf")


def hashes(place: Path, run: str) -> dict[str, str]:
    """Return a hash of all arrays of each film and stage."""
    found = {}
    for stage in STAGES:
        for case_id in sorted(stages.cases_with_maps(place, stage, run)):
            maps = stages.read(place, stage, run, case_id)
            assert maps is not None
            digest = hashlib.sha256()
            for name, array in (
                ("score", maps.score),
                ("present", maps.present),
                *sorted(maps.extra.items()),
            ):
                digest.update(f"{name} {array.shape} {array.dtype}".encode())
                digest.update(np.ascontiguousarray(array).tobytes())
            found[f"{stage} {case_id}"] = digest.hexdigest()
    return found


@pytest.mark.parametrize("address", ["local", "local:0", "local:x", "4", "host:8786"])
def test_an_address_that_is_none_is_refused(
    tmp_path: Path, address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    place = noise_project.make_project(tmp_path)
    arguments = ["infer", "cam", "-p", str(place), "--dask", address]
    assert cli.main(arguments) == 2
    assert "local:4" in capsys.readouterr().err


def test_without_dask_the_command_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UsageError, match=r"napari-wsseg\[dask\]"):
        dask_client.check("local:2")


def test_a_plan_is_read_as_the_index_is_and_never_written(tmp_path: Path) -> None:
    place, plan = noise_project.make_project(tmp_path), tmp_path / "plan.sqlite"
    with Project.open(place) as project:
        project.write_plan(plan)
        wanted = project.cases()
    plan.chmod(0o400)
    with Project.open(place, plan=plan) as project:
        assert project.readonly
        assert project.cases() == wanted
        assert project.search(["film"]) == {case.id for case in wanted}
    assert sorted(one.name for one in tmp_path.glob("plan*")) == ["plan.sqlite"]


@pytest.fixture(scope="module")
def serial(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, Any]:
    """Return a project of 40 films without maps, its classifier's run, and the hashes
    that one job's maps have."""
    folder = tmp_path_factory.mktemp("dask")
    place = noise_project.make_project(folder, cases=40)
    run = training.train(
        place, "classifier", size=64, epochs=1, batch=4, device="cpu", weights=""
    ).folder.id
    shutil.rmtree(place / "stages", ignore_errors=True)
    bare = shutil.copytree(place, folder / "bare")
    with Project.open(place) as project:
        jobs.finish(infer(project, "crf", run, device="cpu"))
    return bare, run, (hashes(place, run), stages.read_settings(place, "crf", run))


def copied(serial: tuple[Path, str, Any]) -> Path:
    """Return a copy of the project without maps, which finds the films as it does."""
    target = serial[0].with_name(f"copy-{uuid4().hex[:8]}")
    return Path(shutil.copytree(serial[0], target))


def compute_all(place: Path, run: str) -> None:
    with Project.open(place) as project:
        jobs.finish(infer(project, "crf", run, device="cpu"))


@pytest.mark.slow
def test_every_way_gives_the_same_hash_of_every_film(
    serial: tuple[Path, str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    _, run, (wanted, settings) = serial
    assert len(wanted) == 2 * 40
    for way in ("array", "pool", "dask"):
        place = copied(serial)
        arguments = ["infer", "crf", "-p", str(place), "--run", run]
        if way == "array":
            with Project.open(place) as project:
                for number in (3, 1, 2):
                    jobs.finish(infer(project, "crf", run, shard=Shard(number, 3)))
            compute_all(place, run)
        elif way == "pool":
            assert cli.main([*arguments, "--processes", "2"]) == 0
        else:
            assert cli.main([*arguments, "--dask", "local:2"]) == 0
            assert not list((place / "cache").glob("plan-*"))
        assert hashes(place, run) == wanted, way
        assert stages.read_settings(place, "crf", run) == settings


@pytest.mark.slow
@pytest.mark.parametrize("packed", [False, True])
def test_workers_killed_at_any_time_leave_the_result_of_one_job(
    serial: tuple[Path, str, Any],
    monkeypatch: pytest.MonkeyPatch,
    packed: bool,
) -> None:
    """Two workers, one of which is killed again and again, each time at random."""
    from distributed import Client, LocalCluster

    _, run, (wanted, settings) = serial
    monkeypatch.setattr(dask_jobs, "FILMS", 8)
    place, chance, killed = copied(serial), random.Random(packed), []
    stop = threading.Event()
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as c,
        Client(c) as client,
    ):

        def kill() -> None:
            while not stop.wait(chance.uniform(1.0, 6.0)) and len(killed) < 4:
                nanny = chance.choice(list(c.workers.values()))
                pid = nanny.pid
                if pid:
                    os.kill(pid, signal.SIGKILL)
                    killed.append(pid)

        killer = threading.Thread(target=kill)
        killer.start()
        try:
            with Project.open(place) as project:
                shares = dask_jobs.share_out(
                    *(project, "crf", run, client.scheduler.address),
                    cancel=threading.Event(),
                    device="cpu",
                    packed=packed,
                )
                jobs.finish(shares)
        finally:
            stop.set()
            killer.join()
    assert killed, "no worker was killed; the test shows nothing"
    with Project.open(place) as project:
        assert stages.cases_with_maps(place, "crf", run) == set(project.case_ids())
        jobs.finish(infer(project, "crf", run, device="cpu", packed=packed))
    if packed:
        assert not list(stages.folder(place, "crf", run).glob("*.npz"))
        one = copied(serial)
        with Project.open(one) as project:
            jobs.finish(infer(project, "crf", run, device="cpu", packed=True))
        assert hashes(place, run) == hashes(one, run)
    else:
        assert hashes(place, run) == wanted
        assert stages.read_settings(place, "crf", run) == settings


def heirs(pid: int) -> list[psutil.Process]:
    """Return the processes under one, but for those that only watch semaphores."""
    try:
        found = psutil.Process(pid).children(recursive=True)
        return [one for one in found if "resource_tracker" not in str(one.cmdline())]
    except psutil.Error:
        return []


@pytest.mark.slow
@pytest.mark.parametrize("way", [["--processes", "2"], ["--dask", "local:2"]])
def test_workers_end_by_themselves_when_who_asked_is_killed(
    serial: tuple[Path, str, Any], monkeypatch: pytest.MonkeyPatch, way: list[str]
) -> None:
    """Killed at once, in the middle, near the end; then the same command goes on."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    _, run, (wanted, settings) = serial
    place = copied(serial)
    arguments = ["infer", "crf", "-p", str(place), "--run", run, *way]
    command = [sys.executable, "-m", "napari_wsseg.cli", *arguments]
    reached = []
    for films in (0, 1, 24):
        asked = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        under: set[psutil.Process] = set()
        until = time.monotonic() + 240
        while time.monotonic() < until and asked.poll() is None:
            under.update(heirs(asked.pid))
            seen = len(stages.cases_with_maps(place, "crf", run))
            if len(under) >= 2 and seen >= films:
                break
            time.sleep(0.02)
        asked.kill()
        asked.wait()
        reached.append(len(stages.cases_with_maps(place, "crf", run)))
        _, alive = psutil.wait_procs(under, timeout=120)
        assert not alive, f"still there after the {films} films: {alive}"
        assert stages.read_settings(place, "crf", run) is None, "it is not complete"
        there = hashes(place, run)
        assert there == {name: wanted[name] for name in there}, "nothing is half made"
    assert 0 < reached[-1] < 40, "it was killed in the middle"
    assert cli.main(arguments) == 0
    assert hashes(place, run) == wanted
    assert stages.read_settings(place, "crf", run) == settings
    for plan in (place / "cache").glob("plan-*"):
        os.utime(plan, (0, 0))  # gc leaves alone what a job may be reading
    assert cli.main(["gc", "-p", str(place)]) == 0
    assert not list((place / "cache").glob("plan-*"))


@pytest.mark.slow
def test_a_stop_and_a_missing_scheduler_end_well(
    serial: tuple[Path, str, Any],
) -> None:
    place, run = copied(serial), serial[1]
    cancel = threading.Event()
    with Project.open(place) as project:
        job = dask_jobs.share_out(
            project, "cam", run, "local:1", cancel=cancel, device="cpu"
        )
        began = time.monotonic()
        for _ in job:
            cancel.set()
        assert time.monotonic() - began < 120
        with pytest.raises(JobFailed, match="no Dask scheduler"):
            jobs.finish(
                dask_jobs.share_out(
                    *(project, "cam", run, "tcp://127.0.0.1:9"),
                    cancel=threading.Event(),
                )
            )
    assert not list((place / "cache").glob("plan-*"))
    compute_all(place, run)
    assert len(hashes(place, run)) == 80
