from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from napari_scse import images
from napari_scse.errors import InputError, RunError
from napari_scse.events import EpochDone, Message, StepDone, drain
from napari_scse.nn.architectures import NetworkConfig
from napari_scse.runs import Intensity, Run, create_run
from napari_scse.runs.weights import load_tensors
from napari_scse.slices import Plane
from napari_scse.structures import Structure
from napari_scse.training import TrainConfig, train
from napari_scse.training.steps import make_optimizer, set_rate
from napari_scse.training.subjects import find_files, find_structures, make_subject
from napari_scse.volume import LabelVolume, Volume

Maker = Callable[..., TrainConfig]


def same_weights(a: Run, b: Run, epoch: int) -> bool:
    first, second = load_tensors(a.checkpoint(epoch)), load_tensors(b.checkpoint(epoch))
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


def test_a_run_is_complete(tiny_training: Maker) -> None:
    events: list[Any] = []
    config = tiny_training(command="napari-scse train --out run")
    run = drain(train(config), events.append)
    assert run.epochs == (1, 2, 3)
    assert [m["epoch"] for m in run.metrics()] == [1, 2, 3]
    assert {"loss", "validation_loss", "validation_dice", "seconds"} <= run.metrics()[0].keys()
    assert len([e for e in events if isinstance(e, StepDone)]) == 6
    assert [e.epoch for e in events if isinstance(e, EpochDone)] == [1, 2, 3]
    assert any("validating on b" in e.text for e in events if isinstance(e, Message))
    described = json.loads((run.path / "run.json").read_text())
    assert described["command"] == "napari-scse train --out run"
    assert set(described["data"]) == {"a.nii.gz", "b.nii.gz"}
    assert len(described["data"]["a.nii.gz"]) == 64
    assert described["training"]["optimizer"] == "sgd"
    assert {"torch", "numpy", "napari-scse"} <= described["versions"].keys()
    assert len(described["classes"]) == 28
    assert set(described["sizes"]) == {"2", "3", "41", "42"}
    assert described["sizes"]["2"]["mm3"] == pytest.approx(described["sizes"]["41"]["mm3"], rel=0.05)
    assert str(config.out.parent) not in (run.path / "run.json").read_text()


def test_the_loss_falls_and_the_dice_rises(tiny_training: Maker) -> None:
    config = tiny_training(
        network=NetworkConfig.preset("sd-net", maps=8, depth=2, kernel=(5, 5), excitation="sse"),
        canvas=(32, 40),
        epochs=2,
        slices=128,
        optimizer="adamw",
        learning_rate=0.01,
        dice_weight=1.0,
        weight_power=0.5,
    )
    metrics = drain(train(config)).metrics()
    assert metrics[-1]["loss"] < 0.8 * metrics[0]["loss"]
    assert metrics[-1]["validation_dice"] > metrics[0]["validation_dice"]


@pytest.mark.parametrize("changes", [{}, {"optimizer": "adamw", "schedule": "one-cycle", "neighbours": 1}])
def test_resuming_gives_the_weights_of_an_uninterrupted_training(tiny_training: Maker, changes: dict[str, Any]) -> None:
    whole = drain(train(tiny_training("whole", **changes)))
    work = train(tiny_training("cut", **changes))
    for event in work:
        if isinstance(event, StepDone) and event.epoch == 3:
            work.close()  # killed within the third epoch
    assert Run(tiny_training("cut").out).epochs == (1, 2)
    resumed = drain(train(tiny_training("cut", **changes), resume=True))
    assert all(same_weights(whole, resumed, e) for e in (1, 2, 3))
    strip = [{k: v for k, v in m.items() if k != "seconds"} for m in whole.metrics()]
    assert [{k: v for k, v in m.items() if k != "seconds"} for m in resumed.metrics()] == strip


def test_a_kill_between_checkpoint_and_resume_state_repeats_that_epoch(tiny_training: Maker) -> None:
    whole = drain(train(tiny_training("whole")))
    work = train(tiny_training("cut"))
    for event in work:
        if isinstance(event, EpochDone) and event.epoch == 2:
            state = (tiny_training("cut").out / "resume.safetensors").read_bytes()
        if isinstance(event, EpochDone) and event.epoch == 3:
            break
    work.close()
    (tiny_training("cut").out / "resume.safetensors").write_bytes(state)  # epoch 3 was saved, its resume state not yet
    resumed = drain(train(tiny_training("cut"), resume=True))
    assert [m["epoch"] for m in resumed.metrics()] == [1, 2, 3]
    assert same_weights(whole, resumed, 3)


