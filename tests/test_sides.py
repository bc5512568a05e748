import pytest

from napari_scse.sides import can_mirror, merge_sides, mirrored, split_side
from napari_scse.structures import FREESURFER27, Structure


def named(*names: str) -> list[Structure]:
    return [Structure(value, name, "#ffffff") for value, name in enumerate(names, start=1)]


def test_mirroring_twice_changes_nothing_and_keeps_the_midline() -> None:
    partner = mirrored(FREESURFER27)
    assert all(partner[partner[v]] == v for v in partner)
    assert {v for v in partner if partner[v] == v} == {14, 15, 16}
    assert partner[2] == 41
    assert partner[60] == 28


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


@pytest.mark.parametrize(
    ("name", "side", "rest"),
    [
        ("Left-Thalamus", "left", "Thalamus"),
        ("ctx-rh-insula", "right", "ctx-insula"),
        ("adrenal_gland_left", "left", "adrenal_gland"),
        ("Lung R", "right", "Lung"),
        ("Kidney (L)", "left", "Kidney"),
        ("upper (right) lobe", "right", "upper lobe"),
        ("vertebrae_L1", "", "vertebrae_L1"),
        ("Brightness", "", "Brightness"),
        ("Brain-Stem", "", "Brain-Stem"),
    ],
)
def test_a_side_is_a_word_of_its_own(name: str, side: str, rest: str) -> None:
    assert split_side(name) == (side, rest)


def test_pairs_are_found_in_any_notation() -> None:
    structures = named("ctx-lh-insula", "ctx-rh-insula", "kidney_left", "kidney_right", "liver")
    assert mirrored(structures) == {1: 2, 2: 1, 3: 4, 4: 3, 5: 5}
    assert can_mirror(structures)
    assert [s.name for s in merge_sides(structures)] == ["ctx-insula", "kidney", "liver"]
    assert not can_mirror(named("Left-Thalamus", "Right-Thalamus", "ctx-lh-insula"))
    assert not can_mirror(named("Kidney left", "Left-Kidney", "Right-Kidney"))  # whose partner is the right one?
    assert [s.name for s in merge_sides(named("left", "right"))] == ["side"]
