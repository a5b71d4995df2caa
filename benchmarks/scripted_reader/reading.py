"""How the scripted reader reads one mask, and what it costs in a model of constants."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.grow_clicks.films import SIDE, deepest
from napari_wsseg.ops import metrics, scribble
from napari_wsseg.schema import Mask

GOAL, MOST, GRID = 0.85, 40, 128

BETTER = 0.1
"""IoU by which another candidate must be better than the first to be looked for, where
neither it nor the first is at the goal: about what a stroke saves."""

CONSTANTS: Mapping[str, tuple[float, str]] = {
    "key": (0.28, "keystroke, average user; Card, Moran & Newell 1983, KLM operator K"),
    "point": (1.10, "pointing with a mouse; same, operator P"),
    "button": (0.10, "press or release of a button; same, operator B"),
    "think": (1.35, "mental preparation before a step; same, operator M"),
    "draw_cm": (0.16, "a centimetre of a line drawn; same, operator D(n, l)"),
    "draw": (0.90, "beginning a line; same, operator D(n, l)"),
    "look": (5.0, "ASSUMED: first look at a film; the same in every arm"),
    "screen_cm": (22.0, "ASSUMED: how long the film's longer side is on the screen"),
}
"""Seconds (centimetres for the last), and where they are from."""

KEYS = {"accept": 1, "lay in": 2, "strip": 2, "number": 1, "tool": 1, "take": 1}
"""Keystrokes of A, Shift B, Shift C, 1 to 6, B or N, and Enter."""


@dataclass(slots=True)
class Cost:
    """What one mask took.

    Parameters
    ----------
    length
        Of all strokes, in pixels of films of `SIDE`.
    thoughts
        Steps to prepare for beside strokes: the verdict, and a strip of candidates.
    """

    strokes: int = 0
    keys: int = 0
    length: float = 0.0
    thoughts: int = 1
    iou: float = 0.0
    mask: Mask | None = None

    @property
    def hands(self) -> float:
        """The model's seconds after the first look."""
        c = {name: value for name, (value, _) in CONSTANTS.items()}
        stroke = c["think"] + c["point"] + 2 * c["button"] + c["draw"]
        centimetres = self.length / SIDE * c["screen_cm"]
        return (
            self.keys * c["key"]
            + self.strokes * stroke
            + centimetres * c["draw_cm"]
            + self.thoughts * c["think"]
        )

    @property
    def seconds(self) -> float:
        """The model's seconds."""
        return CONSTANTS["look"][0] + self.hands

    @property
    def unedited(self) -> bool:
        """Whether no stroke was made."""
        return self.strokes == 0


CHEAPEST = Cost(keys=KEYS["accept"])
"""A look, a thought and A: no arm can be under it."""


@dataclass(frozen=True, eq=False)
class Film:
    """One film and finding: its pixels, its truth, and what it could begin with.

    Parameters
    ----------
    drafts
        In the order of the window's strip, the one that Shift B lays in first.
    """

    pixels: NDArray[np.float32]
    truth: Mask
    drafts: Sequence[Mask]

    @property
    def first_iou(self) -> float:
        """IoU of the first draft, 0 without any."""
        return metrics.iou(self.drafts[0], self.truth) if self.drafts else 0.0


@dataclass
class Hand:
    """Strokes so far; a dab of a stroke inside or outside is added by `dab`."""

    shape: tuple[int, ...]
    strokes: NDArray[np.uint8] = field(init=False)

    def __post_init__(self) -> None:
        self.strokes = np.full(self.shape, scribble.NOTHING, np.uint8)

    def dab(self, place: tuple[int, int], depth: float, side: int) -> None:
        """Add the middle of a stroke, 1 to 3 pixels around its place."""
        rows, columns = np.ogrid[: self.shape[0], : self.shape[1]]
        far = (rows - place[0]) ** 2 + (columns - place[1]) ** 2
        self.strokes[far <= min(max(depth / 2, 1.0), 3.0) ** 2] = side


Answer = Callable[[Mask, Hand, float, int], Mask]
Tool = Callable[[Film, Mask], Answer]


def read_film(film: Film, tool: Tool, *, drafts: bool) -> Cost:
    """Read one film by the policy and return what it took.

    With `drafts`, from a draft or from nothing, whichever is quicker: a poor draft may
    take longer to clear away than a mask to draw.
    """
    blank = _corrected(film, tool, np.zeros_like(film.truth), 0)
    if not (drafts and film.drafts):
        return blank
    picked = best_candidate(film)
    drafted = _corrected(film, tool, film.drafts[picked], picked)
    return min(drafted, blank, key=lambda cost: cost.seconds)


def _corrected(film: Film, tool: Tool, mask: Mask, picked: int) -> Cost:
    """Correct a mask, the candidate `picked` or nothing, until it is good enough."""
    cost = Cost(keys=KEYS["accept"])
    if picked:
        cost.keys += KEYS["strip"] + KEYS["number"]
        cost.thoughts += 1
    start, answer, hand = mask, tool(film, mask), Hand(film.truth.shape)
    before = scribble.INSIDE
    while (iou := metrics.iou(mask, film.truth)) < GOAL and cost.strokes < MOST:
        depth, place, side = deepest(mask, film.truth)
        hand.dab(place, depth, side)
        mask = answer(mask, hand, depth, side)
        cost.strokes += 1
        cost.length += 2 * depth
        # The brush changes sides by a key, Grow by a key held.
        cost.keys += side != before if tool is painted else side == scribble.OUTSIDE
        before = side
    if cost.strokes:
        cost.keys += KEYS["tool"]
        if tool is grown:
            cost.keys += KEYS["take"]  # Enter, which lays the draft in as well
        elif start.any() and not picked:
            cost.keys += KEYS["lay in"]
    cost.iou, cost.mask = iou, mask
    return cost


def best_candidate(film: Film) -> int:
    """Return the place of the draft to begin with: 0, or one worth two more steps."""
    values = [metrics.iou(one, film.truth) for one in film.drafts]
    best = int(np.argmax(values))
    saves = values[0] < GOAL and (
        values[best] >= GOAL or values[best] >= values[0] + BETTER
    )
    return best if saves else 0


def painted(film: Film, start: Mask) -> Answer:
    """Paint or erase the largest disc that is all wrong, with a brush as large."""

    def answer(mask: Mask, hand: Hand, depth: float, side: int) -> Mask:
        wrong = film.truth & ~mask if side == scribble.INSIDE else mask & ~film.truth
        inside = ndimage.distance_transform_edt(np.pad(wrong, 1))[1:-1, 1:-1]
        y, x = np.unravel_index(int(inside.argmax()), inside.shape)
        rows, columns = np.ogrid[: mask.shape[0], : mask.shape[1]]
        disc = (rows - y) ** 2 + (columns - x) ** 2 <= depth**2
        kept = mask | disc if side == scribble.INSIDE else mask & ~disc
        return np.asarray(kept, bool)

    return answer


def grown(film: Film, start: Mask) -> Answer:
    """Grow: on a draft its strokes correct it, else they grow from nothing."""
    boundary = scribble.edges(film.pixels, stride=max(1, SIDE // GRID))
    if start.any():
        near = scribble.Graph(boundary, steps=scribble.CORRECTING_STEPS)
        return lambda mask, hand, depth, side: near.correct(hand.strokes, start) >= 0.5
    graph = scribble.Graph(boundary)
    return lambda mask, hand, depth, side: graph.grow(hand.strokes) >= 0.5


TOOLS: Mapping[str, Tool] = {"brush": painted, "grow": grown}
