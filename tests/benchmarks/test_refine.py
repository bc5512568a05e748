"""The user paints where labels are wrong, rounds are judged on slices without strokes, and the page says so."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import refine as benchmark
from napari_scse.errors import InputError
from napari_scse.refinement import Part, RefineConfig
from napari_scse.runs import Run
from napari_scse.slices import Plane, cut
from napari_scse.structures import FREESURFER27
from napari_scse.volume import LabelVolume, Volume
from refine_study.cases import Case, case_names, make_case
from refine_study.measuring import Options, measure
from refine_study.page import to_page
from refine_study.rows import Row, read_rows, write_rows
from refine_study.user import User, paint, painted_slices

NAMES = {s.value: s.name for s in FREESURFER27 if s.value in (2, 3, 41, 42)}


@pytest.fixture
def wrong(labels: LabelVolume) -> np.ndarray:
    """Labels with two large errors: some cortex is missing, some background is labelled."""
    found = labels.data.copy()
    found[20:27, 6:18, 6:20][found[20:27, 6:18, 6:20] == 3] = 0
    found[:4] = 41
    return found


def test_strokes_are_short_right_and_where_something_is_wrong(labels: LabelVolume, wrong: np.ndarray) -> None:
    user = User(slices=3, strokes=2, apart_mm=2.0)
    strokes = paint(user, wrong, labels, Plane.CORONAL, None, 0)
    geometry = cut(labels, Plane.CORONAL).geometry
    slices = painted_slices(strokes, geometry)
    assert len(slices) == 3
    np.testing.assert_array_equal(strokes.labels, labels.data)
    assert set(strokes.counts()) >= {0, 3}
    for number in slices:
        painted = strokes.painted[geometry.index(number)]
        assert 8 <= painted.sum() <= 2 * (user.longest + 4)
        assert (wrong != labels.data)[geometry.index(number)][painted].mean() > 0.4


def test_a_user_is_the_same_for_a_seed_and_adds_to_what_was_painted(labels: LabelVolume, wrong: np.ndarray) -> None:
    user = User(slices=2, apart_mm=1.0)
    one, same, other = (paint(user, wrong, labels, Plane.CORONAL, None, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.painted, same.painted)
    assert not np.array_equal(one.painted, other.painted)
    more = paint(user, wrong, labels, Plane.CORONAL, one, 5)
    assert (more.painted | ~one.painted).all()
    assert more.painted.sum() > one.painted.sum()


def test_where_nothing_is_wrong_nothing_is_painted(labels: LabelVolume) -> None:
    assert not paint(User(), labels.data, labels, Plane.CORONAL, None, 0).painted.any()


@pytest.fixture
def case(scan: Volume, labels: LabelVolume, tiny_run: Callable[..., Run]) -> Case:
    run = tiny_run(name="small", epochs=1, spacing=(0.8, 1.0, 1.0))  # the scan's own, through the plane
    return Case("head", "a small head", scan, labels, run, NAMES)


@pytest.fixture
def options() -> Options:
    config = RefineConfig(
        part=Part.DECODERS,
        steps=6,
        learning_rate=2e-2,
        hold=0.3,
        confidence=0.0,
        mixing=1.0,
        others=2,
        precision="float32",
    )
    user = User(slices=2, strokes=2, apart_mm=2.0)
    return Options(config, 2, 1, 0, "float32", torch.device("cpu"), user=user)


@pytest.fixture
def rows(case: Case, options: Options) -> list[Row]:
    return list(measure(case, options, lambda _: None))


def test_rounds_are_judged_on_slices_without_strokes(case: Case, options: Options, rows: list[Row]) -> None:
    assert [(row.round, row.structure) for row in rows] == [(n, value) for n in (1, 2) for value in NAMES]
    first, last = rows[0], rows[-1]
    assert 0 < first.slices <= 2 < last.slices <= 4
    assert first.voxels < last.voxels
    assert first.unpainted > last.unpainted
    assert any(not math.isclose(row.before, row.after) for row in rows)
    for row in rows:
        assert row.whole_painted >= row.whole_before or math.isnan(row.whole_before)
    again = list(measure(case, options, lambda _: None))
    assert [replace(row, seconds=0, cpu_seconds=0) for row in again] == [
        replace(row, seconds=0, cpu_seconds=0) for row in rows
    ]


def test_the_table_reads_back_and_makes_a_page(rows: list[Row], tmp_path: Path) -> None:
    table = tmp_path / "refine.csv"
    write_rows(table, rows)
    assert read_rows(table) == rows
    benchmark.main(["report", str(table)])
    page = (tmp_path / "refine.md").read_text()
    assert page == to_page(rows, "refine.csv")
    assert "| head | 2 |" in page
    for name in NAMES.values():
        assert f"| {name} | " in page


def test_what_loses_is_named(rows: list[Row]) -> None:
    lost = [replace(row, before=0.8, after=0.7 if row.structure == 3 else 0.9) for row in rows]
    page = to_page(lost, "refine.csv")
    assert "these lose more than 0.5: Left-Cerebral-Cortex (-10.00" in page
    kept = to_page([replace(row, after=0.9) for row in lost], "refine.csv")
    assert "no structure loses more than 0.5 points" in kept


def test_what_is_wrong_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit, match="There is no table"):
        benchmark.main(["report", str(tmp_path / "none.csv")])
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(SystemExit, match="not a table of this command"):
        benchmark.main(["report", str(tmp_path / "other.csv")])
    assert case_names(tmp_path) == []
    with pytest.raises(InputError, match="There is no case"):
        make_case("ct", tmp_path, tmp_path)
    monkeypatch.delenv("NAPARI_SCSE_DATA", raising=False)
    with pytest.raises(SystemExit, match="NAPARI_SCSE_DATA"):
        benchmark.main(["measure", "--out", str(tmp_path / "x.csv"), "--work", str(tmp_path)])
