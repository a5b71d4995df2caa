"""How unsure the adopted model is of each film, from maps that are on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from napari_wsseg.io import stages


def entropy(present: np.ndarray) -> float:
    """Return the mean binary entropy, in bits, of K presence probabilities."""
    p = np.clip(present.astype(float), 1e-6, 1 - 1e-6)
    return float(np.mean(-p * np.log2(p) - (1 - p) * np.log2(1 - p)))


def scores(folder: Path, stage: str, run: str) -> dict[str, float]:
    """Return the entropy of every case that a run has seen, by case id."""
    return {
        case_id: entropy(present)
        for case_id, present in stages.presences(folder, stage, run)
    }


def least_sure(folder: Path, stage: str, run: str) -> dict[str, tuple[str, float]]:
    """Return the finding that a run is least sure of, with its p, by case id."""
    settings = stages.read_settings(folder, stage, run)
    found: dict[str, tuple[str, float]] = {}
    if settings is None:
        return found
    for case_id, present in stages.presences(folder, stage, run):
        if len(present) == len(settings.findings):
            least = int(np.argmin(np.abs(present.astype(float) - 0.5)))
            found[case_id] = settings.findings[least], float(present[least])
    return found
