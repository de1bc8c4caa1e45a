"""Plots as SVG that takes its colours from the page, so that it suits light and dark. No files."""

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from training.evaluate.statistics import Bin, CurvePoint
from training.evaluate.sweeps import Point

mpl.use("svg")

INK, FAINT, GRID = "#010203", "#040506", "#070809"
FIRST, SECOND, THIRD = "#0a0b0c", "#0d0e0f", "#101112"
VARIABLES = {
    INK: "var(--ink)",
    FAINT: "var(--faint)",
    GRID: "var(--line)",
    FIRST: "var(--first)",
    SECOND: "var(--second)",
    THIRD: "var(--third)",
}
"""Colours that nobody would choose, and the page's colours that take their place."""
STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.edgecolor": GRID,
    "axes.labelcolor": FAINT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "text.color": INK,
    "legend.frameon": False,
    "lines.linewidth": 2,
}
SIZE = (5.6, 3.5)
"""Inches: wide enough for a column of the page, legible on a phone."""
NOTHING = {"Creator": None, "Date": None, "Format": None, "Type": None}


def precision_recall_plot(curve: Sequence[CurvePoint], in_force: float, name: str) -> str:
    """Return precision over recall, with the threshold in force marked."""
    with _style(name):
        figure, axes = _axes("recall", "precision")
        recalls = [0.0, *(point.recall for point in curve)]
        precisions = [curve[0].precision if curve else 1.0, *(point.precision for point in curve)]
        axes.plot(recalls, precisions, color=FIRST, drawstyle="steps-post")
        now = [point for point in curve if point.threshold >= in_force]
        if now:
            axes.plot(now[-1].recall, now[-1].precision, "o", color=SECOND, markersize=8)
            axes.annotate(
                f"score ≥ {in_force:g}",
                (now[-1].recall, now[-1].precision),
                textcoords="offset points",
                xytext=(-8, -16),
                ha="right",
            )
        _whole(axes)
        return _svg(figure)


def sweep_plot(lines: Mapping[str, Sequence[Point]], axis: str, in_force: float, name: str) -> str:
    """Return recall (above) and false alarms per hour (below) over a threshold.

    Args:
        lines: What each line is, and its points.
        axis: The threshold's attribute: `min_score` or `confirm_score`.
        in_force: Marked by an upright line.
        name: Of the plot; makes its ids unique on the page.
    """
    with _style(name):
        figure = Figure(figsize=(SIZE[0], SIZE[1] * 1.45), layout="constrained")
        above, below = figure.subplots(2, 1, sharex=True)
        for (label, points), colour in zip(lines.items(), (FIRST, SECOND, THIRD), strict=False):
            at = [getattr(point, axis) for point in points]
            found = [point.found.value for point in points]
            style = {"color": colour, "marker": "o", "markersize": 4, "label": label}
            if any(value is not None for value in found):
                above.plot(at, found, **style)
            below.plot(at, [point.per_hour or 0.0 for point in points], **style)
        for axes in (above, below):
            axes.axvline(in_force, color=FAINT, linewidth=1, linestyle=(0, (3, 3)))
        above.set_ylabel("episodes found")
        above.set_ylim(-0.03, 1.03)
        below.set_ylabel("false alarms per hour")
        below.set_ylim(bottom=0, top=None if below.get_ylim()[1] > 1 else 1)
        below.set_xlabel("score of the detector" if axis == "min_score" else "confirm_score")
        if len(lines) > 1:
            below.legend()
        return _svg(figure)


def histogram(values: Sequence[float], marks: Mapping[str, float], axis: str, name: str) -> str:
    """Return how often which value came, with some values marked."""
    with _style(name):
        figure, axes = _axes(axis, "episodes")
        low, high = min(0.0, *values), max(1.0, *values)
        step = 0.1 if high - low <= 4 else (high - low) / 40
        edges = [low + step * i for i in range(int((high - low) / step) + 2)]
        axes.hist(values, bins=edges, color=FIRST, rwidth=0.9)
        for (label, value), colour in zip(marks.items(), (SECOND, THIRD), strict=False):
            axes.axvline(value, color=colour, linewidth=1.6, label=f"{label}: {value:.2f} s")
        axes.legend()
        axes.yaxis.get_major_locator().set_params(integer=True)
        return _svg(figure)


def calibration_plot(bins: Sequence[Bin], name: str) -> str:
    """Return how often a score was right over what it said."""
    with _style(name):
        figure, axes = _axes("score said", "part that is right")
        axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1, linestyle=(0, (3, 3)))
        axes.plot([b.score for b in bins], [b.right for b in bins], "o-", color=FIRST)
        for each in bins:
            axes.annotate(
                str(each.count),
                (each.score, each.right),
                textcoords="offset points",
                xytext=(6, -12),
                fontsize=8,
                color=FAINT,
            )
        _whole(axes)
        return _svg(figure)


def _style(name: str) -> Any:  # noqa: ANN401 - its keys are literals to mypy
    # The salt makes ids, which plots share a page with, those of this plot alone.
    settings: Any = {**STYLE, "svg.hashsalt": name}
    return mpl.rc_context(settings)


def _axes(across: str, up: str) -> tuple[Figure, Any]:
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.subplots()
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    return figure, axes


def _whole(axes: Any) -> None:  # noqa: ANN401 - matplotlib's axes are untyped to mypy
    axes.set_xlim(-0.03, 1.03)
    axes.set_ylim(-0.03, 1.03)


def _svg(figure: Figure) -> str:
    """Return a figure as an element for a page: no prologue, no background, the page's colours."""
    out = io.StringIO()
    figure.savefig(out, format="svg", transparent=True, metadata=NOTHING)
    svg = out.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(
        r'<svg [^>]*?viewBox="([^"]+)"[^>]*>', r'<svg viewBox="\1" role="img">', svg, count=1
    )
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<style.*?</style>", "", svg, flags=re.DOTALL)  # it would rule the whole page
    svg = re.sub(r"font-family: [^;\"]*", "font-family: inherit", svg)
    svg = re.sub(r' id="(?![pm][0-9a-f]{10})[^"]*"', "", svg)
    for colour, variable in VARIABLES.items():
        svg = svg.replace(colour, variable)
    return svg
