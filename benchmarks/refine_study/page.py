"""The page of results, in markdown, from the table alone."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from refine_study.cases import TUNED
from refine_study.rows import Row

LIMIT = 0.5  # points of Dice that no structure should lose


def to_page(rows: Sequence[Row], table: str) -> str:
    """Everything the table says; `table` is how the page links to it."""
    settings = list(dict.fromkeys(row.settings for row in rows))
    lines = [*_head(table)]
    for one in settings:
        own = [row for row in rows if row.settings == one]
        if len(settings) > 1:
            lines += [f"## Settings: {_told(one)}", ""]
        lines += [*_summary(own), *_verdict(own), *_structures(own)]
    return "\n".join(lines) + "\n"


def _head(table: str) -> Iterator[str]:
    yield "# Refining with strokes: what slices gain that nobody painted"
    yield ""
    yield f"Written by `benchmarks/refine.py report` from [{table}]({table}), and from nothing else."
    yield ""
    yield (
        "A simulated user looks at a few slices of the run's plane, those with the most wrong voxels, and draws "
        "strokes of 20 to 60 voxels along the largest errors, with the reference's label (background too). `refine` "
        "learns from them; then the user sees the new labels and paints again. Dice is against the reference, on "
        "judged slices **without any stroke**; *painted in* is the run as it was, with the strokes merely written over "
        "its labels, which changes nothing on those slices."
    )
    yield ""
    yield (
        f"Most choices of the method were made with {' and '.join(f'`{name}`' for name in TUNED)}; that weights go "
        "half of the way, that no changes are made but those that strokes made, and how much is held where the run was "
        "unsure, with both heads. None here is independent of them."
    )
    yield ""


def _summary(rows: Sequence[Row]) -> Iterator[str]:
    one = rows[0]
    steps = {
        row.every: ", ".join(f"`{r}`" for r in dict.fromkeys(o.case for o in rows if o.every == row.every))
        for row in rows
    }
    labelled = "; ".join(f"every {_nth(every)}slice of {names}" for every, names in sorted(steps.items()))
    yield (
        f"Labelled in {one.precision} as `segment` labels, seed {one.seed}: {labelled}. Seconds are by the clock "
        "and of learning alone, on what machine and beside what work it may be; in brackets those of the processor."
    )
    yield ""
    yield (
        "| case | round | painted: voxels, slices | of these right | unpainted slices: Dice | after | change | worst "
        "structure | best structure | whole: Dice | painted in | refined | seconds (CPU) |"
    )
    yield "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    for (_, _), group in groupby(rows, key=lambda row: (row.case, row.round)):
        own = _judged(group)
        first, worst, best = own[0], min(own, key=_change), max(own, key=_change)
        cells = [
            first.case,
            str(first.round),
            f"{first.voxels}, {first.slices}",
            f"{first.right_before:.0%} → {first.right_after:.0%}",
            f"{_mean(row.before for row in own):.4f}",
            f"{_mean(row.after for row in own):.4f}",
            f"**{_mean(row.change for row in own):+.2f}**",
            f"{worst.name} {worst.change:+.2f}",
            f"{best.name} {best.change:+.2f}",
            f"{_mean(row.whole_before for row in own):.4f}",
            f"{_mean(row.whole_painted for row in own):.4f}",
            f"{_mean(row.whole_after for row in own):.4f}",
            f"{first.seconds:.0f} ({first.cpu_seconds:.0f})",
        ]
        yield f"| {' | '.join(cells)} |"
    yield ""
    yield from dict.fromkeys(f"- `{row.case}`: {row.text}; run {row.run}." for row in rows)
    yield ""
    yield f"Settings: {_told(one.settings)}."
    yield ""


def _verdict(rows: Sequence[Row]) -> Iterator[str]:
    """Which cases gain, and which structures lose, after the last round."""
    yield "### What it says"
    yield ""
    for name, group in groupby(rows, key=lambda row: row.case):
        own = _judged(group)
        last = max(row.round for row in own)
        own = [row for row in own if row.round == last]
        gain = _mean(row.change for row in own)
        losers = sorted((row for row in own if row.change < -LIMIT), key=_change)
        told = ", ".join(f"{row.name} ({row.change:+.2f}, {row.reference:,} voxels)" for row in losers)
        held = f"no structure loses more than {LIMIT} points" if not losers else f"these lose more than {LIMIT}: {told}"
        yield f"- `{name}`, after {last} rounds: {gain:+.2f} points on slices without strokes; {held}."
    yield ""


def _structures(rows: Sequence[Row]) -> Iterator[str]:
    """The change of every structure in the last round of each case."""
    cases = list(dict.fromkeys(row.case for row in rows))
    last = {case: max(row.round for row in rows if row.case == case) for case in cases}
    final = [row for row in rows if row.round == last[row.case]]
    yield "### Structure by structure, after the last round"
    yield ""
    yield "Dice before, and points gained, on slices without strokes."
    yield ""
    for names, own in _same_structures(final):
        heads = list(dict.fromkeys(row.case for row in own))
        yield f"| structure | {' | '.join(heads)} |"
        yield f"| --- |{' --- |' * len(heads)}"
        for name in names:
            cells = {row.case: f"{row.before:.3f} {row.change:+.2f}" for row in own if row.name == name and _known(row)}
            yield f"| {name} | {' | '.join(cells.get(case, '–') for case in heads)} |"
        yield ""


def _same_structures(rows: Sequence[Row]) -> Iterator[tuple[list[str], list[Row]]]:
    """Cases whose structures are the same, together."""
    by_case = {case: [row for row in rows if row.case == case] for case in dict.fromkeys(row.case for row in rows)}
    groups: dict[tuple[str, ...], list[Row]] = {}
    for own in by_case.values():
        groups.setdefault(tuple(row.name for row in own), []).extend(own)
    for names, own in groups.items():
        yield list(names), own


def _judged(rows: Iterable[Row]) -> list[Row]:
    return [row for row in rows if _known(row)]


def _known(row: Row) -> bool:
    return math.isfinite(row.before) and math.isfinite(row.after)


def _change(row: Row) -> float:
    return row.change


def _mean(numbers: Iterable[float]) -> float:
    values = [number for number in numbers if math.isfinite(number)]
    return sum(values) / len(values) if values else math.nan


def _nth(every: int) -> str:
    return {1: "", 2: "second ", 3: "third ", 4: "fourth "}.get(every, f"{every}th ")


def _told(settings: str) -> str:
    return ", ".join(f"{name} {value}" for name, value in json.loads(settings).items())
