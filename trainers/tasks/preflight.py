"""What makes a training on expert masks pointless, said before it begins."""

from __future__ import annotations

from collections.abc import Sequence

from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError
from trainers.data import batches as _batches


def findings_exist(project: Project) -> None:
    """Check that every expert mask is of a finding that the project has.

    Raises
    ------
    DataError
        Naming those that are not, and on how many films.
    """
    strangers = project.undeclared()
    if strangers:
        named = ", ".join(f"{name} ({n} films)" for name, n in strangers.items())
        known = ", ".join(finding.name for finding in project.findings)
        raise DataError(
            f"there are expert masks of findings that the project does not have: "
            f"{named}; it has: {known}. Write them back into "
            f"{project.folder / 'wsseg.toml'}, or import the masks under the right name"
        )


def can_be_tested(labels: _batches.Labels) -> None:
    """Check that some film is kept for the test.

    Raises
    ------
    DataError
    """
    if not labels.split("test"):
        raise DataError(
            "no film is in the test split, so nothing could say how good the masks "
            "are; give some films the split test in labels.csv and import them, or "
            "train without by untested=true"
        )


def experts_for(p: float, experts: Sequence[int], n_weak: int) -> None:
    """Check that there are expert films if p asks for them.

    Parameters
    ----------
    p
        Share of expert films in a batch.
    experts
        Training films with an expert mask.
    n_weak
        Training films with labels alone.

    Raises
    ------
    DataError
    """
    if p == 0 or experts:
        return
    remedy = "paint and accept some, import them with wsseg init --masks, or set p=0"
    if p == 1:
        raise DataError(
            f"p=1 asks for expert films alone, but no training film has an expert "
            f"mask: all {n_weak} are weak; {remedy}"
        )
    raise DataError(f"no training film has an expert mask, but p={p:g}; {remedy}")