def test_a_kill_while_the_first_epoch_is_written_loses_that_epoch_only(tiny_training: Maker) -> None:
    whole = drain(train(tiny_training("whole", epochs=1)))
    work = train(tiny_training("cut", epochs=1))
    next(event for event in work if isinstance(event, EpochDone))
    work.close()
    cut = tiny_training("cut", epochs=1)
    (cut.out / "epoch-0001.safetensors").unlink()  # its resume state is written before it
    (cut.out / ".half.part.safetensors").touch()
    assert same_weights(whole, drain(train(cut, resume=True)), 1)
    assert not list(cut.out.glob(".*"))
    (cut.out / "metrics.jsonl").unlink()  # written after both
    assert [line["epoch"] for line in drain(train(cut, resume=True)).metrics()] == [1]


def test_a_training_is_resumed_that_was_begun_before_there_was_an_option(tiny_training: Maker) -> None:
    run = drain(train(tiny_training(epochs=1)))
    file = run.path / "run.json"
    data = json.loads(file.read_text())
    del data["training"]["synthesis"]["control_points"]
    file.write_text(json.dumps(data))
    assert drain(train(tiny_training(epochs=2), resume=True)).epochs == (1, 2)
    data["training"]["synthesis"]["contrast"] = 3.0
    file.write_text(json.dumps(data))
    with pytest.raises(RunError, match="another synthesis"):
        drain(train(tiny_training(epochs=3), resume=True))


def test_a_training_can_start_from_another_runs_weights(tiny_training: Maker) -> None:
    start = drain(train(tiny_training("start", epochs=1)))
    still = drain(train(tiny_training("still", epochs=1, init=str(start.path), learning_rate=0.0)))
    first, second = (load_tensors(run.checkpoint(1)) for run in (start, still))
    assert all(torch.equal(first[k], second[k]) for k in first if "running" not in k and "tracked" not in k)
    with pytest.raises(RunError, match="do not fit"):
        drain(train(tiny_training("other", epochs=1, init=str(start.path), neighbours=1)))


def test_a_training_can_start_from_a_run_that_learnt_from_strokes(tiny_training: Maker) -> None:
    start = drain(train(tiny_training("start", epochs=1)))
    network = start.network()
    network.keep_from(start.network(), [(0, 1)])
    taught = create_run(start.path.parent / "taught", replace(start.config, network=network.config))
    taught.save_epoch(1, network, {"loss": 1.0})
    still = drain(train(tiny_training("still", epochs=1, init=str(taught.path), learning_rate=0.0)))
    assert still.config.network == start.config.network
    first, second = (load_tensors(run.checkpoint(1)) for run in (start, still))
    assert all(torch.equal(first[k], second[k]) for k in first if "running" not in k and "tracked" not in k)


def test_sagittal_slices_learn_both_sides_as_one_and_start_from_a_run_that_tells_them_apart(
    tiny_training: Maker,
) -> None:
    start = drain(train(tiny_training("start", epochs=1)))
    run = drain(train(tiny_training("side", epochs=1, init=str(start.path), plane=Plane.SAGITTAL, learning_rate=0.0)))
    names = [c.name for c in run.config.classes]
    assert len(names) == 16
    assert {"Background", "Hippocampus", "Brain-Stem"} <= set(names)
    assert not [n for n in names if "Left" in n or "Right" in n]
    first, second = (load_tensors(r.checkpoint(1)) for r in (start, run))
    kept = [k for k in first if not k.startswith("classifier.") and "running" not in k and "tracked" not in k]
    assert all(torch.equal(first[k], second[k]) for k in kept)
    assert second["classifier.conv.weight"].shape[0] == 16


def test_the_sides_of_a_structure_have_all_of_its_pixels_on_sagittal_slices(
    tiny_training: Maker, label_map: LabelVolume
) -> None:
    config = tiny_training(plane=Plane.SAGITTAL, canvas=(64, 64))
    files = find_files(config)
    structures = find_structures(config, files)
    pixels, _ = make_subject(config, structures, "a", files["a"], torch.device("cpu")).class_pixels()
    both = {2: (2, 41), 3: (3, 42)}
    for index, structure in enumerate(structures, start=1):
        assert pixels[index] == np.isin(label_map.data, both.get(structure.value, structure.value)).sum()


def test_a_training_goes_on_without_the_run_that_it_began_with(tiny_training: Maker, tmp_path: Path) -> None:
    start = drain(train(tiny_training("start", epochs=1)))
    config = tiny_training("next", init=str(start.path))
    events = train(config)
    for event in events:
        if isinstance(event, EpochDone):
            break
    events.close()
    start.path.rename(tmp_path / "elsewhere")
    run = drain(train(replace(config, init=str(tmp_path / "elsewhere")), resume=True))
    assert run.epochs == (1, 2, 3)
    with pytest.raises(RunError, match="another intensity"):
        drain(train(replace(config, intensity=Intensity(clip=2.0)), resume=True))


