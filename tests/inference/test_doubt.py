"""Where a network is least sure: a patch beats a border, and what is told lies where it was found."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from napari_scse.events import drain
from napari_scse.inference import grow, open_session
from napari_scse.inference.doubt import find_doubt
from napari_scse.runs import Run
from napari_scse.slices import Plane, cut
from napari_scse.volume import Volume


def test_a_patch_is_more_doubtful_than_a_border() -> None:
    sure = torch.tensor([1.0, 0.0, 0.0])[:, None, None].expand(3, 60, 50).clone()
    border = sure.clone()
    border[:, 30:32] = 1 / 3  # across the whole slice
    patch = border.clone()
    patch[:, 40:50, 20:30] = torch.tensor([0.6, 0.4, 0.0])[:, None, None]  # less unsure, but all of it
    assert find_doubt(sure).amount == 0
    assert 0 < find_doubt(border).amount < find_doubt(patch).amount <= 1
    found = find_doubt(patch)
    assert abs(found.row - 45) <= 2
    assert abs(found.column - 25) <= 2


@pytest.mark.parametrize("shape", [(1, 1), (3, 40), (7, 2)])
def test_small_slices_have_doubts_too(shape: tuple[int, int]) -> None:
    found = find_doubt(torch.full((2, *shape), 0.5))
    assert found.amount == pytest.approx(1)
    assert found.row < shape[0] + 1
    assert found.column < shape[1] + 1


@pytest.mark.parametrize("mirror", [True, False])
@pytest.mark.parametrize("spacing", [(1.0, 1.3, 0.8), (1.1, 1.0, 1.2)])
def test_a_session_tells_the_doubt_of_every_slice(
    scan: Volume, tiny_run: Callable[..., Run], spacing: tuple[float, float, float], mirror: bool
) -> None:
    run = tiny_run(epochs=1, spacing=spacing)
    with drain(open_session(scan, run, mirror=mirror, uncertainty=True)) as session:
        list(grow(session))
        geometry = session.geometry(Plane.CORONAL)
        labelled = {number for number, doubt in session.doubts.items() if doubt.amount}
        assert labelled
        assert session.uncertainty is not None
        for number in labelled:
            doubt = session.doubts[number]
            i, j, k = geometry.voxel(number, doubt.row, doubt.column)
            patch = session.uncertainty[max(0, i - 4) : i + 5, max(0, j - 4) : j + 5, max(0, k - 4) : k + 5]
            assert patch.max() >= 0.9 * doubt.amount
        session.forget()
        assert not session.doubts


def test_a_voxel_is_where_the_slice_has_it(scan: Volume) -> None:
    for plane in Plane:
        stack = cut(scan, plane)
        for n, h, w in np.random.default_rng(0).integers(0, stack.data.shape, (9, 3)).tolist():
            assert scan.data[stack.geometry.voxel(n, h, w)] == stack.data[n, h, w]
        assert stack.geometry.voxel(0, -5, 10**6) == stack.geometry.voxel(0, 0, stack.data.shape[2] - 1)
