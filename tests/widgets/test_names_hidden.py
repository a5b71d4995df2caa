"""The window shows a film by its other name where file names are hidden."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from qtpy.QtCore import QAbstractItemModel, Qt
from qtpy.QtWidgets import QApplication, QTableView, QWidget

from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg.datasets.folder import import_folder

pytestmark = pytest.mark.gui


def test_no_file_name_is_in_the_window_or_its_title(
    open_bench: Callable[[Path], Workbench], tmp_path: Path
) -> None:
    films = tmp_path / "films" / "CANARY ward"
    films.mkdir(parents=True)
    rows = ["image,nodule"]
    for number in range(3):
        noise = np.random.default_rng(number).integers(0, 255, (90, 80), np.uint8)
        Image.fromarray(noise).save(films / f"CANARY^{number}.png")
        rows.append(f"CANARY ward/CANARY^{number}.png,1")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    place = tmp_path / "project"
    import_folder(place, tmp_path / "films", tmp_path / "labels.csv")
    bench = open_bench(place)
    (films / "CANARY^1.png").unlink()
    for _ in range(3):
        bench.session.step(1)
        bench.loading.drain()
        QApplication.processEvents()
    shown = [bench.viewer.title, *(layer.name for layer in bench.viewer.layers)]
    shown += [str(layer.metadata) for layer in bench.viewer.layers]
    shown.append(bench.viewer.status if isinstance(bench.viewer.status, str) else "")
    assert bench.main_window is not None
    for widget in [bench.main_window, *bench.main_window.findChildren(QWidget)]:
        for ask in ("windowTitle", "text", "toolTip", "toPlainText", "statusTip"):
            answer = getattr(widget, ask, None)
            if callable(answer):
                shown.append(str(answer()))
        if isinstance(widget, QTableView) and widget.model() is not None:
            shown += cells(widget.model())
    assert any("film_000" in text for text in shown)
    assert [text for text in shown if "CANARY" in text] == []


def cells(model: QAbstractItemModel) -> list[str]:
    roles = (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole)
    return [
        str(model.index(row, column).data(role))
        for row in range(min(model.rowCount(), 50))
        for column in range(model.columnCount())
        for role in roles
    ]
