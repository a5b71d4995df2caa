"""Whether a training will fit into memory, told before it starts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from napari.qt.threading import create_worker
from qtpy.QtCore import QEvent, Qt, QTimer
from qtpy.QtWidgets import QWidget

from napari_wsseg._widgets.parts.formatting import gigabytes, red
from napari_wsseg._widgets.parts.share_slider import WrappedLabel
from napari_wsseg._widgets.processes import query as _query
from napari_wsseg._widgets.processes.requests import pairs
from napari_wsseg.jobs import counted

#: Settings that a network's memory does not depend on, but for the batch, whose part
#: is worked out here.
_WITHOUT_WEIGHT = frozenset(
    "batch epochs seed learning_rate weight_decay momentum schedule step_epochs "
    "step_factor augment tone flip checks p n_expert".split()
)


@dataclass(frozen=True, slots=True)
class MemoryNeed:
    """What a training needs and what there is, in bytes.

    Parameters
    ----------
    device
        ``"cpu"``, ``"cuda"`` or ``"mps"``.
    fixed, per_film
        Of it all, and of each film of a batch.
    free
        What may be taken.
    batch
        Films per batch when nothing else is said.
    """

    device: str
    fixed: int
    per_film: int
    free: int
    batch: int

    @classmethod
    def read(cls, record: Mapping[str, Any]) -> MemoryNeed:
        """Return what ``python -m trainers._memory`` has told."""
        names = ("fixed", "per_film", "free", "batch")
        return cls(str(record["device"]), *(int(record[name]) for name in names))

    def needed(self, batch: int) -> int:
        """Return what batches of so many films need."""
        return self.fixed + batch * self.per_film

    def most(self) -> int:
        """Return the largest batch that fits, 0 when not one film does."""
        return max(0, (self.free - self.fixed) // max(1, self.per_film))

    def fits(self, batch: int) -> bool:
        """Whether batches of so many films fit."""
        return self.needed(batch) <= self.free

    def summary(self, batch: int) -> str:
        """Return it for a person, with what to change where it will not fit."""
        what = "the processor" if self.device == "cpu" else "the graphics card"
        needed, free = gigabytes(self.needed(batch)), gigabytes(self.free)
        if self.fits(batch):
            return f"Memory: about {needed} of {free} free for {what}"
        remedy = (
            f"Take {counted(self.most(), 'film')} per batch or fewer, or a smaller "
            "working size."
            if self.most()
            else "Choose a smaller working size or a smaller network."
        )
        return (
            f"Memory: will not fit. About {needed} are needed and {free} are free for "
            f"{what}. {remedy}"
        )


def ask(
    arguments: list[str], wanted: Callable[[], bool]
) -> Iterator[MemoryNeed | str | None]:
    """Yield ``None`` while waiting, then the answer or why there is none.

    For a worker, see `napari_wsseg._widgets.processes.recipes.load_softly`.
    """
    asking = _query.ask(["trainers._memory", *arguments])
    try:
        while wanted():
            try:
                next(asking)
            except StopIteration as end:
                record = end.value
                yield (
                    record["unknown"]
                    if "unknown" in record
                    else MemoryNeed.read(record)
                )
                return
            yield None
    except Exception as error:
        yield str(error) or type(error).__name__
    finally:
        asking.close()


class MemoryNote(WrappedLabel):
    """Says what the chosen training needs; asks again, a moment later, on a change."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.need: MemoryNeed | None = None
        self._answers: dict[tuple[str, ...], MemoryNeed | str] = {}
        self._asked: tuple[str, ...] = ()
        # What is worth waiting for, known to threads also when this label is gone.
        self._wanted: list[tuple[str, ...]] = []
        self.destroyed.connect(self._wanted.clear)
        self._batch: int | None = None
        self._due = QTimer(self, interval=700, singleShot=True)
        self._due.timeout.connect(self._ask)
        self.setTextFormat(Qt.TextFormat.RichText)

    def forget(self) -> None:
        """Ask anew next time: what is free changes with what else runs."""
        self._answers.clear()
        self._asked = ()

    def show_for(
        self,
        project: Path,
        recipe: str | None,
        settings: Mapping[str, Any],
        preset: str,
    ) -> None:
        """Say what a training with these settings needs.

        Parameters
        ----------
        settings
            What differs from the recipe's own, and ``batch``.
        """
        batch = settings.get("batch")
        self._batch = int(batch) if batch is not None else None
        arguments = ["-p", str(project), "--preset", preset]
        if recipe is not None:
            arguments.insert(0, recipe)
            heavy = {k: v for k, v in settings.items() if k not in _WITHOUT_WEIGHT}
            if heavy:
                arguments += ["--set", *pairs(heavy)]
        asked = tuple(arguments)
        if asked == self._asked:
            self._say()
            return
        self._asked = asked
        if asked in self._answers:
            self._say()
        else:
            self.need = None
            self.setText("Memory: being worked out …")
            self._due.start()

    def hideEvent(self, event: QEvent) -> None:
        """Wait no longer for what nobody sees."""
        super().hideEvent(event)
        self._wanted.clear()
        self._asked = ()

    def _ask(self) -> None:
        asked, waiting = self._asked, self._wanted
        if not asked or not self.isVisible():
            return
        waiting[:] = [asked]

        def answered(answer: MemoryNeed | str | None) -> None:
            if answer is not None and asked in waiting:
                self._answers[asked] = answer
                self._say()

        worker = create_worker(
            ask, list(asked), lambda: asked in waiting, _start_thread=False
        )
        worker.yielded.connect(answered)
        worker.start()

    def _say(self) -> None:
        answer = self._answers.get(self._asked)
        self.need = answer if isinstance(answer, MemoryNeed) else None
        if answer is None:
            return
        if isinstance(answer, str):
            self.setText("Memory: not known before the start")
            self.setToolTip(answer)
            return
        batch = self._batch or answer.batch
        text = escape(answer.summary(batch))
        if not answer.fits(batch):
            text = f'<b style="color:{red(self.palette())}">✗ {text}</b>'
        self.setText(text)
        self.setToolTip(
            "An estimate: weights, what a step keeps of every film, and the process "
            "itself; a tenth of what is free is left to other programs"
        )
