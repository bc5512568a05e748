"""Volumes refuse what cannot be placed in space, and know where their axes point."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from napari_scse.errors import InputError, SpaceError
from napari_scse.volume import LabelVolume, Volume, nearest_axes, orientation_of, require_same_grid, same_grid


def tilted(degrees: tuple[float, float, float], spacing: tuple[float, float, float] = (0.9, 1.3, 3.0)) -> np.ndarray:
    """An affine turned about x, y and z."""
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix() @ np.diag(spacing)
    affine[:3, 3] = (12.5, -80.0, 31.0)
    return affine


DATA = np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6)


def test_knows_its_spacing_and_orientation() -> None:
    volume = Volume(DATA, tilted((8, -12, 95)))
    assert volume.shape == (4, 5, 6)
    assert volume.spacing == pytest.approx((0.9, 1.3, 3.0))
    assert volume.orientation == "ALS"
    assert volume.is_oblique
    assert repr(volume) == "Volume(4 x 5 x 6 voxels of 0.9 x 1.3 x 3 mm, ALS, int16)"


def test_float32_rounding_is_not_oblique() -> None:
    straight = tilted((90, 0, 0)).astype(np.float32)
    assert not Volume(DATA, straight).is_oblique
    assert Volume(DATA, tilted((0.5, 0, 0))).is_oblique


def test_keeps_the_data_and_copies_the_affine() -> None:
    affine = tilted((0, 0, 0))
    volume = Volume(DATA, affine)
    assert volume.data is DATA
    affine[0, 3] = 7.0
    assert volume.affine[0, 3] == 12.5
    with pytest.raises(ValueError, match="read-only"):
        volume.affine[0, 3] = 7.0


@pytest.mark.parametrize("dtype", ["bool", "u1", ">i2", "<u4", "i8", "f2", ">f8", "g"])
def test_takes_any_real_type(dtype: str) -> None:
    assert Volume(DATA.astype(dtype), np.eye(4)).data.dtype == np.dtype(dtype)


def test_takes_views_and_memory_maps(tmp_path: Path) -> None:
    strided = DATA[::-1, ::2].transpose(2, 0, 1)
    assert np.shares_memory(Volume(strided, np.eye(4)).data, strided)
    np.save(tmp_path / "data.npy", DATA)
    mapped = np.load(tmp_path / "data.npy", mmap_mode="r")
    assert np.shares_memory(Volume(mapped, np.eye(4)).data, mapped)


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 6, 1), (), (4, 0, 6)])
def test_refuses_other_shapes(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="A volume"):
        Volume(np.zeros(shape), np.eye(4))


@pytest.mark.parametrize("dtype", ["c8", "c16", "O", "U3", [("r", "u1"), ("g", "u1"), ("b", "u1")], "M8[s]"])
def test_refuses_other_types(dtype: object) -> None:
    with pytest.raises(InputError, match="real numbers"):
        Volume(np.zeros((2, 3, 4), dtype=dtype), np.eye(4))  # type: ignore[call-overload]


@pytest.mark.parametrize("dtype", ["f4", "bool"])
def test_labels_are_integers(dtype: str) -> None:
    with pytest.raises(InputError, match="integers"):
        LabelVolume(DATA.astype(dtype), np.eye(4))


def _affine(**changes: float) -> np.ndarray:
    affine = np.eye(4)
    for place, value in changes.items():
        affine[int(place[1]), int(place[2])] = value
    return affine


@pytest.mark.parametrize(
    ("affine", "what"),
    [
        (_affine(a11=np.nan), "NaN"),
        (_affine(a03=np.inf), "infinite"),
        (_affine(a00=1e200), "no scan is that large"),
        (_affine(a00=0.0), "singular"),
        (_affine(a00=0.0, a01=1.0), "singular"),
        (_affine(a30=1.0), "last row"),
        (_affine(a33=2.0), "last row"),
        (np.eye(3), "4 x 4"),
        ([[1, 2], [3]], "matrix of numbers"),
        (None, "4 x 4"),
    ],
)
def test_refuses_impossible_affines(affine: np.ndarray, what: str) -> None:
    with pytest.raises(SpaceError, match=what):
        Volume(DATA, affine)


def test_takes_very_fine_and_very_coarse_grids() -> None:
    assert Volume(DATA, np.diag((4e-6, 1e-5, 1e-4, 1.0))).spacing == pytest.approx((4e-6, 1e-5, 1e-4))
    assert Volume(DATA, np.diag((-500.0, 2e3, 1.0, 1.0))).orientation == "LAS"


@pytest.mark.parametrize("seed", range(50))
def test_agrees_with_nibabel_on_moderately_oblique_scans(seed: int) -> None:
    rng = np.random.default_rng(seed)
    order, signs = rng.permutation(3), rng.choice([-1.0, 1.0], 3)
    affine = tilted(tuple(rng.uniform(-20, 20, 3)), tuple(rng.uniform(0.3, 5.0, 3)))
    affine[:3, :3] = affine[:3, order] * signs
    assert orientation_of(affine) == "".join(nib.orientations.aff2axcodes(affine))


def test_every_axis_is_used_once_however_tilted() -> None:
    for rotation in Rotation.random(200, random_state=1):
        affine = np.eye(4)
        affine[:3, :3] = rotation.as_matrix() @ np.diag((0.4, 1.0, 5.0))
        axes, backwards = nearest_axes(affine)
        assert sorted(axes) == [0, 1, 2]
        chosen = rotation.as_matrix()[[0, 1, 2], list(axes)] * np.where(backwards, -1, 1)
        assert np.all(chosen > 0)
        assert np.sum(chosen) >= np.sum(np.abs(np.diag(rotation.as_matrix()))) - 1e-9


def test_same_grid_allows_rounding_and_nothing_more() -> None:
    volume = Volume(DATA, tilted((5, 5, 5)))
    rounded = Volume(DATA, volume.affine.astype(np.float32))
    assert same_grid(volume, rounded)
    require_same_grid(volume, rounded)
    assert not same_grid(volume, Volume(DATA, volume.affine + _affine(a03=0.02) - np.eye(4)))
    assert same_grid(volume, Volume(DATA, volume.affine + _affine(a03=0.02) - np.eye(4)), tolerance_mm=0.1)
    far_end = _affine(a22=1.01) - np.eye(4)  # the origin agrees, the far corner does not
    assert not same_grid(volume, Volume(DATA, volume.affine + far_end))


def test_says_how_grids_differ() -> None:
    volume = Volume(DATA, np.eye(4))
    with pytest.raises(SpaceError, match=r"4 x 5 x 6 voxels .* against 6 x 5 x 4"):
        require_same_grid(volume, Volume(DATA.T, np.eye(4)))
    with pytest.raises(SpaceError, match=r"RAS against .* LAS"):
        require_same_grid(volume, Volume(DATA, np.diag((-1.0, 1.0, 1.0, 1.0))))
    with pytest.raises(SpaceError, match="1 x 1 x 2 mm"):
        require_same_grid(volume, Volume(DATA, np.diag((1.0, 1.0, 2.0, 1.0))))
    with pytest.raises(SpaceError, match="up to 3 mm apart"):
        require_same_grid(volume, Volume(DATA, _affine(a03=3.0)))
