"""Box plots per structure, the variants side by side: the paper's figures 3 and 4."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from napari_scse.errors import InputError
from napari_scse.evaluation.comparison import MIN_HEADS, Comparison
from napari_scse.evaluation.figures import STYLE, check_plot_name, write_figure
from napari_scse.evaluation.measures import MEASURES
from napari_scse.sides import split_side

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.patches import Patch

SIDES = ("both", "left", "right")

# Okabe & Ito, "Color Universal Design" (2008): told apart with any kind of colour vision.
_COLORS = ("#999999", "#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#0072b2", "#d55e00", "#f0e442")
MAX_VARIANTS = len(_COLORS)
_PER_ROW = 16  # structures
_GROUP = 0.84  # of the distance between two structures is covered by boxes


def plot_boxes(comparison: Comparison, path: str | os.PathLike[str], sides: str = "both") -> None:
    """Draw a box per structure and variant over heads, and write it as PDF, SVG or PNG (whole or not at all).

    As in the paper: the line is the median, the box reaches from the 25th to the 75th percentile, the whiskers to the
    farthest heads within 1.5 box heights of it, and heads beyond are crosses. With fewer than six heads, quartiles mean
    little: each head is a dot then, and the line their median.

    Parameters
    ----------
    path
        Its suffix, one of `figures.PLOT_SUFFIXES`, says the format.
    sides
        ``"left"`` and ``"right"`` leave out the structures of the other side (the paper's figure 3 shows the left
        ones); ``"both"`` puts the right ones into rows of their own. Sides are told by the names (`split_side`).

    Raises
    ------
    InputError
        An unknown suffix or side, too many variants for the colours, or no structure is left.
    OSError
        The folder cannot be written to. No temporary file stays behind.
    """
    check_plot_name(path)
    if len(comparison.variants) > MAX_VARIANTS:
        raise InputError(f"A plot shows at most {MAX_VARIANTS} variants; there are {len(comparison.variants)}.")
    rows = _rows(list(comparison.structures.values()), sides)

    from matplotlib import rc_context
    from matplotlib.figure import Figure

    longest = max(map(len, rows))
    with rc_context(STYLE):
        width = min(max(1.2 + longest * (0.22 + 0.11 * len(comparison.variants)), 4.8), 14.0)
        figure = Figure(figsize=(width, 0.6 + 2.6 * len(rows)), layout="constrained")
        axes = figure.subplots(len(rows), 1, squeeze=False, sharey=True)[:, 0]
        for ax, row in zip(axes, rows, strict=True):
            _draw(ax, comparison, row, longest, strip_side=sides != "both")
        columns = max(1, int(width / (0.8 + 0.09 * max(map(len, comparison.variants)))))
        heads = f"{comparison.head_count} head{'s' * (comparison.head_count > 1)}"
        figure.legend(
            handles=_legend(comparison), title=heads, loc="outside upper center", ncols=columns, frameon=False
        )
        write_figure(figure, path)


def _rows(names: Sequence[str], sides: str) -> list[list[int]]:
    """Which structures, by their places in `names`, go into which row of axes."""
    if sides not in SIDES:
        raise InputError(f"Unknown side '{sides}'; there is {', '.join(SIDES)}.")
    right = [place for place, name in enumerate(names) if split_side(name)[0] == "right"]
    left = [place for place, name in enumerate(names) if split_side(name)[0] == "left"]
    middle = [place for place in range(len(names)) if place not in {*left, *right}]
    groups = {
        "both": [sorted(left + middle), right],
        "left": [sorted(left + middle)],
        "right": [sorted(right + middle)],
    }[sides]
    rows = [[*part] for group in groups if group for part in np.array_split(group, -(-len(group) // _PER_ROW))]
    if not rows:
        raise InputError(f"There is nothing to plot: no structure is on the side '{sides}' or on none.")
    return rows


def _draw(ax: Axes, comparison: Comparison, row: Sequence[int], longest: int, strip_side: bool) -> None:
    step = _GROUP / len(comparison.variants)
    few = comparison.head_count < MIN_HEADS
    for v, color in zip(range(len(comparison.variants)), _COLORS, strict=False):
        numbers = [comparison.values[v, :, s] for s in row]
        numbers = [column[np.isfinite(column)] for column in numbers]
        places = np.arange(len(row)) + (v - (len(comparison.variants) - 1) / 2) * step
        if few:
            for place, column in zip(places, numbers, strict=True):
                ax.plot(np.full(len(column), place), column, "o", color=color, ms=4, mec="black", mew=0.5)
                ax.hlines(np.median(column), place - 0.4 * step, place + 0.4 * step, color="black", lw=1.2)
            continue
        boxes = ax.boxplot(
            numbers,
            positions=places.tolist(),
            widths=0.86 * step,
            patch_artist=True,
            manage_ticks=False,
            medianprops={"color": "black", "linewidth": 1.2},
            whiskerprops={"linewidth": 0.7},
            capprops={"linewidth": 0.7},
            flierprops={"marker": "x", "markersize": 3.5, "markeredgewidth": 0.7},
        )
        for box in boxes["boxes"]:
            box.set(facecolor=color, edgecolor="black", linewidth=0.7)
    names = list(comparison.structures.values())
    labels = [_shorten(names[s], strip_side) for s in row]
    ax.set_xticks(range(len(row)), labels, rotation=35, ha="right", rotation_mode="anchor")
    ax.tick_params(axis="x", length=0)
    ax.set_xlim(-0.5, longest - 0.5)
    ax.set_ylabel(MEASURES[comparison.measure])
    ax.grid(axis="y", color="#dddddd", linewidth=0.6)
    for between in range(1, len(row)):
        ax.axvline(between - 0.5, color="#eeeeee", linewidth=0.6)
    ax.spines[["top", "right"]].set_visible(False)


def _legend(comparison: Comparison) -> list[Patch]:
    from matplotlib.patches import Patch

    return [
        Patch(facecolor=color, edgecolor="black", linewidth=0.7, label=name)
        for name, color in zip(comparison.variants, _COLORS, strict=False)
    ]


def _shorten(name: str, strip_side: bool) -> str:
    """FreeSurfer's names as the paper abbreviates them: "L. Cerebral WM"."""
    side, rest = split_side(name)
    if side:
        name = rest if strip_side else f"{side[0].upper()}. {rest}"
    return name.replace("White-Matter", "WM").replace("-", " ")
