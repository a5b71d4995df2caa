"""``wsseg presets``: what each preset is, and where it is not what its paper says."""

from __future__ import annotations

import argparse
import sys

from napari_wsseg.cli import _output, add_json
from napari_wsseg.jobs import UsageError


def add(command: argparse.ArgumentParser) -> None:
    """Fill in the command's parser."""
    command.add_argument("name", nargs="?", help="one of them; all without")
    add_json(command)


def run(arguments: argparse.Namespace) -> int:
    """Tell the notes of one preset, or of all, and the settings of one."""
    from trainers import preset_notes, presets

    if arguments.name is not None and arguments.name not in presets:
        known = ", ".join(presets)
        raise UsageError(f"no preset {arguments.name!r}; there are: {known}")
    chosen = list(presets) if arguments.name is None else [arguments.name]
    if arguments.json:
        _output.program(
            {
                name: {
                    "notes": list(preset_notes.get(name, ())),
                    "settings": presets[name],
                }
                for name in chosen
            }
        )
        return 0
    for name in chosen:
        lines = [f"- {note}" for note in preset_notes.get(name, ())]
        sys.stdout.write("\n".join([name, *lines, "", ""]))
    return 0
