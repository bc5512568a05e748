"""The paper's figure 7: a slice of a scan, and below it the maps of each site (a row) at each epoch (a column)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_scse.errors import InputError, SpaceError
from napari_scse.evaluation.figures import STYLE, check_plot_name, write_figure
from napari_scse.exploration.dynamics import ascending_epochs, spatial_sites
from napari_scse.exploration.maps import ExcitationMaps, display_limits
from napari_scse.exploration.regions import head_mask
from napari_scse.slices import Plane, SliceStack, cut
from napari_scse.volume import Volume

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

LIMITS = ("shared", "site", "full")

Extent = tuple[float, float, float, float]  # mm: left, right, bottom, top of a picture; down the rows is positive

_COLORMAP = "inferno"
_MARGIN = 0.03  # of a slice's side, left around the head
_BRIGHTEST = 99.5  # percentile of the scan's slice that is white
_EDGES = {Plane.CORONAL: "RL", Plane.AXIAL: "RL", Plane.SAGITTAL: "AP"}  # letters at the left and right of a slice
_LARGE, _SMALL, _WIDE = 1.5, 0.65, 11.0  # inches: a panel's width at most and at least, and all panels if they can


@dataclass(frozen=True, eq=False)
class _Panel:
    """A picture and where it lies in the plane of the scan's slices."""

    pixels: np.ndarray
    extent: Extent

    def around_head(self) -> Extent:
        """The part with the head in it; all of it where nothing stands out."""
        if self.pixels.min() == self.pixels.max():
            return self.extent
        head = head_mask(Volume(self.pixels[None], np.eye(4))).data[0]
        left, right, bottom, top = self.extent
        ends = []
        for axis, (start, stop) in enumerate(((top, bottom), (left, right))):
            size = self.pixels.shape[axis]
            there = np.flatnonzero(head.any(axis=1 - axis))
            margin = _MARGIN * size
            first, last = max(0.0, there[0] - margin), min(float(size), there[-1] + 1 + margin)
            ends.append([start + edge * (stop - start) / size for edge in (first, last)])
        return ends[1][0], ends[1][1], ends[0][1], ends[0][0]


def plot_figure7(
    maps: ExcitationMaps,
    volume: Volume,
    path: str | os.PathLike[str],
    *,
    number: int | None = None,
    sites: Sequence[str] | None = None,
    epochs: Sequence[int] | None = None,
    limits: str = "shared",
) -> None:
    """Draw one slice of `maps` as in the paper's figure 7 and write it as PDF, SVG or PNG (whole or not at all).

    Heads stand upright (anterior up in axial slices), the subject's right at the left. Every map is drawn with its own
    pixels where it lies on the scan; nothing is interpolated. Panels are cut to the head.

    Parameters
    ----------
    maps
        Of any number of epochs.
    volume
        The scan that they were recorded on, in any orientation of its file.
    path
        Its suffix says the format.
    number
        The slice, as `ExcitationMaps.slices` counts them; None: the middle one.
    sites
        Spatial sites, a row each; None: all there are.
    epochs
        A column each, in ascending order; None: all there are.
    limits
        ``"shared"``: all maps have the same colours, from the 1st to the 99th percentile of what is shown; ``"site"``:
        each row its own; ``"full"``: from 0 to 1.

    Raises
    ------
    RunError
        If a site or an epoch was not recorded, or a site is a channel gate.
    InputError
        An unknown suffix or kind of limits, or a slice that was not recorded.
    SpaceError
        If the maps do not lie along the slices of the scan.
    OSError
        The folder cannot be written to. No temporary file stays behind.
    """
    check_plot_name(path)

    from matplotlib import rc_context

    with rc_context(STYLE):
        write_figure(draw_figure7(maps, volume, number, sites, epochs, limits), path)


def draw_figure7(
    maps: ExcitationMaps,
    volume: Volume,
    number: int | None = None,
    sites: Sequence[str] | None = None,
    epochs: Sequence[int] | None = None,
    limits: str = "shared",
) -> Figure:
    """Make the figure that `plot_figure7` writes."""
    if limits not in LIMITS:
        raise InputError(f"Limits of display are {', '.join(LIMITS)}; got {limits!r}.")
    names, order = spatial_sites(maps, sites), ascending_epochs(maps, epochs)
    first, last = maps.slices
    number = (first + last) // 2 if number is None else number
    if not first <= number < last:
        raise InputError(f"Slice {number} was not recorded; there is {first} to {last - 1}.")
    stack = cut(volume, maps.plane)
    rows = {site: _map_panels(maps, site, number - first, order, stack) for site in names}
    scan = _scan_panel(stack, maps.affine(names[0]), number - first)
    return _draw(scan, _EDGES[stack.geometry.plane], rows, [f"epoch {maps.epochs[index]}" for index in order], limits)


