"""Looking: numbers, grey window, comparison, values under the cursor, ruler."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QWidget
from scipy import ndimage

from helpers import noise_project, pointer
from napari_wsseg._widgets.canvas import thumbnails as _thumbnails
from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg._widgets.canvas.tools import ruler as _ruler
from napari_wsseg._widgets.review.panel import Review
from napari_wsseg._widgets.workbench import commands_of
from napari_wsseg.ops.windowing import reading_window
from napari_wsseg.schema import PALETTE, Radiograph

LEFT = Qt.MouseButton.LeftButton


def canvas(bench: Workbench) -> QWidget:
    found = bench.canvas()
    assert found is not None
    return found


def review(bench: Workbench) -> Review:
    found = bench.main_window.findChild(Review)
    assert isinstance(found, Review)
    return found


def drag(widget: QWidget, *points: tuple[float, float]) -> None:
    """Drag the mouse over a widget, points in fractions of it."""
    places = [
        QPoint(int(x * widget.width()), int(y * widget.height())) for x, y in points
    ]
    pointer.drag(widget, places, pause=20)


# Without a window -------------------------------------------------------------------


def test_twelve_findings_have_twelve_colours_that_stay_apart_for_the_colour_blind() -> (
    None
):
    """Machado 2009's simulation without red or green cones, differences in CIEDE2000.

    Okabe and Ito's own seven are 11.6 apart at the least.
    """
    from skimage.color import deltaE_ciede2000, rgb2lab

    without = (
        np.eye(3),
        np.array(
            [
                [0.152286, 1.052583, -0.204868],
                [0.114503, 0.786281, 0.099216],
                [-0.003882, -0.048116, 1.051998],
            ]
        ),
        np.array(
            [
                [0.367322, 0.860646, -0.227968],
                [0.280085, 0.672501, 0.047413],
                [-0.011820, 0.042940, 0.968881],
            ]
        ),
        np.array(
            [
                [1.255528, -0.076749, -0.178779],
                [-0.078411, 0.930809, 0.147602],
                [0.004733, 0.691367, 0.303900],
            ]
        ),
    )
    rgb = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in PALETTE]) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    assert len({*PALETTE}) == len(PALETTE) == 20
    for matrix in without:
        seen = (linear @ matrix.T).clip(0, 1)
        shown = np.where(
            seen <= 0.0031308, seen * 12.92, 1.055 * seen ** (1 / 2.4) - 0.055
        )
        lab = rgb2lab(shown)
        apart = deltaE_ciede2000(lab[:, None], lab[None])
        assert apart[np.triu_indices(len(PALETTE), 1)].min() >= 7.5
        assert apart[:12, :12][np.triu_indices(12, 1)].min() >= 8


def test_a_number_stands_beside_each_mask_in_its_own_value() -> None:
    labels = np.zeros((240, 200), np.uint8)
    masks = [noise_project.blob((240, 200), at=100, size=40).astype(bool)]
    masks.append(np.zeros((240, 200), bool))
    masks.append(noise_project.blob((240, 200), at=150, size=20).astype(bool))
    _thumbnails.number(labels, masks)
    assert set(np.unique(labels)) == {0, 1, 3, _thumbnails.GROUND}
    rows, _ = np.nonzero(labels == 1)
    assert rows.max() < 100, "above its mask, not on it"


def test_masks_in_one_place_have_numbers_beside_each_other() -> None:
    labels = np.zeros((240, 200), np.uint8)
    same = noise_project.blob((240, 200), at=100, size=40).astype(bool)
    alone = np.zeros_like(labels)
    _thumbnails.number(alone, [same])
    _thumbnails.number(labels, [same] * 4)
    digits = [int((labels == value).sum()) for value in (1, 2, 3, 4)]
    assert digits[0] == int((alone == 1).sum()), "nothing is written over it"
    assert min(digits) > 5


def test_every_large_piece_carries_the_number_and_specks_do_not() -> None:
    labels = np.zeros((240, 200), np.uint8)
    mask = np.zeros((240, 200), bool)
    mask[60:100, 20:60] = mask[160:190, 140:170] = True
    mask[220:222, 20:22] = True
    _thumbnails.number(labels, [mask])
    _, count = ndimage.label(labels)
    assert count == 2


def test_a_picture_that_is_shown_small_has_larger_numbers() -> None:
    mask = noise_project.blob((240, 200), at=100, size=40).astype(bool)
    high = []
    for least in (12, 36):
        labels = np.zeros((240, 200), np.uint8)
        _thumbnails.number(labels, [mask], least)
        high.append(int(np.ptp(np.nonzero(labels == 1)[0])))
    assert high[1] > 2.5 * high[0]


@pytest.mark.gui
def test_the_circle_of_the_brush_has_no_ground_of_its_own(bench: Workbench) -> None:
    """A dark blot in its middle, as high as the room around a word."""
    assert not bench.viewer.canvas.overlays["_brush_circle"].box


def test_a_mask_at_the_rim_keeps_its_number_on_the_film() -> None:
    labels = np.zeros((120, 120), np.uint8)
    corner = np.zeros((120, 120), bool)
    corner[:8, -8:] = True
    _thumbnails.number(labels, [corner])
    assert (labels == 1).sum() > 5


@pytest.mark.parametrize(
    ("spacing", "kind", "message"),
    [
        ((0.5, 0.5), "pixel", "50.0 mm"),
        ((0.5, 0.5), "detector", "50.0 mm at the detector"),
        (None, None, "50 px"),
    ],
)
def test_the_ruler_says_what_its_figure_is_of(
    spacing: Any, kind: Any, message: str
) -> None:
    film = Radiograph("", np.zeros((4, 4), np.float32), spacing, kind)
    assert _ruler.distance((0.0, 0.0), (30.0, 40.0), film) == message


# In the window ----------------------------------------------------------------------


@pytest.mark.gui
def test_numbers_are_on_the_film_until_they_are_ticked_off(bench: Workbench) -> None:
    bench.session.looking.set_view("cam")
    bench.drawing.drain()
    assert (bench.layers.outline.data == _thumbnails.GROUND).any()
    review(bench).findings.numbers.click()
    bench.drawing.drain()
    assert not (bench.layers.outline.data == _thumbnails.GROUND).any()


@pytest.mark.gui
def test_numbers_follow_what_is_drawn_once_the_hand_rests(
    bench: Workbench, qtbot: Any
) -> None:
    bench.session.looking.set_view("expert")
    bench.drawing.drain()
    assert not bench.layers.outline.visible
    bench.autosave.apply("nodule", noise_project.blob(at=50).astype(bool), "brush")
    qtbot.waitUntil(lambda: bool((bench.layers.outline.data == 2).any()), timeout=5000)
    assert bench.layers.outline.visible


@pytest.mark.gui
def test_the_table_says_what_there_is_of_each_finding(bench: Workbench) -> None:
    table = review(bench).findings.table
    assert [table.item(row, 1).text() for row in (0, 1)] == ["○ draft", "○ draft"]
    bench.autosave.apply("effusion", noise_project.blob().astype(bool), "brush")
    assert table.item(0, 1).text() == "● 64 px"
    bench.autosave.apply("effusion", np.zeros(noise_project.SHAPE, bool), "clear")
    assert table.item(0, 1).text() == "● empty"


@pytest.mark.gui
def test_9_and_0_turn_the_grey_window_and_it_follows_to_the_next_film(
    bench: Workbench, qtbot: Any
) -> None:
    def limits() -> tuple[float, float]:
        return tuple(bench.layers.film.contrast_limits)

    opened = bench.session.opened.radiograph.pixels
    for _ in range(2):
        QTest.keyClick(canvas(bench), Qt.Key.Key_9)
    assert bench.session.tone.preset == "lung"
    assert limits() == pytest.approx(reading_window(opened, "lung"))
    other = bench.session.list.order[1]
    bench.session.go_to(other)
    qtbot.waitUntil(lambda: bench.session.case.id == other, timeout=5000)
    pixels = bench.session.opened.radiograph.pixels
    assert limits() == pytest.approx(reading_window(pixels, "lung"))
    QTest.keyClick(canvas(bench), Qt.Key.Key_0)
    assert limits() == pytest.approx(reading_window(pixels, "auto"))


@pytest.mark.gui
def test_moving_the_mouse_with_j_held_sets_the_window_of_this_film(
    bench: Workbench,
) -> None:
    native, tone = canvas(bench), bench.session.tone
    before = tuple(bench.layers.film.contrast_limits)
    middle = QPoint(native.width() // 2, native.height() // 2)
    pointer.move(native, middle)
    QTest.keyPress(native, Qt.Key.Key_J)
    for step in (10, 30, 60):
        pointer.move(native, middle - QPoint(step, 0))
        QTest.qWait(20)
    QTest.keyRelease(native, Qt.Key.Key_J)
    after = tuple(bench.layers.film.contrast_limits)
    assert after[1] - after[0] < before[1] - before[0], "to the left: harder"
    assert tone.is_by_hand(bench.session.case.id)
    pointer.move(native, middle)
    QTest.qWait(20)
    assert tuple(bench.layers.film.contrast_limits) == after, "the key was let go"
    assert not bench.layers.active.data.any()


@pytest.mark.gui
def test_napari_own_contrast_slider_is_kept_for_the_film(
    bench: Workbench, qtbot: Any
) -> None:
    first, other = bench.session.list.order[:2]
    bench.layers.film.contrast_limits = (0.25, 0.5)
    for case_id in (other, first):
        bench.session.go_to(case_id)
        qtbot.waitUntil(lambda c=case_id: bench.session.case.id == c, timeout=5000)
    assert tuple(bench.layers.film.contrast_limits) == pytest.approx((0.25, 0.5))


@pytest.mark.gui
def test_the_readout_tells_grey_score_and_findings(
    bench: Workbench, qtbot: Any
) -> None:
    bench.session.looking.set_view("cam")
    bench.autosave.apply("nodule", noise_project.blob(at=10).astype(bool), "brush")
    bench.drawing.drain()
    readout = review(bench).readout
    grey = round(float(bench.session.opened.radiograph.pixels[12, 12]) * 255)
    assert readout.describe(12, 12) == (
        f"grey {grey} of 255 · CAM 0.90 for 1\n"
        "1 effusion (machine), 2 nodule (expert, machine)"
    )
    assert readout.describe(90, 70).endswith("no finding here")
    assert readout.describe(-1, 3) == "Outside the film"
    native = canvas(bench)
    for step in (0, 9):
        middle = QPoint(native.width() // 2 + step, native.height() // 2)
        pointer.move(native, middle)
        QTest.qWait(30)
    qtbot.waitUntil(lambda: readout.text().startswith("grey"), timeout=2000)
    assert readout.text().startswith("grey")


@pytest.mark.gui
def test_two_views_are_swiped_by_dragging_the_divider(
    bench: Workbench, qtbot: Any
) -> None:
    looking, row = bench.session.looking, review(bench).stages.compare
    looking.set_view("cam", compared="expert")
    over = commands_of(bench.viewer).comparison
    assert over.isVisible(), "an expert mask cannot be blended: it is swiped"
    assert not row.buttons["blend"].isEnabled()
    qtbot.waitUntil(lambda: {"cam", "expert"} <= set(over.pictures), timeout=5000)
    drag(over, (0.5, 0.5), (0.6, 0.5), (0.75, 0.5))
    assert over.divider == pytest.approx(0.75, abs=0.02)
    QTest.keyClick(over, Qt.Key.Key_Left)
    assert over.divider == pytest.approx(0.73, abs=0.02)
    QTest.mouseClick(row.buttons["beside"], LEFT)
    centre = over.window_shown.centre
    over.window_shown.magnify(2.0)
    drag(over, (0.3, 0.5), (0.25, 0.5), (0.2, 0.5))
    assert over.window_shown.centre.x() > centre.x(), "both are moved together"
    QTest.keyClick(over, Qt.Key.Key_Escape)
    assert looking.compared is None
    assert not over.isVisible()


@pytest.mark.gui
def test_k_blinks_the_two_that_are_compared_and_h_hides_both(bench: Workbench) -> None:
    looking = bench.session.looking
    looking.set_view("cam", compared="film")
    QTest.keyPress(commands_of(bench.viewer).comparison, Qt.Key.Key_K)
    assert commands_of(bench.viewer).comparison.flipped is True
    QTest.keyRelease(commands_of(bench.viewer).comparison, Qt.Key.Key_K)
    assert commands_of(bench.viewer).comparison.flipped is None
    QTest.keyPress(commands_of(bench.viewer).comparison, Qt.Key.Key_H)
    assert commands_of(bench.viewer).comparison.bare
    QTest.keyRelease(commands_of(bench.viewer).comparison, Qt.Key.Key_H)
    assert not commands_of(bench.viewer).comparison.bare
    looking.set_view("cam")
    QTest.keyPress(canvas(bench), Qt.Key.Key_K)
    assert not bench.layers.heats["cam"].visible
    QTest.keyRelease(canvas(bench), Qt.Key.Key_K)
    assert bench.layers.heats["cam"].visible


@pytest.mark.gui
def test_the_ruler_measures_and_leaves_the_masks_alone(bench: Workbench) -> None:
    QTest.keyClick(canvas(bench), Qt.Key.Key_8)
    assert bench.ruler.active
    drag(canvas(bench), (0.45, 0.5), (0.5, 0.5), (0.55, 0.5))
    assert bench.ruler.text.endswith(" px"), "no spacing is known of these films"
    assert int(bench.ruler.text.split()[0]) > 3
    layer = bench.viewer.layers["Ruler"]
    assert len(layer.data) == 3, "a dark line, the line on it, a ground for its words"
    QTest.keyClick(canvas(bench), Qt.Key.Key_8)
    assert layer not in bench.viewer.layers
    assert bench.viewer.layers.selection.active is bench.layers.active
    QTest.keyClick(canvas(bench), Qt.Key.Key_8)
    QTest.keyClick(canvas(bench), Qt.Key.Key_P)
    assert not bench.ruler.active, "a tool's key takes it out of the hand"
    assert str(bench.layers.active.mode) == "paint"
    assert not bench.layers.active.data.any()
