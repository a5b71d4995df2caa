"""The part of a session that knows of several readers and several versions."""

from __future__ import annotations

from napari_wsseg.jobs import DataError
from napari_wsseg.schema import Annotation, Mask
from napari_wsseg.session import adjudication as adjudicating
from napari_wsseg.session import versions
from napari_wsseg.session.reading_mode import Mode, Reading
from napari_wsseg.session.state import Whole
from napari_wsseg.session.versions import Comparison


class SeveralReaders(Whole):
    """Whose name work is kept in, earlier versions, and ending disagreements."""

    def read_as(self, reader: str, mode: Mode = "open", *, stages: bool = True) -> None:
        """Let another reader take over, or the same one read otherwise.

        Everything drawn so far is saved in the name of who drew it. Training goes on.

        Raises
        ------
        UsageError
            The name is empty.
        DataError
            The disk refuses strokes of the reader before; nothing has changed.
        """
        reading = Reading(reader.strip(), mode, stages)
        if reading != self.reading:
            self._change_reader(reading)

    def readers(self) -> tuple[str, ...]:
        """Return the names that are known, this reader's too, in alphabetical order."""
        known = self.project.settings.readers if self.project else ()
        return tuple(sorted({*known, self.reading.reader}, key=str.casefold))

    # Versions -----------------------------------------------------------------------

    def versions(self, finding: str) -> tuple[Annotation, ...]:
        """Return the versions of a finding on the open case that this reader may see.

        Newest first.
        """
        if self.project is None or self.opened is None:
            return ()
        scope, case_id = self.reading.scope, self.opened.case.id
        return tuple(self.project.history(case_id, finding, reader=scope)[::-1])

    def compare_version(self, version: Annotation | None) -> None:
        """Show how the mask differs from an earlier version; ``None``: no longer."""
        if self.project is None or version is None:
            judged = self.opened and adjudicating.comparison(self.opened)
            self.comparing.show(judged or None)
            return
        try:
            mask = self.project.read_mask(version)
        except DataError as error:
            self.message.emit(str(error))
            return
        name = f"{version.reader} {version.version}"
        self.comparing.show(
            Comparison(
                version.case, (name, "now"), {version.finding: mask}, version=version
            )
        )

    def restore(self, version: Annotation) -> None:
        """Bring a version back; it becomes the newest, and none is lost."""
        project, experts = self.project, self.experts
        if project is None or experts is None or self.locked:
            self.message.emit("This mask cannot be changed now: reopen the film first")
            return
        reader = self.reading.reader
        made: list[Mask] = []

        def bring() -> None:
            experts.fold()
            if version.finding in experts.unclear:
                # What cannot be folded is kept as a version of its own.
                project.rescue(version.case, version.finding, reader)
            made.append(versions.restore(project, version, reader=reader))

        if self._tried(bring):
            self._replace_mask(version.case, version.finding, made[0])
            self._changed(version.case)
            self._succeed()

    # Adjudication -------------------------------------------------------------------

    def take(self, place: int) -> None:
        """Take the mask of the first (0) or second (1) reader for the current finding.

        It becomes the adjudicator's own, to be drawn on or made final by a verdict.
        """
        project, opened, experts = self.project, self.opened, self.experts
        finding = self.looking.finding
        if project is None or opened is None or experts is None or finding is None:
            return
        if len(opened.others) < 2 or self.locked:
            return
        whose, reader = list(opened.others)[place], self.reading.reader
        case_id, name = opened.case.id, finding.name
        made: list[Mask] = []

        def bring() -> None:
            experts.fold()
            made.append(adjudicating.take(project, case_id, name, whose, reader=reader))

        if self._tried(bring):
            self._replace_mask(case_id, name, made[0])
            self._changed(case_id)
            self._succeed()
