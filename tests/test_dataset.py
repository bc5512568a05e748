import numpy as np
import pytest
import torch

from napari_scse.dataset import LabelMapSubject, PairSubject, Sampling, Subject, epoch_batches
from napari_scse.errors import InputError, SpaceError
from napari_scse.runs import Intensity
from napari_scse.sides import mirrored
from napari_scse.structures import FREESURFER27, class_indices
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


def test_without_partners_no_scan_is_mirrored(label_map: LabelVolume) -> None:
    """Values that nobody has named may be two sides: a mirrored scan would call the left one right."""
    labels = LabelVolume(np.isin(label_map.data, (2, 41)) * (1 + (label_map.data == 41)), label_map.affine)
    image = Volume((labels.data + 1).astype(np.float32), labels.affine)
    subject = PairSubject("pair", image, labels, Sampling(canvas=(32, 40), slab=12, jitter=0), class_indices([1, 2]))
    columns = torch.arange(40).expand(6, 32, 40)
    for seed in range(12):
        _, target = subject.slab(torch.Generator().manual_seed(seed))
        assert columns[target == 1].float().mean() > columns[target == 2].float().mean()


def test_the_labelled_median_is_the_samplings(label_map: LabelVolume) -> None:
    one, three = (
        pair(label_map, Sampling(canvas=(24, 32), intensity=Intensity(labelled_median=median, clip=2.5 * median)))
        for median in (1.0, 3.0)
    )
    for images, other in (
        (one.whole(0, 2)[0], three.whole(0, 2)[0]),
        tuple(subject.slab(torch.Generator().manual_seed(3))[0] for subject in (one, three)),
    ):
        torch.testing.assert_close(3 * images, other)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_scan_of_few_slices_always_gives_some(depth: int) -> None:
    data = np.zeros((8, depth, 8), np.uint8)
    data[2:6] = 1
    labels, image = LabelVolume(data, np.eye(4)), Volume(data + np.float32(1), np.eye(4))
    subject = PairSubject("slice", image, labels, Sampling(canvas=(8, 8), jitter=0), class_indices([1]))
    for seed in range(12):
        images, target = subject.slab(torch.Generator().manual_seed(seed))
        assert len(images) == len(target) >= 1


def test_more_structures_than_a_byte_can_count() -> None:
    data = np.arange(1, 301).reshape(20, 1, 15)
    labels = LabelVolume(data.astype(np.uint16), np.eye(4))
    image = Volume(data.astype(np.float32), np.eye(4))
    subject = PairSubject("many", image, labels, Sampling(canvas=(15, 20), jitter=0), class_indices(range(1, 301)))
    _, target = subject.whole(0, 1)
    assert set(target.unique().tolist()) == set(range(1, 301))


def test_an_epoch_has_its_slices_and_repeats_exactly(label_map: LabelVolume) -> None:
    subjects = [synthetic(label_map, "a"), synthetic(label_map, "b"), pair(label_map)]
    batches = list(epoch_batches(subjects, 25, 4, seed=1, epoch=2))
    assert [len(labels) for _, labels in batches] == [4] * 6 + [1]
    again = list(epoch_batches(subjects, 25, 4, seed=1, epoch=2))
    assert all(torch.equal(a[0], b[0]) and torch.equal(a[1], b[1]) for a, b in zip(batches, again, strict=True))
    other = next(iter(epoch_batches(subjects, 25, 4, seed=1, epoch=3)))
    assert not torch.equal(other[0], batches[0][0])


@pytest.mark.parametrize("batch", [5, 7, 40])
def test_only_the_last_batch_of_an_epoch_is_smaller(label_map: LabelVolume, batch: int) -> None:
    batches = list(epoch_batches([synthetic(label_map)], 121, batch, seed=1, epoch=1))
    whole, rest = divmod(121, batch)
    assert [len(labels) for _, labels in batches] == [batch] * whole + ([rest] if rest else [])
    assert all(len(images) == len(labels) for images, labels in batches)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_batches_of_pairs_are_on_the_device(label_map: LabelVolume) -> None:
    images, labels = next(epoch_batches([pair(label_map)], 4, 4, seed=1, epoch=1, device="cuda"))
    assert images.device.type == labels.device.type == "cuda"


def test_pairs_on_different_grids_or_without_structures_are_refused(label_map: LabelVolume) -> None:
    labels = label_map
    image = Volume(labels.data.astype(np.float32), labels.affine @ np.diag([1.0, 1.0, 2.0, 1.0]))
    with pytest.raises(SpaceError):
        PairSubject("pair", image, labels, SAMPLING, CLASSES, PARTNERS)
    nothing = LabelVolume(np.zeros_like(labels.data), labels.affine)
    with pytest.raises(InputError, match="none of the structures"):
        PairSubject("pair", Volume(labels.data.astype(np.float32), labels.affine), nothing, SAMPLING, CLASSES, PARTNERS)
