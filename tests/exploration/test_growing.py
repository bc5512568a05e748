"""The film of a run that is still being trained: an epoch is computed when its checkpoint is there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from napari_scse.errors import SpaceError
from napari_scse.events import drain
from napari_scse.exploration import Shelf, View, develop
from napari_scse.exploration.growing import open_growing_film
from napari_scse.intensity import labelled_gain
from napari_scse.runs import Run
from napari_scse.volume import LabelVolume, Volume


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "films")


def test_epochs_are_computed_as_they_come(
    scan: Volume, labels: LabelVolume, tiny_run: Callable[..., Run], shelf: Shelf
) -> None:
    run = tiny_run(epochs=3)
    (run.path / "epoch-0003.safetensors").rename(run.path / "later")
    with drain(open_growing_film(scan, run, 5, labels=labels, shelf=shelf)) as film:
        assert film.epochs == (1, 2, 3, 4, 5)
        assert film.maps.sites == ("sE-1", "sD-2")
        view = View(film.done.shape[1] // 2, 2)
        assert drain(develop(film, lambda: view)) == 2
        assert film.done[:, view.number].tolist() == [True, True, False, False, False]
        (run.path / "later").rename(run.path / "epoch-0003.safetensors")
        assert film.next(view) == (2, view.number)
        assert drain(develop(film, lambda: view)) == 1
        assert film.maps["sE-1"][2, view.number].min() > 0
        assert not film.maps["sE-1"][3].any()
    with drain(open_growing_film(scan, run, 5, labels=labels, shelf=shelf)) as again:
        assert again.done[:3, view.number].all()  # what was computed is there


def test_true_labels_say_where_to_look_and_how_bright_it_is(
    scan: Volume, labels: LabelVolume, tiny_run: Callable[..., Run], shelf: Shelf
) -> None:
    run = tiny_run(epochs=1)
    with drain(open_growing_film(scan, run, 1, labels=labels, shelf=shelf)) as film:
        layout = film.frames.layout
        known = labelled_gain(np.asarray(scan.data) - scan.data.min(), labels.data > 0, 1.0)
        assert layout.gain == pytest.approx(known, rel=0.1)
    elsewhere = LabelVolume(labels.data[:-1], labels.affine)
    with pytest.raises(SpaceError, match="grids differ"):
        drain(open_growing_film(scan, run, 1, labels=elsewhere, shelf=shelf))


@pytest.mark.parametrize("excitation", ["none", "cse"])
def test_a_run_without_spatial_gates_shows_its_labels(
    excitation: str, scan: Volume, tiny_run: Callable[..., Run], shelf: Shelf
) -> None:
    run = tiny_run(epochs=2, excitation=excitation)
    with drain(open_growing_film(scan, run, 2, shelf=shelf)) as film:
        assert film.maps.sites == ()
        drain(develop(film, lambda: View(5, 0)))
        assert film.done[:, 5].all()
