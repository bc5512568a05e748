"""The bundled runs on a real head, through the command line as a user would: slow, and only where real scans are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from napari_scse import images
from napari_scse.cli import main
from napari_scse.evaluation import evaluate
from napari_scse.runs import DEFAULT_EXPLORE_RUN, DEFAULT_RUN, default_model, load_run
from napari_scse.sides import merge_sides
from napari_scse.slices import Plane
from napari_scse.structures import FREESURFER27
from napari_scse.volume import LabelVolume

pytestmark = pytest.mark.timeout(1200)  # a whole head takes minutes where two cores are busy with other work


@pytest.fixture(autouse=True)
def _all_cores() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(before if torch.cuda.is_available() else 2)
    yield
    torch.set_num_threads(before)  # other tests compare with a process that has as many


def label(scan: Path, output: Path, *options: str) -> LabelVolume:
    assert main(["segment", str(scan), str(output), *options]) == 0
    return images.read_labels(output)


def centre(labels: LabelVolume, value: int) -> np.ndarray:
    """Centre of a structure in RAS mm."""
    voxel = np.argwhere(labels.data == value).mean(0)
    return np.asarray(labels.affine @ (*voxel, 1))[:3]


def test_a_real_head_is_labelled_well_on_its_own_grid(data: Path, tmp_path: Path) -> None:
    folder = data / "brain-dev" / "sub-02"
    before = (folder / "T1.mgz").read_bytes()
    labels = label(folder / "T1.mgz", tmp_path / "labels.mgz")
    scan = images.read(folder / "T1.mgz")
    assert labels.shape == scan.shape
    np.testing.assert_array_equal(labels.affine, scan.affine)
    assert labels.data.dtype == np.uint8
    report = evaluate(labels, images.read_labels(folder / "aseg.mgz"), mapping="freesurfer27")
    assert report.mean_dice >= 0.84
    assert all(centre(labels, left)[0] < centre(labels, right)[0] for left, right in ((2, 41), (12, 51), (17, 53)))
    assert (folder / "T1.mgz").read_bytes() == before


def test_a_turned_head_gets_the_same_labels(data: Path, tmp_path: Path) -> None:
    """Half the resolution, to be quick: the labels are coarse, but turning must not change them."""
    scan = images.read(data / "brain-demo" / "SampleData.mgz")
    small = nib.Nifti1Image(scan.data[::2, ::2, ::2].astype(np.int16), scan.affine @ np.diag([2, 2, 2, 1]))
    turned = small.as_reoriented(nib.orientations.axcodes2ornt("PRS"))
    found = []
    for name, image in (("small", small), ("turned", turned)):
        nib.save(image, tmp_path / f"{name}.nii")
        quick = ("--planes", "coronal", "--precision", "bfloat16")
        labels = label(tmp_path / f"{name}.nii", tmp_path / f"{name}-labels.nii.gz", *quick)
        found.append(nib.as_closest_canonical(nib.Nifti1Image(labels.data, labels.affine)).get_fdata())
    assert np.mean(found[0] == found[1]) >= 0.9995
    assert np.count_nonzero(found[0]) > 50_000


def test_the_bundled_runs_are_what_they_are_said_to_be() -> None:
    model, exploration = default_model(), load_run(DEFAULT_EXPLORE_RUN)
    assert model.planes == tuple(Plane)
    assert model.runs[0].name == DEFAULT_RUN
    assert exploration.epochs == (1, 2, 3, 4, 5, 6, 7)
    assert exploration.config.network.excitation == "sse"
    assert exploration.config.training["slices"] >= 1500
    assert all(run.config.network.excitation == "scse" for run in model.runs)
    for run in (*model.runs, exploration):
        sides = run.config.plane is not Plane.SAGITTAL
        assert run.config.classes[1:] == (FREESURFER27 if sides else merge_sides(FREESURFER27))
        assert run.config.network.kind == "fc-densenet"
        assert len(run.config.data) == 20
        assert (run.path / "README.md").exists()
