"""A run's maps have names, one of which is its own."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from napari_wsseg.cam import methods
from napari_wsseg.io import stages
from napari_wsseg.jobs import UsageError
from napari_wsseg.pipeline.inference import variants


def config(recipe: str = "classifier", **settings: Any) -> dict[str, Any]:
    return {"recipe": recipe, "settings": settings}


def test_every_method_can_be_read_at_the_last_level() -> None:
    assert set(variants.methods()) == set(methods.names())
    found = variants.run_variants(config())
    assert {f"{name}@5" for name in methods.names()} <= set(found)


def test_earlier_levels_are_read_by_gradient_and_fused() -> None:
    found = variants.run_variants(config())
    assert {"grad-cam@3", "grad-cam++@4", "layer-cam@3", "layer-cam@3+4+5"} <= set(
        found
    )
    assert "cam@4" not in found
    assert len(found) == len(set(found))


@pytest.mark.parametrize(
    ("settings", "own"),
    [
        ({}, "grad-cam++@5"),
        ({"cam": "layer-cam", "cam_level": 4}, "layer-cam@4"),
        ({"cam": "score-cam"}, "score-cam@5"),
    ],
)
def test_a_classifiers_own_map_is_the_one_its_settings_name(
    settings: dict[str, Any], own: str
) -> None:
    assert variants.run_variants(config(**settings))[0] == own
    assert variants.resolve(None, config(**settings)) == own
    assert variants.stage_name(own, config(**settings)) == "cam"
    other = "grad-cam@5"
    assert variants.stage_name(other, config(**settings)) == "cam~grad-cam@5"


def test_a_tied_deconvolution_network_has_a_map_a_stage_the_last_its_own() -> None:
    found = variants.run_variants(config("tied_deconv"))
    assert found == ("tdn-3", "tdn-0", "tdn-1", "tdn-2")
    assert variants.run_variants(config("tied_deconv", stages=1)) == ("tdn-1", "tdn-0")


def test_a_run_of_another_recipe_has_no_variants() -> None:
    assert variants.run_variants(config("irnet")) == ()


def test_an_unknown_variant_is_refused_by_naming_the_choices() -> None:
    with pytest.raises(UsageError, match=r"no map 'score-cam@5' .*grad-cam\+\+@5, "):
        variants.resolve("score-cam@5", config())
    with pytest.raises(UsageError, match="there are: none"):
        variants.resolve("cam@5", config("irnet"))


def test_variants_are_said_in_words() -> None:
    assert variants.variant_title("layer-cam@4") == "LayerCAM, level 4"
    assert variants.variant_title("grad-cam++@5") == "Grad-CAM++, level 5"
    assert variants.variant_title("layer-cam@3+4+5") == "LayerCAM, levels 3 + 4 + 5"
    assert variants.variant_title("tdn-0") == "TDN baseline"
    assert variants.variant_title("tdn-2") == "TDN stage 2"


def test_every_variant_has_a_folder_of_its_own(tmp_path: Any) -> None:
    own = config()
    kept = [variants.stage_name(name, own) for name in variants.run_variants(own)]
    folders = {stages.folder(tmp_path, stage, "run") for stage in kept}
    assert len(folders) == len(kept)
    assert tmp_path / "stages" / "cam" / "run" in folders
    assert {folder.parent.parent for folder in folders} == {tmp_path / "stages"}


@pytest.mark.parametrize("stage", ["cam~", "cam~../x", "cam~a/b", "cam~A", "sun~cam@5"])
def test_a_variant_cannot_leave_its_folder(tmp_path: Any, stage: str) -> None:
    with pytest.raises(ValueError, match=r"a-z|no stage"):
        stages.folder(tmp_path, stage, "run")


def test_the_window_can_name_variants_without_torch() -> None:
    module = "napari_wsseg.pipeline.inference.variants"
    script = f"import sys, {module}; print('torch' in sys.modules)"
    seen = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True
    )
    assert seen.stdout.strip() == "False", seen.stderr
