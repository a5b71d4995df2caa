"""Drafts: the masks that stages offer, at thresholds that can be moved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from napari_wsseg.io import stages
from napari_wsseg.io.project import Project
from napari_wsseg.schema import Mask, StageMaps, StageSettings
from napari_wsseg.session import open_case


@dataclass(eq=False)
class Drafts:
    """Thresholds and gates of the adopted run of every stage.

    Parameters
    ----------
    findings
        The project's findings, in order.
    settings
        Stage name to its thresholds and gates; stages without a run are missing.
    unset
        Stages whose run has not said yet how its maps become masks.
    """

    findings: tuple[str, ...] = ()
    settings: dict[str, StageSettings] = field(default_factory=dict)
    unset: frozenset[str] = frozenset()
    _own: dict[str, StageSettings] = field(default_factory=dict)

    @classmethod
    def from_project(cls, project: Project, shown: open_case.Shown) -> Drafts:
        """Read the settings of what is shown."""
        names = tuple(finding.name for finding in project.findings)
        read = {
            stage: stages.read_settings(project.folder, shown.maps_name(stage), run)
            for stage, run in shown.runs.items()
        }
        settings = {
            stage: found or _open_settings(names) for stage, found in read.items()
        }
        return cls(
            names, settings, frozenset(s for s, found in read.items() if not found)
        )

    def take_new(self, other: Drafts) -> None:
        """Take the settings of stages that had none; what was moved stays moved."""
        for stage in self.unset - other.unset:
            self.settings[stage] = other.settings[stage]
            self._own.pop(stage, None)
        self.unset = other.unset

    def threshold(self, stage: str, finding: str) -> float:
        """Return the threshold of a finding at a stage; 0.5 before any run."""
        settings = self.settings.get(stage)
        if settings is None or finding not in settings.findings:
            return 0.5
        return settings.thresholds[settings.findings.index(finding)]

    def set_threshold(self, stage: str, finding: str, threshold: float) -> None:
        """Move the threshold of a finding at a stage.

        A stage cut by Otsu's rule is cut at its thresholds from then on.

        Parameters
        ----------
        stage, finding
            A stage's name, and a finding that its run was trained on; without a run,
            any.
        threshold
            Score in [0, 1] at and above which a pixel is the finding.

        Raises
        ------
        ValueError
            The run was not trained on the finding.
        """
        old = self.settings.get(stage) or _open_settings(self.findings)
        self._own.setdefault(stage, old)
        values = list(old.thresholds)
        values[old.findings.index(finding)] = threshold
        self.settings[stage] = replace(
            old,
            thresholds=tuple(values),
            rule="threshold" if old.rule == "otsu" else old.rule,
        )

    def own_threshold(self, stage: str, finding: str) -> float | None:
        """Return a run's own threshold where another was set, ``None`` elsewhere."""
        own = self._own.get(stage)
        if own is None or finding not in own.findings:
            return None
        value = own.thresholds[own.findings.index(finding)]
        return None if value == self.threshold(stage, finding) else value

    def moved(self) -> tuple[tuple[str, str, float, float], ...]:
        """Return stage, finding, threshold and the run's own of all that were set."""
        return tuple(
            (stage, finding, self.threshold(stage, finding), own)
            for stage, settings in self._own.items()
            for finding in settings.findings
            if (own := self.own_threshold(stage, finding)) is not None
        )

    def reset_threshold(self, stage: str, finding: str) -> None:
        """Go back to the run's own threshold of a finding at a stage."""
        value = self.own_threshold(stage, finding)
        if value is None:
            return
        self.set_threshold(stage, finding, value)
        if self.settings[stage].thresholds == self._own[stage].thresholds:
            self.settings[stage] = self._own.pop(stage)

    def score(
        self, maps: StageMaps, stage: str, finding: str
    ) -> NDArray[np.float32] | None:
        """Return a stage's (h, w) score of one finding; ``None`` if it knows it not.

        Parameters
        ----------
        maps, stage
            Maps of one film, and the stage that they are of.
        finding
            One of the project's.

        Returns
        -------
        (h, w) float32 in [0, 1]
            On the letterboxed square, a view of `maps`.
        """
        settings = self.settings.get(stage)
        if settings is None or finding not in settings.findings:
            return None
        score: NDArray[np.float32] = maps.score[settings.findings.index(finding)]
        return score

    def draft(
        self,
        maps: StageMaps,
        stage: str,
        finding: str,
        shape: tuple[int, int],
        labels: Mapping[str, int | None],
    ) -> Mask:
        """Return the (H, W) bool mask that a stage offers for one finding.

        A finding that the run was not trained on is empty. One that the film's
        image-level label says is there is drawn however sure the classifier is; a label
        that says it is not does not hide what the machine sees, as labels can be wrong.

        Parameters
        ----------
        maps, stage
            Maps of one film, and the stage that they are of.
        finding
            One of the project's.
        shape
            Rows and columns of the mask: the film's, or fewer for a quick look.
        labels
            The film's, by finding; only 1 (present) makes a difference.
        """
        from napari_wsseg import pipeline

        settings = self.settings.get(stage)
        if settings is None or finding not in settings.findings:
            return np.zeros(shape, bool)
        index = settings.findings.index(finding)
        if settings.exclusive:  # which of them has a pixel depends on all
            every = [1 if labels.get(name) == 1 else None for name in settings.findings]
            masks = pipeline.label_conditioned_masks(maps, settings, shape, every)
            return np.asarray(masks[index], bool)
        one = StageMaps(
            score=maps.score[index : index + 1],
            present=maps.present[index : index + 1],
        )
        own = replace(
            settings,
            findings=(finding,),
            thresholds=(settings.thresholds[index],),
            gates=(settings.gates[index],),
        )
        known = 1 if labels.get(finding) == 1 else None
        found = pipeline.label_conditioned_masks(one, own, shape, [known])
        return np.asarray(found[0], bool)

    def copy(self) -> Drafts:
        """Return these thresholds as they are now, for work in another thread."""
        return Drafts(self.findings, dict(self.settings), self.unset)


def _open_settings(findings: tuple[str, ...]) -> StageSettings:
    count = len(findings)
    return StageSettings(findings, (0.5,) * count, (0.0,) * count)