def _place(stack: SliceStack, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Steps and origin (slice, row, column) of a grid in the indices of the scan's stack."""
    within = np.linalg.inv(stack.geometry.stack_affine) @ affine
    steps = np.diag(within)[:3]
    if np.any(steps <= 0) or np.abs(within[:3, :3] - np.diag(steps)).max() > 1e-3 * steps.min():
        raise SpaceError("The maps do not lie along the slices of this scan; give the scan that they were recorded on.")
    return steps, within[:3, 3]


def _extent(stack: SliceStack, steps: np.ndarray, origin: np.ndarray, shape: tuple[int, ...]) -> Extent:
    _, height, width = stack.geometry.stack_spacing
    (top, left), (down, across) = origin[1:], steps[1:]
    columns = [(left + (n - 0.5) * across) * width for n in (0, shape[1])]
    rows = [(top + (n - 0.5) * down) * height for n in (shape[0], 0)]
    return columns[0], columns[1], rows[0], rows[1]


def _map_panels(maps: ExcitationMaps, site: str, place: int, order: Sequence[int], stack: SliceStack) -> list[_Panel]:
    steps, origin = _place(stack, maps.affine(site))
    pixels = [np.asarray(maps[site][index, place]) / np.float32(maps.unit) for index in order]
    return [_Panel(picture, _extent(stack, steps, origin, picture.shape)) for picture in pixels]


def _scan_panel(stack: SliceStack, affine: np.ndarray, place: int) -> _Panel:
    """The scan's own slice that lies nearest."""
    steps, origin = _place(stack, affine)
    nearest = int(np.floor(origin[0] + place * steps[0] + 0.5))
    if not -1 <= nearest <= len(stack.data):
        raise SpaceError("The maps do not lie on this scan; give the scan that they were recorded on.")
    pixels = np.nan_to_num(stack.data[min(max(nearest, 0), len(stack.data) - 1)].astype(np.float64))
    return _Panel(pixels, _extent(stack, np.ones(3), np.zeros(3), pixels.shape))


def _draw(scan: _Panel, edges: str, rows: dict[str, list[_Panel]], titles: Sequence[str], limits: str) -> Figure:
    from matplotlib.figure import Figure

    columns = len(titles)
    around = scan.around_head()
    left, right, bottom, top = around
    width = min(_LARGE, max(_SMALL, _WIDE / columns))
    height = width * (bottom - top) / (right - left)
    size = max(columns, 2) * (width + 0.05) + 1.2, (len(rows) + 1) * (height + 0.08) + 0.3
    figure = Figure(figsize=size, layout="constrained")
    figure.set_layout_engine("constrained", w_pad=0.02, h_pad=0.02, wspace=0.0, hspace=0.0)
    grid = figure.add_gridspec(len(rows) + 1, 2 * columns)
    top_axes = figure.add_subplot(grid[0, columns - 1 : columns + 1])
    _show_scan(top_axes, scan, around, edges)
    images: list[tuple[list[Axes], AxesImage]] = []
    for row, (site, span) in enumerate(zip(rows, _spans(list(rows.values()), limits), strict=True), start=1):
        axes = [figure.add_subplot(grid[row, 2 * n : 2 * n + 2]) for n in range(columns)]
        shown = [_show(ax, panel, around, _COLORMAP, span) for ax, panel in zip(axes, rows[site], strict=True)]
        axes[0].set_ylabel(site)
        images.append((axes, shown[0]))
    for ax, title in zip(images[0][0], titles, strict=True):
        ax.set_title(title, fontsize=8, pad=3)
    bars = images if limits == "site" else [([ax for axes, _ in images for ax in axes], images[0][1])]
    for axes, image in bars:
        extend = "neither" if limits == "full" else "both"
        bar = figure.colorbar(image, ax=axes, extend=extend, fraction=0.05, shrink=0.9, aspect=14 * len(rows), pad=0.01)
        bar.set_label("excitation")
        bar.ax.tick_params(labelsize=7)
    return figure


def _show_scan(ax: Axes, scan: _Panel, around: Extent, edges: str) -> None:
    dark, bright = float(scan.pixels.min()), float(np.percentile(scan.pixels, _BRIGHTEST))
    _show(ax, scan, around, "gray", (dark, bright if bright > dark else dark + 1))
    for letter, place, side in zip(edges, (0.03, 0.97), ("left", "right"), strict=True):
        ax.text(place, 0.97, letter, color="white", fontsize=7, ha=side, va="top", transform=ax.transAxes)


def _show(ax: Axes, panel: _Panel, around: Extent, colormap: str, span: tuple[float, float]) -> AxesImage:
    low, high = span
    image = ax.imshow(
        *(panel.pixels, colormap), extent=panel.extent, vmin=low, vmax=high, interpolation="nearest", aspect="equal"
    )
    ax.set(xlim=around[:2], ylim=around[2:], xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    return image


def _spans(rows: Sequence[Sequence[_Panel]], limits: str) -> list[tuple[float, float]]:
    """Limits of display of each row; the first is smaller."""
    if limits == "full":
        return [(0.0, 1.0)] * len(rows)
    spans = [display_limits(np.concatenate([panel.pixels.ravel() for panel in row])) for row in rows]
    if limits == "shared":  # a site of few pixels counts as much as one of many
        spans = [(min(low for low, _ in spans), max(high for _, high in spans))] * len(rows)
    return spans
