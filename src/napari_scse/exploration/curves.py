"""Draw how the excitation changes over a training: one column a site."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_scse.evaluation.figures import STYLE, check_plot_name, write_figure
from napari_scse.exploration.dynamics import Dynamics
from napari_scse.exploration.findings import (
    BACKGROUND,
    CONTRASTS,
    FIELD_OF_VIEW,
    FOREGROUND,
    HEAD,
    SURROUNDINGS,
    contrast,
)
from napari_scse.sides import split_side

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

_REGIONS = {FOREGROUND: "black", BACKGROUND: "#666666", HEAD: "#b8860b", SURROUNDINGS: "#4682b4"}
_PAIRS = dict(zip((contrast(*pair) for pair in CONTRASTS), ("black", "#4682b4", "#b8860b"), strict=True))
_COLORS = 20  # of the palette; more structures share them
_PER_COLUMN = 16  # names in a column of the legend


def plot_dynamics(dynamics: Dynamics, path: str | os.PathLike[str]) -> None:
    """Draw curves over the epochs and write them as PDF, SVG or PNG (whole or not at all).

    From above: the mean of every structure (right ones dashed) and region, the contrasts as AUC, and the change from
    the epoch before.

    Parameters
    ----------
    dynamics
        What `measure_dynamics` found.
    path
        Its suffix says the format.

    Raises
    ------
    InputError
        An unknown suffix.
    OSError
        The folder cannot be written to. No temporary file stays behind.
    """
    check_plot_name(path)

    from matplotlib import rc_context
    from matplotlib.figure import Figure

    count = len(dynamics.sites)
    with rc_context(STYLE):
        figure = Figure(figsize=(3.4 * count + 3.4, 7.6), layout="constrained")
        axes = figure.subplots(3, count, squeeze=False, sharex=True, height_ratios=[2.2, 1, 1])
        for row in axes[1:]:  # sites are compared there; the means of some lie close to 1
            for ax in row[1:]:
                ax.sharey(row[0])
                ax.tick_params(labelleft=False)
        colors = _colors(dynamics)
        for site, column in zip(dynamics.sites, axes.T, strict=True):
            column[0].set_title(site)
            for structure in dynamics.structures:
                name = structure.name
                style = "--" if split_side(name)[0] == "right" else "-"
                _draw(column[0], dynamics, (site, "mean", name), color=colors[split_side(name)[1]], ls=style, lw=1)
            for name, color in _REGIONS.items():
                _draw(column[0], dynamics, (site, "mean", name), color=color, lw=2.2)
            for name, color in _PAIRS.items():
                _draw(column[1], dynamics, (site, "auc", name), color=color, lw=1.6)
            _draw(column[2], dynamics, (site, "change", FIELD_OF_VIEW), color="black", lw=1.6)
            column[2].set_xlabel("epoch")
        _finish(axes)
        drawn = {finding.name for finding in dynamics.findings}
        levels = [_line(name, color, lw=2.2) for name, color in _REGIONS.items() if name in drawn]
        levels += [_line(_shown(name), color, lw=1) for name, color in colors.items()]
        if any(split_side(structure.name)[0] == "right" for structure in dynamics.structures):
            levels.append(_line("right side", "#666666", lw=1, ls="--"))
        _add_legend(axes[0, -1], levels)
        _add_legend(axes[1, -1], [_line(name, color, lw=1.6) for name, color in _PAIRS.items() if name in drawn])
        write_figure(figure, path)


def _draw(ax: Axes, dynamics: Dynamics, which: tuple[str, str, str], **style: Any) -> None:
    values = dynamics.series(*which)
    if np.isfinite(values).any():
        ax.plot(dynamics.epochs, values, marker="o", ms=2.5, **style)


def _finish(axes: np.ndarray) -> None:
    from matplotlib.ticker import MaxNLocator

    for ax, title in zip(axes[:, 0], ("mean excitation", "AUC", "change (1 - correlation)"), strict=True):
        ax.set_ylabel(title)
    for ax in axes[1]:
        ax.axhline(0.5, color="#bbbbbb", lw=0.8, ls=":")
    for ax in axes.flat:
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.grid(color="#e5e5e5", linewidth=0.6)
        ax.spines[["top", "right"]].set_visible(False)
        ax.margins(y=0.08)
        ax.ticklabel_format(axis="y", useOffset=False)


def _line(name: str, color: Any, **style: Any) -> Line2D:
    from matplotlib.lines import Line2D

    return Line2D([], [], color=color, label=name, **style)


def _add_legend(ax: Axes, lines: Sequence[Line2D]) -> None:
    """Name lines at the right of `ax`."""
    columns = max(1, -(-len(lines) // _PER_COLUMN))
    ax.legend(handles=lines, loc="upper left", bbox_to_anchor=(1.02, 1), frameon=False, fontsize=7, ncols=columns)


def _colors(dynamics: Dynamics) -> dict[str, Any]:
    """A colour for every structure or pair, in the order of their values."""
    from matplotlib import colormaps

    names = dict.fromkeys(split_side(structure.name)[1] for structure in dynamics.structures)
    palette = colormaps["tab20"].resampled(_COLORS)
    return {name: palette(place % _COLORS) for place, name in enumerate(names)}


def _shown(name: str) -> str:
    return name.replace("White-Matter", "WM").replace("-", " ")
