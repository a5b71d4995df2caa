"""Maps of many films in one file: near enough, whole at any time, read everywhere."""

from __future__ import annotations

import random
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from helpers import noise_project
from napari_wsseg import cli
from napari_wsseg.io import atomic, project_files, stages
from napari_wsseg.io.files import map_shards
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError
from napari_wsseg.schema import StageMaps, StageSettings

STAGE, RUN = "irnet", "run-1"


def film(number: int) -> str:
    return f"{number:016x}"


def maps(number: int, findings: int = 3) -> StageMaps:
    rng = np.random.default_rng(number)
    score = rng.random((findings, 12, 12), np.float32)
    score[1] = 0
    seed = rng.choice(np.array([0, 1, 255], np.uint8), (findings, 12, 12))
    boundary = rng.random((1, 12, 12)).astype(np.float16)
    moves = rng.normal(0, 5, (2, 12, 12)).astype(np.float16)
    return StageMaps(
        score,
        np.array([0.9, 0.5, 0.002], np.float32)[:findings],
        {"seed": seed, "boundary": boundary, "displacement": moves},
    )


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return noise_project.make_project(tmp_path)


def put(place: Path, *numbers: int) -> None:
    for number in numbers:
        stages.write(place, STAGE, RUN, film(number), maps(number), packed=True)


def shards(place: Path) -> list[str]:
    folder = stages.folder(place, STAGE, RUN) / "films"
    return sorted(path.name for path in folder.iterdir())


def check(place: Path, number: int) -> None:
    """A film comes back within a 256th, the improbable and the blank as 0."""
    wanted, found = maps(number), stages.read(place, STAGE, RUN, film(number))
    assert found is not None
    assert found.score.dtype == np.float32
    assert np.abs(found.score[:2] - wanted.score[:2]).max() <= 1 / 256
    assert not found.score[2].any()
    assert (found.present == wanted.present).all()
    assert (found.extra["seed"][0] == wanted.extra["seed"][0]).all()
    assert not found.extra["seed"][2].any()
    for name in ("boundary", "displacement"):
        one = np.asarray(wanted.extra[name], np.float32)
        error = np.abs(np.asarray(found.extra[name], np.float32) - one).max()
        # float16 rounds once more.
        assert error <= np.ptp(one) * 0.6 / 255
        assert found.extra[name].dtype == np.float16
    present = stages.read_present(place, STAGE, RUN, film(number))
    assert present is not None
    assert (present == wanted.present).all()


def test_maps_come_back_alone_and_joined(place: Path) -> None:
    put(place, *range(5))
    assert stages.cases_with_maps(place, STAGE, RUN) == {film(n) for n in range(5)}
    assert len(shards(place)) == 5
    for number in range(5):
        check(place, number)
    stages.pack(place, STAGE, RUN, [film(0), film(3)], least=3)
    assert len(shards(place)) == 5, "two are fewer than three"
    stages.pack(place, STAGE, RUN, [film(0), film(3)])
    assert len(shards(place)) == 4
    stages.pack(place, STAGE, RUN)
    assert len(shards(place)) == 2
    assert stages.cases_with_maps(place, STAGE, RUN) == {film(n) for n in range(5)}
    for number in range(5):
        check(place, number)
    assert stages.read(place, STAGE, RUN, film(9)) is None
    assert stages.read_present(place, STAGE, RUN, film(9)) is None


def test_a_wanted_finding_is_kept_however_improbable(place: Path) -> None:
    one = maps(0)
    stages.write(place, STAGE, RUN, film(0), one, packed=True, wanted=[1, 2])
    found = stages.read(place, STAGE, RUN, film(0))
    assert found is not None
    assert np.abs(found.score - one.score).max() <= 1 / 256


