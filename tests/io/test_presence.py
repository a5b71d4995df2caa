"""A project's folder that goes away while it is open, and one that comes back."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from pathlib import Path

import numpy as np
import pytest

from helpers import noise_project
from helpers.noise_project import blob
from napari_wsseg.io import stages
from napari_wsseg.io.project import Project, ProjectLocked
from napari_wsseg.io.project_folder import mask_store, writer_lock
from napari_wsseg.jobs import DataError
from napari_wsseg.schema import StageMaps
from napari_wsseg.session import Session


@pytest.mark.parametrize("instead", ["nothing", "an empty folder", "a copy"])
def test_strokes_wait_in_memory_while_the_folder_is_away(
    place: Path, instead: str
) -> None:
    messages: list[str] = []
    session = Session(reader="ann")
    session.save_failed.connect(messages.append)
    session.open_project(place)
    case = session.case.id
    session.edit("nodule", blob())
    away = place.with_name("away")
    place.rename(away)
    if instead == "an empty folder":
        place.mkdir()
    elif instead == "a copy":
        noise_project.make_project(place.parent / "other").rename(place)
    before = sorted(place.rglob("*"))
    session.edit("nodule", blob(at=30))
    session.tick()
    session.experts.last_edit = -100.0
    session.tick()
    session.decide("accept")
    assert session.experts.unsaved == ["nodule"]
    assert "not there any more" in messages[0]
    assert str(away) in messages[0], "it says where it is now"
    assert sorted(place.rglob("*")) == before, "nothing is written beside the project"
    with pytest.raises(DataError, match="not there any more"):
        session.close()

    if instead != "nothing":
        place.rename(place.with_name("stranger"))
    away.rename(place)
    session.tick()
    assert session.experts.unsaved == []
    session.close()
    with Project.open(place) as project:
        drawn = project.expert_masks(case)["nodule"]
        np.testing.assert_array_equal(drawn, blob(at=30).astype(bool))
        assert project.decisions() == {}
        assert project.fsck() == []


@pytest.mark.parametrize(
    "write",
    [
        lambda project, case: project.put_mask(
            case, "nodule", blob().astype(bool), reader="ann"
        ),
        lambda project, case: project.put_void(case, blob().astype(bool)),
        lambda project, case: mask_store.write(
            project.folder, case, "nodule", blob().astype(bool)
        ),
        lambda project, case: project.add_reader("ben"),
        lambda project, case: project.decide(case, "accept", reader="ann"),
        lambda project, case: project.hide_names(),
        lambda project, case: stages.write(
            project.folder,
            "cam",
            "run",
            case,
            StageMaps(np.ones((1, 8, 8), np.float32), np.ones(1, np.float32), {}),
        ),
    ],
)
def test_nothing_makes_the_folder_anew(place: Path, write) -> None:  # type: ignore[no-untyped-def]
    with Project.open(place, write=True) as project:
        case = project.cases()[0].id
        place.rename(place.with_name("away"))
        with pytest.raises(DataError, match="not there any more"):
            write(project, case)
        assert not place.exists()


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK])
def test_without_locks_of_the_file_system_a_dead_writer_is_followed(
    place: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    (place / writer_lock.LOCK).write_bytes(b"")

    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with Project.open(place, write=True) as project:
        project.add_reader("ben")
        with pytest.raises(ProjectLocked, match=f"process {os.getpid()}"):
            Project.open(place, write=True)
    holder = place / writer_lock.HOLDER
    assert not holder.exists()
    dead = json.loads(writer_lock._this_holder()) | {"pid": 2**22 - 1}
    holder.write_text(json.dumps(dead))
    Project.open(place, write=True).close()
    holder.write_text("{to")
    os.utime(holder, (0, 0))
    Project.open(place, write=True).close()
    holder.write_text(json.dumps(dead | {"host": "another"}))
    with pytest.raises(ProjectLocked, match="on another"):
        Project.open(place, write=True)
