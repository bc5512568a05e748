"""A training as a process: started, heard, paused, stopped, killed, found again by others, and resumed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from napari_scse import images
from napari_scse.errors import InputError, RunError
from napari_scse.events import Began, Continued, Ended, EpochDone, Event, Paused, StepDone, drain
from napari_scse.runs import Run
from napari_scse.runs.weights import load_tensors
from napari_scse.training import TrainConfig, Training, check, find_trainings, load_config, start_training, train
from napari_scse.training.process import PROCESS_FILE, Phase
from napari_scse.training.record import EVENTS_FILE
from napari_scse.volume import Volume

Maker = Callable[..., TrainConfig]
PATIENCE = 120.0  # seconds


@pytest.fixture(autouse=True)
def _no_orphans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One thread each, as in this process; and nothing that a test started goes on after it."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    yield
    for training in find_trainings(tmp_path):
        if training.status.phase.is_alive:
            os.kill(pid_of(training), signal.SIGKILL)
            wait(lambda training=training: not training.status.phase.is_alive)


def pid_of(training: Training) -> int:
    return int(json.loads((training.folder / PROCESS_FILE).read_text())["pid"])


def wait(condition: Callable[[], Any]) -> None:
    """Look again and again; a process tells nobody's signal."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)


def wait_for(training: Training, kind: type[Event], count: int = 1) -> list[Event]:
    """Follow the events of a training until there are `count` of `kind`."""
    tail, heard = training.events(), []

    def look() -> bool:
        heard.extend(tail.read())
        return len([event for event in heard if isinstance(event, kind)]) >= count

    wait(look)
    return heard


def wait_for_end(training: Training) -> Phase:
    wait(lambda: not training.status.phase.is_alive)
    return training.status.phase


def test_a_process_trains_as_this_one_would(tiny_training: Maker, tmp_path: Path) -> None:
    training = start_training(tiny_training("apart", epochs=2))
    assert training.status.phase is Phase.RUNNING
    assert find_trainings(tmp_path) == [training]
    heard = wait_for(training, Ended)
    assert wait_for_end(training) is Phase.FINISHED
    assert isinstance(heard[0], Began)
    epochs = [event for event in heard if isinstance(event, EpochDone)]
    assert [event.epoch for event in epochs] == [1, 2]
    assert len([event for event in heard if isinstance(event, StepDone)]) == 4
    here = drain(train(tiny_training("here", epochs=2)))
    apart = Run(training.folder)
    assert same_weights(here, apart, 2)
    assert apart.config.training == here.config.training
    (metrics, _), names = here.metrics(), {c.name for c in here.config.classes}
    assert metrics["structures"] == epochs[0].structures
    assert set(metrics["structures"]) == {s for s in names if "Cerebral" in s}
    assert metrics["validation_loss"] == epochs[0].validation_loss
    assert apart.config.command == "napari-scse train --config train.json"
    assert not psutil.pid_exists(pid_of(training))  # no zombie is left


def same_weights(a: Run, b: Run, epoch: int) -> bool:
    first, second = load_tensors(a.checkpoint(epoch)), load_tensors(b.checkpoint(epoch))
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


def test_pause_and_stop_keep_everything_and_resume_ends_at_the_same_weights(tiny_training: Maker) -> None:
    config = {"epochs": 3, "slices": 160}
    training = start_training(tiny_training("stopped", **config))
    wait_for(training, EpochDone)
    training.pause()
    heard = wait_for(training, Paused)
    assert training.status.phase is Phase.PAUSED
    assert len(training.events().read()) == len(heard)  # it waits
    training.go_on()
    wait_for(training, Continued)
    training.stop()
    assert wait_for_end(training) is Phase.STOPPED
    run = Run(training.folder)
    assert 1 <= len(run.epochs) < 3
    training.resume()
    with pytest.raises(RunError, match="still running"):
        training.resume()
    heard = wait_for(training, Ended, 2)
    assert len([event for event in heard if isinstance(event, Began)]) == 2
    assert wait_for_end(training) is Phase.FINISHED
    assert same_weights(drain(train(tiny_training("whole", **config))), run, 3)


