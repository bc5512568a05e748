"""What a training leaves in files comes back as it was: its configuration, its events; and curves that stay short."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_scse.errors import RunError
from napari_scse.events import Began, Continued, Ended, EpochDone, Event, Message, Paused, Progress, StepDone, drain
from napari_scse.runs import Intensity
from napari_scse.slices import Plane
from napari_scse.structures import FREESURFER27
from napari_scse.synthesis import SynthesisConfig
from napari_scse.training import TrainConfig, load_config, save_config, train
from napari_scse.training.control import Wish, ask, asked, attended
from napari_scse.training.history import History, Thinned
from napari_scse.training.record import Recorder, Tail, from_line, last_event, to_line

Maker = Callable[..., TrainConfig]
EVENTS: list[Event] = [
    Began(12, 1.5),
    Progress(1, 2, "reading"),
    Message("Training on “T1”."),
    StepDone(1, 1, 2, 0.25),
    Paused(),
    Continued(),
    EpochDone(1, 3, 0.5, 0.7, 2.0, 0.6, {"Left-Hippocampus": 0.7}),
    Ended("failed", "No."),
]


def test_a_configuration_comes_back_as_it_was(tiny_training: Maker) -> None:
    config = tiny_training(
        plane=Plane.AXIAL,
        spacing=(1.0, 0.1, 1 / 3),
        structures=FREESURFER27[:3],
        intensity=Intensity(1.1, 3.0),
        synthesis=SynthesisConfig(texture=0.1, coupling=(0.1, 0.95)),
        validation=("a",),
        clip_gradient=1.0,
        patience=None,
    )
    back = load_config(save_config(config))
    assert back == config
    assert back.recorded() == config.recorded()


def test_data_inside_the_runs_folder_move_with_it(tiny_training: Maker, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    config = tiny_training(images=folder / "data" / "images", labels=folder / "data" / "labels", label_maps=None)
    save_config(config)
    shutil.move(folder, tmp_path / "moved")
    moved = load_config(tmp_path / "moved" / "train.json")
    assert moved.images == tmp_path / "moved" / "data" / "images"
    assert load_config(tmp_path / "moved" / "train.json", out=tmp_path / "new").out == tmp_path / "new"


def test_a_damaged_configuration_is_refused(tiny_training: Maker) -> None:
    file = save_config(tiny_training())
    data = json.loads(file.read_text())
    for broken in ({**data, "colour": 1}, {**data, "format": 9}, {**data, "plane": "tilted"}, {**data, "network": {}}):
        file.write_text(json.dumps(broken))
        with pytest.raises(RunError):
            load_config(file)
    file.write_text("{")
    with pytest.raises(RunError, match="not a readable"):
        load_config(file)


def test_every_training_keeps_its_configuration(tiny_training: Maker) -> None:
    config = tiny_training(epochs=1)
    run = drain(train(config))
    again = drain(train(replace(load_config(run.path / "train.json"), epochs=2), resume=True))
    assert again.epochs == (1, 2)


def test_events_come_back_as_they_were(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    tail = Tail(file)
    assert tail.read() == []
    with Recorder(file) as recorder:
        for event in EVENTS[:4]:
            recorder.write(event)
        assert tail.read() == EVENTS[:4]
        assert tail.read() == []
        recorder.write(EVENTS[4])
        assert last_event(file) == Paused()
    with file.open("a") as half:
        half.write('{"event": "StepDone", "epo')
    assert tail.read() == EVENTS[4:5]
    with Recorder(file) as recorder:
        for event in EVENTS[5:]:
            recorder.write(event)
    assert tail.read() == EVENTS[5:]
    assert Tail(file).read() == EVENTS
    assert last_event(file) == EVENTS[-1]
    file.write_text(to_line(EVENTS[0]) + "\n")  # begun anew
    assert tail.read() == EVENTS[:1]


def test_a_line_that_is_no_event_is_passed_over() -> None:
    assert [from_line(line) for line in ("", "{", "[]", "{}", '{"event": "X"}', '{"event": "Began"}')] == [None] * 6


def test_a_long_file_is_read_in_parts(tmp_path: Path) -> None:
    with Recorder(tmp_path / "events.jsonl") as recorder:
        for step in range(5000):
            recorder.write(StepDone(1, step, 5000, 1.0))
    tail, read = Tail(tmp_path / "events.jsonl"), 0
    while part := tail.read():
        assert len(part) < 3000
        read += len(part)
    assert read == 5000
    assert not tail.behind


def test_metrics_of_older_runs_stay_readable(tiny_training: Maker) -> None:
    run = drain(train(tiny_training(epochs=1)))
    (line,) = run.metrics()
    del line["structures"], line["validation_loss"]
    (run.path / "metrics.jsonl").write_text(json.dumps(line) + "\n")
    assert run.best_epoch == 1
    assert run.metrics() == [line]


def test_a_control_file_stops_the_work_between_two_events(tiny_training: Maker) -> None:
    config = tiny_training("attended")
    heard: list[Event] = []
    config.out.mkdir()

    def listen(event: Event) -> None:
        heard.append(event)
        if isinstance(event, EpochDone):
            ask(config.out, Wish.STOP)

    assert drain(attended(train(config), config.out), listen) is None
    assert isinstance(heard[-2], EpochDone)
    assert heard[-1] == Ended("stopped")
    assert asked(config.out) is Wish.GO_ON  # it was heard


def test_a_curve_of_any_length_stays_short() -> None:
    curve = Thinned(100)
    for n in range(100_000):
        curve.add(n, 3.0 * n)
    x, y = curve.arrays()
    assert 40 <= len(x) <= 101
    np.testing.assert_allclose(y, 3 * x)
    assert np.all(np.diff(x) > 0)
    curve.cut(50_000.0)
    assert 40_000 < curve.arrays()[0].max() <= 50_000


def test_a_history_knows_where_the_training_stands() -> None:
    history = History(3)
    for event in EVENTS[:4]:
        history.apply(event, 0.0)
    assert (history.epoch, history.step, history.steps, history.message) == (1, 1, 2, "Training on “T1”.")
    history.apply(Paused(), 0.0)
    assert history.paused
    for event in EVENTS[5:7]:
        history.apply(event, 0.0)
    assert not history.paused
    assert history.structures == ("Left-Hippocampus",)
    assert history.dice("Left-Hippocampus")[1].tolist() == [0.7]
    assert history.seconds_in_all == pytest.approx(4.0)
    for step in range(1, 5):
        history.apply(StepDone(2, step, 8, 0.1), float(step))
    assert history.seconds_left == pytest.approx(4.0)
    for event in (EpochDone(2, 3, 0.4, 0.8, 2.0), StepDone(3, 1, 8, 0.1), Began(13, 2.0), StepDone(2, 1, 8, 0.3)):
        history.apply(event, 9.0)
    assert sorted(history.done) == [1]  # killed before epoch 2 could be resumed from
    assert history.losses.arrays()[0].max() == pytest.approx(1 + 1 / 8)
