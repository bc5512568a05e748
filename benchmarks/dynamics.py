"""What the paper says of its figure 7, in numbers: ``python benchmarks/dynamics.py NAME=TABLE.csv … --out PAGE.md``.

The tables are those that ``napari-scse dynamics`` writes, one for each head. The paper (Roy, Navab, Wachinger 2018,
section IV-I) reads two sites of one network in one slice; here are the same four claims for a whole slab of each head.
Everything on the page comes from the tables.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

FIRST, LAST = "sE-1", "sD-4"
CONTRASTS = ("foreground vs background", "head outside the labels vs air")
CEREBELLUM = ("Left-Cerebellum-Cortex", "Right-Cerebellum-Cortex")
CLEAR = 0.7  # an AUC at least so far from 0.5 as this is
STRESS = 0.001  # of a gate, which is 0 to 1: lesser differences stress nothing


@dataclass(frozen=True)
class Table:
    """One head's measures: (site, measure, name) → epoch → value."""

    head: str
    values: Mapping[tuple[str, str, str], Mapping[int, float]]

    @classmethod
    def read(cls, head: str, path: Path) -> Table:
        """Read what ``napari-scse dynamics`` wrote."""
        values: dict[tuple[str, str, str], dict[int, float]] = {}
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                key = (row["site"], row["measure"], row["name"])
                values.setdefault(key, {})[int(row["epoch"])] = float(row["value"])
        return cls(head, values)

    def series(self, site: str, measure: str, name: str) -> dict[int, float]:
        """Return one measure, ascending by epoch."""
        return dict(sorted(self.values[site, measure, name].items()))

    def names(self, site: str, measure: str) -> list[str]:
        """Return what a measure was taken of."""
        return [n for s, m, n in self.values if (s, m) == (site, measure)]


def page(tables: Sequence[Table]) -> str:
    """Return the page."""
    epochs = list(tables[0].series(FIRST, "mean", "foreground"))
    parts = [_head(tables), *(part(tables, epochs) for part in (_contrast, _change, _sides, _boundaries))]
    return "\n\n".join(parts) + "\n"


def _head(tables: Sequence[Table]) -> str:
    files = ", ".join(f"[{t.head}](dynamics-{t.head}.csv)" for t in tables)
    return (
        "# The paper's claims on dynamics, measured\n\n"
        "Section IV-I of the paper describes the spatial gates of one network, in one slice, over the first epochs. "
        "These are the same claims for the bundled run `brain-t1-densenet-sse`, over 128 slices of each real head "
        f"({files}; FreeSurfer's aseg is the foreground). Made by `benchmarks/dynamics.py`; what is measured is in "
        "[exploration](../exploration.md). The run was trained on synthetic scans, with AdamW and one cycle of the "
        "learning rate, not with the paper's schedule: this tells what this network does, not what the paper's did."
    )


def _rows(
    tables: Sequence[Table], epochs: Sequence[int], wanted: Sequence[tuple[str, str, str, str]], digits: int
) -> str:
    lines = [
        f"| head | measure | {' | '.join(f'epoch {e}' for e in epochs)} |",
        f"| --- | --- |{' --- |' * len(epochs)}",
    ]
    for table in tables:
        for text, site, measure, name in wanted:
            series = table.series(site, measure, name)
            numbers = (f"{series[e]:.{digits}f}" if e in series else "–" for e in epochs)
            lines.append(f"| {table.head} | {text} | {' | '.join(numbers)} |")
    return "\n".join(lines)


def _section(title: str, rows: str, verdict: str) -> str:
    return f"## {title}\n\n{rows}\n\n{verdict}"


def _verdict(tables: Sequence[Table], holds: Sequence[bool], yes: str, no: str) -> str:
    said = [f"{table.head}: {yes if h else no}" for table, h in zip(tables, holds, strict=True)]
    word = "Holds" if all(holds) else "Does not hold" if not any(holds) else "Holds for a part of the heads"
    return f"**{word}.** {'; '.join(said)}."


