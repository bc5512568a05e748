"""Resampling is centred, keeps ramps and volumes, and brings scores back to the very slices that were cut."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from napari_scse.conform import Conformation, conform
from napari_scse.errors import InputError, SpaceError

ONE = (1.0, 1.0, 1.0)
# (stack shape, stack spacing): fine, coarse, slabs along each axis, mixed, one slice, odd and even
SCANS = [
    ((24, 31, 28), (0.7, 0.7, 0.7)),
    ((13, 16, 15), (2.0, 2.0, 2.0)),
    ((9, 30, 27), (3.0, 1.0, 1.0)),
    ((30, 8, 27), (1.0, 3.0, 1.0)),
    ((26, 30, 9), (1.0, 0.98, 3.3)),
    ((40, 7, 21), (0.4, 2.5, 1.2)),
    ((1, 20, 23), (5.0, 0.8, 0.8)),
    ((1, 20, 23), (1.0, 1.4, 1.0)),
    ((2, 1, 1), (1.5, 0.5, 2.5)),
    ((11, 12, 13), ONE),
]


def grid(shape: tuple[int, int, int]) -> list[np.ndarray]:
    """The index along each axis, for every voxel."""
    return np.meshgrid(*(np.arange(size, dtype=np.float64) for size in shape), indexing="ij")


def millimetres(plan: Conformation, conformed: bool) -> list[np.ndarray]:
    """The place of every voxel about the stack's centre, along each axis in mm."""
    shape = plan.shape if conformed else plan.source_shape
    affine = np.diag((*plan.source_spacing, 1.0))
    affine = plan.affine(affine) if conformed else affine
    middle = (np.array(plan.source_shape) - 1) / 2 * plan.source_spacing
    return [affine[a, a] * index + affine[a, 3] - middle[a] for a, index in enumerate(grid(shape))]


def stream(scores: Tensor, first: int = 0, last: int | None = None) -> Iterator[tuple[int, Tensor]]:
    """Slices of (K, n, h, w), one by one."""
    for n in range(first, scores.shape[1] if last is None else last + 1):
        yield n, scores[:, n]


def returned(plan: Conformation, scores: Tensor) -> np.ndarray:
    """(K, N, H, W) of what comes back for the scores of all conformed slices."""
    numbers, planes = zip(*plan.return_scores(stream(scores)), strict=True)
    assert numbers == tuple(range(plan.source_shape[0]))
    return torch.stack(planes, 1).numpy()


def test_axes_near_the_run_are_left_alone() -> None:
    plan = conform((20, 21, 22), (1.05, 0.96, 1.1), ONE)
    assert plan.steps[:2] == (1.0, 1.0)
    assert plan.shape[:2] == (20, 21)
    assert plan.steps[2] == pytest.approx(1 / 1.1)
    assert plan.shape[2] == 25  # 24.2 mm
    assert not plan.is_identity


@pytest.mark.parametrize(("shape", "spacing"), SCANS)
def test_grids_share_their_centre_and_extent(shape: tuple[int, int, int], spacing: tuple[float, float, float]) -> None:
    plan = conform(shape, spacing, ONE)
    for coordinate in millimetres(plan, conformed=True):
        assert coordinate.mean() == pytest.approx(0, abs=1e-6)
    for size, step, source in zip(plan.shape, plan.steps, shape, strict=True):
        assert source - 0.01 <= size * step < source + step


@pytest.mark.parametrize(("shape", "spacing"), SCANS)
def test_a_ramp_survives_inside(shape: tuple[int, int, int], spacing: tuple[float, float, float]) -> None:
    plan = conform(shape, spacing, ONE)

    def ramp(conformed: bool) -> np.ndarray:
        n, h, w = millimetres(plan, conformed)
        return 3.0 * n - 2.0 * h + 0.5 * w + 7.0

    result = plan.resample(ramp(conformed=False))
    assert result.dtype == np.float32
    assert result.shape == plan.shape
    inside = tuple(
        slice(None) if step == 1.0 else slice(reach := int(np.ceil(3 / step)) + 2, -reach) for step in plan.steps
    )
    np.testing.assert_allclose(result[inside], ramp(conformed=True)[inside], atol=2e-4)


