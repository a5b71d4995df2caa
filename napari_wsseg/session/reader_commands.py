"""The part of a session that knows of several readers and several versions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from napari_wsseg.jobs import DataError
from napari_wsseg.schema import Annotation, Mask
from napari_wsseg.session import adjudication, versions
from napari_wsseg.session.reading_mode import Mode, Reading
from napari_wsseg.session.state import State
from napari_wsseg.session.versions import VersionComparison


@dataclass(frozen=True)
class ReaderCommands:
    """Whose name work is kept in, earlier versions, and ending disagreements."""

    state: State
    change_reader: Callable[[Reading], None]

    def read_as(
        self,
        reader: str,
        mode: Mode = "open",
        *,
        stages: bool = True,
        arm: str | None = None,
    ) -> None:
        """Let another reader take over, or the same one read otherwise.

        Everything drawn so far is saved in the name of who drew it. Training goes on.

        Parameters
        ----------
        reader
            By name; blanks about it are left out.
        mode, stages
            As in `Reading`.
        arm
            That of a study, as in `Reading`; ``None``: it stays as it is.

        Raises
        ------
        UsageError
            The name is empty, or there is no such mode or arm.
        DataError
            The disk refuses strokes of the reader before; nothing has changed.
        """
        kept = self.state.reading.arm if arm is None else arm
        reading = Reading(reader.strip(), mode, stages, kept)
        if reading != self.state.reading:
            self.change_reader(reading)

    def readers(self) -> tuple[str, ...]:
        """Return the names that are known, this reader's too, in alphabetical order."""
        state = self.state
        known = state.project.settings.readers if state.project else ()
        return tuple(sorted({*known, state.reading.reader}, key=str.casefold))

    # Versions -----------------------------------------------------------------------

    def versions(self, finding: str) -> tuple[Annotation, ...]:
        """Return the versions of a finding on the open case that this reader may see.

        Newest first.
        """
        state = self.state
        if state.project is None or state.opened is None:
            return ()
        scope, case_id = state.reading.scope, state.opened.case.id
        return tuple(state.project.history(case_id, finding, reader=scope)[::-1])

    def compare_version(self, version: Annotation | None) -> None:
        """Show how the mask differs from an earlier version; ``None``: no longer."""
        state = self.state
        if state.project is None or version is None:
            judged = state.opened and adjudication.comparison(state.opened)
            state.comparing.show(judged or None)
            return
        try:
            mask = state.project.read_mask(version)
        except DataError as error:
            state.message.emit(str(error))
            return
        name = f"{version.reader} {version.version}"
        state.comparing.show(
            VersionComparison(
                version.case, (name, "now"), {version.finding: mask}, version=version
            )
        )

    def restore(self, version: Annotation) -> None:
        """Bring a version back; it becomes the newest, and none is lost."""
        state = self.state
        project, experts = state.project, state.experts
        if project is None or experts is None or state.locked:
            state.message.emit("This mask cannot be changed now: reopen the film first")
            return
        reader = state.reading.reader
        made: list[Mask] = []

        def bring() -> None:
            experts.fold()
            if version.finding in experts.unclear:
                # What cannot be folded is kept as a version of its own.
                project.journal.rescue(version.case, version.finding, reader)
            made.append(versions.restore(project, version, reader=reader))

        if state.tried(bring):
            state.replace_mask(version.case, version.finding, made[0])
            state.refresh_status(version.case)
            state.succeed()

    # Adjudication -------------------------------------------------------------------

    def take_reader_mask(self, place: int) -> None:
        """Take the mask of the first (0) or second (1) reader for the current finding.

        It becomes the adjudicator's own, to be drawn on or made final by a verdict.
        """
        state = self.state
        project, opened, experts = state.project, state.opened, state.experts
        finding = state.looking.finding
        if project is None or opened is None or experts is None or finding is None:
            return
        if len(opened.others) < 2 or state.locked:
            return
        other_reader, reader = list(opened.others)[place], state.reading.reader
        case_id, name = opened.case.id, finding.name
        made: list[Mask] = []

        def bring() -> None:
            experts.fold()
            made.append(
                adjudication.take_reader_mask(
                    project, case_id, name, other_reader, reader=reader
                )
            )

        if state.tried(bring):
            state.replace_mask(case_id, name, made[0])
            state.refresh_status(case_id)
            state.succeed()
