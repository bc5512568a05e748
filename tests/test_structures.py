import numpy as np
import pytest

from napari_scse.errors import InputError
from napari_scse.structures import (
    FREESURFER27,
    Structure,
    can_mirror,
    class_indices,
    is_aseg,
    merge_sides,
    mirrored,
    to_structures,
)


def test_there_are_the_papers_27_structures_in_ascending_order() -> None:
    values = [s.value for s in FREESURFER27]
    assert len(values) == 27
    assert values == sorted(set(values))
    assert all(s.color.startswith("#") and len(s.color) == 7 for s in FREESURFER27)


def test_mirroring_twice_changes_nothing_and_keeps_the_midline() -> None:
    partner = mirrored(FREESURFER27)
    assert all(partner[partner[v]] == v for v in partner)
    assert {v for v in partner if partner[v] == v} == {14, 15, 16}
    assert partner[2] == 41
    assert partner[60] == 28


def test_labels_the_paper_does_not_tell_apart_are_merged() -> None:
    source = np.array([0, 5, 44, 31, 63, 25, 57, 136, 163, 24, 85, 507, 17])
    assert to_structures(source).tolist() == [0, 4, 43, 4, 43, 2, 41, 4, 43, 0, 0, 0, 17]


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
    assert not is_aseg(np.array([s.value for s in FREESURFER27]))


def test_class_indices_start_behind_background() -> None:
    assert class_indices([2, 41]) == {0: 0, 2: 1, 41: 2}


def test_merging_sides_keeps_one_of_each_pair_under_a_name_without_a_side() -> None:
    merged = merge_sides(FREESURFER27)
    assert len(merged) == 15
    assert {s.value for s in merged} == {2, 3, 4, 7, 8, 10, 11, 12, 13, 14, 15, 16, 17, 18, 28}
    assert not [s.name for s in merged if s.name.startswith(("Left", "Right"))]
    assert merge_sides(merged) == merged


def test_only_named_sides_can_be_mirrored() -> None:
    left, right = Structure(1, "Left-Kidney", "#ffffff"), Structure(2, "Right-Kidney", "#ffffff")
    liver, lung = Structure(3, "Liver", "#ffffff"), Structure(4, "Left-Lung", "#ffffff")
    assert can_mirror([left, right, liver])
    assert not can_mirror([liver])  # it would change its side
    assert not can_mirror([left, right, lung])
