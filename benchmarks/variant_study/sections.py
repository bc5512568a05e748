"""The tables of the page, in markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from napari_scse.cli.compare import mean_and_sd_signed
from napari_scse.cli.evaluate import mean_and_sd
from napari_scse.errors import InputError
from napari_scse.evaluation import MEASURES, SURFACE_MEASURES, Comparison, PairedDifference
from napari_scse.nn.parameters import table_one
from variant_study.conclusions import name_of
from variant_study.gains import PLAIN, Gain, find_gains
from variant_study.paper import KINDS, TABLE_THREE, VARIANTS
from variant_study.scores import RunFacts
from variant_study.study import Study
from variant_study.timing import STEPS, StepTime, Turn, step_times

_DASH = "–"


def table_three(study: Study, kind: str) -> Iterator[str]:
    """Mean over the structures, then mean ± standard deviation over heads."""
    yield from _header(["network", "", *VARIANTS.values()])
    notes = []
    for network in study.networks:
        comparison = study.variants(network, study.seed, kind)
        spreads = comparison.over_heads() if comparison is not None else {}
        cells = [mean_and_sd(spreads[name], 3) if name in spreads else _DASH for name in VARIANTS.values()]
        yield _row([name_of(network), "here", *cells])
        if network in TABLE_THREE:
            yield _row(["", "paper", *(f"{mean:.3f} ± {sd:.3f}" for mean, sd in TABLE_THREE[network].values())])
        notes += [note for note in (comparison.notes if comparison is not None else ()) if note not in notes]
    yield ""
    yield f"Mean Dice over the structures, seed {study.seed}. {' '.join(notes)}"
    yield ""


def gains(study: Study, kind: str) -> Iterator[str]:
    """What each variant gains over none, with every seed, beside what two seeds differ."""
    found = find_gains(study, kind)
    if not found:
        return
    seeds = sorted({seed for gain in found for seed in gain.by_seed})
    tested = any(gain.first.p == gain.first.p for gain in found)
    again = len(seeds) > 1
    yield f"### What squeeze & excitation gains on {KINDS[kind]}"
    yield ""
    yield from _header(
        [
            "network",
            "",
            *(title for seed in seeds for title in (f"seed {seed}", "higher in")),
            *(["p", "Holm p"] if tested else []),
            *(["two seeds, none", "two seeds, this"] if again else []),
            "paper",
        ]
    )
    for gain in found:
        tests = [gain.by_seed.get(seed) for seed in seeds]
        differ = [gain.seed_differences.get(name) for name in (PLAIN, gain.variant)]
        yield _row(
            [
                name_of(gain.network),
                VARIANTS[gain.variant],
                *(cell for test in tests for cell in _difference(test)),
                *(_p(gain) if tested else []),
                *(["" if d is None else f"{d:+.3f}" for d in differ] if again else []),
                _DASH if gain.network not in TABLE_THREE else f"{gain.of_the_paper:+.3f}",
            ]
        )
    yield ""
    parts = ["Differences of the mean Dice from none, paired by head: mean ± standard deviation."]
    if again:
        parts.append(
            "*two seeds*: how far the same network, trained again with another seed, came out from itself. A gain that "
            "is not larger says nothing; and these are single pairs, a rough measure."
        )
    if tested:
        parts.append(
            f"p: two-sided Wilcoxon signed-rank test over heads, seed {seeds[0]}; Holm p: corrected for all pairs of "
            "variants of a network."
        )
    else:
        parts.append("Too few heads for a test: these are differences, and no evidence about other heads.")
    yield " ".join(parts)
    yield ""


def cost(study: Study, turns: Sequence[Turn]) -> Iterator[str]:
    """Parameters, steps and, where it was measured, the time of a step, run by run."""
    papers = {(r.network, str(r.excitation)): r.paper_percent for r in table_one() if r.preset == "paper-count"}
    times = step_times(turns)
    yield "## Parameters and training time"
    yield ""
    header = ["network", "", "seed", "parameters", "added", "in the paper", "epochs", "steps"]
    yield from _header([*header, *(["ms a step", "against none", "minutes"] if times else [])])
    order = [(n, v, s) for n in study.networks for s in study.seeds(n) for v in VARIANTS]
    for network, variant, seed in order:
        run = study.trained.get((network, variant, seed))
        if run is None:
            continue
        paper = papers.get((network, variant))
        yield _row(
            [
                *(name_of(network), VARIANTS[variant], str(seed)),
                f"{run.parameters:,}",
                "" if variant == PLAIN else f"{run.overhead_percent:.2f} %",
                "" if paper is None else f"{paper:.2f} %",
                *(str(run.epochs), f"{run.steps:,}"),
                *(_time(run, times.get((network, variant))) if times else []),
            ]
        )
    yield ""
    if times:
        rounds, one = max(turn.round for turn in turns), turns[0]
        yield (
            f"A step is one mini-batch, forward, backward and update, measured in {one.precision} on {one.device} "
            f"({one.threads} thread{'s' * (one.threads > 1)}): the networks took turns, {rounds} rounds; medians "
            f"of the fastest of {STEPS} steps in a row. *Minutes* is what all steps take at that rate, without "
            "drawing the slices and without validation."
        )
        yield ""


def further(study: Study) -> Iterator[str]:
    """The other measures: volume similarity, and surface distances where there are some."""
    measures = [m for m in MEASURES if m != "dice" and (study.options.surfaces or m not in SURFACE_MEASURES)]
    yield "## Other measures"
    yield ""
    yield from _header(["heads", "measure", "network", *VARIANTS.values()])
    for kind in study.kinds:
        for measure in measures:
            for network in study.networks:
                comparison = _measured(study, network, kind, measure)
                spreads = comparison.over_heads() if comparison is not None else {}
                decimals = 2 if measure in SURFACE_MEASURES else 3
                cells = [mean_and_sd(spreads[v], decimals) if v in spreads else _DASH for v in VARIANTS.values()]
                yield _row([KINDS[kind], MEASURES[measure], name_of(network), *cells])
    yield ""
    yield f"Seed {study.seed}; means over the structures that have a number in every variant, ± over heads."
    yield ""


def _measured(study: Study, network: str, kind: str, measure: str) -> Comparison | None:
    """As `Study.variants`; None as well where no structure has a number in every variant."""
    try:
        return study.variants(network, study.seed, kind, measure)
    except InputError:
        return None


def _difference(test: PairedDifference | None) -> tuple[str, str]:
    return ("", "") if test is None else (mean_and_sd_signed(test, 3), f"{test.higher} of {test.heads}")


def _p(gain: Gain) -> list[str]:
    return [_DASH if p != p else f"{p:.4f}" for p in (gain.first.p, gain.first.p_holm)]


def _time(run: RunFacts, taken: StepTime | None) -> list[str]:
    if taken is None:
        return [_DASH] * 3
    against = "" if run.variant == PLAIN or taken.percent != taken.percent else f"{taken.percent:+.0f} %"
    return [f"{taken.milliseconds:.0f}", against, f"{run.steps * taken.milliseconds / 60_000:.0f}"]


def _header(titles: Sequence[str]) -> Iterator[str]:
    yield _row(titles)
    yield _row(["---"] * len(titles))


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
