"""Figure 7: every map with its own pixels, where it lies on the scan, upright, at every epoch."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from napari_scse.errors import InputError, RunError, SpaceError
from napari_scse.events import drain
from napari_scse.exploration import ExcitationMaps, excite, plot_figure7
from napari_scse.exploration.figure import draw_figure7
from napari_scse.inference import Scan
from napari_scse.runs import Run
from napari_scse.slices import cut
from napari_scse.volume import Volume

MakeRun = Callable[..., Run]
START = {".pdf": b"%PDF", ".svg": b"<?xml", ".png": b"\x89PNG"}


def images(made: Figure) -> list[AxesImage]:
    """The scan, then the maps row by row."""
    return [ax.images[0] for ax in made.axes if ax.images]


@pytest.fixture
def maps(tiny_run: MakeRun, scan: Volume) -> ExcitationMaps:
    """Three epochs of sE-1, sE-2 and sD-2 of four slices."""
    return drain(excite(scan, tiny_run(excitation="sse"), sites=["sE-1", "sE-2", "sD-2"], slab=4))


def test_every_site_is_a_row_and_every_epoch_a_column(maps: ExcitationMaps, scan: Volume) -> None:
    made = draw_figure7(maps, scan, number=maps.slices[0] + 1)
    slice_, *panels = images(made)
    shown = iter(panels)
    for site in maps.sites:
        for epoch in range(3):
            np.testing.assert_array_equal(next(shown).get_array(), maps[site][epoch, 1] / np.float32(255))
    assert next(shown, None) is None
    assert {panel.get_interpolation() for panel in (slice_, *panels)} == {"nearest"}
    titles = [ax.get_title() for ax in made.axes if ax.get_title()]
    assert titles == ["epoch 1", "epoch 2", "epoch 3"]
    assert [ax.get_ylabel() for ax in made.axes if ax.get_ylabel() in maps.sites] == list(maps.sites)


@pytest.mark.parametrize("plane", ["coronal", "axial", "sagittal"])
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.0, 1.7, 1.1)])
def test_maps_lie_where_their_affine_says(
    tiny_run: MakeRun, scan: Volume, plane: str, spacing: tuple[float, float, float]
) -> None:
    run = tiny_run(excitation="scse", epochs=1, plane=plane, spacing=spacing, canvas=(16, 12))
    maps = drain(excite(scan, run, sites=["sE-1", "sE-2"], slab=3))
    made = draw_figure7(maps, scan)
    stack = cut(scan, plane)
    _, height, width = stack.geometry.stack_spacing
    first, *panels = images(made)
    for site, panel in zip(maps.sites, panels, strict=True):
        left, right, bottom, top = panel.get_extent()
        rows, columns = panel.get_array().shape
        for i, j in ((0, 0), (rows - 1, columns - 2)):  # a pixel's centre, in the picture and in space
            x = left + (j + 0.5) * (right - left) / columns
            y = top + (i + 0.5) * (bottom - top) / rows
            world = maps.affine(site) @ (1, i, j, 1)
            n, h, w, _ = np.linalg.inv(stack.geometry.stack_affine) @ world
            np.testing.assert_allclose((x / width, y / height), (w, h), atol=1e-9)
        np.testing.assert_array_equal(first.get_array(), stack.data[int(np.floor(n + 0.5))])
        assert panel.axes.get_xlim() == first.axes.get_xlim()
        assert panel.axes.get_ylim() == first.axes.get_ylim()


def test_heads_stand_upright_with_the_right_side_at_the_left(tiny_run: MakeRun, scan: Volume) -> None:
    towards = {"coronal": ("superior", "right"), "axial": ("anterior", "right"), "sagittal": ("superior", "anterior")}
    world = {"right": 0, "anterior": 1, "superior": 2}
    for plane, (up, leftwards) in towards.items():
        maps = drain(excite(scan, tiny_run(epochs=1, plane=plane, name=plane), sites=["sE-1"], slab=1))
        made = draw_figure7(maps, scan)
        ax = images(made)[0].axes
        left, right = ax.get_xlim()
        bottom, top = ax.get_ylim()
        assert left < right
        assert bottom > top  # y counts mm down the rows
        affine = maps.affine("sE-1")
        assert affine[world[up], 1] < 0
        assert affine[world[leftwards], 2] < 0
        assert [text.get_text() for text in ax.texts] == (["A", "P"] if plane == "sagittal" else ["R", "L"])


def test_the_same_head_gives_the_same_picture_however_it_is_stored(
    maps: ExcitationMaps, scan: Volume, tmp_path: Path
) -> None:
    affine = scan.affine[:, [2, 0, 1, 3]].copy()
    affine[:3, 3] += affine[:3, 1] * (scan.shape[0] - 1)
    affine[:3, 1] *= -1
    turned = Volume(scan.data[::-1].transpose(2, 0, 1), affine)
    for name, volume in (("a.png", scan), ("b.png", turned)):
        plot_figure7(maps, volume, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize("limits", ["shared", "site", "full"])
def test_limits(maps: ExcitationMaps, scan: Volume, limits: str) -> None:
    made = draw_figure7(maps, scan, limits=limits)
    spans = [panel.get_clim() for panel in images(made)[1:]]
    rows = [set(spans[start : start + 3]) for start in (0, 3, 6)]
    assert all(len(row) == 1 for row in rows)
    assert len(set(spans)) == (3 if limits == "site" else 1)
    assert all(0 <= low < high <= 1 for low, high in spans)
    bars = [ax for ax in made.axes if ax.get_label() == "<colorbar>"]
    assert len(bars) == (3 if limits == "site" else 1)
    if limits == "full":
        assert spans[0] == (0, 1)
    if limits == "shared":
        number = maps.slices[0] + 2 - maps.slices[0]
        for site in maps.sites:  # no row is cut off more than alone
            shown = maps[site][:, number] / 255
            assert spans[0][0] <= np.percentile(shown, 1) + 1e-6
            assert spans[0][1] >= np.percentile(shown, 99) - 1e-6


def test_epochs_and_sites_can_be_chosen_and_epochs_ascend(maps: ExcitationMaps, scan: Volume) -> None:
    made = draw_figure7(maps, scan, sites=["sD-2"], epochs=[3, 1])
    assert [ax.get_title() for ax in made.axes if ax.get_title()] == ["epoch 1", "epoch 3"]
    assert len(images(made)) == 3


@pytest.mark.parametrize("count", [1, 2, 15])
def test_any_number_of_epochs(maps: ExcitationMaps, scan: Volume, count: int, tmp_path: Path) -> None:
    arrays = {site: np.repeat(maps[site][:1], count, axis=0) for site in maps.sites}
    records = {site: replace(maps.record(site), shape=arrays[site].shape) for site in maps.sites}
    many = replace(maps, epochs=tuple(range(1, count + 1)), losses=(None,) * count, records=records, arrays=arrays)
    plot_figure7(many, scan, tmp_path / "figure.svg", sites=["sE-2"])
    texts = re.findall(r"<!-- (.+?) -->", (tmp_path / "figure.svg").read_text(encoding="utf-8"))
    assert [text for text in texts if text.startswith("epoch")] == [f"epoch {n + 1}" for n in range(count)]
    assert {"sE-2", "excitation", "R", "L"} <= set(texts)


@pytest.mark.parametrize("suffix", [".pdf", ".svg", ".png", ".PNG"])
def test_the_suffix_says_the_format(maps: ExcitationMaps, scan: Volume, suffix: str, tmp_path: Path) -> None:
    file = tmp_path / f"figure{suffix}"
    file.write_text("what was there before")
    plot_figure7(maps, scan, file)
    assert file.read_bytes().startswith(START[suffix.lower()])
    assert [p.name for p in tmp_path.iterdir() if p.name != "runs"] == [file.name]


def test_even_maps_and_an_even_scan_are_drawn(maps: ExcitationMaps, scan: Volume, tmp_path: Path) -> None:
    arrays = {site: np.full(maps[site].shape, 255, np.uint8) for site in maps.sites}
    data = scan.data.astype(np.float64)
    data[:, :, :] = np.nan
    data[0, 0, 0] = 1
    plot_figure7(replace(maps, arrays=arrays), Volume(data, scan.affine), tmp_path / "figure.png", limits="site")


def shifted(scan: Volume, by: Sequence[float]) -> Volume:
    affine = scan.affine.copy()
    affine[:3, 3] += by
    return Volume(scan.data, affine)


def test_what_cannot_be_drawn_is_refused(tiny_run: MakeRun, maps: ExcitationMaps, scan: Volume, tmp_path: Path) -> None:
    path = tmp_path / "figure.png"
    first, last = maps.slices
    for error, match, options in (
        (InputError, "shared, site, full; got 'all'", {"limits": "all"}),
        (InputError, f"Slice {last} was not recorded; there is {first} to {last - 1}", {"number": last}),
        (RunError, "Nothing was recorded at 'sB'", {"sites": ["sB"]}),
        (RunError, "Epoch 9 was not recorded", {"epochs": [9]}),
    ):
        with pytest.raises(error, match=match):
            plot_figure7(maps, scan, path, **options)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"'figure\.jpg' does not"):
        plot_figure7(maps, scan, path.with_suffix(".jpg"))
    tilted = scan.affine @ np.array([[1, 0, 0, 0], [0, 1, 0.1, 0], [0, -0.1, 1, 0], [0, 0, 0, 1.0]])
    with pytest.raises(SpaceError, match="along the slices of this scan"):
        plot_figure7(maps, Volume(scan.data, tilted), path)
    with pytest.raises(SpaceError, match="do not lie on this scan"):
        plot_figure7(maps, shifted(scan, scan.affine[:3, 2] * 500), path)
    channels = drain(excite(scan, tiny_run(excitation="cse", epochs=1, name="c"), sites=["cE-1"], slab=1))
    with pytest.raises(RunError, match="no maps of a spatial gate"):
        plot_figure7(channels, scan, path)
    (tmp_path / "taken.png").mkdir()
    with pytest.raises(OSError, match=r"taken\.png"):
        plot_figure7(maps, scan, tmp_path / "taken.png")
    assert {p.name for p in tmp_path.iterdir()} == {"runs", "taken.png"}


def test_panels_are_cut_to_the_head(tiny_run: MakeRun, scan: Volume) -> None:
    wide = np.pad(scan.data, ((20, 0), (0, 10), (0, 0)), constant_values=3.0)
    affine = scan.affine.copy()
    affine[:3, 3] -= 20 * affine[:3, 0]
    run = tiny_run(excitation="sse", epochs=1)
    volume = Volume(wide, affine)
    for picture in images(draw_figure7(drain(excite(volume, run, sites=["sE-1"], slab=1)), volume)):
        left, right = picture.axes.get_xlim()
        bottom, top = picture.axes.get_ylim()
        head = [side * 0.84 for side in (scan.shape[0] * 1.0, scan.shape[1] * 1.3)]  # mm, of the ellipsoid
        assert head[0] - 2 < right - left < head[0] + 8
        assert head[1] - 4 < bottom - top < head[1] + 8


def test_the_scan_of_a_coarser_run_is_shown_at_its_own_resolution(tiny_run: MakeRun, scan: Volume) -> None:
    run = tiny_run(excitation="sse", epochs=1, spacing=(2.0, 2.0, 2.0))
    maps = drain(excite(scan, run, sites=["sE-1"], slab=1))
    picture, panel = images(draw_figure7(maps, scan))
    assert picture.get_array().shape == cut(scan, "coronal").data.shape[1:]
    assert panel.get_array().shape == Scan.of(scan, run.config).plane_shape
