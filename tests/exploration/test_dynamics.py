"""Dynamics in numbers: what is measured is what plain numpy finds in the maps, wherever the labels lie."""

from __future__ import annotations

import csv
import itertools
import math
import re
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import zarr

from napari_scse.errors import InputError, RunError
from napari_scse.events import Event, Progress, drain
from napari_scse.exploration import (
    MEASURES,
    Dynamics,
    ExcitationMaps,
    Finding,
    SiteRecord,
    excite,
    measure_dynamics,
    plot_dynamics,
)
from napari_scse.exploration.regions import head_mask
from napari_scse.exploration.tallies import Correlation, Tally
from napari_scse.runs import Run
from napari_scse.structures import FREESURFER27, Structure
from napari_scse.volume import LabelVolume, Volume

MakeRun = Callable[..., Run]

SHAPE = (4, 9, 12)  # slices, rows, columns
NAMED = tuple(s for s in FREESURFER27 if s.value in (2, 16, 41))
FORE, HEAD = "foreground vs background", "head outside the labels vs air"


def oblique_affine() -> np.ndarray:
    """Slices towards anterior, rows towards inferior, columns towards left; turned, and of three spacings."""
    a, b = np.deg2rad([7.0, -4.0])
    turn = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    tilt = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ tilt @ [[0, 0, -0.8], [1.3, 0, 0], [0, -1.0, 0]]
    affine[:3, 3] = (21.5, -13.0, 8.25)
    return affine


def make_maps(
    *epochs: np.ndarray, affine: np.ndarray | None = None, stride: int = 1, numbers: Sequence[int] | None = None
) -> ExcitationMaps:
    """Maps of one site, one array (slice, row, column) an epoch."""
    array = np.stack(epochs)
    matrix = oblique_affine() if affine is None else affine
    record = SiteRecord("spatial", stride, tuple(tuple(row) for row in matrix.tolist()), array.shape)
    known = tuple(numbers or range(1, len(array) + 1))
    losses = (None,) * len(known)
    return ExcitationMaps("r", "0", "coronal", (0, array.shape[1]), known, losses, {"sE-1": record}, {"sE-1": array})


