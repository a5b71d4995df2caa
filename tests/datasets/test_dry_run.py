"""What `wsseg init` says before and after: counted, named, and the same both times."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_wsseg.cli import main
from napari_wsseg.datasets.importing import labels_csv, likeness
from napari_wsseg.io import film_facts


def film(path: Path, seed: int, shape: tuple[int, int] = (24, 18)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for number in range(5):
        film(tmp_path / "images" / f"f{number}.png", number)
    (tmp_path / "images" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n torn")
    (tmp_path / "labels.csv").write_text(
        "image,nodule,effusion,split\n"
        "f0.png,1,0,train\nf1.png,0,,val\nf2.png,-1,1,test\nf3.png,1,1,train\n"
        "gone.png,1,1,train\n"
    )
    for folder in ("nodul", "effusion"):
        mask = tmp_path / "masks" / folder / "f2.png"
        mask.parent.mkdir(parents=True)
        Image.fromarray(np.full((24, 18), 255, np.uint8)).save(mask)
    return tmp_path


def arguments(source: Path, *more: str) -> list[str]:
    return [
        *("init", str(source / "project"), "--images", str(source / "images")),
        *("--labels", str(source / "labels.csv"), "--masks", str(source / "masks")),
        *more,
    ]


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_dry_run_says_what_the_import_then_does_and_makes_nothing(
    source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(source.iterdir())
    assert main(arguments(source, "--dry-run", "--json")) == 0
    printed = lines(capsys)
    assert sorted(source.iterdir()) == before
    plan = next(line for line in printed if line.get("event") == "plan")
    assert plan["summary"]["films"] == 6  # type: ignore[index]
    columns = next(
        line["columns"] for line in printed if line.get("event") == "columns"
    )
    assert [each["role"] for each in columns] == [
        "image",
        "finding",
        "finding",
        "split",
    ]  # type: ignore[attr-defined]
    assert columns[3]["values"] == {"train": 3, "val": 1, "test": 1}  # type: ignore[index]
    assert main(arguments(source, "--json")) == 0
    done = lines(capsys)[-1]
    assert printed[-1] == done | {"status": "checked"}
    assert {each["path"] for each in done["rejected"]} == {"broken.png", "gone.png"}  # type: ignore[union-attr]
    assert done["summary"] == {
        "films": 5,
        "labels": {
            "nodule": {"present": 2, "absent": 1, "uncertain": 1, "unknown": 1},
            "effusion": {"present": 2, "absent": 1, "unknown": 2},
        },
        "masks": {"effusion": 1},
        "splits": {"train": 3, "val": 1, "test": 1},
        "how_split": "as the labels say",
    }


def test_an_import_counts_for_a_person_and_names_what_it_left_out(
    source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments(source)) == 0
    output = capsys.readouterr().err
    for part in (
        "5 films imported",
        "nodule: 2 present, 1 absent, 1 uncertain, 1 unknown",
        "split: 3 train, 1 val, 1 test (as the labels say)",
        "theirs are unknown: broken.png, f4.png",
        "mask folder 'nodul' is no finding: left out; did you mean nodule?",
        "gone.png: no such file; line 6 of",
    ):
        assert part in output


def test_a_mask_folder_whose_only_name_is_off_is_asked_what_it_means(
    source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (source / "masks" / "effusion" / "f2.png").unlink()
    assert main(arguments(source)) == 3
    assert "'nodul': did you mean nodule?" in capsys.readouterr().err


def test_columns_are_explained_even_where_the_table_is_refused(tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("image,nodule,split\na.png,1,train\nb.png,yes,\nc.png,-1,tset\n")
    image, nodule, split = labels_csv.columns(table)
    assert (image.role, dict(image.values)) == ("image", {"films": 3})
    assert nodule.role == "finding"
    assert dict(nodule.values) == {"present": 1, "yes": 1, "uncertain": 1}
    assert (nodule.odd, split.odd) == (("yes",), ("tset",))
    assert split.role == "split"


def test_films_that_are_hardly_chest_films_are_flagged(tmp_path: Path) -> None:
    rows, columns = np.mgrid[-1:1:64j, -1:1:64j]
    lungs = np.exp(-(((np.abs(columns) - 0.5) / 0.3) ** 2 + (rows / 0.7) ** 2))
    looks: dict[str, likeness.Look] = {}

    def add(name: str, pixels: np.ndarray) -> None:
        path = tmp_path / name
        Image.fromarray((255 * pixels).astype(np.uint8)).save(path)
        facts = film_facts.read_facts(path)
        assert not isinstance(facts, str)
        looks[name] = facts.shape, facts.thumb

    rng = np.random.default_rng(0)
    for number in range(10):
        add(f"chest{number}.png", 1 - 0.8 * lungs - 0.1 * rng.random(lungs.shape))
    add("inverted.png", 0.2 + 0.8 * lungs)
    add("strip.png", (1 - 0.8 * lungs)[:, :30])
    add("tiny.png", (1 - 0.8 * lungs)[::4, ::4])
    found = likeness.odd(looks)
    assert found == {
        likeness.STRANGE: ["inverted.png"],
        likeness.LONG: ["strip.png"],
        likeness.SMALL: ["tiny.png"],
    }
    assert likeness.odd(dict(list(looks.items())[:3])) == {}