def test_what_is_written_later_counts(place: Path) -> None:
    put(place, 0, 1)
    stages.pack(place, STAGE, RUN)
    other = maps(7)
    stages.write(place, STAGE, RUN, film(0), other, packed=True)
    for _ in range(2):
        found = stages.read(place, STAGE, RUN, film(0))
        assert found is not None
        assert np.abs(found.score[0] - other.score[0]).max() < 0.01
        stages.pack(place, STAGE, RUN)
    stages.write(place, STAGE, RUN, film(0), maps(8))
    found = stages.read(place, STAGE, RUN, film(0))
    assert found is not None
    assert np.abs(found.score[0] - maps(8).score[0]).max() < 0.001
    stages.write(place, STAGE, RUN, film(0), maps(0), packed=True)
    check(place, 0)
    assert not list(stages.folder(place, STAGE, RUN).glob("*.npz"))


def test_presences_are_those_of_each_film_alone(place: Path) -> None:
    put(place, 0, 1, 2)
    stages.pack(place, STAGE, RUN)
    newer = StageMaps(maps(1).score, np.array([0.3, 0.2, 0.1], np.float32))
    stages.write(place, STAGE, RUN, film(1), newer, packed=True)
    stages.write(place, STAGE, RUN, film(5), maps(5))
    found = dict(stages.presences(place, STAGE, RUN))
    assert found.keys() == stages.cases_with_maps(place, STAGE, RUN)
    assert found[film(1)].tolist() == newer.present.tolist()
    for case_id, present in found.items():
        alone = stages.read_present(place, STAGE, RUN, case_id)
        assert alone is not None
        assert present.tolist() == alone.tolist()


def test_files_of_both_kinds_are_one_stage(place: Path) -> None:
    stages.write(place, STAGE, RUN, film(0), maps(0))
    put(place, 1)
    assert stages.cases_with_maps(place, STAGE, RUN) == {film(0), film(1)}
    settings = StageSettings(("a", "b", "c"), (0.5,) * 3, (0.5,) * 3)
    stages.write_settings(place, STAGE, RUN, settings)
    assert stages.missing(place, STAGE, RUN, [film(n) for n in range(3)]) == {film(2)}
    stages.keep(place, STAGE, RUN, {film(1)})
    assert stages.cases_with_maps(place, STAGE, RUN) == {film(1)}
    check(place, 1)
    put(place, *range(2, 6))
    stages.pack(place, STAGE, RUN)
    stages.keep(place, STAGE, RUN, {film(1), film(4)})
    assert stages.cases_with_maps(place, STAGE, RUN) == {film(1), film(4)}
    check(place, 4)
    stages.keep(place, STAGE, RUN, ())
    assert stages.cases_with_maps(place, STAGE, RUN) == set()


class Killed(BaseException):
    """As a kill would."""