@pytest.mark.parametrize(("shape", "spacing"), SCANS)
def test_constants_survive_everywhere(shape: tuple[int, int, int], spacing: tuple[float, float, float]) -> None:
    plan = conform(shape, spacing, ONE)
    np.testing.assert_allclose(plan.resample(np.full(shape, 41, dtype=">u2")), 41.0, rtol=1e-6)
    assert np.all(plan.resample_labels(np.full(shape, 41, dtype=np.uint16)) == 41)
    np.testing.assert_allclose(returned(plan, torch.full((2, *plan.shape), 41.0)), 41.0, rtol=1e-6)


@pytest.mark.parametrize(("shape", "spacing"), SCANS)
@pytest.mark.parametrize("axis", range(3))
def test_flips_commute(shape: tuple[int, int, int], spacing: tuple[float, float, float], axis: int) -> None:
    plan = conform(shape, spacing, ONE)
    rng = np.random.default_rng(5)
    stack = rng.random(shape, dtype=np.float32)
    np.testing.assert_allclose(plan.resample(np.flip(stack, axis)), np.flip(plan.resample(stack), axis), atol=1e-6)
    if axis and plan.shape[axis] % 2 == shape[axis] % 2:  # else a middle voxel may lie halfway between two
        labels = rng.integers(0, 200, shape)
        turned = plan.resample_labels(np.flip(labels, axis))
        np.testing.assert_array_equal(turned, np.flip(plan.resample_labels(labels), axis))
    scores = torch.from_numpy(rng.random((3, *plan.shape), dtype=np.float32))
    back = returned(plan, scores.flip(axis + 1))
    np.testing.assert_allclose(back, np.flip(returned(plan, scores), axis + 1), atol=1e-6)


@pytest.mark.parametrize(("shape", "spacing"), SCANS)
def test_a_ramp_of_scores_comes_back(shape: tuple[int, int, int], spacing: tuple[float, float, float]) -> None:
    plan = conform(shape, spacing, ONE)

    def ramp(conformed: bool) -> np.ndarray:
        n, h, w = millimetres(plan, conformed)
        return np.stack([n + 2 * h - w, 5 - n])

    back = returned(plan, torch.from_numpy(ramp(conformed=True)).float())
    expected = ramp(conformed=False)
    # Beyond the centres of the outermost conformed voxels their values are repeated.
    seen = [
        np.abs(index) <= max((size - 1) / 2 * step * space, 0) + 1e-6
        for index, size, step, space in zip(
            millimetres(plan, conformed=False), plan.shape, plan.steps, spacing, strict=True
        )
    ]
    inside = seen[0] & seen[1] & seen[2]
    assert inside.mean() > 0.4
    np.testing.assert_allclose(back[:, inside], expected[:, inside], atol=1e-4)


def test_identity_passes_everything_through() -> None:
    plan = conform((4, 5, 6), (1.0, 1.03, 0.97), ONE)
    assert plan.is_identity
    stack = np.random.default_rng(0).random((4, 5, 6), dtype=np.float32)
    assert plan.resample(stack) is stack
    labels = stack > 0.5
    assert plan.resample_labels(labels) is labels
    planes = [(n, torch.rand(3, 5, 6)) for n in range(1, 3)]
    assert all(out is given for out, given in zip(plan.return_scores(iter(planes)), planes, strict=True))
    np.testing.assert_array_equal(plan.affine(np.diag((2.0, 3.0, 4.0, 1.0))), np.diag((2.0, 3.0, 4.0, 1.0)))


def test_untouched_axes_keep_their_numbers() -> None:
    plan = conform((6, 7, 8), (3.0, 1.0, 1.0), ONE)
    stack = np.random.default_rng(0).random((6, 7, 8), dtype=np.float32)
    along = plan.resample(np.broadcast_to(stack[:1], stack.shape))
    np.testing.assert_allclose(along, np.broadcast_to(stack[:1], along.shape), rtol=1e-6)


def test_takes_any_layout_and_leaves_it_alone() -> None:
    plan = conform((8, 6, 7), (0.6, 2.0, 1.0), ONE)
    stack = np.random.default_rng(0).integers(-50, 1000, (7, 8, 6)).astype(">i4").transpose(1, 2, 0)[::-1]
    stack.setflags(write=False)
    result = plan.resample(stack)
    assert result.flags.c_contiguous
    np.testing.assert_array_equal(result, plan.resample(np.ascontiguousarray(stack).astype(np.float64)))
    assert plan.resample_labels(stack).dtype == stack.dtype
    same = np.ascontiguousarray(stack).astype(np.float32)
    same.setflags(write=False)
    np.testing.assert_array_equal(plan.resample(same), result)


