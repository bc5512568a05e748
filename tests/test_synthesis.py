from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_scse.errors import InputError
from napari_scse.sides import mirrored
from napari_scse.slices import cut
from napari_scse.structures import FREESURFER27, class_indices, to_structures
from napari_scse.synthesis import SynthesisConfig, Synthesiser, label_map_partners, priors, synthesise
from napari_scse.synthesis.draws import Draws
from napari_scse.synthesis.tissues import astray, draw_tissues, fade, level
from napari_scse.volume import LabelVolume, same_grid

STILL = SynthesisConfig(
    rotation=0,
    scaling=0,
    shear=0,
    coarse_displacement=0,
    fine_displacement=0,
    mirror=0,
    strip=0,
    deface=0,
    low_resolution=0,
)


QUIET = replace(STILL, gain=(1.0, 1.0), brightness=0.0, gamma=0.0, bias=0.0, noise=0.0)
CLASSES = class_indices([s.value for s in FREESURFER27])


def synthesiser(labels: LabelVolume, config: SynthesisConfig | None = None) -> Synthesiser:
    return Synthesiser(cut(labels, "coronal"), CLASSES, mirrored(FREESURFER27), config)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_draw_is_a_function_of_its_seed(label_map: LabelVolume) -> None:
    maker = synthesiser(label_map)
    first, again, other = (maker.draw(seeded(s)) for s in (5, 5, 6))
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])


def test_without_deformation_the_labels_are_the_maps(label_map: LabelVolume) -> None:
    _, target = synthesiser(label_map, STILL).draw(seeded(1))
    stack = cut(label_map, "coronal").data
    expected = np.vectorize(lambda v: CLASSES.get(v, 0))(stack)
    np.testing.assert_array_equal(target.numpy(), expected)


def test_a_box_is_that_part_of_the_whole_and_may_stick_out(label_map: LabelVolume) -> None:
    maker = synthesiser(label_map, STILL)
    box = ((10, 20), (-6, 12), (4, 30))
    image, target = maker.draw(seeded(1), box)
    assert image.shape == target.shape == (10, 18, 26)
    _, whole = maker.draw(seeded(1))
    torch.testing.assert_close(target[:, 6:], whole[10:20, :12, 4:30])


def test_mirroring_swaps_sides_and_shape_alike(label_map: LabelVolume) -> None:
    """The brain is symmetric: mirrored and with swapped sides its labels stay; a cut in the scalp changes its side."""
    grown = label_map.data.copy()
    grown[:3][grown[:3] == 516] = 0  # the first axis points to the left: cut the scalp on the right
    lopsided = LabelVolume(grown, label_map.affine)
    plain = synthesiser(lopsided, QUIET)
    turned = synthesiser(lopsided, replace(QUIET, mirror=1.0))
    _, target = plain.draw(seeded(2))
    image, mirrored_target = turned.draw(seeded(2))
    assert torch.equal(target, mirrored_target)
    columns = image.mean((0, 1))  # from right to left
    assert columns[2] > columns[-3]


def test_intensities_are_scaled_by_the_labelled_median(label_map: LabelVolume) -> None:
    maker = synthesiser(label_map, QUIET)
    for seed in range(4):
        image, target = maker.draw(seeded(seed), median=0.8)
        assert float(image[target > 0].median()) == pytest.approx(0.8, rel=0.2)


@pytest.mark.parametrize(("strip", "deface"), [(1.0, 0.0), (0.0, 1.0)])
def test_removed_tissue_is_never_labelled(label_map: LabelVolume, strip: float, deface: float) -> None:
    maker = synthesiser(label_map, replace(QUIET, strip=strip, deface=deface))
    kept = synthesiser(label_map, QUIET)
    _, target = maker.draw(seeded(3))
    _, reference = kept.draw(seeded(3))
    assert torch.equal(target, reference)
    darker = [float(maker.draw(seeded(s))[0][target == 0].mean()) for s in range(6)]
    brighter = [float(kept.draw(seeded(s))[0][target == 0].mean()) for s in range(6)]
    assert np.mean(darker) < np.mean(brighter)


def test_all_draws_are_finite_and_not_negative(label_map: LabelVolume) -> None:
    maker = synthesiser(label_map, SynthesisConfig(low_resolution=1.0, deface=0.5, strip=0.5))
    for seed in range(8):
        image, _ = maker.draw(seeded(seed), ((8, 20), (0, 36), (0, 40)))
        assert torch.isfinite(image).all()
        assert float(image.min()) >= 0


def test_unknown_and_useless_maps_are_refused(label_map: LabelVolume) -> None:
    with pytest.raises(InputError, match="without a T1 intensity"):
        synthesiser(LabelVolume(label_map.data + 1000, label_map.affine))
    with pytest.raises(InputError, match="none of the structures"):
        synthesiser(LabelVolume(np.where(label_map.data == 516, 516, 0).astype(np.uint16), label_map.affine))


def test_texture_varies_the_intensity_within_a_tissue(label_map: LabelVolume) -> None:
    deviations = []
    for texture in (0.0, 1.0):
        image, target = synthesiser(label_map, replace(QUIET, texture=texture, deviation=(0.0, 0.0))).draw(seeded(4))
        deviations.append(float(image[target == CLASSES[2]].std()))
    assert deviations[1] > 1.5 * deviations[0]


