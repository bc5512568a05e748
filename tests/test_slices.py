"""Cutting and putting back is exact, and a head looks the same whatever the orientation of its file."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from napari_scse.errors import InputError
from napari_scse.slices import Plane, SliceStack, cut
from napari_scse.volume import Volume

SHAPE = (5, 7, 4)


def head(degrees: tuple[float, float, float], shear: float = 0.0) -> Volume:
    """A volume of distinct numbers, anisotropic, tilted about x, y and z."""
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix() @ np.diag((1.0, 1.2, 3.0))
    affine[0, 1] += shear
    affine[:3, 3] = (-40.0, 11.0, 7.5)
    data = np.random.default_rng(3).permutation(np.prod(SHAPE)).reshape(SHAPE).astype(">i2")
    return Volume(data, affine)


def turned(volume: Volume) -> Iterator[Volume]:
    """The same head, stored in each of the 48 orientations."""
    for axes in permutations(range(3)):
        for flips in product((False, True), repeat=3):
            change = np.zeros((4, 4))
            change[3, 3] = 1.0
            for new, (old, flip) in enumerate(zip(axes, flips, strict=True)):
                change[old, new] = -1.0 if flip else 1.0
                change[old, 3] = volume.shape[old] - 1 if flip else 0.0
            data = volume.data.transpose(axes)[tuple(slice(None, None, -1 if flip else 1) for flip in flips)]
            yield Volume(data, volume.affine @ change)


TILTS = [(0, 0, 0), (10, -7, 20), (45, 0, 0), (0, 0, 45), (45, 45, 0), (0, 45, 45), (45, 0, 45), (30, 45, 60)]


@pytest.mark.parametrize("tilt", TILTS, ids=str)
@pytest.mark.parametrize("shear", [0.0, 0.3])
@pytest.mark.parametrize("plane", Plane)
def test_all_48_orientations_give_the_same_stack_and_come_back(
    tilt: tuple[float, float, float], shear: float, plane: Plane
) -> None:
    first: SliceStack | None = None
    seen = set()
    for volume in turned(head(tilt, shear)):
        stack = cut(volume, plane)
        first = first or stack
        np.testing.assert_array_equal(stack.data, first.data, strict=True)
        np.testing.assert_allclose(stack.geometry.stack_affine, first.geometry.stack_affine, atol=1e-9)
        back = stack.geometry.restore(stack.data)
        np.testing.assert_array_equal(back, volume.data, strict=True)
        assert np.shares_memory(stack.data, volume.data)
        assert np.shares_memory(back, volume.data)
        seen.add((stack.geometry.axes, stack.geometry.flips))
    assert len(seen) == 48


@pytest.mark.parametrize("plane", Plane)
def test_the_stack_affine_is_where_the_voxels_are(plane: Plane) -> None:
    for volume in turned(head((10, -7, 20))):
        stack = cut(volume, plane)
        assert stack.data.shape == stack.geometry.stack_shape
        for index in ((0, 0, 0), (1, 2, 3), tuple(size - 1 for size in stack.data.shape)):
            place = stack.geometry.stack_affine @ (*index, 1)
            voxel = np.rint(np.linalg.solve(volume.affine, place)).astype(int)[:3]
            assert volume.data[tuple(voxel)] == stack.data[index]


@pytest.mark.parametrize(
    ("plane", "directions"),
    [
        (Plane.CORONAL, ((0, 1, 0), (0, 0, -1), (-1, 0, 0))),
        (Plane.AXIAL, ((0, 0, 1), (0, -1, 0), (-1, 0, 0))),
        (Plane.SAGITTAL, ((-1, 0, 0), (0, 0, -1), (0, -1, 0))),
    ],
)
def test_stack_axes_point_where_the_module_says(plane: Plane, directions: tuple[tuple[int, ...], ...]) -> None:
    for volume in turned(head((0, 0, 0))):
        geometry = cut(volume, plane).geometry
        along = geometry.stack_affine[:3, :3] / np.array(geometry.stack_spacing)
        np.testing.assert_allclose(along, np.array(directions).T, atol=1e-12)
        assert abs(along[0, geometry.left_right_axis]) == 1.0


@pytest.mark.parametrize("plane", Plane)
def test_each_slice_fits_where_it_lies(plane: Plane) -> None:
    for volume in turned(head((45, 0, 45))):
        stack = cut(volume, plane)
        out = np.full(volume.shape, -1)
        for n, picture in enumerate(stack.data):
            where = stack.geometry.index(n)
            through = next(axis for axis, part in enumerate(where) if isinstance(part, int))
            assert stack.geometry.number(where[through]) == n  # type: ignore[arg-type]
            out[where] = stack.geometry.restore_slice(picture)
        np.testing.assert_array_equal(out, volume.data)


def test_cuts_memory_maps_and_single_slices(tmp_path: Path) -> None:
    data = np.arange(42, dtype=np.float32).reshape(6, 1, 7)
    np.save(tmp_path / "data.npy", data)
    mapped = np.load(tmp_path / "data.npy", mmap_mode="r")
    stack = cut(Volume(mapped, np.diag((-1.0, 2.0, 1.0, 1.0))), "coronal")
    assert stack.data.shape == (1, 7, 6)
    assert np.shares_memory(stack.data, mapped)
    np.testing.assert_array_equal(stack.geometry.restore(stack.data), data)


def test_refuses_what_does_not_fit() -> None:
    with pytest.raises(InputError, match="coronal, axial, sagittal"):
        cut(head((0, 0, 0)), "frontal")
    geometry = cut(head((0, 0, 0)), "axial").geometry
    for n in (-1, geometry.stack_shape[0]):
        with pytest.raises(InputError, match="axial slices 0 to 3"):
            geometry.index(n)
    with pytest.raises(InputError, match="stack of shape"):
        geometry.restore(np.zeros(SHAPE))
    with pytest.raises(InputError, match="slice of shape"):
        geometry.restore_slice(np.zeros((1, 2)))