@pytest.mark.parametrize("spacing", [ONE, (1.0, 2.0, 1.0)])
@pytest.mark.parametrize("shape", [(1, 6, 7), (6, 1, 7), (6, 7, 1)])
def test_torch_takes_what_was_conformed(spacing: tuple[float, float, float], shape: tuple[int, int, int]) -> None:
    stack = np.random.default_rng(0).random(shape, dtype=np.float32)[::-1, ::-1, ::-1]
    conformed = conform(shape, spacing, ONE).resample(stack)
    assert torch.from_numpy(conformed).is_contiguous()


def test_smooths_only_what_gets_coarser() -> None:
    noise = np.random.default_rng(0).standard_normal((1, 400, 400)).astype(np.float32)
    coarser = conform(noise.shape, (1.0, 0.5, 0.5), ONE).resample(noise)
    assert np.std(coarser) < 0.5  # picking every second voxel would keep it at 1, linear interpolation at 0.5
    spike = np.zeros((1, 9, 9), dtype=np.float32)
    spike[0, 4, 4] = 1.0
    finer = conform(spike.shape, (1.0, 2.0, 2.0), ONE).resample(spike)
    assert finer.max() == pytest.approx(0.75**2)


@pytest.mark.parametrize(
    ("spacing", "tolerance"), [((0.7, 0.7, 0.7), 0.02), ((2.0, 2.0, 2.0), 0.02), ((3.0, 1.0, 1.0), 0.02)]
)
@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 1, 0)])
def test_a_smooth_blob_comes_back(
    spacing: tuple[float, float, float], tolerance: float, order: tuple[int, int, int]
) -> None:
    spacing = tuple(spacing[axis] for axis in order)  # type: ignore[assignment]
    shape = tuple(int(44 / size) + axis for axis, size in enumerate(spacing))
    plan = conform(shape, spacing, ONE)  # type: ignore[arg-type]
    n, h, w = millimetres(plan, conformed=False)
    blob = ((n - 1) / 15) ** 2 + ((h + 2) / 12) ** 2 + ((w - 1.3) / 14) ** 2 < 1
    conformed = torch.from_numpy(plan.resample_labels(blob.astype(np.uint8))).long()
    back = returned(plan, torch.nn.functional.one_hot(conformed).permute(3, 0, 1, 2).float()).argmax(0).astype(bool)
    assert 2 * np.sum(back & blob) / (np.sum(back) + np.sum(blob)) > 0.95
    assert np.sum(back) == pytest.approx(np.sum(blob), rel=tolerance)
    volume = np.prod(plan.steps) * np.prod(spacing) * float(conformed.sum())
    assert volume == pytest.approx(np.sum(blob) * np.prod(spacing), rel=tolerance)


@pytest.mark.parametrize(("shape", "spacing"), SCANS)
def test_part_of_the_slices_gives_part_of_the_stack(
    shape: tuple[int, int, int], spacing: tuple[float, float, float]
) -> None:
    plan = conform(shape, spacing, ONE)
    scores = torch.rand(2, *plan.shape)
    whole = dict(plan.return_scores(stream(scores)))
    first, last = plan.shape[0] // 4, max(plan.shape[0] // 4, plan.shape[0] - 3)
    part = dict(plan.return_scores(stream(scores, first, last)))
    places = [(number - (shape[0] - 1) / 2) / plan.steps[0] + (plan.shape[0] - 1) / 2 for number in range(shape[0])]
    assert list(part) == [number for number, at in enumerate(places) if first - 0.5 <= at <= last + 0.5]
    for number, plane in part.items():
        if first <= places[number] <= last:
            torch.testing.assert_close(plane, whole[number])
    assert dict(plan.return_scores(iter([]))) == {}