def test_tissues_vary_within_themselves_and_each_in_its_own_way(label_map: LabelVolume) -> None:
    maker = synthesiser(label_map, replace(QUIET, variation=0.5))
    tissue = torch.arange(2).repeat_interleave(30 * 30 * 30).view(2 * 30, 30, 30)
    fields = [maker._vary(Draws(seeded(seed), torch.device("cpu")), tissue, 2) for seed in range(40)]
    one, other = (torch.stack([field[part].flatten() for field in fields]) for part in (slice(30), slice(30, 60)))
    assert 0.05 < one.std() < 0.35
    assert (one[:, 1:] - one[:, :-1]).abs().mean() < 0.3 * one.std()
    assert abs(np.corrcoef(one[:, 0], other[:, 0])[0, 1]) < 0.5


def test_coupled_tissues_stray_together() -> None:
    def strayed(coupling: float, seed: int) -> np.ndarray:
        random = Draws(seeded(seed), torch.device("cpu"))
        return astray(random, replace(STILL, coupling=(coupling, coupling)), 25).numpy()

    assert np.ptp(strayed(1.0, 1)) < 1e-6
    many = np.stack([strayed(0.6, seed) for seed in range(400)])
    shared = np.corrcoef(many.T)[np.triu_indices(25, 1)].mean()
    assert shared == pytest.approx(0.6, abs=0.05)
    assert many.std() == pytest.approx(1.0, abs=0.05)


def test_faded_tissues_stay_between_their_own_and_white_matters_intensity() -> None:
    centre = torch.tensor(priors.T1_MEANS)[:, 0]
    white, cortex, thalamus, fluid, bone = 2, 3, 6, 1, 15
    nothing, all_of_it = (fade(centre, torch.tensor([bone]), torch.full((25,), share)) for share in (1.0, 0.0))
    torch.testing.assert_close(nothing, centre)
    assert centre[cortex] < all_of_it[cortex] < 0.9 * centre[white]
    assert 0.95 * centre[white] < all_of_it[thalamus] < centre[white]
    for unchanged in (white, fluid, bone):
        assert all_of_it[unchanged] == centre[unchanged]


def test_control_points_level_white_matter_and_what_is_as_bright() -> None:
    image = 0.6 + 0.02 * torch.randn(20, 20, 20, generator=seeded(1))
    white = torch.zeros(image.shape, dtype=torch.bool)
    white[4:16, 4:16, 4:16] = True
    image[white] += 0.4
    image[14:16, 4:16, 4:16] -= 0.3  # white matter that is as dark as grey
    levelled = level(image, white, 0.12)
    wanted = image[white].median()
    assert (levelled[5:13, 5:15, 5:15] == wanted).float().mean() > 0.9
    assert not (levelled == wanted)[~white].any()  # neighbours of a border are no control points
    assert not (levelled == wanted)[14:16].any()
    np.testing.assert_allclose(levelled[~white].mean(), 0.6, rtol=0.05)


def test_scans_with_control_points_have_one_intensity_more_often(label_map: LabelVolume) -> None:
    config = replace(QUIET, control_points=1.0, deviation=(0.1, 0.1), strip=1.0)
    image, target = synthesiser(label_map, config).draw(seeded(4))
    inside = image[target > 0]
    assert torch.unique(inside, return_counts=True)[1].max() > 20
    plain, _ = synthesiser(label_map, replace(config, control_points=0.0)).draw(seeded(4))
    assert torch.unique(plain[target > 0], return_counts=True)[1].max() < 5


def test_structures_of_one_tissue_part_but_their_sides_do_not() -> None:
    labels = list(priors.GENERATION_LABELS)
    partner = torch.tensor([labels.index(label_map_partners().get(v, v)) for v in labels])
    outside = torch.tensor(labels) >= priors.FIRST_EXTRACEREBRAL

    def means(parting: float) -> dict[int, float]:
        random = Draws(seeded(3), torch.device("cpu"))
        drawn = draw_tissues(random, replace(QUIET, parting=parting), outside, partner).mean
        return dict(zip(labels, drawn.tolist(), strict=True))

    together, apart = means(0.0), means(2.0)
    assert together[17] == together[18] == together[3]
    assert len({apart[17], apart[18], apart[3], apart[11]}) == 4
    assert apart[17] == apart[53]
    assert apart[3] == apart[42]
    assert apart[516] == together[516]


def test_changes_are_read_from_text() -> None:
    changed = SynthesisConfig.parse("texture=0.1,blur=0.2:0.5")
    assert changed == replace(SynthesisConfig(), texture=0.1, blur=(0.2, 0.5))
    assert SynthesisConfig.parse("") == SynthesisConfig()
    for wrong in ("colour=1", "texture=much", "blur=1", "texture", "draw=1"):
        with pytest.raises(InputError, match="Synthesis is set as"):
            SynthesisConfig.parse(wrong)


def test_a_whole_head_lies_on_the_maps_grid_with_its_27_structures(label_map: LabelVolume) -> None:
    scan, labels = synthesise(label_map, 3, STILL)
    assert same_grid(scan, label_map)
    assert same_grid(labels, label_map)
    np.testing.assert_array_equal(labels.data, to_structures(label_map.data))
    assert np.median(scan.data[labels.data > 0]) == pytest.approx(100, rel=0.6)
    again, other = synthesise(label_map, 3, STILL)[0], synthesise(label_map, 4, STILL)[0]
    np.testing.assert_array_equal(again.data, scan.data)
    assert not np.array_equal(other.data, scan.data)
