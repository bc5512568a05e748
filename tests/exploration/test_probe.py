"""Why a voxel got its label, and what it would be with other gates."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from napari_scse.events import Progress, drain
from napari_scse.exploration import Film, Shelf, open_film, painted_levels, probe_slice, what_if
from napari_scse.runs import Run
from napari_scse.volume import Volume


@pytest.fixture
def film(tiny_run: Callable[..., Run], scan: Volume, tmp_path: Path) -> Iterator[Film]:
    run = tiny_run(excitation="scse", canvas=(16, 12))
    with drain(open_film(scan, run, sites=["sE-2"], shelf=Shelf(tmp_path / "films"))) as film:
        yield film


def test_a_probe_holds_all_gates_and_probabilities_of_a_slice(film: Film) -> None:
    events: list[object] = []
    found = drain(probe_slice(film, 9), events.append)
    assert events[-1] == Progress(3, 3, "epochs looked at")
    assert set(found.spatial) == {"sE-1", "sE-2", "sD-1", "sD-2"}
    assert set(found.channel) == {"cE-1", "cE-2", "cD-1", "cD-2"}
    assert found.channel["cE-1"].shape == (3, 4)
    np.testing.assert_allclose(found.probabilities.astype(float).sum(1), 1, atol=5e-3)
    film.compute(1, 9)
    np.testing.assert_allclose(found.spatial["sE-2"][1], film.maps["sE-2"][1, 9], atol=1e-6)
    assert film.labels is not None
    np.testing.assert_array_equal(film.classes[found.probabilities[1].argmax(0)], film.labels[1, 9])


def test_a_voxel_is_found_by_its_place(film: Film) -> None:
    found = drain(probe_slice(film, 9))
    curves = found.at((film.labels_affine @ (9, 5, 3, 1))[:3])
    assert curves is not None
    np.testing.assert_array_equal(curves.gates["sE-1"], found.spatial["sE-1"][:, 5, 3])
    np.testing.assert_array_equal(curves.gates["sE-2"], found.spatial["sE-2"][:, 2, 1])
    np.testing.assert_array_equal(curves.probabilities, found.probabilities[:, :, 5, 3])
    assert found.at((film.labels_affine @ (9, 99, 3, 1))[:3]) is None


def test_other_gates_give_other_labels_and_trained_ones_the_same(film: Film) -> None:
    same = what_if(film, 2, 9, {"sE-1": "trained", "sD-2": "trained"})
    assert same.changed == 0
    trained = drain(probe_slice(film, 9)).spatial["sD-2"][2]
    assert what_if(film, 2, 9, {"sD-2": trained}).changed == 0
    closed = what_if(film, 2, 9, {"sD-2": np.zeros((16, 12)), "cD-2": 0.0})
    np.testing.assert_array_equal(closed.labels, closed.labels[0, 0])  # nothing passes: one label everywhere
    assert closed.changed == np.count_nonzero(closed.trained != closed.labels)
    assert what_if(film, 2, 9, {}).changed == 0


def test_painted_labels_are_levels() -> None:
    levels = painted_levels(np.array([[0, 1, 51, 101, 102]], np.uint8))
    np.testing.assert_array_equal(levels, np.float32([[np.nan, 0, 0.5, 1, np.nan]]))
