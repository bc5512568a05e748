"""What came out, in sentences that are made of the numbers and of nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum

from napari_scse.evaluation import Comparison
from variant_study.gains import EXCITED, PLAIN, Gain, find_gains, seed_noise
from variant_study.paper import KINDS, NETWORKS, VARIANTS
from variant_study.study import Study

ALPHA = 0.05


class Verdict(Enum):
    """How a gain stands against the difference between two seeds."""

    BETTER = "more than two seeds differ"
    WITHIN = "no more than two seeds differ"
    UNKNOWN = "how much two seeds differ is not measured"
    MIXED = "better with one seed, not with another"
    NOT = "not better than none"


def judge(gain: Gain, noise: float | None) -> Verdict:
    """Judge a gain by its worst seed; `noise` is the largest difference between two seeds, None if not measured."""
    if gain.highest <= 0:
        return Verdict.NOT
    if gain.lowest <= 0:
        return Verdict.MIXED
    if noise is None:
        return Verdict.UNKNOWN
    return Verdict.BETTER if gain.lowest > noise else Verdict.WITHIN


def conclude(study: Study, kind: str) -> list[str]:
    """Sentences on one kind of heads, as lines of markdown."""
    gains, noise = find_gains(study, kind), seed_noise(study, kind)
    judged = [(gain, judge(gain, _noise_for(gain.network, noise)[1])) for gain in gains]
    lines = [line for network in study.networks for line in _on_network(study, network, judged, noise)]
    for variant in EXCITED:
        own = [(gain, verdict) for gain, verdict in judged if gain.variant == variant]
        lines += [_over_networks(variant, own, noise)] if own else []
    return [*lines, *_on_the_test([gain for gain, _ in judged])]


def name_of(network: str) -> str:
    """A network as the paper calls it."""
    return NETWORKS.get(network, network)


def _on_network(
    study: Study, network: str, judged: Sequence[tuple[Gain, Verdict]], noise: Mapping[str, float]
) -> list[str]:
    own = [(gain, verdict) for gain, verdict in judged if gain.network == network]
    if not own:
        return []
    lines = [f"- **{name_of(network)}** against none: {'; '.join(_in_words(g, v, noise) for g, v in own)}."]
    gain, _ = own[-1]
    lines += [_on_structures(gain)] if len(gain.structures) > 1 else []
    comparison = study.variants(network, next(iter(gain.by_seed)), gain.kind)
    if comparison is not None and len(comparison.variants) == len(VARIANTS):
        lines.append(_on_the_order(comparison))
    return lines


def _in_words(gain: Gain, verdict: Verdict, noise: Mapping[str, float]) -> str:
    """``"scSE +0.021 (higher in 4 of 4 heads; seed 2: +0.018, 4 of 4), more than two seeds differ (0.006)"``."""
    (_, first), *others = gain.by_seed.items()
    again = [f"seed {seed}: {test.mean:+.3f}, {test.higher} of {test.heads}" for seed, test in others]
    heads = "; ".join([f"higher in {first.higher} of {first.heads} head{'s' * (first.heads > 1)}", *again])
    text = verdict.value
    if verdict in (Verdict.BETTER, Verdict.WITHIN):
        where, largest = _noise_for(gain.network, noise)
        whose = "" if where == gain.network else f" of {name_of(where)}"
        text = f"{text.replace(' differ', f'{whose} differ')} ({largest:.3f})"
    return f"{VARIANTS[gain.variant]} {first.mean:+.3f} ({heads}), {text}"


def _noise_for(network: str, noise: Mapping[str, float]) -> tuple[str, float | None]:
    """The network whose seeds are taken, its own if it has two, and how much they differ."""
    if network in noise or not noise:
        return network, noise.get(network)
    return max(noise.items(), key=lambda item: item[1])


def _on_structures(gain: Gain) -> str:
    higher = sum(mean > 0 for mean in gain.structures.values())
    most, least = (choose(gain.structures, key=gain.structures.__getitem__) for choose in (max, min))
    return (
        f"  Structure by structure {VARIANTS[gain.variant]} is higher than none in {higher} of {len(gain.structures)}: "
        f"from {least} ({gain.structures[least]:+.3f}) to {most} ({gain.structures[most]:+.3f})."
    )


def _on_the_order(comparison: Comparison) -> str:
    means = {name: spread.mean for name, spread in comparison.over_heads().items()}
    order = sorted(means, key=means.__getitem__)
    found = ", ".join(f"{name} {means[name]:.3f}" for name in order)
    agrees = (
        "as in the paper"
        if order == list(VARIANTS.values())
        else f"the paper's order is {', '.join(VARIANTS.values())}"
    )
    return f"  From worst to best: {found}; {agrees}."


def _over_networks(variant: str, judged: Sequence[tuple[Gain, Verdict]], noise: Mapping[str, float]) -> str:
    """``"- **scSE** beats none by more than two seeds differ with U-Net (+0.030). It does not … with SD-Net …"``"""
    groups = {
        "It is above none, but by no more than two seeds differ, with": Verdict.WITHIN,
        "It is above none, without a second seed to compare with, with": Verdict.UNKNOWN,
        "It is above none with one seed and not with another with": Verdict.MIXED,
        "It does not beat none with": Verdict.NOT,
    }
    named = {
        verdict: ", ".join(f"{name_of(g.network)} ({g.first.mean:+.3f})" for g, found in judged if found is verdict)
        for verdict in Verdict
    }
    start = f"- **{VARIANTS[variant]}** beats none by more than two seeds differ with"
    parts = [f"{start} {named[Verdict.BETTER] or 'no network'}."]
    parts += [f"{words} {named[verdict]}." for words, verdict in groups.items() if named[verdict]]
    lacking = [name_of(gain.network) for gain, _ in judged if gain.network not in noise]
    if noise and lacking:
        parts.append(f"({', '.join(lacking)}: one seed only, set against what two of {_all_of(noise)} differ.)")
    return " ".join(parts)


def _all_of(noise: Mapping[str, float]) -> str:
    return " or ".join(name_of(network) for network in noise)


def _on_the_test(gains: Sequence[Gain]) -> list[str]:
    tests = [(gain, gain.first) for gain in gains if gain.first.p == gain.first.p]
    if not tests:
        return [f"- With so few {KINDS[gains[0].kind]} nothing can be tested: these are differences."] if gains else []
    passed = [
        f"{name_of(gain.network)} {VARIANTS[gain.variant]} ({test.mean:+.3f}, p = {test.p_holm:.4f})"
        for gain, test in tests
        if test.p_holm < ALPHA
    ]
    sentence = (
        f"- Of {len(tests)} differences from {PLAIN}, by the signed-rank test over heads with Holm's correction within "
        f"each network, {len(passed)} could hardly be chance (p < {ALPHA}){': ' if passed else ''}{', '.join(passed)}. "
        "The test is about other heads, not about other trainings."
    )
    return [sentence]
