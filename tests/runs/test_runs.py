from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from napari_scse.atomic import write_atomically
from napari_scse.errors import RunError
from napari_scse.runs import Run, RunConfig, catalogue, export_run, list_runs, load_run
from napari_scse.runs.weights import load_tensors

Maker = Callable[..., Run]


def test_a_run_read_back_gives_bit_equal_scores(tiny_run: Maker) -> None:
    run = tiny_run(excitation="scse", neighbours=1)
    x = torch.randn(2, 3, 13, 17, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        first, again = (Run(run.path).network(2)(x) for _ in range(2))
        other = run.network(3)(x)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_description_survives_the_disk(tiny_run: Maker) -> None:
    config = tiny_run(excitation="sse", plane="axial", spacing=(1.0, 0.9, 0.8)).config
    assert RunConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert config.values.tolist()[:3] == [0, 2, 3]
    assert config.values.dtype == np.uint8


def test_epochs_are_named_in_words_and_numbers(tiny_run: Maker) -> None:
    run = tiny_run(epochs=3)
    run.save_epoch(4, run.network(1), {"loss": 0.1, "validation_dice": 0.05})
    assert run.epochs == (1, 2, 3, 4)
    assert (run.resolve_epoch("best"), run.resolve_epoch("last"), run.resolve_epoch("2"), run.resolve_epoch(1)) == (
        3,
        4,
        2,
        1,
    )
    for wrong in (9, "0", "first", "-1"):
        with pytest.raises(RunError, match="it has 1, 2, 3, 4"):
            run.resolve_epoch(wrong)


def test_saving_an_epoch_again_forgets_the_later_lines(tiny_run: Maker) -> None:
    run = tiny_run(epochs=3)
    run.save_epoch(2, run.network(1), {"loss": 0.5})
    assert [m["epoch"] for m in run.metrics()] == [1, 2]
    assert run.metrics()[1] == {"epoch": 2, "loss": 0.5}


def test_an_exported_run_names_no_folder_of_its_trainers(tiny_run: Maker, tmp_path: Path) -> None:
    run = tiny_run()
    file = run.path / "run.json"
    data = json.loads(file.read_text())
    data["command"] = (
        "napari-scse train --out=/data/me/run 'my maps/seg.nii.gz' 'C:\\\\Users\\\\me\\\\maps' --synthesis contrast=1.5"
    )
    data["training"] = {"init": "/data/me/runs/first", "source": "label maps"}
    file.write_text(json.dumps(data))
    config = export_run(Run(run.path), tmp_path / "copy", [1]).config
    assert config.command == "napari-scse train --out=run seg.nii.gz maps --synthesis contrast=1.5"
    assert config.training == {"init": "first", "source": "label maps"}
    data["command"] = "it's none"
    file.write_text(json.dumps(data))
    assert export_run(Run(run.path), tmp_path / "other", [1]).config.command == "it's none"
    with pytest.raises(RunError, match="no finished epoch"):
        export_run(run, tmp_path / "third", [])


def test_export_halves_weights_but_not_batch_norm_statistics(tiny_run: Maker, tmp_path: Path) -> None:
    run = tiny_run(epochs=3)
    exported = export_run(run, tmp_path / "small", [2])
    assert (exported.name, exported.epochs) == ("small", (2,))
    assert [m["epoch"] for m in exported.metrics()] == [1, 2]
    tensors = load_tensors(exported.checkpoint(2))
    kinds = {
        ("statistics" if "running_" in k else "weights"): v.dtype for k, v in tensors.items() if v.is_floating_point()
    }
    assert kinds == {"statistics": torch.float32, "weights": torch.float16}
    x = torch.randn(1, 1, 9, 11)
    with torch.inference_mode():
        torch.testing.assert_close(exported.network(2)(x), run.network(2)(x), rtol=0.02, atol=0.02)
    assert exported.config.smoothing == (0, 0, 0)
    assert export_run(run, tmp_path / "smooth", [2], smoothing=(0.3, 0.2, 0.2)).config.smoothing == (0.3, 0.2, 0.2)
    with pytest.raises(RunError, match="three weights"):
        export_run(run, tmp_path / "none", [2], smoothing=(1, 0, 0))
    with pytest.raises(RunError, match="vote is a number above 0"):
        export_run(run, tmp_path / "none", [2], vote=0.0)
    assert not (tmp_path / "none").exists()
    assert "vote" not in (exported.path / "run.json").read_text()
    voting = export_run(run, tmp_path / "voting", [2], vote=0.7)
    assert export_run(voting, tmp_path / "again", [2]).config.vote == 0.7
    with pytest.raises(RunError, match="exists already"):
        export_run(run, run.path, [1])


def test_runs_are_found_by_name_and_by_folder(tiny_run: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "user_runs", lambda: tmp_path / "mine")
    run = tiny_run(name="my-run", folder=tmp_path / "mine")
    broken = tmp_path / "mine" / "broken"
    broken.mkdir()
    (broken / "run.json").write_text("{")
    assert load_run("my-run").path == run.path
    assert load_run(run.path).name == "my-run"
    assert "my-run" in [r.name for r in list_runs()]
    assert "broken" not in [r.path.name for r in list_runs()]


def test_a_folder_that_is_called_as_a_run_does_not_hide_it(
    tiny_run: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / catalogue.DEFAULT_RUN).mkdir()  # labels that it made, perhaps
    assert catalogue.default_run().path.parent == catalogue.BUNDLED
    there = tiny_run(epochs=1, name=catalogue.DEFAULT_RUN, folder=tmp_path)
    assert catalogue.default_run().path.parent == catalogue.BUNDLED
    assert load_run(f"./{catalogue.DEFAULT_RUN}").config == there.config
    assert load_run(Path(catalogue.DEFAULT_RUN)).config == there.config


@pytest.mark.parametrize("score", ["null", "NaN", '"0.5"', "[]"])
def test_what_is_no_score_is_not_the_best(tiny_run: Maker, score: str) -> None:
    run = tiny_run(epochs=3)
    lines = (run.path / "metrics.jsonl").read_text().splitlines()
    lines[0] = f'{{"epoch": 1, "validation_dice": {score}}}'
    (run.path / "metrics.jsonl").write_text("\n".join(lines))
    assert run.best_epoch == 3
    (run.path / "metrics.jsonl").write_text(lines[0])
    assert run.best_epoch == 3


def test_an_export_is_there_as_a_whole_or_not_at_all(tiny_run: Maker, tmp_path: Path) -> None:
    run = tiny_run(epochs=2)
    run.checkpoint(2).write_bytes(b"cut short")
    (tmp_path / "out").mkdir()
    with pytest.raises(RunError, match="epoch-0002"):
        export_run(run, tmp_path / "out" / "copy", [1, 2])
    assert not list((tmp_path / "out").iterdir())
    (tmp_path / "out" / "copy").mkdir()
    assert export_run(run, tmp_path / "out" / "copy", [1]).epochs == (1,)
    with pytest.raises(RunError, match="exists already"):
        export_run(run, tmp_path / "out" / "copy", [1])
    with pytest.raises(RunError, match="got 'my copy'"):
        export_run(run, tmp_path / "my copy", [1])


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("canvas",), [1e999, 32]),
        (("name",), 5),
        (("classes", 1, "value"), None),
        (("classes", 1, "name"), 3),
        (("network", "depth"), 10**6),
        (("network", "maps"), 10**9),
        (("sizes",), {"2": {"mm3": -1, "spread": 0.1}}),
        (("sizes",), {"2": {"mm3": "large", "spread": 0.1}}),
        (("sizes",), {"2": {"mm3": 1.0}}),
        (("vote",), "all"),
    ],
)
def test_descriptions_that_cannot_be_are_refused(tiny_run: Maker, path: tuple[Any, ...], value: Any) -> None:
    file = tiny_run(epochs=1).path / "run.json"
    described = json.loads(file.read_text())
    place = described
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    file.write_text(json.dumps(described))
    with pytest.raises(RunError):
        Run(file.parent)
    file.write_text("[" * 100_000)
    with pytest.raises(RunError, match="no readable"):
        Run(file.parent)


