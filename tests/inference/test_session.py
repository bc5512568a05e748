"""A session labels any slices in any order, forgets nothing, and comes to the same labels as one that goes in order."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from napari_scse.errors import DeviceError, InputError
from napari_scse.events import Progress, SliceDone, drain
from napari_scse.inference import Region, Session, grow, open_session, segment
from napari_scse.inference.growth import Where
from napari_scse.runs import Model, Run
from napari_scse.sides import merge_sides
from napari_scse.slices import Plane, cut
from napari_scse.structures import FREESURFER27
from napari_scse.volume import Volume

MakeRun = Callable[..., Run]
SPACINGS = [(1.0, 1.0, 1.0), (0.8, 1.1, 1.9), (1.9, 1.2, 0.55)]  # the last axis goes through coronal slices
INSIDE = Region((4, 3, 9), (20, 19, 17))


@pytest.fixture
def noise(scan: Volume) -> Volume:
    """Something that random networks see structures in."""
    return Volume(np.random.default_rng(1).random((26, 22, 30), np.float32), scan.affine)


def spaced(volume: Volume, spacing: tuple[float, float, float]) -> Volume:
    return Volume(volume.data, volume.affine @ np.diag((*(np.array(spacing) / volume.spacing), 1.0)))


def wander(volume: Volume, seed: int = 0) -> Where:
    """A user who looks elsewhere every time."""
    rng = np.random.default_rng(seed)

    def where() -> tuple[float, float, float]:
        x, y, z = (volume.affine @ (*(rng.random(3) * volume.shape), 1.0))[:3].tolist()
        return x, y, z

    return where


def at(volume: Volume, number: int, plane: Plane = Plane.CORONAL) -> Where:
    """A user who looks at one slice."""
    x, y, z = (cut(volume, plane).geometry.stack_affine @ (number, 3, 3, 1))[:3].tolist()
    return lambda: (x, y, z)


def collect(
    session: Session, where: Where | None = None, stop: int | None = None, **options: object
) -> tuple[np.ndarray, list[SliceDone]]:
    """What the events make up, and the events; `stop` cancels after so many slices."""
    painted = np.full(session.volume.shape, 255, np.uint8)
    told: list[SliceDone] = []
    work = grow(session, where, **options)  # type: ignore[arg-type]
    for event in work:
        if isinstance(event, SliceDone):
            painted[event.index] = event.labels
            told.append(event)
            if stop is not None and sum(not e.provisional for e in told) == stop:
                break
    work.close()
    return painted, told


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize("smoothing", [(0, 0, 0), (0.25, 0.25, 0.25)])
@pytest.mark.parametrize("uncertainty", [False, True])
def test_the_labels_do_not_depend_on_the_order(
    tiny_run: MakeRun,
    noise: Volume,
    spacing: tuple[float, float, float],
    batch_size: int,
    uncertainty: bool,
    smoothing: tuple[float, float, float],
) -> None:
    volume, run = spaced(noise, spacing), tiny_run(epochs=1, smoothing=smoothing)
    options = {"batch_size": batch_size, "uncertainty": uncertainty, "device": "cpu"}
    wanted = drain(segment(volume, run, **options))
    assert len(np.unique(wanted.labels.data)) > 1
    for seed in range(2):
        with drain(open_session(volume, run, **options)) as session:
            painted, told = collect(session, wander(volume, seed))
            np.testing.assert_array_equal(painted, wanted.labels.data)
            np.testing.assert_array_equal(session.labels, painted)
            assert session.finished
            numbers = [e.done for e in told if not e.provisional][: volume.shape[2]]
            assert numbers == list(range(1, volume.shape[2] + 1))
            if wanted.uncertainty is not None:
                np.testing.assert_array_equal(session.uncertainty, wanted.uncertainty.data)


@pytest.mark.parametrize("smoothing", [(0, 0, 0), (0.25, 0.25, 0.25)])
@pytest.mark.parametrize("spacing", SPACINGS)
def test_going_on_equals_never_having_stopped(
    tiny_run: MakeRun, noise: Volume, spacing: tuple[float, float, float], smoothing: tuple[float, float, float]
) -> None:
    volume, run = spaced(noise, spacing), tiny_run(epochs=1, smoothing=smoothing)
    wanted = drain(segment(volume, run)).labels.data
    with drain(open_session(volume, run)) as session:
        painted, told = collect(session, at(volume, 15), stop=1)
        assert any(isinstance(event, Progress) for event in grow(session)) is False  # located, once
        session.forget()
        for stop in (3, 4, 11, None):
            known = int(session.turn(Plane.CORONAL).known.sum())
            painted, told = collect(session, wander(volume), stop=stop)
            assert all(event.done >= known for event in told)  # it does not count from 0 again
            assert not any(event.provisional and event.done == event.total for event in told)
        np.testing.assert_array_equal(painted, wanted)
        asked = session.turn(Plane.CORONAL).executor.network
        calls: list[object] = []
        asked.register_forward_pre_hook(lambda *_: calls.append(1))
        again, _ = collect(session, wander(volume))
        np.testing.assert_array_equal(again, wanted)
        assert not calls  # all of it was remembered


def test_the_slice_that_is_looked_at_comes_first_and_the_front_moves(tiny_run: MakeRun, noise: Volume) -> None:
    noise, run = spaced(noise, (1.0, 1.0, 1.0)), tiny_run(epochs=1)
    where = {"is": at(noise, 20)}
    with drain(open_session(noise, run, batch_size=1)) as session:
        numbers = []
        provisional = []
        for event in grow(session, lambda: where["is"]()):
            if isinstance(event, SliceDone):
                number = cut(noise, Plane.CORONAL).geometry.number(int(event.index[2]))  # type: ignore[call-overload]
                (provisional if event.provisional else numbers).append(number)
                if len(numbers) == 3:
                    where["is"] = at(noise, 5)
    assert numbers[0] == 20
    assert set(numbers[:3]) == {19, 20, 21}
    assert set(numbers[3:6]) == {4, 5, 6}
    assert numbers[3] == 5
    assert sorted(numbers[: noise.shape[2]]) == list(range(noise.shape[2]))
    assert provisional[0] == 20  # before anything is located
    assert 5 in provisional  # one pass, before that of the mirrored slice


def test_a_first_guess_needs_one_pass_and_is_told_before_anything_is_located(tiny_run: MakeRun, noise: Volume) -> None:
    with drain(open_session(noise, tiny_run(epochs=1))) as session:
        calls: list[object] = []
        session.turn(Plane.CORONAL).executor.network.register_forward_pre_hook(lambda *_: calls.append(1))
        first = next(iter(grow(session, at(noise, 11))))
        assert isinstance(first, SliceDone)
        assert first.provisional
        assert first.done == 0
        assert first.labels.any()
        assert len(calls) == 1


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("plane", list(Plane))
def test_a_region_delivers_exactly_the_region(
    tiny_run: MakeRun, noise: Volume, spacing: tuple[float, float, float], plane: Plane
) -> None:
    volume, run = spaced(noise, spacing), tiny_run(epochs=1, plane=plane)
    with drain(open_session(volume, run)) as session:
        whole, told = collect(session)
        count = volume.shape[cut(volume, plane).geometry.axes[0]]
        wanted = np.full(volume.shape, 255, np.uint8)
        for event in told[:count]:  # before islands were removed
            wanted[event.index] = event.labels
    wanted[~inside(volume)] = 255
    with drain(open_session(volume, run)) as session:
        painted, told = collect(session, wander(volume), region=INSIDE)
        np.testing.assert_array_equal(painted, wanted)
        assert not session.finished
        along = cut(volume, plane).geometry.axes[0]
        assert told[-1].done == told[-1].total == INSIDE.stop[along] - INSIDE.start[along]
        everything, _ = collect(session, wander(volume))  # wider: what is known is not asked again
        np.testing.assert_array_equal(everything, whole)


def inside(volume: Volume) -> np.ndarray:
    box = np.zeros(volume.shape, bool)
    box[tuple(slice(a, b) for a, b in zip(INSIDE.start, INSIDE.stop, strict=True))] = True
    return box


def test_after_an_error_in_the_coarse_pass_the_next_attempt_begins_anew(
    tiny_run: MakeRun, noise: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = drain(open_session(noise, tiny_run()))
    executor = session.turn(Plane.CORONAL).executor

    def full(_: object) -> torch.Tensor:
        raise DeviceError("The memory is full.")

    with monkeypatch.context() as patch:
        patch.setattr(executor, "run", full)
        with pytest.raises(DeviceError, match="full"):
            drain(grow(session))
    drain(grow(session))
    np.testing.assert_array_equal(session.labels, drain(segment(noise, tiny_run(name="other"))).labels.data)


def test_a_region_beside_the_scan_is_refused(tiny_run: MakeRun, noise: Volume) -> None:
    with drain(open_session(noise, tiny_run(epochs=1))) as session, pytest.raises(InputError, match="holds no voxel"):
        drain(grow(session, region=Region((0, 0, 40), (9, 9, 50))))


def test_only_what_is_looked_at_is_labelled_and_told_once(tiny_run: MakeRun, noise: Volume) -> None:
    noise = spaced(noise, (1.0, 1.0, 1.0))
    geometry = cut(noise, Plane.CORONAL).geometry
    axial = Region((0, 7, 0), (26, 8, 30))  # crosses every coronal slice
    with drain(open_session(noise, tiny_run(epochs=1), batch_size=1)) as session:
        told: set[int] = set()
        for number in (9, 9, 12):
            index = int(geometry.index(number)[2])  # type: ignore[call-overload]
            shown = Region((0, 0, index), (26, 22, index + 1))
            _, events = collect(session, at(noise, number), only=lambda shown=shown: shown, told=told, revise=False)
            final = [event for event in events if not event.provisional]
            assert len(final) == (0 if number == 9 and len(told) == 1 and not final else 1)
        assert told == {9, 12}
        assert int(session.turn(Plane.CORONAL).known.sum()) == 2
        _, events = collect(session, at(noise, 9), only=lambda: axial, told=told, revise=False)
        assert len([event for event in events if not event.provisional]) == 28
        assert all(event.labels.shape == (26, 22) for event in events)


@pytest.fixture(params=[0.0, 0.25], ids=["plain", "smooth"])
def three(tiny_run: MakeRun, request: pytest.FixtureRequest) -> Model:
    """A model of three planes; the sagittal one does not know the sides."""
    same = {"epochs": 1, "smoothing": (request.param,) * 3}
    runs = [tiny_run(name=f"h-{plane}", plane=plane, **same) for plane in ("coronal", "axial")]
    merged = merge_sides(FREESURFER27)
    return Model("h", (*runs, tiny_run(name="h-sagittal", plane="sagittal", structures=merged, **same)))


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.8, 1.1, 1.9)])
def test_three_planes_in_any_order_of_slices(three: Model, noise: Volume, spacing: tuple[float, float, float]) -> None:
    volume = spaced(noise, spacing)
    wanted = drain(segment(volume, three, mirror=False)).labels.data
    with drain(open_session(volume, three, mirror=False)) as session:
        for stop in (7, 40, 61, None):
            painted, _ = collect(session, wander(volume), stop=stop)
        np.testing.assert_array_equal(painted, wanted)
        part, _ = collect(session, region=INSIDE)
        assert (part[inside(volume)] != 255).all()
        assert (part[~inside(volume)] == 255).all()


def test_the_plane_on_screen_is_asked_first(three: Model, noise: Volume) -> None:
    alone = drain(segment(noise, three.runs[1], mirror=False))
    wanted = drain(segment(noise, three, mirror=False)).labels.data
    with drain(open_session(noise, three, mirror=False)) as session:
        session.begin_with(Plane.SAGITTAL)  # it does not tell left from right
        assert session.order == ("coronal", "axial", "sagittal")
        session.begin_with(Plane.AXIAL)
        assert session.order == ("axial", "coronal", "sagittal")
        painted, _ = collect(session, stop=noise.shape[1])
        assert np.mean(painted == alone.labels.data) > 0.99  # but for islands
        session.begin_with(Plane.CORONAL)  # too late
        assert session.order[0] == "axial"
        painted, _ = collect(session)
        assert np.mean(painted == wanted) > 0.97  # the order changes what was rounded
        session.begin_with(Plane.CORONAL, anew=True)
        assert session.order[0] == "coronal"
        np.testing.assert_array_equal(collect(session)[0], wanted)


@pytest.mark.parametrize("spacing", SPACINGS[:2])
def test_a_network_is_exchanged_and_scan_and_location_stay(
    tiny_run: MakeRun, noise: Volume, spacing: tuple[float, float, float]
) -> None:
    volume, run = spaced(noise, spacing), tiny_run(epochs=2)
    first = drain(segment(volume, run, epoch=1)).labels.data
    with drain(open_session(volume, run, epoch=1)) as session:
        collect(session)
        before = session.turn(Plane.CORONAL)
        session.replace_network(run.network(2))
        after = session.turn(Plane.CORONAL)
        assert after.scan.data is before.scan.data
        assert after.location == before.location
        assert not session.labels.any()
        other, told = collect(session, wander(volume))
        assert not np.array_equal(other, first)
        assert told[0].index[2] is not None
        session.replace_network(run.network(1))
        np.testing.assert_array_equal(collect(session, wander(volume))[0], first)


def test_the_next_session_takes_over_what_is_the_same(tiny_run: MakeRun, noise: Volume) -> None:
    run, other = tiny_run(epochs=2), tiny_run(name="other", epochs=1)
    session = drain(open_session(noise, run, epoch=1))
    collect(session)
    same = drain(open_session(Volume(noise.data, noise.affine), run, epoch=1, after=session))
    assert same is session
    kept = session.turn(Plane.CORONAL)
    moved = drain(open_session(noise, run, epoch=2, after=session))
    assert moved.turn(Plane.CORONAL).scan.data is kept.scan.data
    wanted = drain(segment(noise, run, epoch=2)).labels.data
    np.testing.assert_array_equal(collect(moved, at(noise, 12))[0], wanted)
    back = drain(open_session(noise, run, epoch=1, after=moved))
    assert back.turn(Plane.CORONAL).location == kept.location  # remembered
    noise.data[3:9, 4:9, 10:20] += 2  # painted into the very array
    changed = drain(open_session(noise, run, epoch=1, after=back))
    assert changed is not back
    assert changed.turn(Plane.CORONAL).executor is back.turn(Plane.CORONAL).executor
    np.testing.assert_array_equal(collect(changed)[0], drain(segment(noise, run, epoch=1)).labels.data)
    run.save_epoch(1, other.network(1), {"loss": 1.0, "validation_dice": 0.5})  # trained on
    with drain(open_session(noise, run, epoch=1, after=changed)) as fresh:
        np.testing.assert_array_equal(collect(fresh)[0], drain(segment(noise, run, epoch=1)).labels.data)


def test_a_session_with_exchanged_networks_is_found_again(scan: Volume, tiny_run: Callable[..., Run]) -> None:
    run = tiny_run(epochs=2)
    networks = {Plane.CORONAL: run.network(1)}
    with drain(open_session(scan, run, epoch=2)) as own:
        own_labels = _fill(own)
        taught = drain(open_session(scan, run, epoch=2, networks=networks, after=own))
        assert taught is not own
        labels = _fill(taught)
        assert drain(open_session(scan, run, epoch=2, networks=networks, after=taught)) is taught
        others = {Plane.CORONAL: run.network(1)}
        assert drain(open_session(scan, run, epoch=2, networks=others, after=taught)) is not taught
        again = drain(open_session(scan, run, epoch=2, after=taught))
        np.testing.assert_array_equal(_fill(again), own_labels)
    assert np.any(labels != own_labels)


def _fill(session: Session) -> np.ndarray:
    list(grow(session))
    return session.labels.copy()
