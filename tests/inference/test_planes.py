"""Several planes asked together: on the same grid, better with each, and never left for right."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage

from napari_scse.errors import InputError, RunError
from napari_scse.events import SliceDone, drain
from napari_scse.inference import grow, open_session, segment
from napari_scse.inference.scan import Scan
from napari_scse.inference.segmentation import NO_SIDES
from napari_scse.inference.votes import Votes
from napari_scse.runs import Model, Run, is_taken, list_models, load_model, load_run
from napari_scse.sides import merge_sides
from napari_scse.slices import Plane
from napari_scse.structures import FREESURFER27
from napari_scse.volume import Volume, same_grid

MakeRun = Callable[..., Run]


@pytest.fixture
def tiny_model(tiny_run: MakeRun) -> Callable[..., Model]:
    """A maker of models of small random networks; the sagittal one does not know the sides."""

    def make(**options: object) -> Model:
        runs = [tiny_run(name=f"head-{plane}", plane=plane, **options) for plane in ("coronal", "axial")]
        merged = merge_sides(FREESURFER27)
        runs.append(tiny_run(name="head-sagittal", plane="sagittal", structures=merged, **options))
        return Model("head", tuple(runs))

    return make


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.8, 1.0, 2.2)])
def test_planes_that_agree_give_what_one_gives(
    threshold_run: MakeRun, ball: Volume, spacing: tuple[float, float, float]
) -> None:
    scan = Volume(ball.data, ball.affine @ np.diag((*spacing, 1.0)))
    runs = tuple(threshold_run(plane=str(plane), name=f"t-{plane}", canvas=(40, 40)) for plane in Plane)
    one = drain(segment(scan, runs[0])).labels
    three = drain(segment(scan, Model("t", runs))).labels
    assert same_grid(three, scan)
    assert {0, 2, 3} == set(np.unique(three.data))
    assert (three.data == one.data).mean() > 0.995


def test_organs_apart_from_each_other_are_labelled_in_every_plane(threshold_run: MakeRun) -> None:
    data = np.zeros((40, 40, 80), np.float32)
    grid = np.indices(data.shape).astype(float)
    for height, radius in ((20, 14), (64, 10)):
        data[sum((g - c) ** 2 for g, c in zip(grid, (20, 20, height), strict=True)) < radius**2] = 1
    scan, planes = Volume(data, np.eye(4)), ("coronal", "axial")
    runs = tuple(threshold_run(plane=plane, name=f"organs-{plane}", canvas=(90, 50)) for plane in planes)
    for model in (runs[0], runs[1], Model("organs", runs)):
        labels = drain(segment(scan, model, mirror=False)).labels.data
        np.testing.assert_array_equal(labels > 0, data > 0)


@pytest.fixture
def ball() -> Volume:
    """A bright ball in a less bright one, off centre, in LIA order."""
    grid = np.indices((34, 38, 30)).astype(float)
    radius = np.sqrt(sum((g - c) ** 2 for g, c in zip(grid, (15, 20, 14), strict=True)))
    data = np.clip(13 - radius, 0, 1) * 90 + np.clip(7 - radius, 0, 1) * 60
    return Volume(data.astype(np.float32), np.array([[-1.0, 0, 0, 9], [0, 0, 1, -7], [0, -1, 0, 8], [0, 0, 0, 1]]))


def test_labels_grow_plane_by_plane_and_cancelling_keeps_those_so_far(
    tiny_model: Callable[..., Model], scan: Volume
) -> None:
    model = tiny_model(epochs=1)
    work = segment(scan, model)
    kept = np.zeros(scan.shape, np.uint8)
    for event in work:
        if isinstance(event, SliceDone):
            kept[event.index] = event.labels
            if event.done == scan.shape[2]:  # all coronal slices
                break
    work.close()
    assert event.total == sum(scan.shape)
    alone = drain(segment(scan, model.runs[0])).labels.data
    assert (kept == alone).mean() > 0.99  # but for islands, which go at the end
    assert (drain(segment(scan, model)).labels.data != alone).mean() > 0.01


def test_the_same_head_gets_the_same_labels_in_any_orientation(
    tiny_model: Callable[..., Model], scan: Volume, turn: Callable[..., Volume]
) -> None:
    small = Volume(scan.data[4:26, 3:20, 5:23], scan.affine)
    model = tiny_model(epochs=1, canvas=(16, 12), depth=1)
    wanted = drain(segment(small, model, mirror=False, uncertainty=True))
    assert wanted.uncertainty is not None
    for order, flips in zip(itertools.permutations(range(3)), itertools.product((False, True), repeat=3), strict=False):
        turned = drain(segment(turn(small, order, flips), model, mirror=False, uncertainty=True))
        np.testing.assert_array_equal(turned.labels.data, turn(wanted.labels, order, flips).data)
        assert turned.uncertainty is not None
        np.testing.assert_allclose(turned.uncertainty.data, turn(wanted.uncertainty, order, flips).data, atol=1e-6)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.8, 1.1, 1.3)])
def test_uncertainty_lies_between_none_and_all_and_outside_there_is_none(
    threshold_run: MakeRun, ball: Volume, spacing: tuple[float, float, float]
) -> None:
    scan = Volume(ball.data, ball.affine @ np.diag((*spacing, 1.0)))
    found = drain(segment(scan, threshold_run(canvas=(40, 40)), uncertainty=True))
    unsure = found.uncertainty
    assert unsure is not None
    assert same_grid(unsure, scan)
    assert unsure.data.dtype == np.float32
    assert 0 <= unsure.data.min() < 1e-3 < 0.2 < unsure.data.max() <= 1
    assert unsure.data[~ndimage.binary_dilation(scan.data > 0, iterations=3)].max() < 0.01
    assert unsure.data[15, 20, 14] < 0.01  # the middle of the inner ball
    assert drain(segment(scan, threshold_run(canvas=(40, 40)))).uncertainty is None


def test_what_a_sagittal_plane_gives_is_divided_as_the_others_have_the_sides(
    tiny_model: Callable[..., Model], scan: Volume
) -> None:
    coronal, _, sagittal = (Scan.of(scan, run.config) for run in tiny_model(epochs=1).runs)
    votes = Votes(coronal)
    names = [c.name for c in coronal.config.classes]
    left, right = names.index("Left-Hippocampus"), names.index("Right-Hippocampus")
    own = torch.zeros(28, *coronal.conformation.shape[1:])
    own[left], own[right], own[0] = 0.6, 0.2, 0.2
    ballot = votes.ballot(coronal)
    for number in range(coronal.conformation.shape[0]):
        ballot.join(number, own)
    votes.close(coronal)
    said = torch.zeros(16, *sagittal.conformation.shape[1:])
    said[[c.name for c in sagittal.config.classes].index("Hippocampus")] = 1
    fused = votes.ballot(sagittal).join(5, said)
    torch.testing.assert_close(fused.sum(0), torch.ones(fused.shape[1:]), atol=1e-5, rtol=0)
    weight = 0.2 / 0.6
    expected = (1 - weight) * 0.6 + weight * 0.75, (1 - weight) * 0.2 + weight * 0.25
    for place, value in zip((left, right), expected, strict=True):
        torch.testing.assert_close(fused[place], torch.full(fused.shape[1:], value), atol=0.01, rtol=0)


def test_a_plane_weighs_what_its_run_says(tiny_run: MakeRun, scan: Volume) -> None:
    def mean(coronal: float | None, axial: float | None) -> tuple[float, float]:
        votes, found = Votes(scans[0]), torch.empty(0)
        for number, (laid_out, vote) in enumerate(zip(scans, (coronal, axial), strict=True)):
            voting = replace(laid_out, config=replace(laid_out.config, vote=vote))
            own = torch.zeros(28, *laid_out.conformation.shape[1:])
            own[1 + number] = 1  # each plane is sure of another structure
            ballot = votes.ballot(voting)
            for place in range(laid_out.conformation.shape[0]):
                found = ballot.join(place, own)
            votes.close(voting)
        return float(found[1].mean()), float(found[2].mean())

    runs = [tiny_run(name=f"head-{plane}", plane=plane, epochs=1) for plane in ("coronal", "axial")]
    scans = [Scan.of(scan, run.config) for run in runs]
    assert mean(None, None) == pytest.approx((0.5, 0.5), abs=0.01)
    assert mean(0.7, 0.3) == pytest.approx((0.7, 0.3), abs=0.01)
    assert mean(1.0, None) == pytest.approx((1 / 1.4, 0.4 / 1.4), abs=0.01)


def test_each_plane_gets_the_brightness_that_it_was_trained_with(tiny_run: MakeRun, scan: Volume) -> None:
    first, other = tiny_run(name="b-coronal"), tiny_run(name="b-axial", plane="axial")
    data = json.loads((other.path / "run.json").read_text())
    data["intensity"]["labelled_median"] = 2.5
    (other.path / "run.json").write_text(json.dumps(data))
    session = drain(open_session(scan, Model("b", (first, Run(other.path)))))
    drain(grow(session))
    gains = [session.turn(plane).location for plane in (Plane.CORONAL, Plane.AXIAL)]
    assert gains[0] is not None
    assert gains[1] is not None
    assert gains[1].gain == pytest.approx(2.5 * gains[0].gain)


def test_planes_are_chosen(tiny_model: Callable[..., Model], scan: Volume) -> None:
    model = tiny_model(epochs=1)
    assert model.planes == ("coronal", "axial", "sagittal")
    chosen = drain(segment(scan, model, planes=["axial"])).labels.data
    np.testing.assert_array_equal(chosen, drain(segment(scan, model.runs[1])).labels.data)
    with pytest.raises(InputError, match="has runs for coronal, axial, not for sagittal"):
        drain(segment(scan, model.select(["axial", "coronal"]), planes=["sagittal"]))
    with pytest.raises(InputError, match="no plane at all"):
        model.select([])
    with pytest.raises(InputError, match="cannot be mirrored"):
        drain(segment(scan, model, planes=["sagittal"], mirror=True))


def test_sagittal_slices_alone_say_that_they_know_no_sides(tiny_model: Callable[..., Model], scan: Volume) -> None:
    model = tiny_model(epochs=1)
    assert NO_SIDES in drain(segment(scan, model, planes=["sagittal"])).messages
    assert NO_SIDES not in drain(segment(scan, model)).messages


def test_runs_of_different_things_are_no_model(tiny_run: MakeRun) -> None:
    head, eye = tiny_run(name="a"), tiny_run(name="b", plane="axial", structures=FREESURFER27[:3])
    with pytest.raises(RunError, match="do not label the same"):
        Model("both", (head, eye))
    with pytest.raises(RunError, match="same spacing"):
        Model("both", (head, tiny_run(name="c", plane="axial", spacing=(1.0, 1.0, 2.0))))


def test_models_are_found_by_name_and_by_path(
    tiny_model: Callable[..., Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tiny_model(epochs=1)
    folder = made.runs[0].path.parent
    found = load_model(folder / "head")
    assert (found.name, found.planes) == ("head", made.planes)
    assert load_model(folder / "head-axial").planes == ("axial",)
    assert load_model("brain-t1-coronal").runs[0].path == load_run("brain-t1-coronal").path
    monkeypatch.setattr("napari_scse.runs.catalogue.BUNDLED", folder)
    assert [(m.name, m.planes) for m in list_models()] == [("head", made.planes)]
    assert load_model("head").planes == made.planes
    with pytest.raises(RunError, match="no run called 'nowhere'"):
        load_model("nowhere")
    with pytest.raises(RunError, match="several planes; name one of its runs: head-coronal, head-axial, head-sagittal"):
        load_run("head")
    assert is_taken("head")
    assert not is_taken("heads")


def test_a_folder_is_not_taken_for_a_model_of_its_name(
    tiny_model: Callable[..., Model], tiny_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tiny_model(epochs=1)
    monkeypatch.setattr("napari_scse.runs.catalogue.BUNDLED", made.runs[0].path.parent)
    monkeypatch.chdir(tmp_path)
    there = tiny_run(name="head", folder=tmp_path)
    assert load_model("head").planes == made.planes
    assert load_model("./head").runs[0].path.resolve() == there.path