def test_killed_anywhere_every_film_is_there_and_the_next_join_completes_it(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each write and removal of a file, in turn, is the last thing that is done."""
    step = 0
    while True:
        run = f"run-{step}"
        for number in range(4):
            stages.write(place, STAGE, run, film(number), maps(number), packed=True)
        left = [step]

        def counted(action: object, left: list[int] = left) -> object:
            def call(*args: object, **more: object) -> object:
                if left[0] == 0:
                    raise Killed
                left[0] -= 1
                return action(*args, **more)  # type: ignore[operator]

            return call

        with monkeypatch.context() as patch:
            patch.setattr(atomic, "write", counted(atomic.write))
            patch.setattr(project_files, "remove", counted(project_files.remove))
            try:
                stages.pack(place, STAGE, run)
                complete = True
            except Killed:
                complete = False
        assert stages.cases_with_maps(place, STAGE, run) == {film(n) for n in range(4)}
        stages.pack(place, STAGE, run)
        for number in range(4):
            found = stages.read(place, STAGE, run, film(number))
            assert found is not None
            assert np.abs(found.score[0] - maps(number).score[0]).max() < 0.01
        if complete:
            break
        step += 1
    assert step == 6, "a shard, its temporary file, and the four films that go"


@pytest.mark.parametrize("where", ["frame", "cases", "end", "nothing", "text"])
def test_a_damaged_shard_is_told_and_set_aside(
    place: Path, where: str, capsys: pytest.CaptureFixture[str]
) -> None:
    put(place, *range(3))
    stages.pack(place, STAGE, RUN)
    path = stages.folder(place, STAGE, RUN) / "films" / shards(place)[0]
    data = bytearray(path.read_bytes())
    if where == "frame":
        data[data.index(b".npz.zst") + 40] ^= 255
    elif where == "cases":
        data[data.index(b"cases.json") + 14] ^= 255
    elif where == "end":
        del data[-30:]
    else:
        data = bytearray(b"" if where == "nothing" else b"not a zip" * 99)
    path.write_bytes(data)
    for number in range(3):
        with suppress(DataError):  # any other error would be a traceback
            stages.read(place, STAGE, RUN, film(number))
    assert cli.main(["fsck", "-p", str(place)]) == 3
    assert "maps are damaged" in "".join(capsys.readouterr())
    cli.main(["fsck", "-p", str(place), "--repair"])
    capsys.readouterr()
    with Project.open(place) as project:
        assert [line for line in project.fsck() if "maps" in line] == []
    assert stages.cases_with_maps(place, STAGE, RUN) == set()
    assert list((place / ".trash").rglob("*.zip"))


def test_random_damage_never_ends_in_a_traceback(place: Path) -> None:
    put(place, *range(3))
    stages.pack(place, STAGE, RUN)
    path = stages.folder(place, STAGE, RUN) / "films" / shards(place)[0]
    original, chance = path.read_bytes(), random.Random(0)
    for _ in range(60):
        data = bytearray(original)
        for _ in range(chance.randint(1, 6)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        path.write_bytes(
            data[: chance.choice([len(data), chance.randrange(len(data))])]
        )
        for number in range(3):
            stages.read_present(place, STAGE, RUN, film(number))
            with suppress(DataError):
                stages.read(place, STAGE, RUN, film(number))
        map_shards.flaws(stages.folder(place, STAGE, RUN))


def test_a_frame_that_claims_more_than_maps_ever_are_is_not_unpacked(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(place, 0)
    monkeypatch.setattr(stages, "MAX_BYTES", 100)
    with pytest.raises(DataError, match="unpacks to"):
        stages.read(place, STAGE, RUN, film(0))


def test_gc_finds_shards_that_newer_ones_replaced(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Project.open(place, write=True) as project:
        project.adopt(STAGE, RUN, actor="ann")
    put(place, 0, 1)
    stages.pack(place, STAGE, RUN)
    put(place, 0, 1)
    stages.pack(place, STAGE, RUN)
    assert len(shards(place)) == 2
    assert cli.main(["gc", "-p", str(place)]) == 0
    capsys.readouterr()
    if len(shards(place)) == 2:
        cli.main(["gc", "-p", str(place), "--yes"])
    assert len(shards(place)) == 1
    check(place, 0)


def test_any_program_with_zip_zstd_and_numpy_reads_a_shard(place: Path) -> None:
    import imagecodecs

    put(place, 0, 1)
    stages.pack(place, STAGE, RUN)
    path = stages.folder(place, STAGE, RUN) / "films" / shards(place)[0]
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        data = imagecodecs.zstd_decode(archive.read(film(1) + ".npz.zst"))
    assert names[:2] == ["cases.json", "present.npy"]
    target = path.with_suffix(".npz")
    target.write_bytes(data)
    with np.load(target) as arrays:
        assert arrays["kept"].tolist() == [0]
        score = arrays["score_steps"].cumsum(1).cumsum(2) % 256 / 128
        assert np.abs(score - maps(1).score[:1]).max() <= 1 / 256


def test_a_store_that_there_is_not_is_refused(place: Path) -> None:
    toml = place / "wsseg.toml"
    text = toml.read_text()
    assert "[defaults]\n" in text
    toml.write_text(text.replace("[defaults]\n", '[defaults]\nstore = "tape"\n'))
    with pytest.raises(DataError, match="packed"):
        Project.open(place)
