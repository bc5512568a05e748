import numpy as np
import pytest
import torch

from napari_scse.dataset import LabelMapSubject, PairSubject, Sampling, Subject, epoch_batches
from napari_scse.errors import InputError, SpaceError
from napari_scse.structures import FREESURFER27, class_indices, mirrored
from napari_scse.volume import LabelVolume, Volume

CLASSES = class_indices([s.value for s in FREESURFER27])
PARTNERS = mirrored(FREESURFER27)
SAMPLING = Sampling(canvas=(24, 32), slab=12, jitter=5, neighbours=1)


def pair(labels: LabelVolume, sampling: Sampling = SAMPLING) -> PairSubject:
    image = Volume((labels.data % 100 + 1).astype(np.float32), labels.affine)
    return PairSubject("pair", image, labels, sampling, CLASSES, PARTNERS)


def synthetic(labels: LabelVolume, name: str = "map") -> LabelMapSubject:
    return LabelMapSubject(name, labels, SAMPLING, CLASSES, PARTNERS)


@pytest.fixture(params=[pair, synthetic], ids=["pair", "label map"])
def subject(request: pytest.FixtureRequest, label_map: LabelVolume) -> Subject:
    made: Subject = request.param(label_map)
    return made


def test_a_slab_has_the_canvas_and_its_neighbours(subject: Subject) -> None:
    images, labels = subject.slab(torch.Generator().manual_seed(1))
    assert images.shape == (6, 3, 24, 32)
    assert labels.shape == (6, 24, 32)
    assert images.dtype == torch.float32
    assert labels.dtype == torch.int64
    assert set(labels.unique().tolist()) <= set(range(28))
    assert labels.any()


def test_every_second_slice_shares_a_neighbour_with_the_next(subject: Subject) -> None:
    images, _ = subject.slab(torch.Generator().manual_seed(1))
    torch.testing.assert_close(images[:-1, 2], images[1:, 0])


def test_the_whole_is_the_same_at_each_call(subject: Subject) -> None:
    first, again = subject.whole(3, 4), subject.whole(3, 4)
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])


def test_class_pixels_add_up(subject: Subject) -> None:
    pixels, where = subject.class_pixels()
    assert pixels.shape == where.shape == (28,)
    assert (pixels <= where).all()
    assert (where[[CLASSES[v] for v in (2, 41, 3, 42)]] > 0).all()
    assert pixels[CLASSES[17]] == 0


def test_labels_and_images_of_a_pair_stay_together(label_map: LabelVolume) -> None:
    """The image is a function of the labels here, so that each drawn pair must obey it, mirrored or not."""
    subject = pair(label_map, Sampling(canvas=(24, 32), slab=12, jitter=5))
    for seed in range(6):
        images, labels = subject.slab(torch.Generator().manual_seed(seed))
        values = {int(c): images[:, 0][labels == c].unique() for c in labels.unique() if c}
        assert all(len(v) == 1 for v in values.values())


def test_left_and_right_follow_the_mirrored_image(label_map: LabelVolume) -> None:
    """The right half is brighter in the pair; mirrored, the left half is, and left stays on the left."""
    labels = label_map
    values = [labels.data == 2, labels.data == 41, labels.data > 0]
    image = np.select(values, [100.0, 200.0, 50.0], 0.0).astype(np.float32)
    sampling = Sampling(canvas=(32, 40), slab=12, jitter=0)
    subject = PairSubject("pair", Volume(image, labels.affine), labels, sampling, CLASSES, PARTNERS)
    seen = set()
    for seed in range(12):
        images, target = subject.slab(torch.Generator().manual_seed(seed))
        left, right = (images[:, 0][target == CLASSES[v]].mean() for v in (2, 41))
        columns = torch.arange(40).expand(6, 32, 40)
        assert columns[target == CLASSES[2]].float().mean() > columns[target == CLASSES[41]].float().mean()
        seen.add(bool(left < right))
    assert seen == {True, False}  # both the head and its mirror image were drawn, and left was always on the left


def test_an_epoch_has_its_slices_and_repeats_exactly(label_map: LabelVolume) -> None:
    subjects = [synthetic(label_map, "a"), synthetic(label_map, "b"), pair(label_map)]
    batches = list(epoch_batches(subjects, 25, 4, seed=1, epoch=2))
    assert [len(labels) for _, labels in batches] == [4] * 6 + [1]
    again = list(epoch_batches(subjects, 25, 4, seed=1, epoch=2))
    assert all(torch.equal(a[0], b[0]) and torch.equal(a[1], b[1]) for a, b in zip(batches, again, strict=True))
    other = next(iter(epoch_batches(subjects, 25, 4, seed=1, epoch=3)))
    assert not torch.equal(other[0], batches[0][0])


def test_pairs_on_different_grids_or_without_structures_are_refused(label_map: LabelVolume) -> None:
    labels = label_map
    image = Volume(labels.data.astype(np.float32), labels.affine @ np.diag([1.0, 1.0, 2.0, 1.0]))
    with pytest.raises(SpaceError):
        PairSubject("pair", image, labels, SAMPLING, CLASSES, PARTNERS)
    nothing = LabelVolume(np.zeros_like(labels.data), labels.affine)
    with pytest.raises(InputError, match="none of the structures"):
        PairSubject("pair", Volume(labels.data.astype(np.float32), labels.affine), nothing, SAMPLING, CLASSES, PARTNERS)
