"""What a project offers to learn from, counted."""

from __future__ import annotations

import math
from dataclasses import dataclass

from napari_wsseg._widgets.processes.recipes import facts_of
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import counted
from napari_wsseg.recipe_facts import EXPERT_MASKS


@dataclass(frozen=True, slots=True)
class Material:
    """Films of a project by what is known of them.

    Parameters
    ----------
    films
        All of them.
    expert
        Of the train split, with an expert mask of at least one finding.
    weak
        Of the train split, with a known image-level label and no expert mask.
    checked
        Of the val split, with an expert mask: what masks are validated on.
    """

    films: int
    expert: int
    weak: int
    checked: int

    @classmethod
    def from_project(cls, project: Project) -> Material:
        """Count what `project` holds now."""
        kinds = project.case_kinds()
        train = [kind for kind in kinds if kind.split == "train"]
        weak = [
            kind
            for kind in train
            if not kind.masked and any(v in (0, 1) for v in kind.labels.values())
        ]
        return cls(
            sum(kind.count for kind in kinds),
            sum(kind.count for kind in train if kind.masked),
            sum(kind.count for kind in weak),
            sum(kind.count for kind in kinds if kind.split == "val" and kind.masked),
        )

    @property
    def labelled(self) -> int:
        """Films of the train split that say anything at all."""
        return self.expert + self.weak

    def summary(self) -> str:
        """Return it in one line for a person."""
        if not self.weak:
            return f"Expert films {self.expert:,} · no film with labels alone"
        return f"Expert films {self.expert:,} · weak {self.weak:,}"

    def missing(self, recipe: str | None) -> str:
        """Return what must be done before `recipe` can learn; empty when nothing."""
        if self.films == 0:
            return (
                "This project holds no films. Add some with “wsseg init” and the "
                "folder of your images."
            )
        needs = facts_of(recipe).needs if recipe is not None else ()
        if EXPERT_MASKS in needs and self.expert == 0:
            return (
                "No film of the train split has an expert mask yet. Paint a finding "
                "on some films (Review) and accept them, or import masks; then come "
                "back."
            )
        if self.labelled == 0:
            return (
                "No film of the train split has a label. Give labels.csv to "
                "“wsseg init”, or read some films first."
            )
        return ""

    def caution(self) -> str:
        """Return what to know before trusting the result; empty when nothing."""
        if self.checked == 0:
            return "No expert mask in the val split: masks will be unevaluated."
        return f"Checked on {counted(self.checked, 'expert film')} held out."


def share_in_words(p: float, batch: int) -> str:
    """Return how many films of a batch are expert films at share `p`.

    Exactly ``p * batch`` on average: what does not divide is carried from batch to
    batch, so one batch may hold one more than the next.
    """
    wanted = p * batch
    low = math.floor(wanted + 1e-9)
    if math.isclose(wanted, round(wanted), abs_tol=1e-9):
        return f"{round(wanted)} of {batch} films in every batch"
    return f"{low} or {low + 1} of {batch} films in a batch, {wanted:.1f} on average"
