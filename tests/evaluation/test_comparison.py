"""Networks beside each other: heads as the unit, signed-rank tests, Holm's correction."""

from __future__ import annotations

import csv
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import rankdata

from napari_scse.errors import InputError
from napari_scse.evaluation import CaseReports, compare, read_heads
from napari_scse.evaluation.comparison import holm, signed_rank_p

Invent = Callable[..., CaseReports]


def _dice(seed: int, cases: int = 8, structures: int = 4) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.6, 0.9, (cases, structures))


def _all_signs(differences: np.ndarray) -> float:
    """p by going through every way in which the signs could have come out."""
    ranks = rankdata(np.abs(differences))
    middle = ranks.sum() / 2
    seen = abs(ranks[differences > 0].sum() - middle)
    signs = np.array(list(product([0, 1], repeat=len(ranks))))
    return float(np.mean(np.abs(signs @ ranks - middle) >= seen - 1e-9))


@pytest.mark.parametrize("seed", range(4))
def test_p_is_that_of_all_signs(seed: int) -> None:
    differences = np.random.default_rng(seed).normal(0.01, 0.02, 6 + seed)
    assert signed_rank_p(differences) == pytest.approx(_all_signs(differences))
    assert signed_rank_p(-differences) == pytest.approx(signed_rank_p(differences))


def test_ties_zeros_and_too_few() -> None:
    tied = np.array([0.1, 0.3 - 0.2, 0.2, -0.1, 0.2, 0.4, 0.5])  # 0.3 - 0.2 is not quite 0.1
    assert signed_rank_p(tied) == pytest.approx(_all_signs(np.round(tied, 9)))
    assert signed_rank_p(np.full(6, 0.01)) == pytest.approx(2 / 2**6)
    assert np.isnan(signed_rank_p(np.full(5, 0.01)))
    assert signed_rank_p(np.array([0.1 + 0.2 - 0.3] * 8)) == 1.0
    assert signed_rank_p(np.array([0.0, 0, 0, 1, 2, 3])) == pytest.approx(2 / 2**3)


def test_holms_example() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    corrected = holm([float("nan"), 0.02, 0.9])
    assert np.isnan(corrected[0])
    assert corrected[1:] == pytest.approx([0.04, 0.9])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


def test_differences_are_later_minus_earlier_and_paired(invent: Invent) -> None:
    worse = _dice(0)
    better = worse + np.linspace(0.01, 0.05, 8)[:, None]
    comparison = compare({"none": invent(worse), "scse": invent(better)})
    (found,) = comparison.differences()
    assert (found.first, found.second, found.heads, found.higher) == ("none", "scse", 8, 8)
    assert (found.mean, found.median) == pytest.approx((0.03, 0.03))
    assert found.p == found.p_holm == pytest.approx(2 / 2**8)
    assert comparison.over_heads()["scse"].mean == pytest.approx(better.mean())
    assert comparison.notes == ("8 cases, each a head of its own; 4 structures; 1 pair of variants.",)
    structures = comparison.structure_differences()
    assert [d.structure for d in structures] == list(comparison.structures.values())
    assert [d.p_holm for d in structures] == pytest.approx([4 * found.p] * 4)


def test_every_pair_is_tested_and_corrected(invent: Invent) -> None:
    dice = [_dice(n) for n in range(3)]
    comparison = compare({name: invent(d) for name, d in zip("abc", dice, strict=True)})
    found = comparison.differences()
    assert [(d.first, d.second) for d in found] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert [d.p_holm for d in found] == holm([d.p for d in found])
    assert all(d.p_holm >= d.p for d in found)
    assert len(comparison.structure_differences()) == 3 * 4


def test_cases_of_one_head_are_averaged_first(invent: Invent) -> None:
    """Twelve draws of three heads are three numbers, and three heads are too few for a p-value."""
    first, second = _dice(1, 12), _dice(2, 12)
    heads = {f"case{n:02d}": f"head{n % 3}" for n in range(12)}
    comparison = compare({"a": invent(first), "b": invent(second)}, heads)
    assert comparison.values.shape == (2, 3, 4)
    expected = (second - first).reshape(4, 3, 4).mean(axis=(0, 2))
    assert comparison.head_means[1] - comparison.head_means[0] == pytest.approx(expected)
    (found,) = comparison.differences()
    assert found.heads == 3
    assert found.mean == pytest.approx(expected.mean())
    assert np.isnan([found.p, found.p_holm]).all()
    assert comparison.notes[0].startswith("12 cases of 3 heads;")
    assert "at least 6 independent heads, and there are 3" in comparison.notes[-1]


