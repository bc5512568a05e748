import numpy as np
import pytest

from napari_scse.errors import InputError
from napari_scse.structures import (
    FREESURFER27,
    are_brain,
    class_indices,
    is_aseg,
    to_structures,
)


def test_there_are_the_papers_27_structures_in_ascending_order() -> None:
    values = [s.value for s in FREESURFER27]
    assert len(values) == 27
    assert values == sorted(set(values))
    assert all(s.color.startswith("#") and len(s.color) == 7 for s in FREESURFER27)


def test_labels_the_paper_does_not_tell_apart_are_merged() -> None:
    source = np.array([0, 5, 44, 31, 63, 25, 57, 136, 163, 24, 85, 507, 17])
    assert to_structures(source).tolist() == [0, 4, 43, 4, 43, 2, 41, 4, 43, 0, 0, 0, 17]
    parcels = np.array([1001, 1035, 2001, 3024, 4024, 5001, 5002, 11101, 12175, 15000])
    assert to_structures(parcels).tolist() == [3, 3, 42, 2, 41, 2, 41, 3, 42, 0]


def test_corpus_callosum_goes_to_the_nearest_white_matter() -> None:
    labels = np.zeros((9, 3, 4), np.int32)
    labels[:2], labels[7:] = 2, 41
    labels[2:7, 1, 1] = [251, 252, 253, 77, 255]
    labels[4] = 0
    mapped = to_structures(labels)
    assert mapped[2:4, 1, 1].tolist() == [2, 2]
    assert mapped[5:7, 1, 1].tolist() == [41, 41]
    assert mapped[4].max() == 0


def test_impossible_labels_are_refused() -> None:
    with pytest.raises(InputError, match="between 0 and 65535"):
        to_structures(np.array([-1, 2]))


def test_an_aseg_is_told_from_the_27_structures() -> None:
    assert is_aseg(np.array([0, 2, 41, 24, 251]))
    assert is_aseg(np.array([0, 2, 41, 1012, 2030]))
    assert not is_aseg(np.array([s.value for s in FREESURFER27]))
    assert not is_aseg(np.arange(118))


@pytest.mark.parametrize("largest", [40, 48, 90, 117])
def test_numbered_organs_are_no_brain(largest: int) -> None:
    """TotalSegmentator's and atlases' values have those of a brain among them."""
    assert not are_brain(range(1, largest + 1))
    assert are_brain([0, 2, 3, 17, 24, 41, 42, 1012, 2030])


def test_class_indices_start_behind_background() -> None:
    assert class_indices([2, 41]) == {0: 0, 2: 1, 41: 2}
