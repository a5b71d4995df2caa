"""Presets hold what the papers, and their published code, say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import trainers
from napari_wsseg._widgets.processes import describe_recipes
from napari_wsseg.cli import _training, main
from trainers.engine.recipe import configure, settings_of
from trainers.settings.paper_presets import papers
from trainers.settings.presets import LESIONS, ORGANS


def preset_settings(preset: str, recipe: str) -> dict[str, Any]:
    return settings_of(configure(recipe, trainers.presets[preset][recipe]))


@pytest.mark.parametrize("preset", list(trainers.presets))
def test_every_preset_is_made_of_settings_that_exist(preset: str) -> None:
    for recipe in trainers.presets[preset]:
        if recipe in trainers.recipes:
            preset_settings(preset, recipe)


def test_the_papers_are_offered_with_and_without_their_quirks() -> None:
    compat = {name for name in papers if name.endswith("-compat")}
    assert compat == {"wsmis-compat", "chexseg-compat", "irn-compat"}
    assert set(trainers.presets) >= {"fast", "wsmis", "chexseg", *compat}


def test_wsmis_is_vgg_with_added_convolutions_and_the_papers_dropblock() -> None:
    wanted = {
        "arch": "vgg16",
        "extra_convs": "auto",
        "size": 512,
        "output_stride": 8,
        "dropblock": 0.2,
        "dropblock_size": 7,
        "dropblock_levels": "4,5",
        "dropblock_schedule": "linear",
        "dropblock_compat": False,
        "optimiser": "adam",
        "learning_rate": 1e-4,
        "head_rate": 10.0,
        "weight_decay": 1e-5,
        "step_epochs": 5,
        "epochs": 50,
        "batch": 16,
        "choose_by": "val_loss",
        "cam": "grad-cam++",
        "seed_foreground": 0.3,
        "seed_background": 0.05,
    }
    assert wanted.items() <= preset_settings("wsmis", "classifier").items()


def test_wsmis_compat_has_the_codes_dropblock_and_its_map() -> None:
    wanted = {
        "dropblock_compat": True,
        "dropblock_schedule": "ten-steps",
        "dropblock_levels": "0",
        "cam": "grad-cam++ (wsmis)",
    }
    assert wanted.items() <= preset_settings("wsmis-compat", "classifier").items()
    assert preset_settings("wsmis-compat", "irnet")["momentum"] == 1e-4
    assert preset_settings("wsmis", "irnet")["momentum"] == 0


def test_chexseg_is_densenet_at_320_with_grad_cam() -> None:
    wanted = {
        "arch": "densenet121",
        "size": 320,
        "optimiser": "adam",
        "learning_rate": 1e-4,
        "batch": 16,
        "epochs": 3,
        "cam": "grad-cam",
        "cam_cut": "tuned on train",
    }
    assert wanted.items() <= preset_settings("chexseg", "classifier").items()
    masks = preset_settings("chexseg", "chexseg")
    assert (masks["arch"], masks["encoder"]) == ("deeplabv3plus", "resnet18")
    assert (masks["loss"], masks["labels"], masks["batch"]) == ("dice", "cam", 8)
    assert masks["compat"] is False
    walk = preset_settings("chexseg", "irnet")
    assert (walk["walk_beta"], walk["walk_steps"], walk["walk_radius"]) == (5.0, 8, 3)


def test_chexseg_compat_counts_p_in_tenths_and_fills_holes_behind_otsu() -> None:
    assert preset_settings("chexseg-compat", "chexseg")["compat"] is True
    found = preset_settings("chexseg-compat", "classifier")
    assert (found["cam_cut"], found["cam_fill_holes"]) == ("otsu", True)
    assert (found["seed_foreground"], found["seed_background"]) == (0.25, 0.1)
    assert found["normalisation"] == "chexpert"


def test_irn_compat_gives_sgd_its_weight_decay_for_momentum() -> None:
    for recipe in ("classifier", "irnet"):
        settings = preset_settings("irn-compat", recipe)
        assert settings["optimiser"] == "sgd"
        assert settings["momentum"] == settings["weight_decay"] == 1e-4
    assert preset_settings("irn-compat", "classifier")["cam_scales"] == "1,0.5,1.5,2"


@pytest.mark.parametrize("preset", list(papers))
def test_no_papers_segmenter_learns_presence_beside_its_mask(preset: str) -> None:
    for recipe in ("segmentation", "chexseg"):
        if recipe in trainers.presets[preset]:
            assert preset_settings(preset, recipe)["present_weight"] == 0


def test_chexsegs_irnet_learns_at_the_papers_rate_and_in_compat_at_the_codes() -> None:
    assert preset_settings("chexseg", "irnet")["learning_rate"] == 0.1
    assert preset_settings("chexseg-compat", "irnet")["learning_rate"] == 0.01


@pytest.mark.parametrize("preset", list(trainers.presets))
def test_maps_are_drawn_where_cells_look_unless_published_code_is_compared(
    preset: str,
) -> None:
    if "classifier" not in trainers.presets[preset]:
        return
    published = preset.endswith("-compat")
    wanted = "grid" if published else "looks"
    assert preset_settings(preset, "classifier")["cam_placement"] == wanted


@pytest.mark.parametrize("preset", list(trainers.presets))
def test_every_preset_says_what_it_is_and_every_papers_where_it_differs(
    preset: str,
) -> None:
    notes = trainers.preset_notes[preset]
    assert notes
    assert all(note.endswith(".") for note in notes)
    if preset in papers:
        assert len(notes) > 1


def test_presets_are_told_by_the_command_line_and_to_the_window(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["presets", "wsmis"]) == 0
    shown = capsys.readouterr().out
    for note in trainers.preset_notes["wsmis"]:
        assert note in shown
    assert main(["presets", "--json"]) == 0
    output = json.loads(capsys.readouterr().out)
    assert list(output) == list(trainers.presets)
    assert output["tdn"]["settings"]["tied_deconv"]["crop"] == 0.06
    assert main(["presets", "nothing"]) == 2
    assert "there are: auto, fast" in capsys.readouterr().err
    described = describe_recipes.describe()
    assert described["preset_notes"]["tdn"] == list(trainers.preset_notes["tdn"])


def test_auto_reads_a_finer_map_where_a_finding_is_no_organ(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for found, level in ([], 4), (["nodule"], 3):
        monkeypatch.setattr(_training, "lesions", lambda project, found=found: found)
        settings = _training.suited_settings(Path(), "auto", "classifier")
        assert settings_of(configure("classifier", settings))["cam_level"] == level
        mixed = _training.suited_settings(Path(), "auto", "chexseg")
        assert configure("chexseg", mixed).arch == ("unet" if found else "anatomy")
        # The window is handed the same.
        held = describe_recipes.describe()["auto"]["lesions" if found else "organs"]
        assert held["settings"]["classifier"] == settings
        assert held["settings"]["chexseg"] == mixed
    for recipe, how in (*LESIONS.items(), *ORGANS.items()):
        configure(recipe, {**trainers.presets["auto"].get(recipe, {}), **how})
    fast = _training.suited_settings(Path(), "fast", "segmentation")
    assert fast == trainers.presets["fast"]["segmentation"]