def test_what_is_no_run_is_refused_in_a_sentence(tiny_run: Maker, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no run called 'nonsense'"):
        load_run("nonsense")
    with pytest.raises(RunError, match=r"no run\.json"):
        load_run(tmp_path)
    run = tiny_run()
    text = (run.path / "run.json").read_text()
    for damaged in (
        "",
        "[]",
        text.replace('"plane": "coronal"', '"plane": "tilted"'),
        text.replace('"format": 1', '"format": 9'),
    ):
        (run.path / "run.json").write_text(damaged)
        with pytest.raises(RunError):
            load_run(run.path)
    (run.path / "run.json").write_text(text.replace('"maps": 4', '"maps": 6'))
    with pytest.raises(RunError, match="do not fit"):
        load_run(run.path).network(1)


class Bomb:
    """Unpickling one of these leaves a file behind."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.marker,)


def test_a_pickle_is_never_executed(tiny_run: Maker, tmp_path: Path) -> None:
    run, marker = tiny_run(), tmp_path / "exploded"
    run.checkpoint(1).write_bytes(pickle.dumps(Bomb(marker)))
    torch.save({"weights": Bomb(marker)}, run.checkpoint(2))
    for epoch in (1, 2):
        with pytest.raises(RunError, match="not a readable safetensors file"):
            run.network(epoch)
    assert not marker.exists()


def test_a_truncated_or_missing_checkpoint_is_refused(tiny_run: Maker) -> None:
    run = tiny_run(epochs=1)
    content = run.checkpoint(1).read_bytes()
    run.checkpoint(1).write_bytes(content[: len(content) // 2])
    with pytest.raises(RunError, match="not a readable"):
        run.network()
    run.checkpoint(1).unlink()
    with pytest.raises(RunError, match="no checkpoint"):
        run.network()


def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.json").write_bytes(b"old")

    def write(path: Path, content: bytes) -> None:
        with path.open("wb") as file:
            file.write(content[:2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", write)
    with pytest.raises(OSError, match="No space"):
        write_atomically(tmp_path / "a.json", b"new content")
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    assert (tmp_path / "a.json").read_bytes() == b"old"
