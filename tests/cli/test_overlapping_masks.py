"""Masks of many findings that overlap stay as their readers drew them, to the end."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from napari_wsseg.cli import main
from napari_wsseg.io import stages
from napari_wsseg.io.project import Project
from napari_wsseg.ops import geometry
from napari_wsseg.schema import StageMaps, StageSettings
from trainers.data import batches as _batches
from trainers.data import targets as _targets

SPLITS = ("train", "train", "train", "val", "test")
SIDE = 64

Masks = Mapping[str, np.ndarray]


def small_films(source: Path, folder: Path, most: int = 960) -> Path:
    """Make a tree of the films up to `most` px, pointing at the originals."""
    with (source / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    small = [
        row
        for row in rows
        if max(Image.open(source / "images" / row["image"]).size) <= most
    ]
    (folder / "images").mkdir(parents=True)
    with (folder / "labels.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, [*rows[0], "split"])
        writer.writeheader()
        for number, row in enumerate(small):
            (folder / "images" / row["image"]).symlink_to(
                source / "images" / row["image"]
            )
            writer.writerow({**row, "split": SPLITS[number % len(SPLITS)]})
    return folder


def drawn(folder: Path, image: str) -> dict[str, np.ndarray]:
    """Return the masks of one film as they lie in a folder, blank ones left out."""
    paths = folder.glob(f"*/{Path(image).stem}.png")
    found = {path.parent.name: np.asarray(Image.open(path)) > 0 for path in paths}
    return {name: mask for name, mask in found.items() if mask.any()}


def shown(masks: Masks) -> dict[str, np.ndarray]:
    return {name: mask for name, mask in masks.items() if mask.any()}


def same(one: Masks, other: Masks) -> bool:
    return one.keys() == other.keys() and all(
        np.array_equal(one[name], other[name]) for name in one
    )


def wsseg(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    assert main([*map(str, arguments), "--json"]) == 0
    last: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return last


@pytest.mark.data
def test_overlapping_masks_pass_import_training_evaluation_and_export_unchanged(
    shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, folder = shared_data / "covid_lesions", tmp_path / "project"
    films = small_films(source, tmp_path / "films")
    asked = ["--labels", films / "labels.csv", "--masks", source / "masks"]
    wsseg(capsys, "init", folder, "--images", films / "images", *asked)
    with Project.open(folder) as project:
        truths = {
            case.path: drawn(source / "masks", case.path) for case in project.cases()
        }
        overlaps = [
            sum(mask.astype(int) for mask in one.values()) for one in truths.values()
        ]
        assert len(truths) >= 8
        assert sum(layers.max() >= 3 for layers in overlaps) >= 5
        for case in project.cases():
            assert same(shown(project.expert_masks(case.id)), truths[case.path])
        learnt_from_every_layer(project)

    small = [f"size={SIDE}", "epochs=1", "batch=4", "checks=1"]
    wsseg(
        *(capsys, "train", "classifier", "-p", folder),
        *("--set", "weights=", "arch=resnet18", *small),
    )
    trained = wsseg(capsys, "train", "chexseg", "-p", folder, "--set", "p=1", *small)
    assert trained["status"] == "done"
    wsseg(capsys, "evaluate", "-p", folder)
    drawn_by_the_experts(folder, trained["run"])
    scored = wsseg(capsys, "evaluate", "-p", folder)["stages"]["segmentation"]
    assert scored["pos_iou"] == scored["dice"] == scored["all_iou"] == 1.0
    wsseg(capsys, "export", "png", "-p", folder, "-o", tmp_path / "out")
    for path, masks in truths.items():
        assert same(drawn(tmp_path / "out", path), masks)


def learnt_from_every_layer(project: Project) -> None:
    """Compare what a recipe is given with each mask letterboxed by itself."""
    labels = _batches.Labels.from_project(project)
    rows = labels.split("train")
    target = _targets.expert(project, labels, rows, SIDE).take(rows)
    for place, row in enumerate(rows):
        masks = project.expert_masks(labels.cases[row].id)
        for finding, mask in masks.items():
            plane = target[place, labels.findings.index(finding)]
            expected = geometry.letterbox_mask(mask, SIDE)
            assert torch.equal(plane.bool(), torch.from_numpy(expected))
    assert int((target == 1).sum(1).max()) >= 3


def drawn_by_the_experts(folder: Path, run: str) -> None:
    """Let the stage draw just what the experts did, every gate open."""
    with Project.open(folder) as project:
        names = tuple(finding.name for finding in project.findings)
        settings = StageSettings(names, (0.5,) * len(names), (0.0,) * len(names))
        for case in project.cases("test"):
            side = max(case.shape)
            top, left, height, width = geometry.content_box(case.shape, side)
            score = np.zeros((len(names), side, side), np.float32)
            for finding, mask in project.expert_masks(case.id).items():
                plane = score[names.index(finding)]
                plane[top : top + height, left : left + width] = mask
            maps = StageMaps(score, np.ones(len(names), np.float32))
            stages.write(folder, "segmentation", run, case.id, maps)
        stages.write_settings(folder, "segmentation", run, settings)