def _contrast(tables: Sequence[Table], epochs: Sequence[int]) -> str:
    wanted = [(f"AUC, {name}", FIRST, "auc", name) for name in CONTRASTS]
    holds = [all(abs(t.series(FIRST, "auc", n)[epochs[-1]] - 0.5) >= CLEAR - 0.5 for n in CONTRASTS) for t in tables]
    verdict = _verdict(
        tables,
        holds,
        "both contrasts are clear at the last epoch",
        f"not both are beyond {CLEAR} (or below {1 - CLEAR:.1f})",
    )
    return _section(
        f"1. {FIRST} separates foreground from background, the skull included",
        _rows(tables, epochs, wanted, 2),
        verdict,
    )


def _change(tables: Sequence[Table], epochs: Sequence[int]) -> str:
    wanted = [(f"change of {site}", site, "change", "field of view") for site in (FIRST, LAST)]
    means = [[_mean(t.series(site, "change", "field of view")) for site in (FIRST, LAST)] for t in tables]
    holds = [2 * first < last for first, last in means]
    text = "; ".join(f"{t.head}: {a:.2f} and {b:.2f} on average" for t, (a, b) in zip(tables, means, strict=True))
    verdict = _verdict(
        tables, holds, f"{LAST} changes more than twice as much", f"{FIRST} changes at least half as much"
    )
    return _section(
        f"2. {FIRST} hardly changes over the epochs, {LAST} does",
        _rows(tables, epochs, wanted, 2),
        f"{text}. {verdict}",
    )


def _mean(series: Mapping[int, float]) -> float:
    return float(np.mean(list(series.values())))


def _sides(tables: Sequence[Table], epochs: Sequence[int]) -> str:
    wanted = [
        ("asymmetry of white matter", LAST, "asymmetry", "Cerebral-White-Matter"),
        ("mean, foreground", LAST, "mean", "foreground"),
        *((f"mean, {name}", LAST, "mean", name) for name in CEREBELLUM),
    ]
    holds = []
    for table in tables:
        sided = list(table.series(LAST, "asymmetry", "Cerebral-White-Matter").values())
        holds.append(min(sided) < 0 < max(sided) and max(map(abs, sided)) > 0.01)
    verdict = _verdict(
        tables,
        holds,
        "one side's white matter leads and later the other's",
        "white matter's sides differ by no more than 1 %, or one side always leads",
    )
    return _section(
        f"3. {LAST} lights up side by side, and then the cerebellum", _rows(tables, epochs, wanted, 4), verdict
    )


def _boundaries(tables: Sequence[Table], epochs: Sequence[int]) -> str:
    names = ("Left-Cerebral-White-Matter", "Right-Cerebral-White-Matter", "foreground")
    wanted = [(f"boundary less interior, {name}", LAST, "boundary", name) for name in names]
    holds = []
    for table in tables:
        series = [table.series(LAST, "boundary", name) for name in names]
        holds.append(all(s[epochs[-1]] > max(s[epochs[0]], STRESS) for s in series))
    verdict = _verdict(
        tables,
        holds,
        f"boundaries are excited more than interiors by over {STRESS:g}, and more than at first",
        f"boundaries are not excited more than interiors by over {STRESS:g}, or not more than at first",
    )
    return _section(f"4. Late maps of {LAST} stress boundaries", _rows(tables, epochs, wanted, 5), verdict)


def main() -> None:
    """Do what the options say."""
    parser = argparse.ArgumentParser(description="The paper's claims on dynamics, in numbers.")
    parser.add_argument("tables", nargs="+", metavar="NAME=TABLE.csv")
    parser.add_argument("--out", type=Path, required=True, metavar="PAGE.md")
    options = parser.parse_args()
    pairs = (text.partition("=") for text in options.tables)
    options.out.write_text(page([Table.read(name, Path(path)) for name, _, path in pairs]), encoding="utf-8")


if __name__ == "__main__":
    main()