def test_another_seed_gives_another_network(tiny_training: Maker) -> None:
    first, second = (drain(train(tiny_training(f"s{seed}", seed=seed, epochs=1))) for seed in (1, 2))
    assert not same_weights(first, second, 1)


def test_pairs_train_too(tiny_training: Maker, pairs: tuple[Path, Path]) -> None:
    run = drain(train(tiny_training(label_maps=None, images=pairs[0], labels=pairs[1], epochs=1)))
    assert set(run.config.data) == {"images/one.mgz", "labels/one.nii", "images/two.mgz", "labels/two.nii"}
    assert run.epochs == (1,)


def test_pairs_with_other_labels_learn_what_they_hold(tiny_training: Maker, pairs: tuple[Path, Path]) -> None:
    for file in pairs[1].iterdir():
        labels = images.read_labels(file)
        images.write_labels(file, LabelVolume(np.where(labels.data == 2, 301, labels.data > 500), labels.affine))
    run = drain(train(tiny_training(label_maps=None, images=pairs[0], labels=pairs[1], epochs=1)))
    assert [(c.value, c.name) for c in run.config.classes] == [(0, "Background"), (1, "Label 1"), (301, "Label 301")]
    assert run.config.values.dtype == np.uint16
    assert run.config.network.classes == 3
    assert len({c.color for c in run.config.classes}) == 3


def test_a_mask_is_a_label_of_its_own_and_no_white_matter(tiny_training: Maker, pairs: tuple[Path, Path]) -> None:
    for file in pairs[1].iterdir():
        labels = images.read_labels(file)
        images.write_labels(file, LabelVolume((labels.data > 0) * 2, labels.affine))
    config = tiny_training(label_maps=None, images=pairs[0], labels=pairs[1])
    assert [s.name for s in find_structures(config, find_files(config))] == ["Label 2"]


def test_own_structures_with_sides_learn_both_on_sagittal_slices(
    tiny_training: Maker, pairs: tuple[Path, Path]
) -> None:
    own = (Structure(2, "Left-Kidney", "#ff0000"), Structure(41, "Right-Kidney", "#00ff00"))
    config = tiny_training(
        label_maps=None, images=pairs[0], labels=pairs[1], structures=own, plane=Plane.SAGITTAL, canvas=(64, 64)
    )
    files = find_files(config)
    structures = find_structures(config, files)
    assert [s.name for s in structures] == ["Kidney"]
    pixels, _ = make_subject(config, structures, "one", files["one"], torch.device("cpu")).class_pixels()
    assert pixels[1] == np.isin(images.read_labels(files["one"][1]).data, (2, 41)).sum()


def test_a_scan_that_was_changed_is_noticed_when_resumed(
    tiny_training: Maker, pairs: tuple[Path, Path], tmp_path: Path
) -> None:
    """Scans and labels that share their names."""
    scans = tmp_path / "scans"
    scans.mkdir()
    for file in pairs[0].iterdir():
        images.write(scans / f"{file.stem}.nii", images.read(file))
    config = tiny_training(label_maps=None, images=scans, labels=pairs[1], epochs=1)
    drain(train(config))
    scan = images.read(scans / "one.nii")
    images.write(scans / "one.nii", Volume(np.asarray(scan.data) + np.float32(1), scan.affine))
    with pytest.raises(RunError, match="another data"):
        drain(train(config, resume=True))


def test_training_stops_when_the_validation_loss_no_longer_falls(tiny_training: Maker) -> None:
    events: list[Any] = []
    run = drain(train(tiny_training(epochs=20, learning_rate=0.0, patience=2)), events.append)
    assert 3 <= run.last_epoch < 20
    assert any("has not fallen" in e.text for e in events if isinstance(e, Message))
    again = drain(train(tiny_training(epochs=20, learning_rate=0.0, patience=2), resume=True), events.append)
    assert again.epochs == run.epochs


def test_the_papers_protocol_is_the_default(tiny_training: Maker) -> None:
    config = tiny_training()
    optimizer = make_optimizer(config, torch.nn.Linear(2, 2))
    assert isinstance(optimizer, torch.optim.SGD)
    rates = []
    for epoch in (0, 9, 10, 20):
        set_rate(optimizer, config, epoch * 5, 5)
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates == pytest.approx([0.01, 0.01, 0.001, 0.0001])
    group = optimizer.param_groups[0]
    assert (group["momentum"], group["weight_decay"], config.batch) == (0.95, 1e-4, 4)
    assert (config.dice_weight, config.weight_power, config.weight_limit) == (0.0, 1.0, None)


