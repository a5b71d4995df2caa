"""Run folders: ``runs/<run>/`` holds all that one execution of a recipe left.

The folder is the truth about a run, so that a training process needs no right to
write the project's index: ``config.json`` (frozen before the first step),
``state.json`` (who runs it, how it ended), ``metrics.jsonl``, ``data.lock.json``,
``last.pt``, ``best.safetensors``, ``card.md`` and ``log.txt``.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from napari_wsseg import recipe_facts
from napari_wsseg.io import atomic, processes, project_files
from napari_wsseg.io.files import presence
from napari_wsseg.io.values import NUMBER, Form
from napari_wsseg.jobs import DataError
from napari_wsseg.recipe_facts import RecipeFacts

_NOTHING = type(None)
_CONFIG: Form = {
    "recipe": str,
    "created": str,
    "settings": {str: object},
    "findings?": [str],
    "notes?": {str: object},
    "facts?": {str: object},
}
_STATE: Form = {
    "state?": str,
    "pid?": (int, _NOTHING),
    "started?": (*NUMBER, _NOTHING),
    "metrics?": {str: NUMBER},
    "seconds?": NUMBER,
    "message?": str,
}
_METRICS: Form = {str: (*NUMBER, _NOTHING, [object], {str: object}, str, bool)}
_EVALUATION: Form = {
    str: {
        "n_with_expert_masks": int,
        "stages?": {str: _METRICS},
    }
}

State = Literal["running", "done", "stopped", "failed", "interrupted"]


@dataclass(frozen=True, slots=True)
class RunInfo:
    """What a list of runs shows of one.

    Parameters
    ----------
    state
        ``"interrupted"`` is a run whose process is gone without a last word.
    metrics
        Validation figures of the checkpoint that the run offers.
    seconds
        Time spent, all sessions of a resumed run together.
    message
        Why it failed, or the last thing it said.
    evaluation
        Split to what ``wsseg evaluate --run`` found on it.
    own_facts
        What the run kept of its recipe's facts, as JSON values; see `facts`.
    """

    id: str
    recipe: str
    state: State
    config: Mapping[str, Any]
    metrics: Mapping[str, float]
    created: str
    seconds: float
    message: str
    notes: Mapping[str, Any] = field(default_factory=dict)
    evaluation: Mapping[str, Any] = field(default_factory=dict)
    own_facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def facts(self) -> RecipeFacts:
        """What its recipe said of itself when it began, or says now.

        Runs of earlier versions kept nothing of it.
        """
        if not self.own_facts:
            return recipe_facts.facts(self.recipe)
        return recipe_facts.read(self.recipe, self.own_facts)

    @property
    def is_draft(self) -> bool:
        """Whether it stands for another program's predictions: it has no weights."""
        return "draft" in self.notes

    @property
    def evaluated(self) -> bool:
        """Whether it was measured on held-out films, against what people said.

        A recipe that learns from weak masks is validated against weak masks, which
        says nothing of how right they are.
        """
        own = self.facts.judged_by
        return own in self.metrics or any(
            result.get("n_with_expert_masks") for result in self.evaluation.values()
        )


PresetSettings = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""Settings by preset and recipe."""

_MOSTLY = 0.8
"""Share of a preset's settings that runs must have to be taken for trained by it."""


def nearest_preset(infos: Sequence[RunInfo], presets: PresetSettings) -> str | None:
    """Return the preset that runs were trained by, ``None`` if by none.

    By their settings: most of a preset's must be theirs, and of two presets the one
    counts that says more.
    """

    def alike(name: str) -> tuple[float, int]:
        same = [
            info.config.get(key) == value
            for info in infos
            for key, value in presets[name].get(info.recipe, {}).items()
        ]
        return (sum(same) / len(same), len(same)) if same else (0.0, 0)

    order = sorted(presets, key=lambda name: name != "fast")  # of equals, the first
    best = max(order, key=alike, default=None)
    return best if best is not None and alike(best)[0] >= _MOSTLY else None


