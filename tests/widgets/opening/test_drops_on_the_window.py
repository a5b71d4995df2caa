"""Files dropped on the real window, and File ▸ Save of what was dropped."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.errors import ReaderPluginError
from PIL import Image
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication, QDialog, QFileDialog

from helpers.dropping import drag
from helpers.export_project import make_project, special_masks
from helpers.small_project import dicom_film, grey, save_dicom
from napari_wsseg.export import writing

pytestmark = pytest.mark.gui

OURS = "wsseg: weak labels to masks"
RING = special_masks()["ring"]

MASKS = {
    "png/mass/ward/ring.png": (1, True),
    "coco/annotations.json": (14, False),
    "chexlocalize/gt_segmentations_wsseg.json": (14, False),
    "siim_rle/mass.csv": (7, True),
    "nifti/mass/ward/ring.nii.gz": (1, True),
    "dicom_seg/ward/ring.seg.dcm": (2, True),
}
"""How many layers come, and whether napari's own reader takes such files, too."""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with one project in every format."""
    place = tmp_path_factory.mktemp("files")
    with make_project(place, overlap=False) as made:
        for name in {file.partition("/")[0] for file in MASKS}:
            writing.export(made, name, place / name)
    save_dicom(dicom_film(grey(1)), place / "DOE^JANE.dcm")
    return place


@pytest.fixture
def viewer(make_napari_viewer: Callable[..., Any]) -> Any:
    return make_napari_viewer(show=True)


def drop(viewer: Any, path: Path) -> bool:
    """Drop a file as a hand does; return whether napari asked for a reader.

    If it asks, the answer is this plugin, not to be remembered.
    """
    asked = []

    def answer() -> None:
        dialog = QApplication.activeModalWidget()
        if not isinstance(dialog, QDialog):
            return
        asked.append(dialog.windowTitle())
        for button in dialog.reader_btn_group.buttons():
            button.setChecked(button.text() == OURS)
        dialog.persist_checkbox.setChecked(False)
        dialog.accept()

    window = viewer.window._qt_viewer
    release = drag(path, window)
    timer = QTimer()
    timer.timeout.connect(answer)
    timer.start(20)
    try:
        release()
    finally:
        timer.stop()
    return bool(asked)


@pytest.mark.parametrize("file", MASKS)
def test_masks_of_every_format_arrive_as_labels(
    viewer: Any, files: Path, file: str
) -> None:
    count, asks = MASKS[file]
    assert drop(viewer, files / file) is asks
    assert [layer._type_string for layer in viewer.layers] == ["labels"] * count
    if "siim" in file:
        assert {layer.data.shape for layer in viewer.layers} == {(1024, 1024)}
    else:
        assert any(np.array_equal(layer.data > 0, RING) for layer in viewer.layers)


def test_a_film_and_a_project_arrive_as_images(viewer: Any, files: Path) -> None:
    assert drop(viewer, files / "DOE^JANE.dcm") is True
    [film] = viewer.layers
    assert (film._type_string, film.name) == ("image", "film")
    np.testing.assert_allclose(film.data.shape, grey(1).shape)
    assert drop(viewer, files / "project") is True
    assert len(viewer.layers) == 1 + 7
    assert {layer._type_string for layer in viewer.layers} == {"image"}


@pytest.mark.qt_no_exception_capture
def test_a_foreign_file_is_left_alone(
    viewer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages: list[str] = []
    hook = lambda kind, error, trace: messages.append(kind.__name__)  # noqa: E731
    monkeypatch.setattr(sys, "excepthook", hook)
    (tmp_path / "package.json").write_text('{"name": "package", "version": 1}')
    try:
        drop(viewer, tmp_path / "package.json")
    except ReaderPluginError as refused:  # PySide6 hands it to who sent the event.
        hook(type(refused), refused, None)
    assert len(viewer.layers) == 0
    assert messages == ["ReaderPluginError"]
    for name in ("last_type", "last_value", "last_traceback", "last_exc"):
        vars(sys).pop(name, None)  # it would hold on to the window
    Image.fromarray(grey(1)).save(tmp_path / "photo.tif")
    assert drop(viewer, tmp_path / "photo.tif") is False
    assert viewer.layers[0].source.reader_plugin == "napari"


@pytest.mark.parametrize("ending", [".png", ".nii.gz"])
def test_what_was_dropped_is_saved_and_comes_back(
    viewer: Any,
    files: Path,
    tmp_path: Path,
    ending: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drop(viewer, files / "nifti/mass/ward/ring.nii.gz")
    path = tmp_path / f"mask{ending}"

    def save_as(*asked: Any, **options: Any) -> tuple[str, str]:
        kinds = options["filter"].split(";;")
        return str(path), next(k for k in kinds if "Finding mask" in k and ending in k)

    monkeypatch.setattr(QFileDialog, "getSaveFileName", save_as)
    viewer.layers.selection = {viewer.layers[0]}
    viewer.window._qt_viewer._save_layers_dialog(selected=True)
    assert path.is_file()
    viewer.layers.clear()
    drop(viewer, path)
    [layer] = viewer.layers
    np.testing.assert_array_equal(layer.data > 0, RING)
