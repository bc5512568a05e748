"""Labels have FreeSurfer's colours and names, and the status bar says them."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Labels

from napari_scse._napari.labels import label_volume_layer, labels_layer, look_of, structures_in
from napari_scse._napari.layers import Grid
from napari_scse.structures import FREESURFER27
from napari_scse.volume import LabelVolume

# napari tells the user that it shows oblique scans without their tilt
pytestmark = pytest.mark.filterwarnings("ignore:Non-orthogonal slicing:UserWarning")


def test_the_status_bar_names_the_structure(labels: LabelVolume) -> None:
    upright = LabelVolume(labels.data, np.array([[-2.0, 0, 0, 9], [0, 0, 1, -7], [0, -1.5, 0, 4], [0, 0, 0, 1]]))
    data, keywords, kind = labels_layer(upright.data, Grid.of(upright), FREESURFER27, "labels")
    viewer = ViewerModel()
    layer = viewer.add_labels(data, **keywords)
    assert kind == "labels"
    viewer.dims.point = layer.data_to_world(np.argwhere(data == 41)[0])
    status = layer.get_status(viewer.dims.point, dims_displayed=[1, 2], world=True)
    assert "Right-Cerebral-White-Matter" in status["value"]


def test_colours_are_freesurfers_and_background_is_clear() -> None:
    colormap = look_of(FREESURFER27)["colormap"]
    assert np.allclose(colormap.map(17), np.array((0xDC, 0xD8, 0x14, 255)) / 255, atol=1e-6)
    assert colormap.map(0)[3] == 0
    assert colormap.map(999)[3] == 1  # what a user paints is seen, whatever its number


def test_painting_in_the_layer_changes_the_labels(labels: LabelVolume) -> None:
    own = labels.data.copy()
    data, keywords, _ = labels_layer(own, Grid.of(labels), FREESURFER27, "labels")
    layer = Labels(data, **keywords)
    layer.data_setitem((np.array([0]), np.array([0]), np.array([0])), 16)
    assert np.count_nonzero(own == 16) == 1


def test_files_of_brain_labels_are_named_and_others_numbered(labels: LabelVolume) -> None:
    assert {s.name for s in structures_in(labels.data)} >= {"Left-Cerebral-Cortex", "Right-Cerebral-Cortex"}
    organs = np.array([[[0, 1, 2, 3, 5, 6]]], np.uint8)  # 2 and 3 are kidneys here
    assert [s.name for s in structures_in(organs)] == ["Label 1", "Label 2", "Label 3", "Label 5", "Label 6"]
    data, keywords, _ = label_volume_layer(LabelVolume(organs, np.eye(4)), "organs")
    layer = Labels(data, **keywords)
    assert len({tuple(layer.colormap.map(v)) for v in (1, 2, 3, 5, 6)}) == 5


def test_an_aseg_keeps_the_values_we_have_no_name_for() -> None:
    aseg = np.array([[[0, 2, 41, 3, 42, 5, 251]]], np.uint16)
    names = {s.value: s.name for s in structures_in(aseg)}
    assert names[2] == "Left-Cerebral-White-Matter"
    assert names[251] == "Label 251"


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int32])
def test_labels_from_a_file_can_be_corrected(labels: LabelVolume, kind: type) -> None:
    given = labels.data.astype(kind)
    given.setflags(write=False)
    data, keywords, _ = label_volume_layer(LabelVolume(given, labels.affine), "seg")
    layer = Labels(data, **keywords)
    layer.data_setitem((np.array([0]), np.array([0]), np.array([0])), 3)
    assert layer.data[0, 0, 0] == 3
