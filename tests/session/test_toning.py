"""The grey window: presets go along, what is set by hand stays with its film."""

from __future__ import annotations

import numpy as np
import pytest

from napari_wsseg.ops.windowing import PRESETS, reading_window
from napari_wsseg.session.grey_window import Toning, around, level_and_width

FILM = np.linspace(0, 1, 10_000, dtype=np.float32).reshape(100, 100)
OTHER = FILM * 0.5


def test_every_preset_is_a_window_within_the_film() -> None:
    for preset in PRESETS:
        low, high = reading_window(FILM, preset)
        assert 0 <= low < high <= 1, preset
    assert reading_window(FILM, "full") == (0, 1)


def test_presets_lie_where_their_tissue_is() -> None:
    lung, heart, bone = (
        level_and_width(reading_window(FILM, preset))[0]
        for preset in ("lung", "mediastinum", "bone")
    )
    assert lung < heart < bone


def test_the_collimator_does_not_count_as_lung() -> None:
    shuttered = FILM.copy()
    shuttered[:, :50] = 0
    low, _ = reading_window(shuttered, "lung")
    assert low > 0.01


def test_a_constant_film_is_shown_in_full() -> None:
    flat = np.full((20, 20), 0.4, np.float32)
    assert {reading_window(flat, preset) for preset in PRESETS} == {(0.0, 1.0)}


def test_an_unknown_preset_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="liver"):
        reading_window(FILM, "liver")
    with pytest.raises(ValueError, match="liver"):
        Toning().choose("liver", "a")


def test_a_preset_goes_along_and_follows_each_films_greys() -> None:
    tone = Toning()
    tone.choose("lung", "a")
    first, second = tone.grey_window("a", FILM), tone.grey_window("b", OTHER)
    assert second[1] == pytest.approx(first[1] / 2, abs=0.01)


def test_a_window_set_by_hand_stays_with_its_film() -> None:
    tone = Toning()
    tone.set("a", 0.2, 0.4)
    assert tone.grey_window("a", FILM) == (0.2, 0.4)
    assert tone.grey_window("b", FILM) == reading_window(FILM)
    assert tone.grey_window("a", FILM) == (0.2, 0.4), "also when coming back"


def test_a_window_set_by_hand_can_be_carried_to_every_film() -> None:
    tone = Toning()
    tone.set("a", 0.2, 0.4)
    tone.carry(True, "a")
    assert tone.grey_window("b", OTHER) == (0.2, 0.4)
    tone.carry(False)
    assert tone.grey_window("b", OTHER) == reading_window(OTHER)


def test_a_window_never_closes_nor_leaves_the_greys() -> None:
    tone = Toning()
    tone.set("a", 0.9, 0.1)
    low, high = tone.grey_window("a", FILM)
    assert 0 <= low < high <= 1
    low, high = around(1.4, 0.0)
    assert 0 <= low < high <= 1


def test_the_next_preset_leads_from_by_hand_back_to_the_preset_before() -> None:
    tone = Toning()
    tone.choose("bone", "a")
    tone.set("a", 0.1, 0.2)
    tone.next_preset("a")
    assert tone.preset == "bone"
    assert not tone.is_by_hand("a")
    tone.next_preset("a")
    assert tone.preset == "auto"


def test_every_change_is_told() -> None:
    tone, changes = Toning(), []
    tone.changed.connect(lambda: changes.append(tone.preset))
    tone.choose("lung", "a")
    tone.set("a", 0.1, 0.9)
    tone.set("a", 0.1, 0.9)
    assert len(changes) == 2
