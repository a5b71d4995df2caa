"""Other names for a project's films, and moved films found by their pixels."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable
from dataclasses import replace
from pathlib import Path

from napari_wsseg.io import film_names
from napari_wsseg.io.film_facts import FactsReader
from napari_wsseg.io.film_names import Names
from napari_wsseg.io.guarded.reader import borrowed_kind
from napari_wsseg.io.index import cases as _cases
from napari_wsseg.io.index.database import Database
from napari_wsseg.io.project_folder import settings as _settings
from napari_wsseg.jobs import DataError, Progress
from napari_wsseg.schema import Case


def hide(
    database: Database,
    folder: Path,
    settings: _settings.Settings,
    cases: Iterable[Case],
) -> Names:
    """Take the films' names out of the project and into a new key file.

    Whatever stops this, every film is found and `finish` completes it or takes it back:
    ``wsseg.toml`` names the key first, with the image folder still beside it; then come
    the key file and the index; last, the image folder leaves ``wsseg.toml``.

    Parameters
    ----------
    database, folder
        The index, and the project's folder.
    settings
        As ``wsseg.toml`` has them now.
    cases
        All of the project's, with their films' own paths.

    Raises
    ------
    DataError
        They are hidden already, or the disk is full.
    """
    if settings.key:
        raise DataError(f"{folder}: its film names are hidden already")
    hidden = film_names.hide([case.path for case in cases])
    begun = replace(settings, key=film_names.new_key())
    _settings.write(folder, begun)
    films = {new: old for old, new in hidden.items()}
    film_names.write(begun.key, settings.images, films)
    database.wipe()
    return _complete(database, folder, begun, cases)


def finish(
    database: Database,
    folder: Path,
    settings: _settings.Settings,
    cases: Iterable[Case],
) -> _settings.Settings:
    """Complete a hiding of names that was stopped, or take it back.

    Parameters
    ----------
    database, folder
        The index, and the project's folder.
    settings
        As ``wsseg.toml`` has them now; where no hiding was stopped, returned as they
        are.
    cases
        All of the project's.

    Returns
    -------
    Settings
        As ``wsseg.toml`` has them afterwards.

    Raises
    ------
    DataError
        The disk is full.
    """
    if not is_under_way(settings):
        return settings
    if film_names.read(settings.key, folder).found:
        _complete(database, folder, settings, cases)
    elif _have_own_names(folder, settings, [case.path for case in cases]):
        _settings.write(folder, replace(settings, key=""))
    return _settings.read(folder)


def is_under_way(settings: _settings.Settings) -> bool:
    """Whether a hiding of names was stopped."""
    return bool(settings.key and settings.images)


def _have_own_names(folder: Path, begun: _settings.Settings, paths: list[str]) -> bool:
    """Whether a project's paths are still the films' own: the key file is not here."""
    films = Names(Path(os.path.abspath(folder / begun.images)))
    return not film_names.are_hidden(paths) or any(
        films.place(p).exists() for p in paths
    )


def _complete(
    database: Database, folder: Path, begun: _settings.Settings, cases: Iterable[Case]
) -> Names:
    known = film_names.read(begun.key, folder)
    hidden = {real: shown for shown, real in known.films.items()}
    paths = {case.id: hidden[case.path] for case in cases if case.path in hidden}
    _cases.set_paths(database, paths)
    database.wipe()
    _settings.write(folder, replace(begun, images=""))
    return known


def find(
    database: Database,
    folder: Path,
    settings: _settings.Settings,
    cases: Iterable[Case],
    place: Path,
) -> Generator[Progress, None, list[Case]]:
    """Yield progress while looking in `place` for every film by its pixels.

    Parameters
    ----------
    database, folder
        The index, and the project's folder.
    settings
        As ``wsseg.toml`` has them now.
    cases
        Those that are looked for.
    place
        The new image folder, looked through with all that is in it.

    Returns
    -------
    list of Case
        Those that are not there; they stay as they were.

    Raises
    ------
    DataError
        Not a single one is there: nothing is changed.
    """
    wanted = {case.id: case for case in cases}
    found: dict[str, str] = {}
    files = sorted(path for path in place.rglob("*") if path.is_file())
    with borrowed_kind(FactsReader) as reader:
        for step, path in enumerate(files, start=1):
            facts = reader.facts(path)
            yield Progress(step, len(files), "looking for films")
            if isinstance(facts, str):
                continue  # not a film, so not one of ours
            case_id = facts.uid[:16]
            if case_id in wanted:
                found.setdefault(case_id, path.relative_to(place).as_posix())
            if len(found) == len(wanted):
                break
    if not found:
        raise DataError(f"{place}: no film of this project is in it; nothing changed")
    stored = _settings.stored_images(folder, place)
    if settings.key:
        films = {wanted[case_id].path: path for case_id, path in found.items()}
        film_names.write(settings.key, stored, films)
    else:
        _cases.set_paths(database, found)
        _settings.write(folder, replace(settings, images=stored))
    return [case for case_id, case in wanted.items() if case_id not in found]
