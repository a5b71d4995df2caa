"""Films that are never learnt from, by which a step is judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import nn

from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError
from trainers.data import targets as _targets
from trainers.data.batches import Feed, Labels
from trainers.data.targets import Targets
from trainers.tasks import masks as _masks

_MOST = 64
"""Films at most that are looked at after every step, where no expert drew any."""


@dataclass(eq=False)
class HeldOut:
    """Validation films with expert masks; without any, with what a network drew.

    Parameters
    ----------
    project, labels, feed
        Open, its films by number, and their pixels.
    model
        The network that is learnt from: its masks stand in for those of experts.
    reader
        Whose masks count; ``None``: those that count for all.
    size
        Side of the letterboxed square in pixels.
    """

    project: Project
    labels: Labels
    feed: Feed
    model: nn.Module
    reader: str | None
    size: int
    by_experts: bool = field(default=False, init=False)
    _seen: object = field(default=None, init=False)
    _targets: Targets | None = field(default=None, init=False)

    @property
    def words(self) -> str:
        """What a step is judged by, for a person."""
        count = len(self._targets.rows()) if self._targets else 0
        if self.by_experts:
            return f"Dice to expert masks on {count} validation films"
        return (
            f"agreement with the masks that the learning began from, on {count} "
            "validation films: no expert has drawn on one"
        )

    def refresh(self) -> bool:
        """Read expert masks that have come since; return whether any have.

        Raises
        ------
        DataError
            No film is held out.
        """
        val = {self.labels.ids[row] for row in self.labels.split("val")}
        drawn = self.project.annotated("val", reader=self.reader)
        masks = {
            (case_id, name): version.mask_sha
            for case_id in drawn
            for name, version in self.project.expert_annotations(
                case_id, reader=self.reader
            ).items()
        }
        if not val:
            raise DataError(
                "no film is held out to tell whether learning helps; give some films "
                "the split val in labels.csv and import them"
            )
        if masks == self._seen:
            return False
        self._seen = masks
        found = _targets.expert(
            self.project,
            self.labels,
            [row for row in self.labels.split("val") if self.labels.ids[row] in drawn],
            self.size,
            reader=self.reader,
        )
        self.by_experts = bool(found.positive_rows())
        self._targets = found if self.by_experts else self._drawn()
        return True

    def score(self, model: nn.Module, device: torch.device) -> Mapping[str, float]:
        """Return ``val_dice`` and ``val_miou`` of a network; nothing without masks."""
        if self._targets is None:
            return {}
        with torch.no_grad():
            return _masks.validated(model, device, self.feed, self._targets)

    @torch.no_grad()
    def _drawn(self) -> Targets:
        """Return what the network draws on validation films."""
        rows = self.labels.split("val")[:_MOST]
        targets = Targets(self.size, len(self.labels.findings))
        device = next(self.model.parameters()).device
        seen = 0
        for images in self.feed.viewing(rows, device):
            for masks in (self.model(images)[0].float() >= 0).cpu().numpy():
                for finding, mask in enumerate(masks):
                    targets.put(rows[seen], finding, mask)
                seen += 1
        return targets
