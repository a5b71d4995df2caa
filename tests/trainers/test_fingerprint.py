"""A run of an earlier version with the same inputs is known again."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from helpers import noise_project
from napari_wsseg.io.project import Project
from trainers.engine.fingerprint import fingerprint


def test_the_hash_is_that_of_one_list_of_all(tmp_path: Path) -> None:
    place = noise_project.make_project(tmp_path)
    with Project.open(place, write=True) as project:
        first, second = noise_project.case_ids(place)[:2]
        project.labels.put(first, {"nodule": -1, "effusion": None}, reader="ann")
        mask = noise_project.blob().astype(bool)
        kept = project.put_mask(second, "nodule", mask, reader="ann")
        settings = {"n_expert": 3, "size": 64, "tracker": "x"}
        cases = [(c.id, c.split, sorted(c.labels.items())) for c in project.cases()]
        decisive = {"n_expert": 3, "size": 64}
        experts = [(second, "nodule", kept.mask_sha)]
        text = json.dumps(["chexseg", decisive, cases, experts], default=str)
        wanted = hashlib.sha256(text.encode()).hexdigest()
        assert fingerprint(project, "chexseg", settings) == wanted
