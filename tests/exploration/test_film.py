"""A film holds what excite records, is computed where it is looked at, and is there when it is opened again."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from threading import Event as Flag
from threading import Thread
from time import sleep

import numpy as np
import pytest

from napari_scse.errors import InputError, RunError
from napari_scse.events import Event, MapDone, Progress, drain
from napari_scse.exploration import Film, Shelf, View, develop, excite, open_film
from napari_scse.exploration.film import Turns
from napari_scse.runs import Run
from napari_scse.structures import name_values
from napari_scse.volume import Volume

MakeRun = Callable[..., Run]


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "films")


def everything(film: Film) -> list[Event]:
    events: list[Event] = []
    drain(develop(film, lambda: View(4, 1, None)), events.append)
    return events


@pytest.mark.parametrize("excitation", ["sse", "scse"])
def test_a_complete_film_is_what_excite_records(tiny_run: MakeRun, scan: Volume, shelf: Shelf, excitation: str) -> None:
    run = tiny_run(excitation=excitation, canvas=(16, 12))
    sites = ["sE-1", "sE-2", "sD-2"]
    # one slice at a time, as a film: another batch rounds differently, and un-pooling turns ties over
    wanted = drain(excite(scan, run, sites=sites, dtype="float32", batch_size=1))
    with drain(open_film(scan, run, sites=sites, shelf=shelf)) as film:
        events = everything(film)
    assert film.done.all()
    assert len(events) == film.done.size
    last = events[-1]
    assert isinstance(last, MapDone)
    assert (last.done, last.total) == (film.done.size, film.done.size)
    for site in sites:
        np.testing.assert_allclose(film.maps[site], wanted[site], atol=1e-6)
        np.testing.assert_array_equal(film.maps.affine(site), wanted.affine(site))
        low, high = film.limits(site)
        assert 0 < low < high < 1
    np.testing.assert_array_equal(film.labels_affine, wanted.affine("sE-1"))


def test_winner_maps_are_kept_beside_the_gates(tiny_run: MakeRun, scan: Volume, shelf: Shelf) -> None:
    run = tiny_run(excitation="scse", canvas=(16, 12))
    with drain(open_film(scan, run, sites=["sE-2"], labels=False, winners=True, shelf=shelf)) as film:
        assert film.maps.sites == ("sE-2", "wE-2")
        film.compute(1, 6)
        (frame,) = film.frames.look(1, [6], ["wE-2"])
    np.testing.assert_array_equal(film.maps["wE-2"][1, 6], frame.gates["wE-2"])
    np.testing.assert_array_equal(film.maps.affine("wE-2"), film.maps.affine("sE-2"))
    assert 0 < film.maps["wE-2"][1, 6].mean() < 1
    with drain(open_film(scan, tiny_run(name="plain", excitation="sse"), winners=True, shelf=shelf)) as film:
        assert film.maps.sites == ("sE-1", "sD-2")


def test_labels_of_more_classes_than_a_byte_can_count(tiny_run: MakeRun, scan: Volume, shelf: Shelf) -> None:
    run = tiny_run(structures=name_values(range(1, 301)), epochs=1)
    with drain(open_film(scan, run, sites=[], shelf=shelf)) as film:
        frame = film.compute(0, 6)
        (shares,) = film.frames.look(0, [6], [], probabilities=True)
    assert frame.labels is not None
    assert shares.probabilities is not None
    chosen = np.take_along_axis(shares.probabilities, frame.labels[None], 0)[0]
    np.testing.assert_array_equal(chosen, shares.probabilities.max(0))
    assert frame.labels.max() > 255


def test_a_part_is_maps_of_its_own(tiny_run: MakeRun, scan: Volume, shelf: Shelf) -> None:
    with drain(open_film(scan, tiny_run(), sites=["sE-2"], shelf=shelf)) as film:
        for number in (3, 4, 6):
            for epoch in range(3):
                film.compute(epoch, number)
        film.compute(0, 5)
    assert film.computed_around(4) == (3, 5)
    assert film.computed_around(5) is None
    part = film.part(3, 5)
    np.testing.assert_array_equal(part["sE-2"], film.maps["sE-2"][:, 3:5])
    np.testing.assert_allclose(part.affine("sE-2") @ (1, 2, 3, 1), film.maps.affine("sE-2") @ (4, 2, 3, 1))
    assert part.slices == (film.maps.slices[0] + 3, film.maps.slices[0] + 5)
    with pytest.raises(RunError, match="Not all"):
        film.part(3, 6)


def test_without_labels_the_pass_stops_early_and_there_are_none(tiny_run: MakeRun, scan: Volume, shelf: Shelf) -> None:
    with drain(open_film(scan, tiny_run(), sites=["sE-1"], labels=False, shelf=shelf)) as film:
        assert film.labels is None
        film.compute(0, 3)
    assert film.maps["sE-1"][0, 3].min() > 0
    assert not film.maps["sE-1"][0, 4].any()


def test_what_is_shown_comes_first_then_its_epochs_then_its_neighbours(
    tiny_run: MakeRun, scan: Volume, shelf: Shelf
) -> None:
    with drain(open_film(scan, tiny_run(), shelf=shelf)) as film:
        order = []
        while (wanted := film.next(View(6, 2, 1))) is not None:
            order.append(wanted)
            film.done[wanted] = True
    assert order == [(2, 6), (1, 6), (0, 6), (2, 5), (2, 7), (1, 5), (1, 7), (0, 5), (0, 7)]


def test_what_nobody_looks_at_any_more_is_dropped(tiny_run: MakeRun, scan: Volume, shelf: Shelf) -> None:
    views = iter([View(2, 0), View(9, 1), View(9, 1)])
    with drain(open_film(scan, tiny_run(), shelf=shelf)) as film:
        work = develop(film, lambda: next(views))
        for _ in range(3):
            next(work)
        work.close()
    assert np.argwhere(film.done).tolist() == [[0, 2], [0, 9], [1, 9]]


def test_opened_again_everything_is_there_and_nothing_is_located_anew(
    tiny_run: MakeRun, scan: Volume, shelf: Shelf
) -> None:
    run = tiny_run()
    found: list[Event] = []
    with drain(open_film(scan, run, shelf=shelf), found.append) as film:
        everything(film)
        first = np.array(film.maps["sD-2"])
    assert any(isinstance(event, Progress) for event in found)
    found.clear()
    with drain(open_film(scan, run, shelf=Shelf(shelf.root)), found.append) as again:
        assert not found
        assert again.done.all()
        assert again.next(View(0, 0, None)) is None
        np.testing.assert_array_equal(again.maps["sD-2"], first)


def test_another_scan_run_or_precision_is_another_film(tiny_run: MakeRun, scan: Volume, shelf: Shelf) -> None:
    run = tiny_run()
    other = Volume(scan.data + 1, scan.affine)
    for volume, which, precision in (
        (scan, run, "float32"),
        (other, run, "float32"),
        (scan, tiny_run(name="second", excitation="sse"), "float32"),
        (scan, run, "bfloat16"),
    ):
        with drain(open_film(volume, which, precision=precision, shelf=shelf)) as film:
            assert not film.done.any()
            film.compute(0, 0)


def test_a_checkpoint_that_changed_is_computed_anew(tiny_run: MakeRun, scan: Volume, shelf: Shelf) -> None:
    run = tiny_run()
    with drain(open_film(scan, run, shelf=shelf)) as film:
        film.compute(0, 0)
    os.utime(run.checkpoint(2), (1, 1))
    with drain(open_film(scan, run, shelf=shelf)) as film:
        assert not film.done.any()


def test_the_shelf_stays_within_its_bound_and_keeps_what_is_in_use(tmp_path: Path) -> None:
    old = Shelf(tmp_path)
    for age, name in enumerate("abc"):
        folder = old.place({"name": name})
        old.array(folder, "x", (100, 1000), np.float32)[:] = 1
        os.utime(folder, (age, age))
    assert old.size() >= 3 * 400_000
    fresh = Shelf(tmp_path, bound=900_000)
    kept = fresh.place({"name": "a"})  # looked at again: now the youngest
    assert kept.exists()
    assert len(list(tmp_path.iterdir())) == 2
    assert not old.place({"name": "d"}).joinpath("x.npy").exists()
    Shelf(tmp_path, bound=0).tidy()
    assert not list(tmp_path.glob("*/*"))


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="Cannot keep excitation maps"):
        Shelf(tmp_path / "file" / "films").place({})


def test_a_question_goes_before_what_is_computed_ahead() -> None:
    turns, order = Turns(), []
    started = Flag()

    def ahead() -> None:
        for _ in range(20):
            with turns.ahead():
                started.set()
                order.append("ahead")
                sleep(0.01)

    worker = Thread(target=ahead)
    worker.start()
    started.wait()
    for _ in range(3):
        with turns.question():
            order.append("question")
    worker.join()
    asked = [place for place, what in enumerate(order) if what == "question"]
    assert len(asked) == 3
    assert asked[-1] < 12
