"""Every trap that tools like this one have fallen into, and the test that guards it.

Each line names a trap, then where it is tested. What had no test elsewhere has one in
this file.

A training freezes the window
    widgets/processes/test_jobs.py::
    test_the_window_stays_responsive_while_the_process_floods
    promises/test_reading_loop.py::
    test_reading_goes_on_while_a_model_learns_and_nothing_is_lost
Memory of the graphics card stays taken after a training
    widgets/processes/test_jobs.py::test_no_training_outlives_the_program
    widgets/processes/test_jobs.py::test_force_ends_the_whole_family
An error in a worker is swallowed and the panel says "training" for ever
    widgets/parts/test_background.py::
    test_a_runtime_error_is_told_and_the_next_work_is_done
    widgets/processes/test_jobs.py::test_a_runtime_error_in_the_pump_ends_the_job
Undo brings back pixels of the film before
    widgets/test_window.py::test_undo_never_brings_back_pixels_of_another_case
Undo and redo are not saved, since they paint nothing
    widgets/test_window.py::
    test_undo_and_redo_are_saved_although_they_emit_no_paint_event
A worker touches a layer
    test_no_work_of_another_thread_sees_a_layer_or_a_widget
Keys and docks of the manifest are ignored
    test_no_key_hangs_on_the_manifest
Findings that overlap are flattened
    widgets/test_window.py::test_overlapping_findings_keep_all_their_pixels
    datasets/test_folder.py::test_overlapping_findings_of_real_films_stay_apart
    export/test_export_contract.py::test_masks_come_back_to_the_pixel
The share of expert films is not the one asked for
    widgets/training/test_before_training.py::test_the_realised_share_is_exact
    trainers/test_samplers.py::test_the_share_over_many_batches_is_p_to_half_a_film
Work is lost because nobody pressed Save
    widgets/test_window.py::test_a_mouse_stroke_is_painted_and_on_disk
    test_there_is_no_save_button_and_the_saved_state_is_in_sight
Saving succeeds but keeps something else
    promises/test_reading_loop.py::
    test_reading_goes_on_while_a_model_learns_and_nothing_is_lost
    widgets/canvas/test_editing.py::test_every_action_is_one_undo_step_and_saved
A crash eats what was not saved
    promises/test_reading_loop.py::
    test_a_window_killed_in_the_middle_of_a_stroke_loses_at_most_that_stroke
Layers removed between films crash the viewer
    widgets/test_window.py::test_turning_to_another_case_reuses_every_layer
    widgets/test_window.py::test_our_layers_cannot_be_lost_by_deleting_them
Undo is missing or takes back too much
    widgets/canvas/test_editing.py::test_every_action_is_one_undo_step_and_saved
    promises/test_grow.py::test_a_proposal_is_taken_by_enter_as_one_step
Memory runs out and the program is unusable afterwards
    widgets/training/test_training_jobs.py::test_out_of_memory_is_told_with_its_remedy
Stop does nothing
    widgets/training/test_training_jobs.py::
    test_stop_is_answered_at_once_and_ends_in_stopped
    widgets/training/test_training_jobs.py::
    test_force_stop_appears_when_stop_is_not_heeded
The window says "running" after the end
    widgets/processes/test_jobs.py::test_every_way_to_end_badly_is_told_in_plain_words
A training starts by itself
    widgets/training/test_training_jobs.py::test_training_starts_on_the_button_alone
One film that cannot be read leaves the buttons grey
    session/test_session.py::test_an_unreadable_film_leaves_the_case_before_on_screen
    test_a_film_that_cannot_be_read_leaves_every_button_alive
A finished case cannot be opened again
    test_a_finished_case_is_opened_again_and_edited_into_a_new_version
Junk files break the worklist
    datasets/test_folder.py::test_litter_is_silent_and_other_files_are_listed
The next film takes seconds, or films are copied
    test_films_are_read_where_they_lie_and_never_changed
The canvas is empty for a moment between films
    test_the_film_before_stays_in_sight_until_the_next_one_is_ready
Many layers make the viewer slow
    widgets/test_window.py::test_layers_are_one_set_in_a_fixed_order
    test_what_shows_nothing_is_not_drawn
Strokes lag on large films
    widgets/test_window.py::test_layers_are_one_set_in_a_fixed_order
Colours are made anew with every film
    test_colours_are_made_once
Shortcuts die, or fire while one types
    widgets/test_keyboard.py::
    test_every_key_of_ours_works_whatever_layer_is_active
    widgets/test_keyboard.py::test_no_key_of_ours_acts_while_a_text_field_is_typed_in
    test_the_keyboard_goes_back_to_the_picture_after_a_click_in_a_panel
A radiograph looks wrong: inverted, or windowed before it is inverted
    io/test_dicom.py::test_inversion_comes_after_the_window
    io/test_dicom_golden.py::test_presentation_shape_and_photometric_invert_once
What is installed does not fit together
    cli/test_cli.py::test_doctor_says_what_was_found
A new napari breaks the plugin
    test_no_private_part_of_napari_is_used_without_a_way_round_it
The start is slow for the sake of libraries
    test_architecture.py::
    test_starting_napari_with_the_plugin_installed_does_not_import_torch
    widgets/test_window.py::test_importing_the_window_does_not_import_torch
A model that is worse is used all the same
    widgets/training/test_training_jobs.py::
    test_a_finished_run_is_offered_and_used_only_when_the_reader_says_so
    widgets/runs/test_runs.py::test_a_run_is_put_in_use_and_the_one_before_brought_back
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from napari.settings import get_settings
from npe2 import PluginManifest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QAbstractButton, QDockWidget

import napari_wsseg
from helpers import noise_project
from napari_wsseg._widgets.canvas import napari_internals
from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg._widgets.review.panel import Review
from napari_wsseg._widgets.worklist.model import ICONS
from napari_wsseg._widgets.worklist.panel import Worklist
from napari_wsseg.io.project import Project

TESTS = Path(__file__).parents[1]
PACKAGE = Path(napari_wsseg.__file__).parent


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def test_every_trap_names_tests_that_there_are() -> None:
    text = re.sub(r"::\n\s+", "::", __doc__ or "")
    named = re.findall(r"^ {4}(?:([\w/]+\.py)::)?(test_\w+)$", text, re.MULTILINE)
    assert len(named) > 40
    for file, name in named:
        source = (TESTS / file if file else Path(__file__)).read_text()
        there = {function.name for function in functions(ast.parse(source))}
        assert name in there, f"{file}::{name}"


def test_no_work_of_another_thread_sees_a_layer_or_a_widget() -> None:
    """What is handed to a background is called `work` and closes over no `self`."""
    seen = 0
    for path in sorted((PACKAGE / "_widgets").rglob("*.py")):
        for function in functions(ast.parse(path.read_text())):
            if function.name != "work":
                continue
            seen += 1
            names = {n.id for n in ast.walk(function) if isinstance(n, ast.Name)}
            attributes = {
                n.attr for n in ast.walk(function) if isinstance(n, ast.Attribute)
            }
            assert not names & {"self", "viewer", "layer", "bench", "session"}, path
            assert not attributes & {"layers", "viewer"}, path
    assert seen >= 4


def test_no_key_hangs_on_the_manifest() -> None:
    """napari validates keys and places of a manifest, then ignores them."""
    manifest = PluginManifest.from_file(PACKAGE / "napari.yaml")
    assert not manifest.contributions.keybindings


def test_the_manifest_names_an_icon_that_ships_with_the_package() -> None:
    manifest = PluginManifest.from_file(PACKAGE / "napari.yaml")
    package, _, name = str(manifest.icon).partition(":")
    assert package == "napari_wsseg"
    assert ElementTree.parse(PACKAGE / name).getroot().tag.endswith("svg")


def test_no_private_part_of_napari_is_used_without_a_way_round_it() -> None:
    """What is used stands in one file, is asked for first and may be missing."""
    private = re.compile(r"\b(?:layer|viewer|window|canvas|film|strokes)\._\w+")
    listed = {name.partition(".")[2] for name in napari_internals.PRIVATE}
    for path in sorted((PACKAGE / "_widgets").rglob("*.py")):
        text = path.read_text()
        if path.name != "napari_internals.py":
            assert not private.findall(text), path.name
            assert not re.findall(rf"\._?(?:{'|'.join(listed)})\b", text), path.name
    adapter = Path(napari_internals.__file__).read_text()
    looked_for = set(re.findall(r'getattr\([^"]*, "(\w+)"', adapter))
    assert {"_qt_viewer", "_update_scenegraph", "_block_refresh"} <= looked_for


@pytest.mark.gui
def test_every_private_part_of_napari_is_where_it_was(bench: Workbench) -> None:
    layer = next(iter(bench.layers.experts.values()))
    visual = napari_internals.visual_of(bench.viewer, layer)
    owners = {
        "window": bench.viewer.window,
        "viewer": bench.viewer,
        "qt": getattr(bench.viewer.window, "_qt_viewer", None),
        "keys": napari_internals.keys_of(bench.viewer),
        "canvas": napari_internals.canvas_of(bench.viewer),
        "visual": visual,
        "node": napari_internals.node_of(visual),
        "dock": bench.main_window.findChild(QDockWidget),
        "settings": get_settings(),
        "layer": layer,
        "labels": layer,
    }
    lost = {
        name: why
        for name, why in napari_internals.PRIVATE.items()
        if not hasattr(owners[name.partition(".")[0]], name.partition(".")[2])
    }
    assert not lost
    assert napari_internals.canvas_widget(bench.main_window) is not None


@pytest.mark.gui
def test_there_is_no_save_button_and_the_saved_state_is_in_sight(
    bench: Workbench, qtbot: Any
) -> None:
    texts = [b.text().lower() for b in bench.main_window.findChildren(QAbstractButton)]
    assert not any(word.startswith("save") for word in texts)
    bench.autosave.apply("effusion", noise_project.blob().astype(bool), "brush")
    saved = bench.main_window.findChild(Review).header.saved
    qtbot.waitUntil(lambda: "saved" in saved.text(), timeout=3000)
    assert saved.isVisible()


@pytest.mark.gui
def test_a_film_that_cannot_be_read_leaves_every_button_alive(
    bench: Workbench, place: Path, qtbot: Any
) -> None:
    # Not the next one, which was read ahead.
    lost = bench.session.list.order[2]
    (place.parent / "films" / bench.session.list.cases[lost].path).unlink()
    bench.session.go_to(lost)
    qtbot.waitUntil(lambda: lost in bench.session.list.unreadable, timeout=5000)
    review = bench.main_window.findChild(Review)
    assert all(button.isEnabled() for button in review.decide.buttons.values())
    assert review.editing.isEnabled()
    assert "cannot be shown" in review.banner.text.text()
    table = bench.main_window.findChild(Worklist).table
    word = f"{ICONS['unreadable']} unreadable"
    assert table.columnWidth(0) > table.fontMetrics().horizontalAdvance(word)
    third = bench.session.list.order[3]
    bench.session.go_to(third)
    qtbot.waitUntil(lambda: bench.session.case.id == third, timeout=5000)


@pytest.mark.gui
def test_a_finished_case_is_opened_again_and_edited_into_a_new_version(
    bench: Workbench, place: Path, qtbot: Any
) -> None:
    session = bench.session
    first = session.case.id
    bench.autosave.apply("effusion", noise_project.blob().astype(bool), "brush")
    qtbot.waitUntil(lambda: bench.sight.seen)
    bench.decide("accept with edits")
    qtbot.waitUntil(lambda: session.case.id != first, timeout=5000)
    session.go_to(first)
    qtbot.waitUntil(lambda: session.case.id == first, timeout=5000)
    larger = noise_project.blob(size=20).astype(bool)
    bench.autosave.apply("effusion", larger, "brush")
    bench.close()
    with Project.open(place) as project:
        versions = project.history(first, "effusion")
        assert [version.area_px for version in versions] == [64, 400]
        np.testing.assert_array_equal(project.read_mask(versions[-1]), larger)


@pytest.mark.gui
def test_films_are_read_where_they_lie_and_never_changed(
    bench: Workbench, place: Path
) -> None:
    films = sorted((place.parent / "films").iterdir())
    before = [film.read_bytes() for film in films]
    bench.autosave.apply("effusion", noise_project.blob().astype(bool), "brush")
    bench.close()
    assert [film.read_bytes() for film in films] == before
    kept = [path for path in place.rglob("*") if path.name.startswith("film")]
    assert kept == [], "no copy of a film in the project"


@pytest.mark.gui
def test_the_film_before_stays_in_sight_until_the_next_one_is_ready(
    bench: Workbench, qtbot: Any
) -> None:
    session = bench.session
    first, film = session.case.id, bench.layers.film.data
    coming = session.list.order[2]
    seen: list[bool] = []
    session.loading.connect(
        lambda *_: seen.append(
            bench.layers.film.data is film and bench.layers.film.visible
        )
    )
    session.go_to(coming)
    assert seen == [True]
    assert session.case.id == first
    assert bench.layers.film.data is film
    qtbot.waitUntil(lambda: session.case.id == coming, timeout=5000)
    assert bench.layers.film.data is not film


@pytest.mark.gui
def test_what_shows_nothing_is_not_drawn(bench: Workbench) -> None:
    """Empty masks would be drawn for nothing, each as dear as a full one."""
    bench.session.looking.set_view("cam")
    bench.drawing.drain()
    shown = {layer.name for layer in bench.viewer.layers if layer.visible}
    assert shown == {"Film", "CAM", "Machine outline", "Expert · effusion"}


@pytest.mark.gui
def test_colours_are_made_once(bench: Workbench, qtbot: Any) -> None:
    before = [layer.colormap for layer in bench.layers.experts.values()]
    other = bench.session.list.order[1]
    bench.session.go_to(other)
    qtbot.waitUntil(lambda: bench.session.case.id == other, timeout=5000)
    after = [layer.colormap for layer in bench.layers.experts.values()]
    assert all(a is b for a, b in zip(after, before, strict=True))


@pytest.mark.gui
def test_the_keyboard_goes_back_to_the_picture_after_a_click_in_a_panel(
    bench: Workbench, qtbot: Any
) -> None:
    review = bench.main_window.findChild(Review)
    bench.main_window.activateWindow()
    bench.autosave.apply("effusion", noise_project.blob().astype(bool), "brush")
    buttons = [
        review.editing.smooth,
        review.editing.undo,
        review.tone.reset,
        review.stages.buttons["cam"],
        next(b for b in review.editing.tools.buttons() if b.text() == "Brush"),
    ]
    for button in buttons:
        review.decide.comment.setFocus()
        qtbot.waitUntil(review.decide.comment.hasFocus)
        # A fold may be closed: what counts is what the press does.
        if button.isVisible():
            middle = QPoint(button.width() // 2, button.height() // 2)
            QTest.mouseClick(button, Qt.MouseButton.LeftButton, pos=middle)
        else:
            button.click()
        qtbot.waitUntil(bench.canvas().hasFocus, timeout=2000)