def test_a_killed_training_is_found_by_another_process_and_resumed_to_the_bit(
    tiny_training: Maker, tmp_path: Path
) -> None:
    config = {"epochs": 2, "slices": 240}
    training = start_training(tiny_training("killed", **config))
    wait_for(training, StepDone, 61)  # one in the second epoch
    os.kill(pid_of(training), signal.SIGKILL)
    assert wait_for_end(training) is Phase.INTERRUPTED
    assert "killed" in training.status.text
    with (training.folder / EVENTS_FILE).open("a") as file:
        file.write('{"event": "StepDone", "ep')  # a line that was being written
    asking = (
        "import sys; from pathlib import Path; from napari_scse.training import find_trainings\n"
        "for one in find_trainings(Path(sys.argv[1])): print(one.name, one.status.phase); one.resume()"
    )
    told = subprocess.run(
        [sys.executable, "-c", asking, str(tmp_path)], capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    assert told.stdout.split() == ["killed", "interrupted"]
    wait_for(training, Ended)  # though the process that resumed it has ended
    assert wait_for_end(training) is Phase.FINISHED
    assert same_weights(drain(train(tiny_training("whole", **config))), Run(training.folder), 2)


def test_a_training_survives_the_program_that_started_it(tiny_training: Maker, tmp_path: Path) -> None:
    config = tiny_training("orphan", slices=80)
    from napari_scse.training import save_config

    file = save_config(config)
    starting = (
        "import os, sys; from napari_scse.training import load_config, start_training\n"
        "start_training(load_config(sys.argv[1])); os.kill(os.getpid(), 9)"
    )
    killed = subprocess.run([sys.executable, "-c", starting, str(file)], timeout=PATIENCE, check=False)
    assert killed.returncode == -signal.SIGKILL
    (training,) = find_trainings(tmp_path)
    assert training.status.phase is Phase.RUNNING
    wait_for(training, EpochDone, 2)
    training.stop()
    assert wait_for_end(training) is Phase.STOPPED


def test_another_process_with_the_same_number_is_not_mistaken_for_the_training(tiny_training: Maker) -> None:
    training = start_training(tiny_training("gone", epochs=1))
    wait_for(training, Ended)
    assert wait_for_end(training) is Phase.FINISHED
    (training.folder / EVENTS_FILE).unlink()
    us = {"pid": os.getpid(), "since": psutil.Process().create_time() - 3600}
    (training.folder / PROCESS_FILE).write_text(json.dumps(us))
    assert training.status.phase is Phase.INTERRUPTED


def test_a_training_that_cannot_go_on_says_why_and_can_be_tried_again(
    tiny_training: Maker, pairs: tuple[Path, Path]
) -> None:
    config = tiny_training("failing", label_maps=None, images=pairs[0], labels=pairs[1], epochs=1)
    image = images.read(pairs[0] / "two.mgz")
    images.write(pairs[0] / "two.mgz", Volume(image.data[:-3], image.affine))
    training = start_training(config)
    assert wait_for_end(training) is Phase.FAILED
    assert "grid" in training.status.text
    assert training.status.text.endswith(".")
    assert not training.has_epochs
    images.write(pairs[0] / "two.mgz", image)
    training.resume()
    wait_for(training, Ended, 2)
    assert wait_for_end(training) is Phase.FINISHED
    with pytest.raises(RunError, match="finished epochs"):
        training.discard()
    with pytest.raises(RunError, match="already a run"):
        start_training(config)


def test_a_training_without_an_epoch_can_be_removed(tiny_training: Maker, tmp_path: Path) -> None:
    training = start_training(tiny_training("nothing", label_maps=tmp_path / "maps", validation=("zebra",)))
    assert wait_for_end(training) is Phase.FAILED
    assert "zebra" in training.status.text
    for left in ("resume.safetensors", ".half.part.safetensors"):  # by a kill while the first epoch was written
        (training.folder / left).touch()
    training.discard()
    assert find_trainings(tmp_path) == []
    assert not training.folder.exists()


def test_removing_a_training_leaves_what_it_did_not_write(tiny_training: Maker, tmp_path: Path) -> None:
    training = start_training(tiny_training("nothing", label_maps=tmp_path / "maps", validation=("zebra",)))
    assert wait_for_end(training) is Phase.FAILED
    (training.folder / "data").mkdir()
    (training.folder / "data" / "scan.nii.gz").write_bytes(b"mine")
    training.discard()
    assert find_trainings(tmp_path) == []
    assert [p.name for p in training.folder.rglob("*")] == ["data", "scan.nii.gz"]


def test_no_second_process_trains_in_the_same_folder(tiny_training: Maker) -> None:
    training = start_training(tiny_training("long", epochs=100))
    wait_for(training, StepDone)
    training.pause()
    wait_for(training, Paused)
    program = [sys.executable, "-c", "import sys; from napari_scse.cli import main; sys.exit(main())"]
    command = [*program, "train", "--resume", "--config", str(training.folder / "train.json")]
    second = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert second.returncode == 2
    assert "is still running" in second.stderr
    os.kill(pid_of(training), signal.SIGKILL)
    wait(lambda: training.status.phase is Phase.INTERRUPTED)
    events = str(training.folder / EVENTS_FILE)
    heard = len([event for event in training.events().read() if isinstance(event, StepDone)])
    third = subprocess.Popen([*command, "--events", events])  # does not wait for ever, though the last one was paused
    try:
        wait_for(training, StepDone, heard + 1)
    finally:
        third.kill()
        third.wait()


def test_a_folder_of_other_files_is_no_place_for_a_training(tiny_training: Maker, tmp_path: Path) -> None:
    (tmp_path / "pilot").mkdir()
    (tmp_path / "pilot" / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match="with other files"):
        start_training(tiny_training("pilot"))
    assert [p.name for p in (tmp_path / "pilot").iterdir()] == ["notes.txt"]


def test_last_words_of_a_crash_become_a_sentence(tiny_training: Maker, tmp_path: Path) -> None:
    training = Training(tmp_path / "crash")
    training.folder.mkdir()
    (training.folder / PROCESS_FILE).write_text('{"pid": 4000000, "since": 1}')
    crash = 'Traceback (most recent call last):\n  File "x.py", line 1\nRuntimeError: no such operator\n'
    (training.folder / "train.log").write_text(crash)
    assert training.status.phase is Phase.FAILED
    assert "RuntimeError: no such operator" in training.status.text
    with pytest.raises(RunError, match="not a readable configuration"):
        load_config(training.folder / "train.json")
    check(tiny_training())
    with pytest.raises(InputError, match="learning rate"):
        check(tiny_training(learning_rate=float("nan")))
