"""What a journal gives back is what was edited, wherever a crash cuts it; while it is written nobody is offered it."""

from __future__ import annotations

import io
import json
import logging
import os
import resource
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import psutil
import pytest

from napari_scse.errors import InputError
from napari_scse.journal import Journal, Lost, Subject, find_lost, journals_folder, writing
from napari_scse.journal.records import decode, differences, encode

SHAPE = (7, 5, 6)


def lost_of(journal: Journal) -> Lost:
    """The journal, had its process died now."""
    return Lost(journal.folder, journal.subject)


def orphan(journal: Journal) -> None:
    """Have another process, long gone, be its writer."""
    path = journal.folder / "subject.json"
    noted = json.loads(path.read_text())
    path.write_text(json.dumps(noted | {"since": 1.0}))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "int64"])
def test_replay_gives_the_array(tmp_path: Path, dtype: str) -> None:
    random = np.random.default_rng(1)
    limits = np.iinfo(dtype)
    labels, painted = np.zeros(SHAPE, dtype), np.zeros(SHAPE, bool)
    journal = Journal.create(Subject("labels", SHAPE, dtype), tmp_path)
    for _ in range(20):
        where = random.random(SHAPE) < random.choice([0.01, 0.2, 0.9])
        labels[where] = random.integers(limits.min, limits.max, where.sum(), dtype)
        where = random.random(SHAPE) < 0.1
        painted[where] = ~painted[where]
        journal.update(labels, painted)
        back = lost_of(journal).restore()
        assert back.labels.dtype == labels.dtype
        assert (back.labels == labels).all()
        assert (back.painted == painted).all()
    size = (journal.folder / "edits.log").stat().st_size
    assert journal.update(labels, painted) == 0
    assert (journal.folder / "edits.log").stat().st_size == size


def test_a_tail_that_is_cut_anywhere_or_spoiled_costs_its_record_only() -> None:
    random = np.random.default_rng(2)
    states = [(np.zeros(60, np.uint16), np.zeros(60, bool))]
    stream = b""
    ends = [0]
    for _ in range(4):
        labels, painted = (array.copy() for array in states[-1])
        labels[random.integers(0, 60, 9)] += 300
        painted[random.integers(0, 60, 5)] = True
        states.append((labels, painted))
        stream += b"".join(encode(*change) for change in differences(states[-2], states[-1]))
        ends.append(len(stream))

    def replay(data: bytes) -> tuple[np.ndarray, np.ndarray]:
        labels, painted = np.zeros(60, np.uint16), np.zeros(60, bool)
        for indices, values, flags in decode(io.BytesIO(data), labels.dtype):
            labels[indices], painted[indices] = values, flags
        return labels, painted

    for cut in range(len(stream) + 1):
        whole = sum(end <= cut for end in ends) - 1
        spoiled = bytearray(stream)
        if cut < len(stream):
            spoiled[cut] ^= 0x41
        for data, state in ((stream[:cut], states[whole]), (bytes(spoiled), states[whole])):
            for got, expected in zip(replay(data), state, strict=True):
                assert (got == expected).all()


def test_large_arrays_go_block_by_block(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    labels = random.integers(0, 4, (150, 160, 170), np.uint8)
    painted = labels == 2
    journal = Journal.create(Subject("labels", labels.shape, "uint8"), tmp_path)
    assert journal.update(labels, painted) == np.count_nonzero(labels)
    back = lost_of(journal).restore()
    assert (back.labels == labels).all()
    assert (back.painted == painted).all()
    distant = np.array([3, 2**32 + 1, 2**32 + 2])
    (got, *_), *_ = decode(io.BytesIO(encode(distant, np.ones(3, np.uint8), np.ones(3, bool))), np.dtype("uint8"))
    assert got.tolist() == distant.tolist()


def test_it_stays_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "_LARGE", 4000)
    random = np.random.default_rng(4)
    journal = Journal.create(Subject("labels", (40, 41), "uint8"), tmp_path)
    path = journal.folder / "edits.log"
    sizes = []
    for _ in range(60):
        labels, painted = random.integers(0, 200, (40, 41), np.uint8), random.random((40, 41)) < 0.5
        journal.update(labels, painted)
        sizes.append(path.stat().st_size)
    assert max(sizes) < 8 * min(sizes)
    assert sum(b < a for a, b in pairwise(sizes)) > 5
    back = lost_of(journal).restore()
    assert (back.labels == labels).all()
    assert (back.painted == painted).all()