def test_single_conformed_slice_serves_the_stack_slices_within_it() -> None:
    plan = conform((9, 4, 4), (0.3, 1.0, 1.0), ONE)  # three conformed slices of three and a third each
    plane = torch.rand(2, 4, 4)
    came = list(plan.return_scores([(1, plane)]))
    assert [number for number, _ in came] == [3, 4, 5]
    assert all(torch.equal(out, plane) for _, out in came)


@pytest.mark.parametrize("spacing", [(0.6, 1.0, 1.0), (2.0, 0.7, 0.7), (0.6, 1.3, 0.7), (1.0, 1.3, 0.7)])
def test_few_score_slices_are_alive_at_any_time(spacing: tuple[float, float, float]) -> None:
    plan = conform((30, 6, 7), spacing, ONE)
    alive: list[weakref.ref[Tensor]] = []

    def watched() -> Iterator[tuple[int, Tensor]]:
        for n in range(plan.shape[0]):
            plane = torch.full((2, *plan.shape[1:]), float(n))
            alive.append(weakref.ref(plane))
            yield n, plane
            del plane

    gc.disable()
    try:
        for _number, out in plan.return_scores(watched()):
            assert sum(reference() is not None for reference in alive) <= 3
            del out
    finally:
        gc.enable()


@pytest.mark.parametrize("numbers", [(0, 2), (0, 0), (3, 2)])
def test_gaps_in_the_slices_are_a_defect(numbers: tuple[int, int]) -> None:
    plan = conform((8, 3, 3), (2.0, 1.0, 1.0), ONE)
    with pytest.raises(ValueError, match="is expected"):
        list(plan.return_scores((n, torch.zeros(1, 3, 3)) for n in numbers))


@pytest.mark.parametrize("spacing", [(0.7, 1.3, 0.6), (2.0, 0.7, 1.0)])
def test_keeps_type_and_memory_of_scores(spacing: tuple[float, float, float]) -> None:
    plan = conform((9, 8, 7), spacing, ONE)
    scores = torch.rand(3, *plan.shape, dtype=torch.float64)
    kept = scores.clone()
    for _, plane in plan.return_scores(stream(scores)):
        assert plane.dtype == torch.float64
    torch.testing.assert_close(scores, kept, rtol=0, atol=0)
    laid_out = scores.permute(1, 2, 3, 0).contiguous().permute(3, 0, 1, 2)  # channels last, as a network gives them
    np.testing.assert_allclose(returned(plan, laid_out), returned(plan, scores), rtol=1e-12)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_works_on_the_gpu() -> None:
    plan = conform((9, 8, 7), (0.7, 1.3, 0.6), ONE)
    scores = torch.rand(3, *plan.shape)
    for (number, plane), (same, expected) in zip(
        plan.return_scores(stream(scores.cuda())), plan.return_scores(stream(scores)), strict=True
    ):
        assert number == same
        assert plane.is_cuda
        torch.testing.assert_close(plane.cpu(), expected)


@pytest.mark.parametrize("spacing", [(0.0, 1.0, 1.0), (1.0, -1.0, 1.0), (1.0, 1.0, float("nan")), (float("inf"), 1, 1)])
def test_refuses_impossible_spacings(spacing: tuple[float, float, float]) -> None:
    with pytest.raises(SpaceError, match="three positive numbers"):
        conform((3, 4, 5), spacing, ONE)
    with pytest.raises(SpaceError, match="three positive numbers"):
        conform((3, 4, 5), ONE, spacing)


def test_refuses_a_scan_in_the_wrong_unit() -> None:
    with pytest.raises(SpaceError, match=r"too large to be laid out .*: is its affine in mm"):
        conform((256, 256, 256), (1000.0, 1000.0, 1000.0), ONE)
    for size in (1e-3, 1e-6):
        with pytest.raises(SpaceError, match=r"too finely sampled to be laid out .*: is its affine in mm"):
            conform((256, 256, 256), (size, size, size), ONE)
    assert conform((40, 40, 1), (0.02, 0.02, 9.0), ONE).shape == (1, 1, 9)


def test_refuses_another_stack() -> None:
    plan = conform((3, 4, 5), ONE, ONE)
    with pytest.raises(InputError, match=r"\(3, 4, 5\) is expected"):
        plan.resample(np.zeros((4, 3, 5)))
    with pytest.raises(InputError, match=r"\(3, 4, 5\) is expected"):
        plan.resample_labels(np.zeros((3, 4)))
