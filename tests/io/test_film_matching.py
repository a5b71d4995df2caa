"""Which film a name means, and when it means none."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_wsseg.io.external.film_matching import FilmNames, match
from napari_wsseg.jobs import DataError
from napari_wsseg.schema import without_ending

UID = "1.2.826.0.1.3680043.10.999.7.{}"


def films(*paths: str) -> FilmNames[str]:
    return FilmNames((path, path) for path in paths)


@pytest.mark.parametrize(
    ("film", "name"),
    [
        ("a0.png", "a0.png"),
        ("a0.png", "a0"),
        ("a0.png", "A0.PNG"),
        ("a0.png", "a0.dcm"),
        ("a0.png", "some/where/a0.jpg"),
        ("a0.png", "C:\\work\\films\\a0.png"),
        ("a0.png", ".\\a0.png"),
        ("a0.png", "../../media/upload/1/3f2a1b4c-a0.png"),
        ("a0.png", "a0_png.rf.0123456789abcdef0123456789abcdef.jpg"),
        ("b/a0.png", "a0"),
        ("b/a0.png", "b\\a0.nii.gz"),
        (UID.format(101), UID.format(101)),
        (UID.format(101) + ".dcm", UID.format(101)),
        (unicodedata.normalize("NFD", "Müller.png"), "Müller.png"),
    ],
)
def test_a_name_means_its_film(film: str, name: str) -> None:
    assert films(film, "other.png").find(name) == film


@pytest.mark.parametrize(
    ("film", "name"),
    [
        (UID.format(101), UID.format(555)),
        ("CR.1", "CR"),
        ("CR.1", "CR.2"),
        ("pat.7.png", "pat.8.png"),
        ("anna/1.png", "bert/1.png"),
        ("a0.png", ""),
        ("a0.png", "/"),
        ("a0.png", "xa0.png"),
    ],
)
def test_a_name_of_another_film_means_none(film: str, name: str) -> None:
    with pytest.raises(DataError, match="no film is called"):
        films(film).find(name)


@pytest.mark.parametrize(
    ("paths", "name"),
    [
        (("a/1.png", "b/1.png"), "1.png"),
        (("1.png", "1.dcm"), "1"),
        (("a.png", "A.png"), "x/A.tif"),
    ],
)
def test_where_two_are_left_it_is_neither(paths: tuple[str, ...], name: str) -> None:
    if name == "x/A.tif":  # case tells these two apart
        assert films(*paths).find(name) == "A.png"
        return
    with pytest.raises(DataError, match="2 films are called"):
        films(*paths).find(name)


def test_a_name_as_it_is_written_is_that_film_alone() -> None:
    both = ("\u00e9.png", "e\u0301.png", "a.png", "A.png", "a/a.png")
    for path in both:
        assert films(*both).find(path) == path
    assert films(*both[:2]).find("e\u0301") == "e\u0301.png"
    with pytest.raises(DataError, match="2 films are called"):
        films(*both[:2]).find("x/\u00e9.png")


def test_two_names_never_share_a_film() -> None:
    found, reasons = match(["train/1.png", "val/1.png"], films("1.png"))
    assert found == {}
    assert set(reasons) == {"train/1.png", "val/1.png"}
    found, reasons = match(["a.png", "A.PNG", "b"], films("a.png", "b.png"))
    assert found == {"a.png": "a.png", "b": "b.png"}
    assert set(reasons) == {"A.PNG"}


PARTS = st.text("ab.1_", min_size=1, max_size=4).filter(lambda t: t.strip("."))
PATHS = st.lists(PARTS, min_size=1, max_size=3).map("/".join)


@given(st.lists(PATHS, min_size=1, max_size=6, unique=True), st.sampled_from("\\/"))
@settings(max_examples=150, deadline=None)
def test_every_path_is_found_among_any_others(paths: list[str], slash: str) -> None:
    known = films(*paths)
    for path in paths:
        assert known.find(path.replace("/", slash)) == path
    found, reasons = match(paths, known)
    assert found == {path: path for path in paths}
    assert reasons == {}


def test_only_known_endings_are_endings() -> None:
    assert without_ending("a.nii.gz") == "a"
    assert without_ending("1.2.3") == "1.2.3"
    assert without_ending("d/.png") == "d/.png"
