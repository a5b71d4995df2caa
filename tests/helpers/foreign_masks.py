"""Files of masks as other programs write them, and what was taken of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import nibabel
import nrrd
import numpy as np
import pytest
from PIL import Image

from helpers.export_project import INDEXED_SHAPE as SHAPE
from napari_wsseg import jobs
from napari_wsseg.export import reading_back
from napari_wsseg.io.project import Project
from napari_wsseg.ops.run_lengths import siim_encode

BOX = np.zeros(SHAPE, bool)
BOX[10:20, 5:25] = True


CORNERS = [5, 10, 25, 10, 25, 20, 5, 20]


def take(
    project: Project, name: str, path: Path, **more: Any
) -> reading_back.ImportedMasks:
    return jobs.finish(reading_back.steps(project, name, path, reader="bea", **more))


def drawn(project: Project) -> dict[tuple[str, str], np.ndarray]:
    """Return what was taken, by film and finding."""
    return {
        (case.path, finding): mask
        for case in project.cases()
        for finding, mask in project.expert_masks(case.id, reader="bea").items()
    }


def only(project: Project, film: str, finding: str = "nodule") -> bool:
    """Whether one mask was taken, of a film and a finding, and it is the box."""
    taken = drawn(project)
    assert [*taken] == [(film, finding)]
    return bool(np.array_equal(taken[film, finding], BOX))


def coco(place: Path, film: str, corners: object = CORNERS, **image: Any) -> Path:
    size = {"height": SHAPE[0], "width": SHAPE[1], **image}
    document = {
        "images": [{"id": 1, "file_name": film, **size}],
        "categories": [{"id": 1, "name": "nodule"}],
        "annotations": [
            {"id": 7, "image_id": 1, "category_id": 1, "segmentation": [corners]}
        ],
    }
    path = place / "coco.json"
    path.write_text(json.dumps(document))
    return path


def labelme(place: Path, film: str, corners: object = CORNERS) -> Path:
    document = {
        "shapes": [
            {"label": "nodule", "points": np.reshape(corners, (-1, 2)).tolist()}
        ],
        "imagePath": film,
        "imageHeight": SHAPE[0],
        "imageWidth": SHAPE[1],
    }
    path = place / "labelme.json"
    path.write_text(json.dumps(document))
    return path


def cvat(place: Path, film: str, corners: object = CORNERS) -> Path:
    root = ElementTree.Element("annotations")
    size = {"height": str(SHAPE[0]), "width": str(SHAPE[1])}
    image = ElementTree.SubElement(root, "image", name=film, **size)
    pairs = np.reshape(corners, (-1, 2)).tolist()
    points = ";".join(f"{x},{y}" for x, y in pairs)
    ElementTree.SubElement(image, "polygon", label="nodule", points=points)
    path = place / "annotations.xml"
    path.write_bytes(ElementTree.tostring(root))
    return path


def yolo_seg(place: Path, film: str, corners: object = CORNERS) -> Path:
    (place / "data.yaml").write_text("names: [nodule]\n")
    shares = (np.reshape(corners, (-1, 2)) / (SHAPE[1], SHAPE[0])).ravel()
    path = place / f"{film}.txt"
    path.write_text(" ".join(["0", *map(str, shares)]))
    return path


def siim_rle(place: Path, film: str) -> Path:
    path = place / "nodule.csv"
    path.write_text(f"ImageId,EncodedPixels\n{film},{siim_encode(BOX)}\n")
    return path


def png(place: Path, film: str) -> Path:
    path = place / "nodule" / f"{film}.png"
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(BOX).save(path)
    return place


def nifti(place: Path, film: str) -> Path:
    path = place / "nodule" / f"{film}.nii.gz"
    path.parent.mkdir(exist_ok=True)
    affine = np.diag([-1.0, -1.0, 1.0, 1.0])
    nibabel.save(nibabel.Nifti1Image(BOX.T[..., None].astype("u1"), affine), path)
    return place


def seg_nrrd(place: Path, film: str) -> Path:
    path = place / f"{film}.seg.nrrd"
    header = {"Segment0_Name": "nodule", "Segment0_LabelValue": "1"}
    nrrd.write(str(path), BOX.T.astype("u1"), header)
    return path


def nnunet(place: Path, film: str, values: object = BOX, **more: Any) -> Path:
    document = {"labels": {"background": 0, "nodule": 1}, "file_ending": ".png", **more}
    (place / "dataset.json").write_text(json.dumps(document))
    (place / "labelsTr").mkdir(exist_ok=True)
    Image.fromarray(np.asarray(values, np.uint8)).save(
        place / "labelsTr" / f"{film}.png"
    )
    return place


Write = Callable[[Path, str], Path]


BY_NAME: dict[str, Write] = {
    "coco": coco,
    "labelme": labelme,
    "cvat": cvat,
    "yolo_seg": yolo_seg,
    "siim_rle": siim_rle,
    "png": png,
    "nifti": nifti,
    "seg_nrrd": seg_nrrd,
    "nnunet": nnunet,
}


every_format = pytest.mark.parametrize("name", BY_NAME)
