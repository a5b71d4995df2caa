"""Stage strips: one film with what every stage says of one finding, side by side."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

from napari_wsseg.io import stages
from napari_wsseg.io.project import Project
from napari_wsseg.ops import geometry
from napari_wsseg.ops.windowing import reading_window
from napari_wsseg.pipeline import stage_masks
from napari_wsseg.schema import STAGES, Case, Mask

#: Side of one picture of a strip, in pixels.
SIDE = 256

_TITLES = {
    "film": "radiograph",
    "cam": "CAM",
    "crf": "CRF seed",
    "irnet": "IRNet",
    "segmentation": "segmentation",
    "expert": "expert",
}

#: Black through purple and orange to pale yellow, as magma goes.
_HEAT = np.array(
    [[0, 0, 4], [81, 18, 124], [183, 55, 121], [252, 137, 97], [252, 253, 191]]
)


def strip(project: Project, case: Case, finding: int) -> bytes:
    """Return a PNG of the film, every stage in use and the expert mask.

    Heat is drawn where a stage has it, the stage's own mask as an outline; the
    expert mask is filled. A stage that is not in use has no picture.

    Parameters
    ----------
    project
        Open.
    case
        A film of it.
    finding
        Place in the project's findings, from 0.

    Returns
    -------
    bytes
        Of a PNG with pictures of `SIDE` pixels.
    """
    film = project.radiograph(case).pixels
    # As bright as the window shows it.
    low, high = reading_window(film)
    shown = np.clip((film - low) / (high - low), 0, 1).astype(np.float32)
    grey = (geometry.letterbox(shown, SIDE) * 255).astype(np.uint8)
    base = np.repeat(grey[..., None], 3, axis=2)
    pictures = [("film", base)]
    for stage in STAGES:
        picture = _stage(project, case, finding, stage, base)
        if picture is not None:
            pictures.append((stage, picture))
    truth = project.expert_masks(case.id).get(project.findings[finding].name)
    if truth is not None:
        pictures.append(("expert", _filled(base, geometry.letterbox_mask(truth, SIDE))))
    return _png(pictures)


def _stage(
    project: Project, case: Case, finding: int, stage: str, base: NDArray[np.uint8]
) -> NDArray[np.uint8] | None:
    run = project.adopted(stage)
    settings = stages.read_settings(project.folder, stage, run) if run else None
    maps = stages.read(project.folder, stage, run, case.id) if run else None
    if settings is None or maps is None:
        return None
    square = (SIDE, SIDE)
    heat = geometry.unletterbox(maps.score[finding], square)
    mask = stage_masks(maps, settings, square)[finding]
    return _outlined(_heated(base, heat), mask)


def _heated(base: NDArray[np.uint8], heat: NDArray[np.float32]) -> NDArray[np.uint8]:
    place = np.clip(heat, 0, 1) * (len(_HEAT) - 1)
    colours = np.stack(
        [
            np.interp(place, range(len(_HEAT)), _HEAT[:, channel])
            for channel in range(3)
        ],
        axis=-1,
    )
    weight = 0.6 * np.clip(heat, 0, 1)[..., None]
    return np.asarray(base * (1 - weight) + colours * weight, np.uint8)


def _outlined(base: NDArray[np.uint8], mask: Mask) -> NDArray[np.uint8]:
    edge = ndimage.binary_dilation(mask) & ~mask
    colour = np.array([86, 180, 233], np.uint8)
    return np.asarray(np.where(edge[..., None], colour, base), np.uint8)


def _filled(base: NDArray[np.uint8], mask: Mask) -> NDArray[np.uint8]:
    tinted = base * 0.5 + np.array([230, 159, 0]) * 0.5
    return np.asarray(np.where(mask[..., None], tinted, base), np.uint8)


def _png(pictures: list[tuple[str, NDArray[np.uint8]]]) -> bytes:
    head = 18
    sheet = Image.new("RGB", (len(pictures) * (SIDE + 4) - 4, SIDE + head), "white")
    pen = ImageDraw.Draw(sheet)
    for place, (name, picture) in enumerate(pictures):
        left = place * (SIDE + 4)
        sheet.paste(Image.fromarray(picture), (left, head))
        pen.text((left + 3, 2), _TITLES[name], fill="black")
    data = io.BytesIO()
    sheet.save(data, "PNG", optimize=True)
    return data.getvalue()
