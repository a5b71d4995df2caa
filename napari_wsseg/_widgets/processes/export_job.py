"""The export's process as the panel sees it: started, heard, ended."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from napari_wsseg._widgets.processes.command_job import CommandJob

MODULE = "napari_wsseg._widgets.processes.export_process"


class ExportJob(CommandJob):
    """One export, or one question what it would write; the newest takes all.

    Signals
    -------
    reported(dict)
        What the process says, see `napari_wsseg._widgets.processes.export_process`.
    """

    def start(self, wanted: Mapping[str, Any] | str) -> None:
        """Begin; what was under way is ended."""
        word = wanted if isinstance(wanted, str) else json.dumps(dict(wanted))
        self.run([sys.executable, "-m", MODULE, word])
