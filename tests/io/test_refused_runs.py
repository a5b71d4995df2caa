"""Weights, states and maps of a run that are not what they should be."""

from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from helpers.small_project import CASE, new_project
from napari_wsseg.io import atomic, checkpoints, project_files, runs, stages, values
from napari_wsseg.io.files import map_codec, map_shards
from napari_wsseg.io.project_folder import gc
from napari_wsseg.jobs import DataError
from napari_wsseg.schema import StageMaps

RUN = "classifier-20261121-000000-aaaa"


@pytest.mark.parametrize("header", [None, "[1]", "{", '"x"'])
def test_weights_without_our_header_are_no_weights_of_ours(
    tmp_path: Path, header: str | None
) -> None:
    from safetensors.numpy import save_file

    path = tmp_path / "best.safetensors"
    more = {} if header is None else {"wsseg": header}
    save_file({"a": np.zeros(3, np.float32)}, path, metadata=more or None)
    with pytest.raises(DataError, match="wsseg"):
        checkpoints.read(path)


def test_a_state_that_is_lost_or_none_is_not_resumed_from(tmp_path: Path) -> None:
    import torch

    path = tmp_path / "last.pt"
    with pytest.raises(DataError, match="stopped before its first save"):
        checkpoints.read_resume(path)
    torch.save([1, 2], path)
    with pytest.raises(DataError, match="holds a list, not a training state"):
        checkpoints.read_resume(path)


def test_a_file_that_should_hold_json_says_what_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is missing"):
        atomic.read_json(tmp_path / "state.json")
    for text in ('{"a": NaN}', '{"a": ' + "9" * 5000 + "}", '{"a": "\\ud800"}'):
        with pytest.raises(ValueError):  # noqa: PT011 - words are the caller's
            values.parse(text)
    with pytest.raises(DataError, match="refused"):
        project_files.checked(Path("a\0b"))
    (tmp_path / "long").write_bytes(b"x" * 9)
    with pytest.raises(DataError, match="over 0 MiB; refused"):
        project_files.read_bytes(tmp_path / "long", 8)


def test_maps_of_a_stage_that_there_is_not_are_asked_for_in_vain(
    tmp_path: Path,
) -> None:
    with pytest.raises(ValueError, match="no stage 'cma'; there are: cam"):
        stages.folder(tmp_path, "cma", RUN)
    with pytest.raises(ValueError, match="name it with"):
        stages.folder(tmp_path, "cam~../x", RUN)
    assert stages.read_settings(tmp_path, "cam", RUN) is None
    short = {"findings": ["a", "b"], "thresholds": [0.5, 0.5], "gates": [0.5]}
    atomic.write_json(stages.folder(tmp_path, "cam", RUN) / "stage.json", short)
    with pytest.raises(DataError, match="a gate for each finding"):
        stages.read_settings(tmp_path, "cam", RUN)


def test_a_torn_row_of_metrics_is_none() -> None:
    assert runs._row('{"step": 1}') == {"step": 1}
    assert runs._row('{"step": 1{"step": 2}') == {"step": 2}
    assert runs._row("[1]") is None
    assert runs._row('{"st') is None


def _shard(place: Path, cases: object, rows: np.ndarray, **more: int) -> None:
    """Make a shard of one film whose directory says what it likes."""
    film = map_codec.encode(
        StageMaps(np.ones((1, 4, 4), np.float32), np.ones(1, np.float32), {})
    )
    folder = stages.folder(place, "cam", RUN) / map_shards.FOLDER
    folder.mkdir(parents=True)
    present = io.BytesIO()
    np.save(present, rows)
    with zipfile.ZipFile(folder / "0-a.zip", "w", **more) as packed:
        packed.writestr("cases.json", json.dumps(cases))
        packed.writestr("present.npy", present.getvalue())
        packed.writestr(f"{CASE}.npz.zst", film)


@pytest.mark.parametrize(
    ("cases", "rows", "more"),
    [
        ([CASE], np.ones((1, 1)), {}),
        ({"../x": 9}, np.ones((1, 1)), {}),
        ({CASE: "9"}, np.ones((1, 1)), {}),
        ({CASE: -1}, np.ones((1, 1)), {}),
        ({CASE: 9}, np.ones((2, 1)), {}),
        ({CASE: 9}, np.ones(1), {}),
        ({CASE: 9}, np.ones((1, 1)), {"compression": zipfile.ZIP_DEFLATED}),
        ({CASE: 9}, np.ones((2**22, 1)), {}),
    ],
)
def test_a_shard_whose_directory_means_nothing_has_no_films(
    tmp_path: Path, cases: object, rows: np.ndarray, more: dict[str, int]
) -> None:
    _shard(tmp_path, cases, rows, **more)
    place = stages.folder(tmp_path, "cam", RUN)
    assert len([*map_shards.flaws(place)]) == 1
    assert [*map_shards.presences(place)] == []


def test_maps_of_another_kind_come_back_as_they_were() -> None:
    extra = {"label": np.arange(16, dtype=np.int16).reshape(1, 4, 4)}
    maps = StageMaps(np.ones((1, 4, 4), np.float32), np.ones(1, np.float32), extra)
    found = map_codec.decode(map_codec.encode(maps)).extra["label"]
    np.testing.assert_array_equal(found, extra["label"], strict=True)


def test_a_plan_of_jobs_that_broke_off_is_swept_when_it_is_old(tmp_path: Path) -> None:
    with new_project(tmp_path) as project:
        cache = project.folder / "cache"
        cache.mkdir(exist_ok=True)
        for name, age in (("plan-1.sqlite", 10**6), ("plan-2.sqlite", 0)):
            (cache / name).write_bytes(b"plan")
            stamp = (cache / name).stat().st_mtime - age
            os.utime(cache / name, (stamp, stamp))
        (project.folder / "stages" / "camera").mkdir(parents=True)
        found = [one.path.name for one in gc.waste(project.folder, {})]
    assert found == ["plan-1.sqlite"]
