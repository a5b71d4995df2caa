"""Run folders, stage maps, weights and the cache of films, on disk."""

from __future__ import annotations

import errno
import json
import os
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_wsseg.io import atomic, checkpoints, film_cache, runs, stages
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import Checkpoint, DataError, finish
from napari_wsseg.schema import Case, Radiograph, StageMaps, StageSettings


def test_stage_maps_come_back_as_they_were_kept(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    maps = StageMaps(
        score=rng.random((3, 17, 17), np.float32),
        present=rng.random(3, np.float32),
        extra={"seed": rng.integers(0, 2, (3, 8, 8), np.uint8)},
    )
    stages.write(tmp_path, "crf", "run-1", "abc", maps)
    back = stages.read(tmp_path, "crf", "run-1", "abc")
    assert back is not None
    np.testing.assert_allclose(back.score, maps.score, atol=5e-4)
    np.testing.assert_array_equal(back.present, maps.present)
    np.testing.assert_array_equal(back.extra["seed"], maps.extra["seed"])
    assert stages.cases_with_maps(tmp_path, "crf", "run-1") == {"abc"}
    assert stages.read(tmp_path, "crf", "run-1", "other") is None


def test_a_damaged_map_is_named_with_what_to_do(tmp_path: Path) -> None:
    path = stages.folder(tmp_path, "cam", "r") / "abc.npz"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"PK\x03\x04 not really")
    with pytest.raises(DataError, match=r"abc\.npz is damaged .* run the stage again"):
        stages.read(tmp_path, "cam", "r", "abc")


def test_a_map_that_smuggles_a_pickle_is_refused(tmp_path: Path) -> None:
    path = stages.folder(tmp_path, "cam", "r") / "abc.npz"
    path.parent.mkdir(parents=True)
    evil = np.array([Evil(tmp_path / "hacked")], dtype=object)
    np.savez(path, score=evil, present=np.zeros(1), allow_pickle=True)
    with pytest.raises(DataError, match="damaged"):
        stages.read(tmp_path, "cam", "r", "abc")
    assert not (tmp_path / "hacked").exists()


def test_settings_come_back(tmp_path: Path) -> None:
    settings = StageSettings(("a", "b"), (0.3, 0.25), (0.5, 0.0))
    stages.write_settings(tmp_path, "irnet", "r", settings)
    assert stages.read_settings(tmp_path, "irnet", "r") == settings
    assert stages.read_settings(tmp_path, "irnet", "none") is None
    tidy = replace(settings, rule="triplet", top=0.8, min_area=0.002, fill_holes=True)
    stages.write_settings(tmp_path, "cam", "r", tidy)
    assert stages.read_settings(tmp_path, "cam", "r") == tidy


def test_settings_from_before_there_were_rules_cut_at_thresholds(
    tmp_path: Path,
) -> None:
    path = stages.folder(tmp_path, "cam", "r") / "stage.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"findings": ["a"], "thresholds": [0.3], "gates": [0.5]}')
    old = stages.read_settings(tmp_path, "cam", "r")
    assert old == StageSettings(("a",), (0.3,), (0.5,))
    path.write_text(path.read_text().replace("}", ', "rule": "magic"}'))
    with pytest.raises(DataError, match=r"stage\.json is damaged .*no rule 'magic'"):
        stages.read_settings(tmp_path, "cam", "r")


class Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):  # type: ignore[no-untyped-def]
        return os.mkdir, (str(self.path),)


def test_resuming_from_a_malicious_file_runs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    path.write_bytes(pickle.dumps({"model": Evil(tmp_path / "hacked")}))
    with pytest.raises(DataError, match="cannot be resumed from"):
        checkpoints.read_resume(path)
    torch.save({"model": Evil(tmp_path / "hacked")}, path)
    with pytest.raises(DataError, match="cannot be resumed from"):
        checkpoints.read_resume(path)
    assert not (tmp_path / "hacked").exists()


def test_weights_come_back_with_their_header(tmp_path: Path) -> None:
    weights = {"layer.weight": torch.randn(4, 3), "steps": torch.tensor(7)}
    path = tmp_path / "best.safetensors"
    checkpoints.write(
        path,
        Checkpoint(header={"size": 64}, weights=weights, metrics={"val_dice": 0.5}),
    )
    header, back = checkpoints.read(path)
    assert header == {"size": 64, "metrics": {"val_dice": 0.5}}
    assert all(torch.equal(back[name], tensor) for name, tensor in weights.items())


def test_half_a_weights_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "best.safetensors"
    checkpoints.write(
        path, Checkpoint(header={}, weights={"w": torch.randn(99)}, metrics={})
    )
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(DataError, match="not a whole safetensors file"):
        checkpoints.read(path)


def test_a_full_disk_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "state.json"
    atomic.write_json(path, {"n": 1})

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match="No space left on device"):
        atomic.write_json(path, {"n": 2})
    monkeypatch.undo()
    assert atomic.read_json(path) == {"n": 1}
    assert [each.name for each in tmp_path.iterdir()] == ["state.json"]


def test_runs_are_listed_newest_first_and_found_by_name(tmp_path: Path) -> None:
    first = runs.new(tmp_path, "classifier", {"epochs": 3})
    first.begin()
    first.end("done", metrics={"val_auroc": 0.9}, seconds=2.0)
    second = runs.new(tmp_path, "irnet", {})
    assert {info.id for info in runs.listing(tmp_path)} == {first.id, second.id}
    info = runs.find(tmp_path, first.id).info()
    assert (info.state, info.metrics, info.seconds) == ("done", {"val_auroc": 0.9}, 2.0)
    with pytest.raises(DataError, match="no run 'nope'"):
        runs.find(tmp_path, "nope")
    with pytest.raises(DataError, match="no run"):
        runs.find(tmp_path, "../classifier")


