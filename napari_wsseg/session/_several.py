"""The part of a session that knows of several readers and several versions."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING

from psygnal import SignalInstance

from napari_wsseg.jobs import DataError
from napari_wsseg.schema import Annotation, Mask
from napari_wsseg.session import adjudicating, versions
from napari_wsseg.session.deciding import Deciding, finding_state
from napari_wsseg.session.looking import Looking
from napari_wsseg.session.opened import OpenedCase
from napari_wsseg.session.readers import Mode, Reading
from napari_wsseg.session.versions import Comparing, Comparison

if TYPE_CHECKING:
    from napari_wsseg.io.project import Project
    from napari_wsseg.session.keeping import ExpertMasks
    from napari_wsseg.session.reading_list import ReadingList


class SeveralReaders:
    """Whose name work is kept in, earlier versions, and ending disagreements."""

    project: Project | None
    opened: OpenedCase | None
    experts: ExpertMasks | None
    list: ReadingList
    looking: Looking
    reading: Reading
    comparing: Comparing
    message: SignalInstance
    _deciding: Deciding | None

    if TYPE_CHECKING:
        # What the rest of the session gives.

        @property
        def locked(self) -> bool: ...
        def _tried(self, action: Callable[[], object]) -> bool: ...
        def _replace_mask(
            self, case_id: str, finding: str, mask: Mask | None
        ) -> None: ...
        def _changed(self, case_id: str) -> None: ...
        def _read_again(self) -> None: ...
        def _succeed(self) -> None: ...
        def _change_reader(self, reading: Reading) -> None: ...

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

    # Deciding -----------------------------------------------------------------------

    def reopen(self) -> None:
        """Let the open case be read again, whatever was decided, final masks too."""
        deciding, opened = self._deciding, self.opened
        if deciding is None or opened is None or deciding.project.readonly:
            return
        case_id = opened.case.id
        if self._tried(lambda: deciding.reopen(case_id)):
            self._changed(case_id)
            self._succeed()
            self._read_again()

    def finding_states(self) -> Mapping[str, str]:
        """Return "—", "drawn", "accepted", "edited" or "rejected" by finding."""
        project, experts = self.project, self.experts
        if project is None or experts is None or self.opened is None:
            return {}
        case_id, scope = self.opened.case.id, self.reading.scope
        versions = project.expert_annotations(case_id, reader=scope)
        verdicts = project.finding_decisions(case_id, reader=scope)
        whole = self.list.decisions.get(case_id)
        return {
            name: finding_state(
                versions.get(name), verdicts.get(name), whole, drawn=name in drawn
            )
            for drawn in [experts.annotated]
            for name in self.looking.names
        }


def still_open(opened: OpenedCase, drawn: Collection[str]) -> str:
    """Return why a disagreement is not ended yet; empty when it is."""
    names = adjudicating.undecided(opened, drawn)
    if not names:
        return ""
    first, second = list(opened.others)[:2]
    return (
        f"{first} and {second} differ on {', '.join(names)}: take one of the two "
        "(Alt A, Alt B) or draw the final mask"
    )
