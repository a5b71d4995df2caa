"""Settings that go together, by preset and recipe."""

from __future__ import annotations

from typing import Any

presets: dict[str, dict[str, dict[str, Any]]] = {
    "fast": {
        "classifier": {},
        "irnet": {},
        "segmentation": {},
        "chexseg": {},
    },
}