def test_one_cycle_rises_and_falls(tiny_training: Maker) -> None:
    config = tiny_training(schedule="one-cycle", epochs=10, learning_rate=1.0)
    optimizer = make_optimizer(config, torch.nn.Linear(2, 2))
    rates = []
    for step in range(100):
        set_rate(optimizer, config, step, 10)
        rates.append(optimizer.param_groups[0]["lr"])
    top = max(range(100), key=rates.__getitem__)
    assert 20 <= top <= 30
    assert rates[top] == pytest.approx(1.0, abs=0.02)
    assert rates[0] < 0.1
    assert rates[-1] < 0.01
    assert rates[top:] == sorted(rates[top:], reverse=True)


def test_what_cannot_be_trained_is_refused(tiny_training: Maker, tmp_path: Path, pairs: tuple[Path, Path]) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    refused: list[tuple[dict[str, Any], str]] = [
        ({"label_maps": empty}, "holds no images"),
        ({"label_maps": tmp_path / "nowhere"}, "no folder"),
        ({"label_maps": None}, "needs either"),
        ({"optimizer": "lion"}, "optimizer must be"),
        ({"validation": ("zebra",)}, "no subject called zebra"),
        ({"epochs": 0}, "at least 1"),
        ({"patience": 0}, "patience"),
        ({"clip_gradient": -1.0}, "clip gradient"),
        ({"weight_limit": 0.0}, "weight limit"),
        ({"weight_power": float("nan")}, "weight power"),
        ({"seed": 10**20}, "seed"),
        ({"intensity": Intensity(0.0)}, "labelled median"),
        ({"intensity": Intensity(clip=float("nan"))}, "labelled median"),
    ]
    for changes, words in refused:
        with pytest.raises(InputError, match=words):
            drain(train(tiny_training("refused", **changes)))
    (pairs[1] / "two.nii").unlink()
    with pytest.raises(InputError, match="no partner: two"):
        drain(train(tiny_training("refused", label_maps=None, images=pairs[0], labels=pairs[1])))
    assert not (tmp_path / "refused").exists()


def test_runs_are_not_overwritten_and_resume_needs_the_same_training(tiny_training: Maker) -> None:
    with pytest.raises(RunError, match="nothing to resume"):
        drain(train(tiny_training(), resume=True))
    drain(train(tiny_training(epochs=1)))
    with pytest.raises(RunError, match="already holds a run"):
        drain(train(tiny_training(epochs=1)))
    with pytest.raises(RunError, match="learning_rate"):
        drain(train(tiny_training(epochs=1, learning_rate=0.5), resume=True))
    (tiny_training().out / "resume.safetensors").unlink()  # it would begin anew, over what is there
    with pytest.raises(RunError, match="cannot be resumed"):
        drain(train(tiny_training(epochs=2), resume=True))
    assert [line["epoch"] for line in Run(tiny_training().out).metrics()] == [1]


def test_only_one_trains_in_a_folder(tiny_training: Maker) -> None:
    work = train(tiny_training())
    next(work)
    for resume in (False, True):
        if resume:
            next(event for event in work if isinstance(event, EpochDone))
        with pytest.raises(RunError, match="run is still running"):
            drain(train(tiny_training(), resume=resume))
    work.close()
    run = drain(train(tiny_training(), resume=True))
    assert run.epochs == (1, 2, 3)
    assert not list(run.path.glob("*.lock"))


def test_held_back_scans_without_a_structure_in_view_do_not_count(
    tiny_training: Maker, pairs: tuple[Path, Path]
) -> None:
    """Two structures at both ends of a slice: the canvas, in the middle of them, shows neither."""
    for name, places in (("two", (4, 40)), ("three", (20, 24))):
        labels = np.zeros((48, 16, 32), np.uint8)
        for place in places:
            labels[place : place + 3, 4:12, 14:20] = 1
        grid = np.eye(4)
        images.write(pairs[0] / f"{name}.mgz", Volume(labels * np.float32(50) + 1, grid))
        images.write_labels(pairs[1] / f"{name}.nii", LabelVolume(labels, grid))
    image, labels = images.read(pairs[0] / "one.mgz"), images.read_labels(pairs[1] / "one.nii")
    images.write_labels(pairs[1] / "one.nii", LabelVolume((labels.data > 0).astype(np.uint8), image.affine))
    folders = {"label_maps": None, "images": pairs[0], "labels": pairs[1], "canvas": (16, 16), "epochs": 2}
    run = drain(train(tiny_training(**folders, validation=("two", "three"))))
    assert all(0 <= line["validation_dice"] <= 1 for line in run.metrics())
    with pytest.raises(InputError, match="16x16 shows no structure"):
        drain(train(tiny_training("other", **folders, validation=("two",))))
    assert not tiny_training("other").out.exists()