def test_seconds_of_a_resumed_run_add_up(tmp_path: Path) -> None:
    folder = runs.new(tmp_path, "classifier", {})
    folder.begin()
    folder.end("stopped", metrics={}, seconds=2.0)
    folder.begin()
    folder.end("done", metrics={}, seconds=3.0)
    assert folder.info().seconds == 5.0


def test_the_cache_holds_the_films_letterboxed(spots_project: Project) -> None:
    films = finish(film_cache.films(spots_project, 32))
    case = spots_project.cases()[3]
    row = films.take([case.id])[0]
    assert row.shape == (32, 32)
    # 64 × 72 films: the long side fills the square, 4 of 72 rows are black on each
    # side, which are 1.8 of 32.
    assert row[0].max() == row[-1].max() == 0
    assert row[2:-2].min() > 0
    again = finish(film_cache.films(spots_project, 32))
    assert np.array_equal(again.pixels, films.pixels)


def test_a_film_that_went_missing_is_named(spots_project: Project) -> None:
    gone = spots_project.cases()[2]
    spots_project.image_path(gone).unlink()
    with pytest.raises(DataError, match=gone.name):
        finish(film_cache.films(spots_project, 32))


def test_a_film_that_changed_is_named(spots_project: Project) -> None:
    one, other = spots_project.cases()[:2]
    data = spots_project.image_path(other).read_bytes()
    spots_project.image_path(one).write_bytes(data)
    with pytest.raises(DataError, match=rf"{one.name}.*no longer those"):
        finish(film_cache.films(spots_project, 32))


@pytest.mark.parametrize("torn", ['{"step": 3, "lo', "\x00\x00\x00", "[1]", "{}}", ""])
def test_a_torn_row_hides_no_later_one(tmp_path: Path, torn: str) -> None:
    folder = runs.new(tmp_path, "classifier", {})
    for step in range(3):
        folder.log_metrics({"step": step})
    with (folder.path / "metrics.jsonl").open("a") as file:
        file.write(torn)
    folder.log_metrics({"step": 3})
    folder.log_metrics({"step": 4})
    assert [row["step"] for row in folder.metrics()] == [0, 1, 2, 3, 4]
    folder.begin()
    folder.log_metrics({"step": 5})
    lines = (folder.path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [0, 1, 2, 3, 4, 5]


def test_steps_after_the_last_save_stand_in_the_curve_once(tmp_path: Path) -> None:
    folder = runs.new(tmp_path, "classifier", {})
    for step in range(7):
        folder.log_metrics({"step": step})
    folder.begin(4)
    folder.log_metrics({"step": 4})
    assert [row["step"] for row in folder.metrics()] == [0, 1, 2, 3, 4]


def test_a_row_that_finds_no_room_is_told_in_words(tmp_path: Path) -> None:
    folder = runs.new(tmp_path, "classifier", {})
    (folder.path / "metrics.jsonl").mkdir()
    with pytest.raises(DataError, match="could not be written"):
        folder.log_metrics({"step": 0})


@pytest.mark.parametrize("call", ["posix_fallocate", "fsync"])
def test_films_that_find_no_room_leave_no_half_file(
    spots_project: Project, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    place = spots_project.folder / "cache"
    with monkeypatch.context() as full:
        full.setattr(os, call, refuse)
        with pytest.raises(DataError, match="No space left"):
            finish(film_cache.films(spots_project, 64))
    assert list(place.glob("films*")) == []
    assert len(finish(film_cache.films(spots_project, 64)).rows) == 20


def decoded(project: Project, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that grows by every film that is decoded from now on."""
    names: list[str] = []
    read = Project.radiograph

    def count(self: Project, case: Case) -> Radiograph:
        names.append(case.name)
        return read(self, case)

    monkeypatch.setattr(Project, "radiograph", count)
    return names


def test_a_stopped_decoding_goes_on_where_it_was(
    spots_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = film_cache.films(spots_project, 64)
    for _ in range(5):
        next(job)
    job.close()
    assert len(list((spots_project.folder / "cache").glob("films*.u8"))) == 1
    names = decoded(spots_project, monkeypatch)
    films = finish(film_cache.films(spots_project, 64))
    assert len(names) == 15
    assert len(films.rows) == 20
    assert len(list((spots_project.folder / "cache").glob("films*.u8"))) == 1


def test_one_bad_film_costs_no_other_films_decoding(
    spots_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = spots_project.cases()
    path = spots_project.image_path(cases[2])
    good = path.read_bytes()
    path.write_bytes(b"not a film")
    with pytest.raises(DataError, match=cases[2].name):
        finish(film_cache.films(spots_project, 64))
    path.write_bytes(good)
    names = decoded(spots_project, monkeypatch)
    films = finish(film_cache.films(spots_project, 64))
    assert names == [cases[2].name]
    cache = spots_project.folder / "cache"
    kept = films.take([case.id for case in cases])
    for file in cache.glob("films*"):
        file.unlink()
    again = finish(film_cache.films(spots_project, 64))
    assert np.array_equal(kept, again.take([case.id for case in cases]))


def test_a_wish_to_stop_that_comes_while_a_run_begins_is_heard(tmp_path: Path) -> None:
    """Only the wish of before is forgotten, and before anybody looks for one."""
    folder = runs.new(tmp_path, "classifier", {})
    folder.begin()
    folder.stop_file.touch()
    folder.forget_stop()
    assert not folder.stop_file.exists()
    folder.stop_file.touch()
    folder.begin()
    assert folder.stop_file.exists()