def test_a_structure_counts_only_where_every_variant_has_a_number(invent: Invent) -> None:
    first, second = _dice(3), _dice(4)
    second[0, 1] = np.nan
    first[:, 3] = second[:, 3] = np.nan
    comparison = compare({"a": invent(first), "b": invent(second)})
    assert comparison.left_out == 1
    assert "not every variant has a number: 1" in comparison.notes[1]
    assert len(comparison.structures) == 3
    assert np.isnan(comparison.values[:, 0, 1]).all()
    assert comparison.head_means[0, 0] == pytest.approx((first[0, 0] + first[0, 2]) / 2)
    assert [d.heads for d in comparison.structure_differences()] == [8, 7, 8]
    means = [s.mean for s in comparison.over_heads().values()]
    assert comparison.differences()[0].mean == pytest.approx(means[1] - means[0])


def test_another_measure(invent: Invent) -> None:
    first, second = (invent(_dice(0), {"hd95_mm": mm}) for mm in (2.0, 1.5))
    (found,) = compare({"a": first, "b": second}, measure="hd95_mm").differences()
    assert (found.mean, found.higher) == (-0.5, 0)
    with pytest.raises(InputError, match="no structure has ASSD"):
        compare({"a": first, "b": second}, measure="assd_mm")


def test_what_cannot_be_compared_is_refused(invent: Invent) -> None:
    results = invent(_dice(0))
    with pytest.raises(InputError, match="at least two"):
        compare({"a": results})
    with pytest.raises(InputError, match="same cases"):
        compare({"a": results, "b": invent(_dice(0, 7))})
    with pytest.raises(InputError, match="no head for the case case00"):
        compare({"a": results, "b": results}, {"case01": "x"})
    with pytest.raises(InputError, match="Unknown measure 'iou'"):
        compare({"a": results, "b": results}, measure="iou")


def test_the_csv_says_variant_case_and_head(invent: Invent, tmp_path: Path) -> None:
    dice = _dice(0, 2, 3)
    comparison = compare({"a": invent(dice), "b": invent(dice)}, {"case00": "x", "case01": "x"})
    comparison.write_csv(tmp_path / "scores.csv")
    rows = list(csv.DictReader((tmp_path / "scores.csv").read_text(encoding="utf-8").splitlines()))
    assert [(r["variant"], r["case"], r["head"]) for r in rows[::3]] == [
        *(("a", "case00", "x"), ("a", "case01", "x")),
        *(("b", "case00", "x"), ("b", "case01", "x")),
    ]
    assert [float(r["dice"]) for r in rows[:6]] == dice.ravel().tolist()


def test_heads_come_from_a_table(tmp_path: Path) -> None:
    table = tmp_path / "heads.csv"
    table.write_text("head, site, case\nanna, x, a1\nanna, x, a2\nbert, y, b\ncleo, y, c\n", encoding="utf-8-sig")
    assert read_heads(table, ["a1", "a2", "b"]) == {"a1": "anna", "a2": "anna", "b": "bert"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("case,head\na,x\n", "gives no head for b"),
        ("case,head\na,x\nb,\n", "gives no head for b"),
        ("case,head\na,x\nb\n", "gives no head for b"),
        ("case,head\na,x\nb,x\nb,y\n", "case b two heads: x and y"),
        ("case;head\na;x\n", "needs the columns case and head; it has case;head"),
        ("", "it has none"),
        (b"\xff\xfe\x00", "is not a CSV file"),
        (None, "There is no file"),
    ],
)
def test_a_table_of_heads_that_cannot_be_used(content: str | bytes | None, message: str, tmp_path: Path) -> None:
    table = tmp_path / "heads.csv"
    if content is not None:
        table.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(InputError, match=message):
        read_heads(table, ["a", "b"])
