"""How far readers of the same films agree, once both are done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QDialog, QLabel, QVBoxLayout, QWidget

from napari_wsseg._widgets.parts.text_table import fill_table, rows_table
from napari_wsseg.io.project import Project
from napari_wsseg.pipeline import agreement

if TYPE_CHECKING:
    from napari_wsseg._widgets.canvas.bench import Workbench

_HEADS = ("Readers", "Finding", "Films", "Dice", "HD95", "κ present")
_APART = ("Film", "Finding", "Readers", "Dice")


class AgreementWindow(QDialog):
    """One row a pair of readers and finding, and what is left to adjudicate."""

    def __init__(self, bench: Workbench, parent: QWidget | None) -> None:
        super().__init__(parent)
        self.bench = bench
        self.setWindowTitle("Agreement of readers")
        self.resize(680, 460)
        self.label = QLabel()
        self.label.setWordWrap(True)
        self.table = rows_table(_HEADS)
        self.apart = rows_table(_APART)
        self.below = QLabel("Findings to adjudicate")
        layout = QVBoxLayout(self)
        layout.addWidget(self.label)
        layout.addWidget(self.table, 2)
        layout.addWidget(self.below)
        layout.addWidget(self.apart, 1)
        self.apart.itemActivated.connect(lambda item: self._go(item.row()))
        self._films: list[str] = []

    def refresh(self) -> None:
        """Compare in the background and show what comes of it."""
        project = self.bench.session.project
        if project is None or self.bench.session.reading.mode == "blind":
            self.label.setText("In a blind reading nothing of other readers is shown.")
            self._fill({"pairs": [], "disagreements": []})
            return
        self.label.setText("Comparing…")
        folder = project.folder

        def work() -> dict[str, Any]:
            with Project.open(folder) as reading:
                return agreement.report(reading)

        self.bench.scoring.submit(
            work, self._show_report, lambda error: self.label.setText(str(error))
        )

    def _show_report(self, report: dict[str, Any]) -> None:
        if self.bench.session.reading.mode == "blind":
            return
        self.label.setText(
            f"{report['n_double_read']} films are read by two readers who are done, "
            f"{report['n_adjudicated']} adjudicated. Dice and HD95 are of masks that "
            "did not begin with each other's; HD95 is the median where both see the "
            "finding."
            if report["pairs"]
            else "No film has been read by two readers yet. Press F2, choose another "
            "name and “Blind second reading”; agreement is told once both have "
            "accepted or rejected the same films."
        )
        self._fill(report)

    def _fill(self, report: dict[str, Any]) -> None:
        title = self.bench.session.looking.title
        rows = [
            (
                " – ".join(pair["readers"]),
                title(finding),
                *_metric_cells(row),
            )
            for pair in report["pairs"]
            for finding, row in pair["findings"].items()
        ]
        fill_table(self.table, _HEADS, rows)
        apart = report["disagreements"]
        self._films = [one["case"] for one in apart]
        fill_table(
            self.apart,
            _APART,
            [
                (
                    one["film"],
                    title(one["finding"]),
                    " – ".join(one["readers"]),
                    f"{one['dice']:.2f}",
                )
                for one in apart
            ],
        )
        for widget in (self.apart, self.below):
            widget.setVisible(bool(apart))
        self.table.setVisible(bool(rows))

    def _go(self, row: int) -> None:
        self.bench.session.go_to(self._films[row])


def _metric_cells(row: dict[str, Any]) -> tuple[str, str, str, str]:
    known = [
        f"{row[f'hd95_{unit}']:.1f} {unit}"
        for unit in ("mm", "px")
        if row[f"hd95_{unit}"] is not None
    ]
    return (
        str(row["n_kappa"]),
        _number(row["dice"]),
        ", ".join(known) or "—",
        _number(row["kappa"]),
    )


def _number(value: float | None) -> str:
    # Plus nothing: a chance agreement of -0.001 is not "-0.00".
    return "—" if value is None else f"{round(value, 2) + 0.0:.2f}"
