"""The page of claims says what its tables say."""

from __future__ import annotations

from pathlib import Path

import dynamics

HEADER = "site,epoch,measure,structure,name,side,value\n"


def write(path: Path, *, last_auc: float, change: tuple[float, float], asymmetry: tuple[float, float]) -> Path:
    rows = []
    for epoch, auc, sided in ((1, 0.5, asymmetry[0]), (2, last_auc, asymmetry[1])):
        rows += [f"sE-1,{epoch},auc,,{name},,{auc}" for name in dynamics.CONTRASTS]
        rows.append(f"sE-1,{epoch},mean,,foreground,,0.5")
        rows += [f"sD-4,{epoch},mean,,{name},,0.9" for name in ("foreground", *dynamics.CEREBELLUM)]
        rows.append(f"sD-4,{epoch},asymmetry,,Cerebral-White-Matter,,{sided}")
        names = ("foreground", "Left-Cerebral-White-Matter", "Right-Cerebral-White-Matter")
        rows += [f"sD-4,{epoch},boundary,,{name},,{0.01 * epoch}" for name in names]
    rows += [f"sE-1,2,change,,field of view,,{change[0]}", f"sD-4,2,change,,field of view,,{change[1]}"]
    path.write_text(HEADER + "\n".join(rows) + "\n")
    return path


def test_claims_hold_or_not_by_the_numbers(tmp_path: Path) -> None:
    good = write(tmp_path / "a.csv", last_auc=0.9, change=(0.1, 0.6), asymmetry=(-0.05, 0.04))
    bad = write(tmp_path / "b.csv", last_auc=0.6, change=(0.5, 0.6), asymmetry=(0.002, 0.001))
    a, b = dynamics.Table.read("one", good), dynamics.Table.read("two", bad)
    assert dynamics.page([a]).count("**Holds.**") == 4
    alone = dynamics.page([b])
    assert alone.count("**Does not hold.**") == 3
    assert "| two | AUC, foreground vs background | 0.50 | 0.60 |" in alone
    both = dynamics.page([a, b])
    assert both.count("**Holds for a part of the heads.**") == 3
    assert "| one | change of sD-4 | – | 0.60 |" in both
