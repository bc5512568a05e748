"""Layers to learn from: what fits, and what is written of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_scse import images
from napari_scse._napari.inputs import layer_input
from napari_scse._napari.labels import label_volume_layer
from napari_scse._napari.layers import volume_layer
from napari_scse._napari.pairs import LabelledInput, label_refusal, labelled_input, write_pairs
from napari_scse.errors import InputError
from napari_scse.events import drain
from napari_scse.structures import Structure
from napari_scse.volume import LabelVolume, Volume

pytestmark = pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")


@pytest.fixture
def viewer(scan: Volume) -> ViewerModel:
    """An oblique scan and, over it, the labels layer that napari's button makes."""
    made = ViewerModel()
    data, keywords, _ = volume_layer(scan, "T1 (raw)/1")
    made.layers.selection.active = made.add_image(data, **keywords)
    made._new_labels()
    return made


def pair_of(viewer: ViewerModel) -> LabelledInput:
    scan, labels = viewer.layers
    return labelled_input(layer_input(scan, viewer.dims.point), scan, labels)


def test_what_is_painted_is_written_on_the_scans_grid(viewer: ViewerModel, scan: Volume, tmp_path: Path) -> None:
    viewer.layers[1].data[3, 4, 5] = 7
    viewer.layers[1].data[8:12, 4:9, 6:10] = 200
    pairs = [pair_of(viewer), pair_of(viewer)]
    image_folder, label_folder, structures = drain(write_pairs(pairs, tmp_path))
    names = ["T1-raw-1-1.nii.gz", "T1-raw-1-2.nii.gz"]
    assert sorted(path.name for path in image_folder.iterdir()) == names
    assert sorted(path.name for path in label_folder.iterdir()) == names
    image, labels = images.read(image_folder / names[0]), images.read_labels(label_folder / names[1])
    np.testing.assert_array_equal(image.data, scan.data)
    np.testing.assert_allclose(labels.affine, scan.affine, atol=1e-5)
    shown = np.asarray(viewer.layers[1].data)
    np.testing.assert_array_equal(pairs[0].source.grid.show(labels.data), shown)
    assert [(s.value, s.name) for s in structures] == [(7, "Label 7"), (200, "Label 200")]
    assert len({s.color for s in structures}) == 2


def test_no_two_pairs_share_a_file(viewer: ViewerModel, tmp_path: Path) -> None:
    viewer.layers[1].data[3, 4, 5] = 7
    one = pair_of(viewer)
    pairs = [replace(one, source=replace(one.source, name=name)) for name in ("T1", "T1", "T1 [1]")]
    folder, *_ = drain(write_pairs(pairs, tmp_path))
    assert len(list(folder.iterdir())) == 3


def test_a_brain_is_known_as_one_and_names_are_taken_from_the_layer(
    scan: Volume, labels: LabelVolume, tmp_path: Path
) -> None:
    viewer = ViewerModel()
    for data, keywords, kind in (volume_layer(scan, "a"), label_volume_layer(labels, "brain")):
        (viewer.add_labels if kind == "labels" else viewer.add_image)(data, **keywords)
    assert drain(write_pairs([pair_of(viewer)], tmp_path))[2] is None
    layer = viewer.layers[1]
    layer.data[layer.data == 41] = 1
    layer.features = {"index": [1, 2], "name": ["Core", "Core"]}
    structures = drain(write_pairs([pair_of(viewer)], tmp_path))[2]
    assert [s.name for s in structures] == ["Core 1", "Core 2", "Label 3", "Label 42"]
    assert structures[1] == Structure(2, "Core 2", "#f5f5f5")


def test_what_does_not_fit_is_refused(viewer: ViewerModel, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is empty: paint"):
        drain(write_pairs([pair_of(viewer)], tmp_path))
    viewer.layers[1].translate = (0, 2, 0)
    with pytest.raises(InputError, match="does not lie on the voxels"):
        pair_of(viewer)
    series = viewer.add_labels(np.zeros((2, 3, 4, 5), np.uint8), name="series")
    refusal = label_refusal(series)
    assert refusal is not None
    assert "2 or 3 axes" in refusal.sentence
