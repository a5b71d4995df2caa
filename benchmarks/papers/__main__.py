"""The papers' tables, for whoever owns their data: commands, figures, side by side.

    python -m benchmarks.papers                                    names of the tables
    python -m benchmarks.papers wsmis-3 --data siim -o work        print the commands
    python -m benchmarks.papers wsmis-3 --data siim -o work --run  and execute them

Every command is one that a person could type. What is done is kept in `work`, one file
of JSON a command, so that the same line goes on after a stop; once all are done the
table is printed and written to ``work/table.md``, the paper's figures beside. `--set
recipe.key=value` changes settings, e.g. for a trial on small films; a table made so
says it. These settings are made for GPUs and take days.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.papers.schema import Step, Table
from benchmarks.papers.tables import tables


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a table's commands, or execute them and print the table."""
    options = _options(arguments)
    if not options.table:
        for name, make in tables.items():
            print(f"{name:12} {make.__doc__}")
        return 0
    if options.table not in tables:
        print(f"no table {options.table!r}; there are: {', '.join(tables)}")
        return 2
    if options.data is None or options.work is None:
        print("name the data and a folder to work in: --data DIR -o DIR")
        return 2
    table: Table = tables[options.table]()
    changed = dict(each.split("=", 1) for each in options.set)
    for step in table.steps:
        if not options.run:
            print(shlex.join(_command(_filled(step, options, changed, {}))))
        elif not _kept(options.work, step):
            code = _execute(step, options, changed)
            if code:
                print(f"stopped at {step.name}; the same command goes on from there")
                return code
    if options.run:
        text = written(table, options.work, changed)
        (options.work / "table.md").write_text(text)
        print(text)
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("table", nargs="?")
    parser.add_argument("--data", type=lambda word: Path(word).absolute())
    parser.add_argument(
        "-o", "--work", type=lambda word: Path(word).absolute(), metavar="DIR"
    )
    parser.add_argument("--run", action="store_true", help="execute the commands")
    parser.add_argument("--set", nargs="*", default=[], metavar="RECIPE.KEY=VALUE")
    return parser.parse_args(arguments)


def _filled(
    step: Step,
    options: argparse.Namespace,
    changed: Mapping[str, str],
    results: Mapping[str, Mapping[str, Any]],
) -> list[str]:
    """Return a step's words with places and runs filled in, if these are known yet."""
    settings = {**step.settings, **_own(step, changed)}
    arguments = [*step.arguments]
    if settings:
        arguments += ["--set", *(f"{key}={value}" for key, value in settings.items())]

    def value(found: re.Match[str]) -> str:
        name = found[1]
        if name in ("data", "work"):
            return str(getattr(options, name))
        made, key = name.rsplit(".", 1)
        return str(results[made][key]) if made in results else f"<{name}>"

    return [re.sub(r"\{([\w.%-]+)\}", value, word) for word in arguments]


def _command(arguments: Sequence[str]) -> list[str]:
    """Return a step's words as a person types them."""
    if arguments[0].startswith("benchmarks."):
        return ["python", "-m", *arguments]
    return ["wsseg", *arguments]


def _own(step: Step, changed: Mapping[str, str]) -> dict[str, str]:
    """Return the changed settings that a step's command takes, as it names them."""
    if step.arguments[0] == "run":
        return dict(changed)
    if step.arguments[0] not in ("train", "sweep"):
        return {}
    start = f"{step.arguments[1]}."
    return {
        key.removeprefix(start): value
        for key, value in changed.items()
        if key.startswith(start)
    }


def _kept(work: Path, step: Step) -> bool:
    return (work / f"{step.name}.json").exists()


def _execute(
    step: Step, options: argparse.Namespace, changed: Mapping[str, str]
) -> int:
    """Execute one command and keep the last line that it prints, if that is JSON."""
    options.work.mkdir(parents=True, exist_ok=True)
    arguments = _filled(step, options, changed, _results(options.work))
    command = _command(arguments)
    print(shlex.join(command), flush=True)
    if command[0] == "wsseg":
        more = [] if arguments[0] == "adopt" else ["--json"]
        command = ["python", "-m", "napari_wsseg.cli", *arguments, *more]
    ended = subprocess.run(
        [sys.executable, *command[1:]], stdout=subprocess.PIPE, text=True, check=False
    )
    if ended.returncode:
        return ended.returncode
    lines = ended.stdout.splitlines()
    is_json = bool(lines) and lines[-1].startswith("{")
    result = json.loads(lines[-1]) if is_json else {}
    (options.work / f"{step.name}.json").write_text(json.dumps(result, indent=1))
    return 0


def _results(work: Path) -> dict[str, Any]:
    return {path.stem: json.loads(path.read_text()) for path in work.glob("*.json")}


def written(table: Table, work: Path, changed: Mapping[str, str]) -> str:
    """Return the table as Markdown: every figure of the paper, then ours."""
    results = _results(work)
    heads = [*table.heads]
    for metric in table.metrics:
        heads += [f"{metric}, paper", f"{metric}, ours"]
    lines = [f"# {table.title}", "", _line(heads), "|---" * len(heads) + "|"]
    for row in table.rows:
        cells = [*row.cells]
        for paper, way in zip(row.paper, row.ours, strict=True):
            cells += ["–" if paper is None else f"{paper:g}", _shown(results, way)]
        lines.append(_line(cells))
    notes = [*table.notes]
    if changed:
        settings = ", ".join(f"{key}={value}" for key, value in changed.items())
        notes.insert(0, f"Not the paper's settings: {settings}.")
    return "\n".join([*lines, "", *(f"- {note}" for note in notes), ""])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _shown(results: Mapping[str, Any], way: tuple[str, ...]) -> str:
    found: Any = results
    for key in way:
        found = found[key]
    if isinstance(found, Mapping):  # of several trials
        if found["mean"] is None:
            return "–"
        std = found["spread"]
        return f"{found['mean']:.3f}" + (f" ± {std:.3f}" if std else "")
    return "–" if found is None else f"{found:.3f}"


if __name__ == "__main__":
    sys.exit(main())
