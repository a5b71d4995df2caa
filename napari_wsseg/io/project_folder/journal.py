"""Readers' strokes, safe from their first moment, until they are part of a mask."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from napari_wsseg.io.index import annotations as _annotations
from napari_wsseg.io.index import cases as _cases
from napari_wsseg.io.index.database import Database
from napari_wsseg.io.project_folder import expert_masks as _expert_masks
from napari_wsseg.io.project_folder import rescue as _rescue
from napari_wsseg.io.project_folder import strokes
from napari_wsseg.schema import Annotation, Case, Mask


class Journal:
    """The open strokes of a project.

    Parameters
    ----------
    database, folder
        The index, and the project's folder.
    findings
        The project's, by name.
    """

    def __init__(
        self, database: Database, folder: Path, findings: Sequence[str]
    ) -> None:
        self._database = database
        self._folder = folder
        self._findings = tuple(findings)

    def record(
        self, case_id: str, finding: str, reader: str, before: Mask, after: Mask
    ) -> None:
        """Keep a stroke, `before` to `after`, safe until it is folded into a mask.

        Open strokes that do not lead to `before` become a version first.

        Parameters
        ----------
        case_id, finding, reader
            Who draws what, on which film.
        before, after : (H, W) bool
            The mask as it was and as it is now, in the film's own pixels.

        Raises
        ------
        DataError
            Another shape than the film's, an unknown finding, no reader, or the disk
            refuses.
        """
        case = self._case(case_id)
        for mask in (before, after):
            _expert_masks.check(case, self._findings, finding, reader, mask)
        key = strokes.StrokeKey(case_id, finding, reader)
        with self._database.transaction():
            if not strokes.leads_to(self._database, key, before):
                self.fold(case_id, finding, reader, tool="recovered")
            strokes.record(self._database, self._folder, key, before, after)

    def pending(self) -> list[tuple[str, str, str, int]]:
        """Return (case id, finding, reader, strokes) of every mask with strokes."""
        return strokes.pending(self._database)

    def recover(self, case_id: str, finding: str, reader: str) -> Mask:
        """Return the reader's newest mask with the open strokes on it.

        Parameters
        ----------
        case_id, finding, reader
            Whose mask, of what, on which film.

        Returns
        -------
        (H, W) bool
            Blank where there is neither mask nor stroke.

        Raises
        ------
        DataError
            The mask under the strokes is lost, or they do not fit it.
        """
        key = strokes.StrokeKey(case_id, finding, reader)
        shape = self._case(case_id).shape
        return strokes.recover(self._database, self._folder, key, shape)[0]

    def fold(
        self,
        case_id: str,
        finding: str,
        reader: str,
        *,
        tool: str = "brush",
        source_run: str | None = None,
        parent: int | None = None,
        shown: Mask | None = None,
    ) -> Annotation | None:
        """Make the open strokes part of a saved mask.

        The strokes are forgotten once the saved mask has been read back.

        Parameters
        ----------
        case_id, finding, reader
            Who drew what, on which film.
        tool
            How it was drawn, e.g. ``"brush"``, ``"recovered"``.
        source_run
            Run whose draft it started from, or ``None``.
        parent
            Row id of the version that the strokes were drawn on; a newer one of the
            reader's goes before it.
        shown : (H, W) bool
            The mask on screen: helps where the one that was drawn on is lost.

        Returns
        -------
        Annotation or None
            ``None`` when there are no strokes. Strokes that were all undone make no new
            version: the newest, or ``None``, is returned.

        Raises
        ------
        DataError
            The disk refuses, or the mask under the strokes is lost; they stay open.
        """
        key, case = strokes.StrokeKey(case_id, finding, reader), self._case(case_id)
        if not strokes.is_open(self._database, key):
            return None
        with self._database.transaction():
            newest = _annotations.latest(self._database, *key)
            mask, changed = strokes.recover(
                self._database, self._folder, key, case.shape, shown
            )
            line = (parent, newest.id if newest else None)
            if changed:
                _expert_masks.check(case, self._findings, finding, reader, mask)
                newest = _expert_masks.save(
                    self._database,
                    self._folder,
                    case,
                    finding,
                    mask,
                    reader=reader,
                    tool=tool,
                    parent=max((n for n in line if n), default=None),
                    source_run=source_run,
                )
                _expert_masks.check_kept(self._folder, newest, mask)
            strokes.drop(self._database, key)
        return newest

    def rescue(self, case_id: str, finding: str, reader: str) -> list[Annotation]:
        """Make open strokes that cannot be folded versions of their own.

        See `napari_wsseg.io.project_folder.rescue`.

        Parameters
        ----------
        case_id, finding, reader
            Who drew what, on which film.

        Returns
        -------
        list of Annotation
            The one that holds last; empty where there are no strokes.

        Raises
        ------
        DataError
            The disk refuses; the strokes stay open.
        """
        key = strokes.StrokeKey(case_id, finding, reader)
        return _rescue.rescue(self._database, self._folder, self._case(case_id), key)

    def drop(self, case_id: str, finding: str, reader: str) -> None:
        """Forget the open strokes.

        Parameters
        ----------
        case_id, finding, reader
            Who drew what, on which film; saved masks stay.
        """
        strokes.drop(self._database, strokes.StrokeKey(case_id, finding, reader))

    def _case(self, case_id: str) -> Case:
        return _cases.one(self._database, self._findings, case_id)
