"""The page of results, in markdown with box plots, from a `Study` alone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from napari_scse.atomic import write_atomically
from napari_scse.errors import InputError
from napari_scse.evaluation import plot_boxes
from variant_study.conclusions import conclude, name_of
from variant_study.paper import CITATION, KINDS
from variant_study.scores import SYNTHETIC
from variant_study.sections import cost, further, gains, table_three
from variant_study.study import Study
from variant_study.timing import Turn

BY_HAND = ("<!-- by hand: what stands from here on is kept -->", "<!-- by hand: until here -->")


def write_page(study: Study, turns: Sequence[Turn], page: Path, tables: Sequence[str]) -> None:
    """Write the page and, beside it, a box plot for each network and kind of heads; `tables` are what it was made from.

    Raises
    ------
    InputError
        There is a page without the marks around what was written by hand.
    """
    by_hand = _by_hand(page)
    lines = [*_head(study, tables)]
    for kind in study.kinds:
        lines += [f"## Dice on {KINDS[kind]}", "", *table_three(study, kind), *gains(study, kind)]
    lines += [*cost(study, turns), *further(study), *_plots(study, page)]
    lines += ["## What we conclude", ""]
    for kind in study.kinds:
        lines += [f"On {KINDS[kind]}:", "", *conclude(study, kind), ""]
    lines += [BY_HAND[0], by_hand, BY_HAND[1]]
    write_atomically(page, ("\n".join(lines) + "\n").encode())


def _by_hand(page: Path) -> str:
    """What somebody wrote between the marks of an earlier page."""
    if not page.exists():
        return ""
    marked = f"{re.escape(BY_HAND[0])}\n(.*)\n{re.escape(BY_HAND[1])}"
    found = re.search(marked, page.read_text(encoding="utf-8"), re.DOTALL)
    if found is None:
        raise InputError(f"{page} is not a page of this command: it lacks the marks '{BY_HAND[0]}' and '{BY_HAND[1]}'.")
    return found[1]


def _head(study: Study, tables: Sequence[str]) -> Iterator[str]:
    runs = list(study.trained.values())
    one, options = runs[0], study.options
    networks = ", ".join(name_of(network) for network in study.networks)
    yield "# Brain T1: networks with and without squeeze & excitation"
    yield ""
    named = " and ".join(f"[{table}]({table})" for table in tables)
    yield f"Written by `benchmarks/variants.py report` from {named}; only the last paragraph is by hand."
    yield ""
    yield (
        f"{len(runs)} runs ({networks}), each trained for {one.epochs} epochs of {one.slices} slices ({one.steps:,} "
        "steps) with the same options. Runs of one seed saw the same slices in the same order; whatever differs "
        f"between two of them is the network and how its weights began. The weights are those of epoch "
        f"{_all(run.epoch for run in runs)}; scans were labelled in {options.precision}, "
        f"{'averaged with' if options.mirror else 'without'} mirrored slices."
    )
    yield ""
    for kind in study.kinds:
        heads = sorted(set(study.heads[kind].values()))
        cases = len(study.heads[kind])
        note = " The cases of one head are not independent: they are averaged first." if cases != len(heads) else ""
        what = (
            "drawn from label maps that nothing was trained on (they were its validation)"
            if kind == SYNTHETIC
            else "with FreeSurfer's aseg as reference, automatic itself"
        )
        noun = KINDS[kind] if kind != SYNTHETIC else f"synthetic scan{'s' * (cases > 1)}"
        yield f"- {cases} {noun}, {what}: {len(heads)} head{'s' * (len(heads) > 1)} ({', '.join(heads)}).{note}"
    yield f"- The paper's numbers are those of its Table III, on 15 real scans labelled by hand (MALC): {CITATION}."
    yield (
        "- Ours learned for a short time, from synthetic scans alone, with another loss and optimiser than the paper's "
        "([recipe](../recipes/brain-t1.md)): its numbers and ours can be compared in their order, not in their level."
    )
    yield "- A ± is a standard deviation over heads (in the paper's rows: as the paper gives it)."
    versions = sorted({run.torch for run in runs})
    if len(versions) > 1:
        yield f"- Trained with more than one torch ({', '.join(versions)}): the slices need not have been the same."
    yield from (f"- {sentence}" for sentence in study.unfinished)
    yield ""


def _plots(study: Study, page: Path) -> Iterator[str]:
    """Draw the box plots and show them."""
    yield "## Structure by structure"
    yield ""
    yield "As in the paper's figures 3 and 4. With fewer than six heads each head is a dot, and the line their median."
    yield ""
    for kind in study.kinds:
        for network in study.networks:
            comparison = study.variants(network, study.seed, kind)
            if comparison is None:
                continue
            file = page.with_name(f"{page.stem}-{network}-{kind}.svg")
            plot_boxes(comparison, file)
            yield f"![Dice of every structure: {name_of(network)}, {KINDS[kind]}]({file.name})"
            yield ""
            yield f"{name_of(network)}, {KINDS[kind]}, seed {study.seed}."
            yield ""


def _all(values: Iterator[int]) -> str:
    return ", ".join(map(str, sorted(set(values))))