class RunFolder:
    """One run on disk.

    Parameters
    ----------
    path
        The run's folder; its name is the run's id.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def id(self) -> str:
        """Name of the run, e.g. ``classifier-20261121-001530-a1b2``."""
        return self.path.name

    @property
    def best(self) -> Path:
        """Weights that the run offers."""
        return self.path / "best.safetensors"

    @property
    def last(self) -> Path:
        """State from which the run can go on."""
        return self.path / "last.pt"

    @property
    def stop_file(self) -> Path:
        """The file whose presence asks the run to stop."""
        return self.path / "stop"

    def wishes(self) -> list[str]:
        """Return the films whose drafts are wanted next; torn or not there: none."""
        try:
            return list(atomic.read_json(self._wishes, [str]))
        except (DataError, OSError):
            return []

    def wish(self, case_ids: Sequence[str]) -> None:
        """Say which films, by id and in order, a run that learns should draw next.

        Raises
        ------
        DataError
            The disk is full, or the project is gone.
        """
        presence.check_is_project(self.path)
        atomic.write_json(self._wishes, list(case_ids))

    @property
    def lacks_weights(self) -> str:
        """Why nothing can be learnt on from the run; empty if it has its weights."""
        if self.best.exists():
            return ""
        return f"the run in use ({self.id}) has no weights here; train one (wsseg run)"

    @property
    def _wishes(self) -> Path:
        return self.path / "next.json"

    def config(self) -> dict[str, Any]:
        """Return recipe, settings and findings as frozen when the run began."""
        return dict(atomic.read_json(self.path / "config.json", _CONFIG))

    def forget_stop(self) -> None:
        """Take back an earlier wish to stop, before anybody looks for one."""
        project_files.remove(self.stop_file)

    def begin(self, rows: int | None = None) -> None:
        """Say that this process runs it.

        Of ``metrics.jsonl``, the first `rows` are kept: the steps after the last save
        are taken anew. ``None``: all that are whole.
        """
        self._keep_metrics(rows)
        before = self._state()
        self._write_state(
            state="running",
            **processes.this_one(),
            metrics=before.get("metrics", {}),
            seconds=before.get("seconds", 0.0),
            message="",
        )

    def end(
        self,
        state: State,
        *,
        metrics: Mapping[str, float],
        seconds: float,
        message: str = "",
    ) -> None:
        """Say how it ended.

        Parameters
        ----------
        state
            ``"done"``, ``"stopped"`` or ``"failed"``.
        metrics
            Figures by name, written over earlier ones.
        seconds
            Of this session; added to those of earlier ones.
        message
            Why it failed, or the last thing it said.

        Raises
        ------
        DataError
            The disk is full or gone, or the project is not there any more.
        """
        before = self._state()
        self._write_state(
            state=state,
            metrics={**before.get("metrics", {}), **metrics},
            seconds=float(before.get("seconds", 0.0)) + seconds,
            message=message,
        )

    def log_metrics(self, row: Mapping[str, Any]) -> None:
        """Append one row to ``metrics.jsonl``.

        Raises
        ------
        DataError
            The disk is full or gone.
        """
        try:
            project_files.append(self._metrics, json.dumps(row) + "\n")
        except OSError as error:
            raise DataError(
                f"{self._metrics} could not be written ({error.strerror or error}); "
                "free some space, then resume the run"
            ) from error

    def metrics(self) -> Iterator[dict[str, Any]]:
        """Yield the rows of ``metrics.jsonl``; torn ones are left out."""
        for line in self._metrics_text().splitlines():
            row = _row(line)
            if row is not None:
                yield row

    @property
    def _metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    def _metrics_text(self) -> str:
        try:
            data = project_files.read_bytes(self._metrics, 2**28)
        except FileNotFoundError:
            return ""
        return data.decode("utf-8", "replace")

    def _keep_metrics(self, rows: int | None) -> None:
        """Write ``metrics.jsonl`` anew without torn rows and those after `rows`."""
        kept = "".join(json.dumps(row) + "\n" for row in islice(self.metrics(), rows))
        if kept != self._metrics_text():
            atomic.write(self._metrics, lambda file: file.write(kept.encode()))

    def info(self) -> RunInfo:
        """Return what a list shows.

        Raises
        ------
        DataError
            If the folder holds no readable ``config.json``.
        """
        config, state = self.config(), self._state()
        named = state.get("state", "interrupted")
        if named == "running" and not processes.is_alive(
            state.get("pid"), state.get("started")
        ):
            named = "interrupted"
        return RunInfo(
            id=self.id,
            recipe=str(config["recipe"]),
            state=named,
            config=config["settings"],
            metrics=state.get("metrics", {}),
            created=str(config["created"]),
            seconds=float(state.get("seconds", 0.0)),
            message=str(state.get("message", "")),
            notes=config.get("notes", {}),
            evaluation=self.evaluation(),
            own_facts=config.get("facts", {}),
        )

    def evaluation(self) -> dict[str, Any]:
        """Return what was found on each split; empty before any evaluation."""
        path = self.path / "evaluation.json"
        return _object(path, _EVALUATION)

    def keep_evaluation(self, split: str, result: Mapping[str, Any]) -> None:
        """Keep what was found on a split, instead of what was found there before."""
        found = {**self.evaluation(), split: dict(result)}
        presence.check_is_project(self.path)
        atomic.write_json(self.path / "evaluation.json", found)

    def choices(self) -> dict[str, str]:
        """Return what the run chose by itself and why, by finding; mostly empty."""
        return _object(self.path / "choices.json", {str: str})

    def keep_choices(self, choices: Mapping[str, str]) -> None:
        """Keep what the run chose by itself, by finding, in words."""
        presence.check_is_project(self.path)
        atomic.write_json(self.path / "choices.json", dict(choices))

    def _state(self) -> dict[str, Any]:
        path = self.path / "state.json"
        return _object(path, _STATE)

    def _write_state(self, **values: Any) -> None:
        presence.check_is_project(self.path)
        atomic.write_json(self.path / "state.json", values)


def new(
    project: Path,
    recipe: str,
    settings: Mapping[str, Any],
    *,
    findings: tuple[str, ...] = (),
    notes: Mapping[str, Any] | None = None,
    facts: RecipeFacts | None = None,
) -> RunFolder:
    """Make the folder of a new run and freeze its settings.

    Parameters
    ----------
    project, recipe
        Folder of the project, and the name that the run's id begins with.
    settings
        JSON values; kept as ``config.json``.
    findings
        What its network tells apart, in order.
    notes
        JSON values that stand beside the settings.
    facts
        What the recipe says of itself, so that the run can be shown and used where the
        recipe is not installed.
    """
    now = datetime.now(UTC)
    name = f"{recipe}-{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    folder = RunFolder(project / "runs" / name)
    atomic.write_json(
        folder.path / "config.json",
        {
            "recipe": recipe,
            "created": now.isoformat(timespec="seconds"),
            "findings": findings,
            "settings": dict(settings),
            "notes": dict(notes or {}),
            **({"facts": facts.to_json()} if facts is not None else {}),
        },
    )
    return folder


def find(project: Path, run: str) -> RunFolder:
    """Return a run by its id.

    Raises
    ------
    DataError
        If there is none; the message names those there are.
    """
    path = project / "runs" / run
    if not run or Path(run).name != run or not (path / "config.json").is_file():
        known = ", ".join(info.id for info in listing(project)[:8]) or "none yet"
        raise DataError(f"no run {run!r} in {project.name}; there are: {known}")
    return RunFolder(path)


def listing(project: Path) -> list[RunInfo]:
    """Return every readable run, newest first."""
    return readable(project)[0]


def readable(project: Path) -> tuple[list[RunInfo], dict[str, str]]:
    """Return every readable run, newest first, and what is wrong with the others.

    Others are folders that were copied half or edited by hand, by name.
    """
    found, damaged = [], dict[str, str]()
    for config in sorted(project.glob("runs/*/config.json")):
        try:
            found.append(RunFolder(config.parent).info())
        except (DataError, KeyError) as error:
            damaged[config.parent.name] = str(error)
    order = sorted(found, key=lambda info: (info.created, info.id), reverse=True)
    return order, damaged


def _object(path: Path, form: Form) -> dict[str, Any]:
    """Return what a JSON file of a form holds; empty where there is none yet."""
    if not project_files.checked(path).exists():
        return {}
    return dict(atomic.read_json(path, form))


def _row(line: str) -> dict[str, Any] | None:
    """Return a row; of one that was glued to a torn one, the whole one."""
    for text in (line, line[line.rfind("{") :]):
        with suppress(ValueError, RecursionError):
            row = json.loads(text)
            if isinstance(row, dict):
                return row
    return None