def three_parts() -> np.ndarray:
    """Left white matter, right white matter and brain stem in a background: (slice, row, column)."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[:, 2:7, 1:5] = 41
    labels[:, 2:7, 5:9] = 2
    labels[:, 7:9, 4:6] = 16
    return labels


def measure(maps: ExcitationMaps, labels: np.ndarray | LabelVolume, **options: object) -> Dynamics:
    if isinstance(labels, np.ndarray):
        labels = LabelVolume(labels, oblique_affine())
    return drain(measure_dynamics(maps, labels, structures=NAMED, **options))


def value_of(dynamics: Dynamics, measure_: str, name: str, place: int = 0) -> float:
    return float(dynamics.series(dynamics.sites[0], measure_, name)[place])


def random_maps(dtype: str, epochs: int = 2, seed: int = 0) -> list[np.ndarray]:
    values = np.random.default_rng(seed).beta(8, 1, (epochs, *SHAPE))
    return list((values * 255).round().astype(np.uint8) if dtype == "uint8" else values.astype(np.float32))


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_numbers_are_those_of_numpy(dtype: str) -> None:
    labels, maps = three_parts(), make_maps(*random_maps(dtype))
    found = measure(maps, labels)
    assert (found.run_name, found.sites, found.epochs) == ("r", ("sE-1",), (1, 2))
    assert [s.value for s in found.structures] == [2, 16, 41]
    for place in range(2):
        values = maps["sE-1"][place].astype(np.float64) / maps.unit
        regions = {s.name: values[labels == s.value] for s in NAMED}
        regions |= {"foreground": values[labels > 0], "background": values[labels == 0]}
        for name, region in regions.items():
            assert value_of(found, "mean", name, place) == pytest.approx(region.mean(), abs=1e-12)
            assert value_of(found, "sd", name, place) == pytest.approx(region.std(), abs=1e-12)
            assert value_of(found, "pixels", name, place) == region.size
        fore, back = regions["foreground"], regions["background"]
        assert value_of(found, "difference", FORE, place) == pytest.approx(fore.mean() - back.mean())
        larger = (fore[:, None] > back).mean() + (fore[:, None] == back).mean() / 2
        assert value_of(found, "auc", FORE, place) == pytest.approx(larger, abs=1e-12 if dtype == "uint8" else 1e-4)
        left, right = (regions[f"{side}-Cerebral-White-Matter"].mean() for side in ("Left", "Right"))
        balance = (left - right) / (left + right)
        assert value_of(found, "asymmetry", "Cerebral-White-Matter", place) == pytest.approx(balance)
        assert value_of(found, "asymmetry", "paired structures", place) == pytest.approx(balance)
    first, second = (maps["sE-1"][place].astype(float).ravel() for place in range(2))
    assert value_of(found, "change", "field of view", 1) == pytest.approx(1 - np.corrcoef(first, second)[0, 1])
    assert math.isnan(value_of(found, "change", "field of view", 0))


def test_known_sides_and_a_map_that_only_scales() -> None:
    labels = three_parts()
    one = np.choose(np.searchsorted([0, 2, 16, 41], labels), [0.2, 0.8, 0.5, 0.4]).astype(np.float32)
    found = measure(make_maps(one, one / 2, 1 - one), labels)
    assert value_of(found, "asymmetry", "Cerebral-White-Matter") == pytest.approx(1 / 3)
    np.testing.assert_allclose(found.series("sE-1", "change", "field of view"), [np.nan, 0, 2], atol=1e-6)
    np.testing.assert_allclose(found.series("sE-1", "auc", FORE), [1, 1, 0])  # scaling does not change it
    assert found.most_one_sided("sE-1", 1) == Finding(
        "sE-1", 1, "asymmetry", 2, "Cerebral-White-Matter", "left-right", pytest.approx(1 / 3)
    )
    assert "Cerebral-White-Matter" in found.describe()


def test_the_same_map_changes_by_exactly_nothing_and_an_even_one_by_nothing_known() -> None:
    (one,) = random_maps("float32", 1)
    even = np.full(SHAPE, 0.7, np.float32)
    found = measure(make_maps(one, one, even, even), three_parts())
    change = found.series("sE-1", "change", "field of view")
    assert change[1] == 0
    assert np.isnan(change[[0, 2, 3]]).all()
    assert [f.epoch for f in found.select("sE-1", "change")] == [2]


def test_boundaries_are_pixels_with_another_label_in_their_row_or_column() -> None:
    labels = three_parts()
    edge = np.zeros(SHAPE, bool)
    padded = np.pad(labels, ((0, 0), (1, 1), (1, 1)), mode="edge")
    for down, across in ((0, 1), (2, 1), (1, 0), (1, 2)):
        edge |= padded[:, down : down + SHAPE[1], across : across + SHAPE[2]] != labels
    maps = make_maps(np.where(edge, 0.9, 0.3).astype(np.float32), *random_maps("float32", 1))
    found = measure(maps, labels)
    for name in ("foreground", "Left-Cerebral-White-Matter", "Right-Cerebral-White-Matter"):
        assert value_of(found, "boundary", name) == pytest.approx(0.6)
    assert math.isnan(value_of(found, "boundary", "Brain-Stem"))  # all of it is boundary
    values = maps["sE-1"][1].astype(float)
    inner, outer = values[(labels > 0) & ~edge].mean(), values[(labels > 0) & edge].mean()
    assert value_of(found, "boundary", "foreground", 1) == pytest.approx(outer - inner)


def turned(volume: LabelVolume, axes: Sequence[int], flips: Sequence[bool]) -> LabelVolume:
    """The same labels with their axes in another order and direction."""
    to_volume = np.zeros((4, 4))
    to_volume[3, 3] = 1
    for new, (old, flip) in enumerate(zip(axes, flips, strict=True)):
        to_volume[old, new] = -1 if flip else 1
        to_volume[old, 3] = volume.shape[old] - 1 if flip else 0
    data = volume.data.transpose(axes)
    flipped = data[tuple(slice(None, None, -1 if flip else None) for flip in flips)]
    return LabelVolume(flipped, volume.affine @ to_volume)


def strided(maps: np.ndarray, stride: int, affine: np.ndarray) -> ExcitationMaps:
    """One epoch of a site whose pixels stand for `stride` x `stride` of the grid `affine`."""
    grid = affine @ np.array(
        [[1, 0, 0, 0], [0, stride, 0, (stride - 1) / 2], [0, 0, stride, (stride - 1) / 2], [0, 0, 0, 1]]
    )
    return make_maps(maps, affine=grid, stride=stride)


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_however_the_labels_are_stored(stride: int) -> None:
    rng = np.random.default_rng(3)
    labels = LabelVolume(rng.choice(np.array([0, 2, 16, 41], np.uint8), SHAPE), oblique_affine())
    small = rng.random((SHAPE[0], -(-SHAPE[1] // stride), SHAPE[2] // stride)).astype(np.float32)
    maps = strided(small, stride, oblique_affine())
    wanted = measure(maps, labels)
    middle = (stride - 1) // 2  # of the two voxels amid which a pixel's centre lies, the one towards the first
    seen = labels.data[:, middle::stride, middle::stride]
    known = small[:, : seen.shape[1]]  # the last row of maps may stick out of the labels
    assert value_of(wanted, "pixels", "Brain-Stem") == np.count_nonzero(seen == 16)
    assert value_of(wanted, "mean", "Brain-Stem") == pytest.approx(known[seen == 16].mean(dtype=float))
    for axes in itertools.permutations(range(3)):
        for flips in itertools.product((False, True), repeat=3):
            assert measure(maps, turned(labels, axes, flips)) == wanted


def test_only_what_the_labels_cover_counts() -> None:
    (one, other), labels = random_maps("float32"), three_parts()
    affine = oblique_affine().copy()
    affine[:3, 3] += affine[:3, :3] @ (1, 2, 0)
    part = LabelVolume(labels[1:3, 2:8], affine)
    found = measure(make_maps(one, other), part)
    assert value_of(found, "pixels", "foreground") + value_of(found, "pixels", "background") == part.data.size
    assert value_of(found, "mean", "background") == pytest.approx(one[1:3, 2:8][part.data == 0].mean(dtype=float))
    wanted = 1 - np.corrcoef(one[1:3, 2:8].ravel(), other[1:3, 2:8].ravel())[0, 1]
    assert value_of(found, "change", "field of view", 1) == pytest.approx(wanted)
    inside = measure(make_maps(one[1:3, 2:8], affine=affine), part)
    assert value_of(inside, "boundary", "foreground") == pytest.approx(value_of(found, "boundary", "foreground"))


def test_labels_of_another_resolution() -> None:
    (one,), labels = random_maps("float32", 1), three_parts()
    fine = np.kron(labels, np.ones((2, 2, 2), np.uint8))
    affine = oblique_affine() @ np.diag([0.5, 0.5, 0.5, 1])
    affine[:3, 3] = (oblique_affine() @ (-0.25, -0.25, -0.25, 1))[:3]
    assert measure(make_maps(one), LabelVolume(fine, affine)) == measure(make_maps(one), labels)


def test_epochs_ascend_and_some_can_be_chosen() -> None:
    arrays = random_maps("uint8", 3)
    maps = make_maps(*arrays, numbers=(7, 2, 4))
    found = measure(maps, three_parts())
    assert found.epochs == (2, 4, 7)
    in_order = measure(make_maps(arrays[1], arrays[2], arrays[0], numbers=(2, 4, 7)), three_parts())
    assert found == in_order
    assert measure(maps, three_parts(), epochs=[7, 2]).epochs == (2, 7)


def test_the_rest_of_the_head_and_the_air(scan: Volume, labels: LabelVolume) -> None:
    inner = LabelVolume(np.where(np.isin(labels.data, (2, 41)), labels.data, 0), labels.affine)
    head = np.isin(labels.data, (3, 42))
    gates = np.select([inner.data > 0, head], [0.9, 0.8], 0.1).astype(np.float32)
    maps = make_maps(gates.transpose(2, 1, 0), affine=scan.affine[:, [2, 1, 0, 3]])
    found = measure(maps, inner, image=scan)
    assert value_of(found, "auc", HEAD) > 0.99
    assert value_of(found, "mean", "head outside the labels") == pytest.approx(0.8, abs=0.01)
    assert value_of(found, "mean", "air") == pytest.approx(0.1, abs=0.01)
    parts = [value_of(found, "pixels", name) for name in ("head outside the labels", "air", "background")]
    assert parts[0] + parts[1] == parts[2]
    plain = measure(maps, inner)
    for finding in plain.findings:  # an image adds, and changes nothing
        assert value_of(found, finding.measure, finding.name) == pytest.approx(finding.value, abs=1e-12)
    assert math.isnan(value_of(plain, "auc", HEAD))


def test_dark_bone_belongs_to_the_head_even_where_it_is_open_below() -> None:
    shape = (40, 44, 36)
    grid = np.indices(shape) - (np.array(shape)[:, None, None, None] - 1) / 2
    radius = np.sqrt((grid**2).sum(axis=0))
    bone = (radius > 9) & (radius < 13)
    bone |= (np.hypot(grid[0], grid[2]) < 3) & (grid[1] > 9)  # a canal down to the edge of the scan
    data = np.where(bone, 3.0, np.where(radius < 16, 100.0, 2.0)) + np.random.default_rng(0).normal(0, 1, shape)
    data[0, 0, :2] = 4000  # a few hot voxels, and a bright speck that is no head
    data[2:5, 2:5, 2:5] = 90
    head = head_mask(Volume(data, oblique_affine()))
    np.testing.assert_allclose(head.affine, oblique_affine())
    assert head.data[bone & (radius < 15)].all()
    assert (head.data != (radius < 16)).mean() < 0.005
    assert not head.data[2:5, 2:5, 2:5].any()


def test_memory_does_not_grow_with_the_scan(tmp_path: Path) -> None:
    shape = (3, 150, 96, 96)
    array = zarr.create_array(tmp_path / "x.zarr", shape=shape, chunks=(1, 1, 96, 96), dtype="float32")
    plane = np.random.default_rng(0).random((96, 96)).astype(np.float32)
    array[:] = np.broadcast_to(plane, shape)
    maps = make_maps(np.zeros((1, 2, 2)), affine=np.eye(4))
    record = SiteRecord("spatial", 1, maps.records["sE-1"].affine, shape)
    maps = ExcitationMaps("r", "0", "coronal", (0, 150), (1, 2, 3), (None,) * 3, {"sE-1": record}, {"sE-1": array})
    labels = LabelVolume(np.broadcast_to(np.uint8([[[0, 2, 41]]]).repeat(32, axis=2), shape[1:]), np.eye(4))
    tracemalloc.start()
    work = measure_dynamics(maps, labels, structures=NAMED)
    for event in work:  # the first slice is done: everything is imported, the labels are counted
        assert isinstance(event, Progress)
        break
    tracemalloc.reset_peak()
    before, _ = tracemalloc.get_traced_memory()
    drain(work)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak - before < array.nbytes / 4


def test_sums_of_parts_are_exact_close_to_one() -> None:
    rng = np.random.default_rng(1)
    first, second = 0.999 + 1e-5 * rng.random((2, 3000))
    tally, both = Tally(1, 1, np.dtype(np.float32)), Correlation()
    for part in np.array_split(np.arange(3000), 7):
        tally.add(np.zeros(len(part), int), first[part])
        both.add(first[part], second[part])
    both.add(first[:0], second[:0])
    assert tally.moments([0]).sd == pytest.approx(first.std(), rel=1e-9)
    assert both.r == pytest.approx(np.corrcoef(first, second)[0, 1], abs=1e-9)


@pytest.mark.parametrize("squeeze", [1.0, 1e-2, 1e-4, 1e-6])
def test_auc_does_not_change_when_gates_are_squeezed(squeeze: float) -> None:
    rng = np.random.default_rng(4)
    for ends in (lambda gates: 1 - squeeze * gates, lambda gates: squeeze * gates):
        ones, others = (ends(rng.random(2000) * (high - 0.1) + 0.1).astype(np.float32) for high in (1.0, 0.7))
        tally = Tally(2, 0, np.dtype(np.float32))
        for group, values in enumerate((ones, others)):
            tally.add(np.full(2000, group), values.astype(np.float64))
        exact = np.mean((ones[:, None] > others) + 0.5 * (ones[:, None] == others))
        assert tally.auc([0], [1]) == pytest.approx(exact, abs=2e-3)
        assert tally.auc([1], [0]) == pytest.approx(1 - exact, abs=2e-3)


def test_a_real_run_gives_all_measures_and_progress(
    tiny_run: MakeRun, scan: Volume, labels: LabelVolume, tmp_path: Path
) -> None:
    maps = drain(excite(scan, tiny_run(), sites=["sE-1", "sE-2", "cE-1", "sD-2"], store=tmp_path / "maps.zarr"))
    events: list[Event] = []
    found = drain(measure_dynamics(maps, labels, image=scan, structures=FREESURFER27), events.append)
    assert found.sites == ("sE-1", "sE-2", "sD-2")
    assert [s.value for s in found.structures] == [2, 3, 41, 42]
    slices = maps["sE-1"].shape[1]
    assert events == [Progress(n + 1, 3 * slices, "Measuring") for n in range(3 * slices)]
    for site in found.sites:
        assert {f.measure for f in found.findings if f.site == site} == set(MEASURES)
        for epoch in (2, 3):
            assert found.select(site, "change", epoch)[0].value > 0
    # a pixel of any site is where its affine says: the map looked up at the labels' voxels gives about the same mean
    world = np.argwhere(labels.data == 2) @ scan.affine[:3, :3].T + scan.affine[:3, 3]
    for site in found.sites:
        inverse = np.linalg.inv(maps.affine(site))
        n, i, j = np.rint(world @ inverse[:3, :3].T + inverse[:3, 3]).astype(int).T
        stored = maps[site][2]
        n, i, j = (np.clip(x, 0, size - 1) for x, size in zip((n, i, j), stored.shape, strict=True))
        mean = found.series(site, "mean", "Left-Cerebral-White-Matter")[2]
        assert mean == pytest.approx(stored[n, i, j].mean() / 255, abs=0.02)


def test_the_table_is_long_and_reads_back(tmp_path: Path) -> None:
    found = measure(make_maps(*random_maps("float32")), three_parts())
    found.write_csv(tmp_path / "dynamics.csv")
    with (tmp_path / "dynamics.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["site", "epoch", "measure", "structure", "name", "side", "value"]
    read = tuple(
        Finding(
            *(row["site"], int(row["epoch"]), row["measure"], int(row["structure"]) if row["structure"] else None),
            *(row["name"], row["side"], float(row["value"])),
        )
        for row in rows
    )
    assert read == found.findings
    assert {r["side"] for r in rows if r["measure"] == "mean"} == {"", "left", "right"}
    assert [path.name for path in tmp_path.iterdir()] == ["dynamics.csv"]


def test_values_without_a_name_are_numbered() -> None:
    maps = make_maps(*random_maps("uint8", 1))
    labels = LabelVolume(three_parts().astype(np.int32) * 1000, oblique_affine())
    found = drain(measure_dynamics(maps, labels))
    assert [s.name for s in found.structures] == ["label 2000", "label 16000", "label 41000"]
    assert not found.select("sE-1", "asymmetry")
    some = drain(measure_dynamics(maps, labels, structures=[Structure(2000, "Left-Liver", "#ffffff")]))
    assert [s.name for s in some.structures] == ["Left-Liver", "label 16000", "label 41000"]


def test_what_was_not_recorded_or_does_not_meet_is_refused(tiny_run: MakeRun, scan: Volume) -> None:
    maps, labels = make_maps(*random_maps("uint8")), three_parts()
    with pytest.raises(RunError, match="Nothing was recorded at 'sB'; there is sE-1"):
        measure(maps, labels, sites=["sB"])
    with pytest.raises(RunError, match="Epoch 9 was not recorded; there is 1, 2"):
        measure(maps, labels, epochs=[1, 9])
    channels = drain(excite(scan, tiny_run(excitation="cse", epochs=1), sites=["cE-1"], slab=2))
    with pytest.raises(RunError, match="no maps of a spatial gate, only cE-1"):
        measure(channels, labels)
    with pytest.raises(RunError, match="channel gate"):
        measure(channels, labels, sites=["cE-1"])
    far = oblique_affine()
    far[:3, 3] += 500
    for volume in (LabelVolume(labels, far), LabelVolume(np.zeros(SHAPE, np.uint8), oblique_affine())):
        with pytest.raises(InputError, match="do not meet: no pixel of sE-1"):
            measure(maps, volume)
    with pytest.raises(InputError, match="constant"):
        measure(maps, labels, image=Volume(np.zeros(SHAPE), oblique_affine()))


def test_cancelling_is_to_stop(tiny_run: MakeRun, scan: Volume, labels: LabelVolume) -> None:
    work = measure_dynamics(drain(excite(scan, tiny_run(epochs=1), slab=3)), labels)
    next(work)
    work.close()


@pytest.mark.parametrize("suffix", [".pdf", ".svg", ".png"])
def test_curves(suffix: str, tmp_path: Path) -> None:
    found = measure(make_maps(*random_maps("float32", 3)), three_parts())
    path = tmp_path / f"curves{suffix}"
    plot_dynamics(found, path)
    assert path.read_bytes().startswith({".pdf": b"%PDF", ".svg": b"<?xml", ".png": b"\x89PNG"}[suffix])
    if suffix == ".svg":
        texts = set(re.findall(r"<!-- (.+?) -->", path.read_text(encoding="utf-8")))
        assert {"sE-1", "epoch", "mean excitation", "AUC", "change (1 - correlation)"} <= texts
        assert {"Cerebral WM", "Brain Stem", "foreground", "background", FORE} <= texts
        assert not {"air", HEAD} & texts  # no image was given
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_curves_of_one_epoch_and_of_many_structures(tmp_path: Path) -> None:
    plot_dynamics(measure(make_maps(*random_maps("uint8", 1)), three_parts()), tmp_path / "one.png")
    many = (np.arange(np.prod(SHAPE)).reshape(SHAPE) % 60).astype(np.uint8)
    maps = make_maps(*random_maps("uint8", 2))
    plot_dynamics(drain(measure_dynamics(maps, LabelVolume(many, oblique_affine()))), tmp_path / "many.pdf")
    with pytest.raises(InputError, match=r"'curves\.gif' does not"):
        plot_dynamics(measure(maps, three_parts()), tmp_path / "curves.gif")
    assert {p.name for p in tmp_path.iterdir()} == {"one.png", "many.pdf"}
