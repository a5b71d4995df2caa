"""Figures, times, states and colours as a person reads them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from qtpy.QtGui import QColor, QPalette

#: Figures by which a run is judged, the most telling first; more of each is better.
_TELLING = (
    "val_dice",
    "val_pos_iou",
    "val_iou",
    "val_miou",
    "val_all_iou",
    "val_auroc",
    "dice",
    "pos_iou",
    "all_iou",
    "auroc",
)

_NAMES = {
    "dice": "Dice",
    "pos_iou": "IoU",
    "iou": "IoU",
    "miou": "mean IoU",
    "all_iou": "IoU (all films)",
    "pooled_miou": "pooled IoU",
    "auroc": "AUROC",
    "f1": "F1",
    "loss": "loss",
}

_STATES = {
    "starting": "starting",
    "running": "running",
    "stopping": "stopping",
    "done": "done",
    "stopped": "stopped",
    "failed": "failed",
    "killed": "stopped by force",
    "lost": "lost",
    "interrupted": "interrupted",
}

#: Okabe and Ito's colours that stand out on a dark and on a light ground.
_ON_DARK = ("#56B4E9", "#E69F00", "#2FC99A", "#F0E442", "#CC79A7", "#D55E00")
_ON_LIGHT = ("#0072B2", "#B36B00", "#007A57", "#7A6F00", "#A0467A", "#D55E00")

#: A sign beside the word, so that no state is told by colour alone.
SIGNS = {
    "running": "▶",
    "done": "✓",
    "stopped": "■",
    "failed": "✗",
    "interrupted": "‖",
}


def metric_name(name: str) -> str:
    """Return ``val_pos_iou`` as ``val IoU``."""
    plain = name.removeprefix("val_")
    title = _NAMES.get(plain, plain.replace("_", " "))
    return f"val {title}" if name.startswith("val_") else title


def telling(metrics: Mapping[str, Any]) -> str | None:
    """Return the name of the figure by which a run is judged, or ``None``.

    A loss is the last resort, and the only one where less is better.
    """
    numbers = [k for k, v in metrics.items() if isinstance(v, (int, float))]
    for name in (*_TELLING, "val_loss"):
        if name in numbers:
            return name
    return None


def state(word: str) -> str:
    """Return a state in words."""
    return _STATES.get(word, word)


def format_metric(value: float) -> str:
    """Return 0.6134 as ``0.61``, 34.0 as ``34``, 1e-4 as ``0.0001``."""
    if value == int(value) and abs(value) >= 1:
        return f"{int(value):,}"
    return f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.2g}"


def duration(seconds: float) -> str:
    """Return 75 as ``1 min``, 5400 as ``1 h 30 min``."""
    if seconds < 60:
        return f"{max(0, round(seconds))} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def moment(created: str, now: datetime | None = None) -> str:
    """Return a UTC moment in local time: ``14:03`` today, else ``21 Nov 14:03``."""
    try:
        then = datetime.fromisoformat(created)
    except ValueError:
        return created
    then = (then if then.tzinfo else then.replace(tzinfo=UTC)).astimezone()
    today = (now or datetime.now(UTC)).astimezone()
    if then.date() == today.date():
        return f"{then:%H:%M}"
    return f"{then:%d %b %H:%M}" if then.year == today.year else f"{then:%d %b %Y}"


def gigabytes(size: float) -> str:
    """Return bytes as ``1.5 GB``, ``37 GB``; below a tenth as ``80 MB``."""
    if size < 0.1 * 2**30:
        return f"{max(0.0, size) / 2**20:.0f} MB"
    value = size / 2**30
    return f"{value:.1f} GB" if value < 10 else f"{value:.0f} GB"


def colours(dark: bool) -> tuple[str, ...]:
    """Return colours of lines for a dark or a light ground."""
    return _ON_DARK if dark else _ON_LIGHT


def red(palette: QPalette) -> str:
    """Return the colour of what is wrong, legible on the palette's ground."""
    dark = palette.color(QPalette.ColorRole.Window).lightness() < 128
    return "#FF7B72" if dark else "#B3261E"


def green(palette: QPalette) -> str:
    """Return the colour of what is well, legible on the palette's ground."""
    dark = palette.color(QPalette.ColorRole.Window).lightness() < 128
    return "#4FB87E" if dark else "#1B6B3A"


def subdued(palette: QPalette) -> str:
    """Return the colour of what is finished, quieter and yet legible."""
    dark = palette.color(QPalette.ColorRole.Window).lightness() < 128
    return "#A3ABB6" if dark else "#565D66"


def legible(colour: str, ground: QColor, least: float = 2.0) -> str:
    """Return a colour, made darker or lighter as far as it is not seen on `ground`.

    Parameters
    ----------
    least
        Contrast as in WCAG 2.1, the ratio of luminances, at least asked for.
    """
    shade = QColor(colour)
    hue, saturation, light, _ = shade.getHslF()
    step = 0.01 if ground.lightness() < 128 else -0.01
    while contrast(shade, ground) < least and 0.0 < light + step < 1.0:
        light += step
        shade = QColor.fromHslF(hue, saturation, light)
    return shade.name()


def contrast(one: QColor, other: QColor) -> float:
    """Return the contrast of two colours as in WCAG 2.1, 1 to 21."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: QColor) -> float:
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (colour.redF(), colour.greenF(), colour.blueF())
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
