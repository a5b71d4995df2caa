"""Maps of a run, its own and others, each computed once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from napari_wsseg.cli import main
from napari_wsseg.io import checkpoints, runs, stages
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import Checkpoint, DataError, UsageError
from napari_wsseg.nn import classifier
from napari_wsseg.pipeline.infer import infer
from napari_wsseg.pipeline.inference import refining, variants
from napari_wsseg.pipeline.inference import scorers as _scorers

pytestmark = pytest.mark.usefixtures("one_thread")

SIZE = 64


def make_run(folder: Path, **settings: Any) -> str:
    """Leave a run of a small random classifier, as training would."""
    torch.manual_seed(0)
    model = classifier.build("resnet18", 1, output_stride=16)
    nn.init.normal_(model.linear.weight)
    header = {
        "network": {"kind": "classifier", **model.spec},
        "findings": ["spot"],
        "size": SIZE,
        "normalisation": "film",
        "cam": {"method": "grad-cam++", "level": 5, "scales": [1.0]},
        "crf": {"backend": "grid", "foreground": 0.3, "background": 0.05},
    }
    run = runs.new(folder, "classifier", {"cam": "grad-cam++", **settings})
    checkpoints.write(run.best, Checkpoint(header, model.state_dict(), {}))
    return run.id


@pytest.fixture
def run(spots_project: Project) -> str:
    return make_run(spots_project.folder)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, list[str]]]]:
    """Return what is computed: the variant and the ids of each batch."""
    from napari_wsseg.pipeline import infer as _infer

    batches: list[tuple[str, list[str]]] = []

    def cam(work: Any, batch: Any) -> Any:
        batches.append((work.variant, [case.id for case in batch]))
        return _scorers.cam(work, batch)

    monkeypatch.setitem(_infer._STAGES["cam"].scorers, "classifier", cam)
    return batches


def do(project: Project, run: str, stage: str = "cam", **how: Any) -> None:
    for _ in infer(project, stage, run, device="cpu", **how):
        pass


def test_a_runs_own_map_lies_in_stages_cam_and_others_beside_it(
    spots_project: Project, run: str
) -> None:
    folder = spots_project.folder
    do(spots_project, run)
    assert {one.name for one in (folder / "stages").iterdir()} == {"cam"}
    do(spots_project, run, variant="layer-cam@4")
    assert {one.name for one in (folder / "stages").iterdir()} == {
        "cam",
        "cam~layer-cam@4",
    }
    for stage in ("cam", "cam~layer-cam@4"):
        assert len(stages.cases_with_maps(folder, stage, run)) == 20
        settings = stages.read_settings(folder, stage, run)
        assert settings is not None
        assert settings.findings == ("spot",)


def test_the_default_can_be_named_too(spots_project: Project, run: str) -> None:
    do(spots_project, run, variant="grad-cam++@5")
    names = {one.name for one in (spots_project.folder / "stages").iterdir()}
    assert names == {"cam"}


@pytest.mark.parametrize(
    "variant", variants.run_variants({"recipe": "classifier", "settings": {}})
)
def test_every_variant_has_maps_of_its_own_and_the_same_probabilities(
    spots_project: Project, run: str, variant: str
) -> None:
    case = spots_project.cases()[1].id
    folder = spots_project.folder
    config = runs.find(folder, run).config()
    stage = variants.stage_name(variant, config)
    for name in (None, variant):
        job = infer(spots_project, "cam", run, variant=name, first=case, device="cpu")
        for progress in job:
            if progress.message.startswith("scoring"):
                break
        job.close()
    own = stages.read(folder, "cam", run, case)
    other = stages.read(folder, stage, run, case)
    assert own is not None
    assert other is not None
    # On a quarter of the film's grid, each cell drawn where it looks.
    assert other.score.shape == (1, SIZE // 4, SIZE // 4)
    # A map may be empty where this random network is against the finding.
    assert other.score.max() in (0, pytest.approx(1, abs=1e-3))
    assert other.score.min() >= 0
    np.testing.assert_array_equal(own.present, other.present)


def test_what_is_there_is_not_computed_again(
    spots_project: Project, run: str, asked: list[tuple[str, list[str]]]
) -> None:
    do(spots_project, run)
    do(spots_project, run, variant="layer-cam@5")
    missing = spots_project.cases()[3].id
    path = stages.folder(spots_project.folder, "cam~layer-cam@5", run)
    (path / f"{missing}.npz").unlink()
    asked.clear()
    do(spots_project, run)
    do(spots_project, run, variant="layer-cam@5")
    assert asked == [("layer-cam@5", [missing])]


def test_the_film_that_somebody_waits_for_is_done_before_all_others(
    spots_project: Project, run: str, asked: list[tuple[str, list[str]]]
) -> None:
    waited = spots_project.cases()[-1].id
    job = infer(
        spots_project, "cam", run, variant="grad-cam@5", first=waited, device="cpu"
    )
    steps = [one.step for one in job if one.message.startswith("scoring")]
    assert steps == [1, 9, 17, 20]
    assert asked[0] == ("grad-cam@5", [waited])
    done = [case for _, batch in asked for case in batch]
    assert sorted(done) == sorted(case.id for case in spots_project.cases())
    asked.clear()
    do(spots_project, run, variant="grad-cam@5", first=waited)
    assert asked == []


def test_wrong_wishes_are_refused_in_words(spots_project: Project, run: str) -> None:
    with pytest.raises(UsageError, match=r"no map 'sun@5' .*there are: grad-cam\+\+@5"):
        do(spots_project, run, variant="sun@5")
    with pytest.raises(UsageError, match="stage crf has one map"):
        do(spots_project, run, "crf", variant="cam@5")
    with pytest.raises(DataError, match="trained a classifier, but stage irnet needs"):
        do(spots_project, run, "irnet")
    with pytest.raises(DataError, match="nobody"):
        do(spots_project, run, first="nobody")
    assert not (spots_project.folder / "stages").exists()


def test_the_command_line_names_map_and_film(
    spots: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run(spots)
    arguments = ["infer", "cam", "-p", str(spots), "--run", run, "--json"]
    assert main([*arguments, "--map", "nonsense"]) == 2
    assert "there are: grad-cam++@5" in capsys.readouterr().err
    assert main([*arguments, "--map", "layer-cam@3+4+5"]) == 0
    output = capsys.readouterr()
    assert json.loads(output.out.splitlines()[-1]) == {
        "event": "finished",
        "status": "done",
        "run": run,
        "map": "layer-cam@3+4+5",
        "films": 20,
        "of": 20,
    }
    assert "cam (LayerCAM, levels 3 + 4 + 5): 20 of 20 films" in output.err


def test_one_film_alone_gets_every_map(
    spots: Path, spots_project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    run, case = make_run(spots), spots_project.cases()[7].id
    arguments = ["infer", "cam", "-p", str(spots), "--run", run, "--map", "all"]
    assert main([*arguments, "--only", case]) == 0
    config = runs.find(spots, run).config()
    for variant in variants.run_variants(config):
        kept = variants.stage_name(variant, config)
        assert stages.cases_with_maps(spots, kept, run) == {case}
        assert stages.read_settings(spots, kept, run) is not None
    assert "cam (Grad-CAM, level 4): 1 of 20 films" in capsys.readouterr().err


def test_maps_of_an_earlier_drawing_are_computed_again_and_never_mixed(
    spots_project: Project, run: str
) -> None:
    folder = stages.folder(spots_project.folder, "cam", run)
    cases = [case.id for case in spots_project.cases()]
    list(infer(spots_project, "cam", run))
    assert stages.cases_with_maps(spots_project.folder, "cam", run) == set(cases)
    (folder / "drawing.json").unlink()  # as an earlier version left them
    assert not stages.cases_with_maps(spots_project.folder, "cam", run)
    assert stages.missing(spots_project.folder, "cam", run, cases) == set(cases)
    list(infer(spots_project, "cam", run, first=cases[1], only=True))
    assert stages.cases_with_maps(spots_project.folder, "cam", run) == {cases[1]}
    list(infer(spots_project, "cam", run))
    assert stages.cases_with_maps(spots_project.folder, "cam", run) == set(cases)


def test_soft_odds_keep_what_is_hot_and_leave_a_map_without_heat_empty() -> None:
    rows = np.mgrid[:SIZE, :SIZE][0]
    heat = np.stack([(rows / SIZE).astype(np.float32), np.zeros((SIZE, SIZE))])
    image = (rows >= 40).astype(np.float32)
    how = {
        "steepness": 5.0,
        "threshold": 0.5,
        "foreground": 0.6,
        "background": 0.4,
        "backend": "grid",
    }
    params = refining.params_for(SIZE, soft=True)
    score, seed = _scorers._soft_seeds(heat.astype(np.float32), image, params, how)
    assert (seed[0, 44:] == 1).all()
    assert (seed[0, :20] == 0).all()
    assert not seed[1].any()
    assert not score[1].any()
    assert score[0, 39].mean() < score[0, 41].mean() - 0.1, "drawn to the edge"