def test_only_journals_of_dead_processes_are_offered(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    labels, painted = np.ones(SHAPE, np.uint8), np.ones(SHAPE, bool)
    made = [Journal.create(Subject(f"labels {n}", SHAPE, "uint8", look={"n": n}), tmp_path) for n in range(4)]
    for journal in made[:3]:
        journal.update(labels, painted)
    assert not find_lost(tmp_path)  # this process lives
    for journal in made[1:]:
        orphan(journal)
    found = find_lost(tmp_path)
    assert {lost.subject.name for lost in found} == {"labels 1", "labels 2"}  # nothing was written into the last
    assert not made[3].folder.exists()
    assert all(lost.subject.look == {"n": int(lost.subject.name[-1])} for lost in found)
    found[0].discard()
    assert len(find_lost(tmp_path)) == 1
    with pytest.raises(InputError, match="cannot be read"):
        found[0].restore()
    made[0].close()
    assert not made[0].folder.exists()
    os.utime(found[1].folder / "edits.log", (0, 0))
    os.utime(found[1].folder / "subject.json", (0, 0))
    assert not find_lost(tmp_path)  # too old
    assert not find_lost(tmp_path / "nowhere")
    (tmp_path / "2026-x").mkdir()
    (tmp_path / "2026-x" / "subject.json").write_text("[]")
    assert not find_lost(tmp_path)


def test_those_of_another_computer_are_offered_when_it_is_silent(tmp_path: Path) -> None:
    journal = Journal.create(Subject("labels", SHAPE, "uint8"), tmp_path)
    journal.update(np.ones(SHAPE, np.uint8), np.ones(SHAPE, bool))
    path = journal.folder / "subject.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"host": "elsewhere"}))
    assert not find_lost(tmp_path)
    for file in journal.folder.iterdir():
        os.utime(file, (file.stat().st_mtime - 7200,) * 2)
    assert len(find_lost(tmp_path)) == 1


def test_a_full_disk_is_told_and_costs_nothing_that_was_kept(tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    journal = Journal.create(Subject("labels", (50, 60), "uint8"), tmp_path)
    first = random.integers(0, 9, (50, 60), np.uint8)
    journal.update(first, first > 3)
    second = random.integers(0, 9, (50, 60), np.uint8)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, ((journal.folder / "edits.log").stat().st_size + 100, hard))
    try:
        with pytest.raises(InputError, match="Edits cannot be kept in"):
            journal.update(second, second > 3)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (lost_of(journal).restore().labels == first).all()
    journal.update(second, second > 3)
    assert (lost_of(journal).restore().labels == second).all()


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="whole numbers in an array, not float32"):
        Subject("labels", SHAPE, "float32")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be kept in"):
        Journal.create(Subject("labels", SHAPE, "uint8"), tmp_path / "file" / "below")
    small = Journal.create(Subject("labels", (2,), "uint8"), tmp_path)
    small.update(np.ones(2, np.uint8), np.ones(2, bool))
    wrong = Lost(small.folder, Subject("labels", (1,), "uint8"))
    with pytest.raises(InputError, match="do not fit"):
        wrong.restore()
    assert journals_folder().name == "journals"


_CHILD = """
import sys
import numpy as np
from napari_scse.journal import Journal, Subject
labels, painted = np.zeros((40, 50, 60), np.uint8), np.zeros((40, 50, 60), bool)
journal = Journal.create(Subject("labels", labels.shape, "uint8"))
for n in range(10**6):
    labels.flat[n], painted.flat[n] = n % 200 + 1, True
    journal.update(labels, painted)
    print(n, flush=True)
"""


def test_a_killed_process_loses_at_most_its_last_edit(tmp_path: Path) -> None:
    environment = os.environ | {"XDG_DATA_HOME": str(tmp_path)}
    root = tmp_path / "napari-scse" / "journals"
    child = subprocess.Popen([sys.executable, "-c", _CHILD], stdout=subprocess.PIPE, text=True, env=environment)
    assert child.stdout is not None
    done = -1
    while done < 30:
        done = int(child.stdout.readline())
    assert not find_lost(root)  # it is not ours to take
    child.send_signal(signal.SIGKILL)
    rest = child.stdout.read().split()
    child.wait()
    child.stdout.close()
    done = int(rest[-1]) if rest else done
    assert not psutil.pid_exists(child.pid)
    (lost,) = find_lost(root)
    back = lost.restore()
    edits = np.arange(done + 1)
    assert (back.labels.flat[: done + 1] == edits % 200 + 1).all()
    assert back.painted.flat[: done + 1].all()
    assert not back.labels.flat[done + 2 :].any()
