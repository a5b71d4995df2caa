"""From a real archive to accepted masks back in it, by command alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import archive_round_trip
from helpers.archive import running


@pytest.mark.parametrize(
    ("films", "dimse"),
    [
        (5, False),
        pytest.param(5, True, marks=pytest.mark.slow),
        pytest.param(200, False, marks=pytest.mark.slow),
    ],
)
@pytest.mark.timeout(1800)
def test_films_come_and_accepted_masks_go_back_to_their_patients(
    tmp_path: Path, films: int, dimse: bool
) -> None:
    size = 128 if films < 10 else 512
    with running(tmp_path) as archive:
        found = archive_round_trip.go_round(
            archive, tmp_path, films=films, size=size, dimse=dimse
        )
        assert "DX | SEG | SR" in archive_round_trip.table(archive)
    assert (found.studies, found.patients_a_study) == (films, 1)
    assert found.accepted > 0
    assert found.modalities == {
        "DX": films,
        "SEG": found.accepted,
        "SR": found.accepted,
    }
    assert (found.instances, found.stored_again) == (2 * found.accepted, 0)
