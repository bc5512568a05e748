"""The variants: what is there is not measured again, numbers are those of `evaluate`, and what differs is refused."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import asdict, replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest

import variants
from napari_scse import images
from napari_scse.errors import InputError
from napari_scse.evaluation import StructureScore, compare, evaluate
from napari_scse.events import drain
from napari_scse.inference import segment
from napari_scse.runs import Run, create_run
from napari_scse.structures import FREESURFER27
from napari_scse.synthesis import SynthesisConfig
from napari_scse.volume import LabelVolume, Volume
from variant_study import page, sections, timing
from variant_study.conclusions import Verdict, conclude, judge
from variant_study.gains import find_gains, seed_noise
from variant_study.paper import NETWORKS, VARIANTS
from variant_study.runs import held_back
from variant_study.scores import CaseFacts, Key, Options, RunFacts, Scored, read_scores, write_scores
from variant_study.study import make_study

TRAINING: dict[str, Any] = {
    "epochs": 2,
    "slices": 10,
    "batch": 4,
    "seed": 1,
    "validation": [],
    "source": "label maps",
    "synthesis": asdict(SynthesisConfig(texture=0.1, strip=0.0)) | {"gain": [0.7, 1.4]},
}
MAPS = ("seg_1", "seg_2", "seg_3")  # the last one is held back


@pytest.fixture
def maps(tmp_path: Path, label_map: LabelVolume) -> Path:
    """Three label maps, each another file."""
    folder = tmp_path / "maps"
    folder.mkdir()
    for number, name in enumerate(MAPS):
        affine = label_map.affine.copy()
        affine[0, 3] += number
        images.write_labels(folder / f"{name}.nii.gz", LabelVolume(label_map.data, affine))
    return folder


@pytest.fixture
def trained(maps: Path, tiny_run: Callable[..., Run]) -> Callable[..., Run]:
    """A maker of runs in ``runs/`` that say how they were trained: ``trained("scse", slices=12)``."""
    data = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(maps.iterdir())}

    def make(excitation: str, kind: str = "u-net", name: str = "", epochs: int = 2, **changes: Any) -> Run:
        folder = f"t1-variant-{name or f'{kind}-{excitation}'}"
        run = tiny_run(name=folder, kind=kind, excitation=excitation, epochs=epochs)
        return create_run(run.path, replace(run.config, training=TRAINING | changes, data=data))

    return make


@pytest.fixture
def command(tmp_path: Path, maps: Path, scan: Volume, labels: LabelVolume) -> list[str]:
    """The command that measures all runs on a real scan and two heads drawn from the map that was held back."""
    images.write(tmp_path / "T1.nii.gz", scan)
    images.write_labels(tmp_path / "aseg.nii.gz", labels)
    return [
        "measure",
        *("--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "table" / "t1.csv")),
        *("--scan", f"anna={tmp_path / 'T1.nii.gz'},{tmp_path / 'aseg.nii.gz'}"),
        *("--label-maps", str(maps), "--work", str(tmp_path / "work"), "--precision", "float32"),
    ]


def table_of(command: list[str]) -> Path:
    return Path(command[command.index("--out") + 1])


def test_numbers_are_those_of_evaluate_and_are_not_measured_again(
    command: list[str], trained: Callable[..., Run], capsys: pytest.CaptureFixture[str]
) -> None:
    plain = trained("none")
    trained("sse", name="begun", epochs=1)
    variants.main([*command, "--draws", "1"])
    said = capsys.readouterr().out
    assert "t1-variant-begun is passed over: 1 of its 2 epochs are trained." in said
    assert "2 of 2 to do" in said
    (real, drawn) = read_scores(table_of(command))
    assert [one.key.scan.case for one in (real, drawn)] == ["anna", "seg_3-draw-1"]
    assert (drawn.key.scan.head, drawn.key.scan.kind) == ("seg_3", "synthetic")
    found = drain(segment(images.read(table_of(command).parents[1] / "T1.nii.gz"), plain, epoch="last", mirror=False))
    truth = images.read_labels(table_of(command).parents[1] / "aseg.nii.gz")
    expected = evaluate(found.labels, truth, mapping="freesurfer27", surfaces=False)
    assert [s.value for s in real.scores] == [s.value for s in expected.scores]
    assert [s.dice for s in real.scores] == pytest.approx([s.dice for s in expected.scores], abs=1e-6)
    assert all(math.isnan(s.assd_mm) for s in real.scores)
    facts = real.key.trained
    assert (facts.network, facts.variant, facts.seed, facts.epoch, facts.steps) == ("u-net", "none", 1, 2, 6)

    excited = trained("scse")
    variants.main(command)
    assert "4 of 6 to do" in capsys.readouterr().out
    every = read_scores(table_of(command))
    assert str([one for one in every if one.key.trained.variant == "none"][:2]) == str([real, drawn])  # NaN != NaN
    assert {one.key.scan.case for one in every} == {"anna", "seg_3-draw-1", "seg_3-draw-2"}
    numbers = [sum(p.numel() for p in run.network().parameters()) for run in (plain, excited)]
    facts = every[-1].key.trained
    assert facts.parameters == numbers[1]
    assert facts.overhead_percent == pytest.approx(100 * (numbers[1] / numbers[0] - 1), abs=1e-3)

    before = table_of(command).read_bytes()
    variants.main(command)
    assert "0 of 6 to do" in capsys.readouterr().out
    assert table_of(command).read_bytes() == before
    variants.main([*command, "--surfaces"])
    again = read_scores(table_of(command))
    assert len(again) == 6
    assert any(math.isfinite(s.assd_mm) for one in again for s in one.scores)
    variants.main(command)
    assert "0 of 6 to do" in capsys.readouterr().out


def test_the_maps_that_training_held_back_are_taken(trained: Callable[..., Run], tmp_path: Path) -> None:
    """Training sorts files by their whole names, in which - comes before the dot of the suffix."""
    config = replace(trained("none").config, data={"z.nii.gz": "b" * 64, "z-2.nii.gz": "a" * 64})
    assert list(held_back(create_run(tmp_path / "named", config))) == ["z.nii.gz"]


def test_what_stopped_goes_on(command: list[str], trained: Callable[..., Run]) -> None:
    """Rows come whole, case by case: a table that was cut short after one is filled in to the same bytes."""
    trained("none")
    trained("cse")
    variants.main(command)
    whole = table_of(command).read_bytes()
    scored = read_scores(table_of(command))
    write_scores(table_of(command), scored[:1])
    heads = {path: path.stat().st_mtime_ns for path in (table_of(command).parents[1] / "work").iterdir()}
    variants.main(command)
    assert table_of(command).read_bytes() == whole
    assert {path: path.stat().st_mtime_ns for path in heads} == heads
    for path in heads:
        path.unlink()
    variants.main(command)  # the same heads are drawn again
    assert table_of(command).read_bytes() == whole


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"slices": 12}, r"u-net-cse and t1-variant-u-net-none cannot stand .* they differ in slices \(12 and 10\)"),
        ({"synthesis": {"texture": 0.2}}, "they differ in synthesis"),
        ({"init": "another"}, r"they differ in init \(another and None\)"),
    ],
)
def test_runs_that_were_trained_otherwise_are_refused(
    command: list[str], trained: Callable[..., Run], changes: dict[str, Any], said: str
) -> None:
    trained("none")
    trained("cse", **changes)
    with pytest.raises(SystemExit, match=said):
        variants.main(command)
    assert not table_of(command).exists()


def test_another_seed_and_device_may_stand_beside_the_first(command: list[str], trained: Callable[..., Run]) -> None:
    trained("none")
    trained("none", name="again", seed=2, device="cuda")
    variants.main([*command, "--draws", "1"])
    assert {one.key.trained.seed for one in read_scores(table_of(command))} == {1, 2}
    trained("none", name="twin")
    with pytest.raises(SystemExit, match="u-net-none and t1-variant-twin are the same: u-net, none, seed 1"):
        variants.main([*command, "--draws", "1"])


def test_rows_of_another_training_are_refused(command: list[str], trained: Callable[..., Run], tmp_path: Path) -> None:
    """Also where the run that they are of is no longer there, or its weights are others."""
    run = trained("none")
    variants.main([*command, "--draws", "1"])
    before = table_of(command).read_bytes()
    with pytest.raises(SystemExit, match=r"not labelled with the options of anna \(mirror False and True\)"):
        variants.main([*command, "--draws", "1", "--mirror"])
    with pytest.raises(SystemExit, match=r"two versions of the run t1-variant-u-net-none \(weights \w+ and \w+, epoch"):
        variants.main([*command, "--draws", "1", "--epoch", "1"])
    scan = images.read(tmp_path / "T1.nii.gz")
    images.write(tmp_path / "T1.nii.gz", Volume(scan.data + 1, scan.affine))
    with pytest.raises(SystemExit, match="two versions of the case anna"):
        variants.main([*command, "--draws", "1"])
    images.write(tmp_path / "T1.nii.gz", scan)
    run.path.rename(tmp_path / "elsewhere")
    trained("cse", slices=12)
    with pytest.raises(SystemExit, match=r"u-net-cse was not trained as t1-variant-u-net-none"):
        variants.main([*command, "--draws", "1"])
    assert table_of(command).read_bytes() == before


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--held-back", "seg_1"], "seg_1: not held back from the training; held back are seg_3"),
        (["--match", "*-nothing-*"], r"no finished run in .* that is called \*-nothing-\*"),
        (["--runs", "nowhere"], "There is no folder nowhere"),
        (["--scan", "bert"], "NAME=SCAN,LABELS; got 'bert'"),
        (["--scan", "bert=no.nii,also-no.nii"], "There is no file no.nii"),
        (["--scan", "seg_3-draw-1={scan}"], "Two cases are called seg_3-draw-1"),
        (["--label-maps", "empty"], "There is no label map empty"),
        (["--out", "other.csv"], "other.csv is not a table of this command"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(
    command: list[str],
    trained: Callable[..., Run],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    said: str,
) -> None:
    trained("none")
    monkeypatch.chdir(tmp_path)
    Path("other.csv").write_text("a,b\n1,2\n")
    files = command[command.index("--scan") + 1].partition("=")[2]
    with pytest.raises(SystemExit, match=said):
        variants.main([*command, *(option.replace("{scan}", files) for option in options)])
    assert not table_of(command).exists()


def test_a_label_map_that_has_changed_is_refused(
    command: list[str], trained: Callable[..., Run], maps: Path, label_map: LabelVolume
) -> None:
    trained("none")
    images.write_labels(maps / "seg_3.nii.gz", label_map)
    with pytest.raises(SystemExit, match=r"seg_3.*has changed"):
        variants.main(command)


# The page: from tables of numbers that are made up, and known.

GAIN = {"none": 0.0, "cse": 0.01, "sse": -0.02, "scse": 0.03}


def invent(
    real: int = 2,
    maps: int = 4,
    seeds: tuple[int, ...] = (1, 2),
    surfaces: bool = False,
    again: float = 0.005,
    networks: Iterable[str] = NETWORKS,
) -> list[Scored]:
    """Every network with four variants, FC-DenseNet with every seed; later seeds are `again` better."""
    cases = [CaseFacts(f"sub-{n}", f"sub-{n}", "real", "r") for n in range(real)]
    cases += [CaseFacts(f"map-{m}-draw-{d}", f"map-{m}", "synthetic", "s") for m in range(maps) for d in (1, 2)]
    scored = []
    for network, variant, seed in product(networks, VARIANTS, seeds):
        if seed != seeds[0] and network != "fc-densenet":
            continue
        plain = 1000 if variant == "none" else 1010
        name = f"{network}-{variant}-{seed}"
        run = RunFacts(name, network, variant, seed, "w", 6, 6, 800, 1200, "t", "2.13", plain, plain / 10 - 100)
        for number, case in enumerate(cases):
            base = 0.8 + GAIN[variant] + again * seeds.index(seed) + 0.002 * number
            scores = tuple(
                StructureScore(
                    s.value, s.name, round(base - 0.001 * place, 6), 1.0, 1.0, 0.9, *((1.5, 3.0) if surfaces else ())
                )
                for place, s in enumerate(FREESURFER27)
            )
            scored.append(Scored(Key(run, Options("bfloat16", False, surfaces), case), scores))
    return scored


def report_on(scored: list[Scored], folder: Path) -> str:
    write_scores(folder / "t1.csv", scored)
    variants.main(["report", str(folder / "t1.csv")])
    return (folder / "t1.md").read_text(encoding="utf-8")


def section(text: str, title: str) -> str:
    return text.partition(f"## {title}\n")[2].partition("\n## ")[0]


def test_a_table_reads_back_as_it_was_written(tmp_path: Path) -> None:
    scored = invent(surfaces=True)
    write_scores(tmp_path / "t1.csv", scored)
    assert read_scores(tmp_path / "t1.csv") == scored


def test_the_page_has_every_network_beside_the_papers_numbers(tmp_path: Path) -> None:
    text = report_on(invent(), tmp_path)
    real = section(text, "Dice on real heads")
    # two real heads, 0.002 apart; 27 structures, 0.001 apart; the later seed is not in Table III
    assert "| FC-DenseNet | here | 0.788 ± 0.001 | 0.798 ± 0.001 | 0.768 ± 0.001 | 0.818 ± 0.001 |" in real
    assert "|  | paper | 0.842 ± 0.058 | 0.865 ± 0.069 | 0.876 ± 0.061 | 0.889 ± 0.065 |" in real
    assert "|  | paper | 0.763 ± 0.110 | 0.825 ± 0.063 | 0.837 ± 0.058 | 0.851 ± 0.058 |" in real
    assert "Too few heads for a test" in real
    assert " p |" not in text
    gains = [line for line in real.splitlines() if line.startswith("| FC-DenseNet | scSE |")]
    assert gains == [
        "| FC-DenseNet | scSE | +0.030 ± 0.000 | 2 of 2 | +0.030 ± 0.000 | 2 of 2 | +0.005 | +0.005 | +0.047 |"
    ]
    assert "| U-Net | sSE | -0.020 ± 0.000 | 0 of 2 |  |  |  |  | +0.074 |" in real
    cost = section(text, "Parameters and training time")
    assert "| U-Net | scSE | 1 | 1,010 | 1.00 % | 1.57 % | 6 | 1,200 |" in cost
    assert "minutes" not in cost
    assert "arXiv 1808.08127" in text
    assert "8 synthetic scans, drawn from label maps that nothing was trained on" in text
    assert "4 heads (map-0, map-1, map-2, map-3). The cases of one head are not independent" in text
    plots = re.findall(r"\]\((t1-.+\.svg)\)", text)
    assert len(plots) == 6
    assert all((tmp_path / plot).read_bytes().startswith(b"<?xml") for plot in plots)
    assert "ASSD" not in text
    assert "none" in (tmp_path / "t1-u-net-real.svg").read_text(encoding="utf-8")
    further = "\n".join(sections.further(make_study(invent(surfaces=True))))
    assert "| real heads | ASSD (mm) | U-Net | 1.50 ± 0.00 |" in further


def test_conclusions_follow_from_the_numbers() -> None:
    study = make_study(invent())
    drawn, real = ("\n".join(conclude(study, kind)) for kind in ("synthetic", "real"))
    assert "cSE +0.010 (higher in 4 of 4 heads; seed 2: +0.010, 4 of 4), more than two seeds differ (0.005)" in drawn
    assert "sSE -0.020 (higher in 0 of 4 heads), not better than none" in drawn
    assert "scSE +0.030 (higher in 2 of 2 heads), more than two seeds of FC-DenseNet differ (0.005)" in real
    assert "From worst to best: sSE 0.768, none 0.788, cSE 0.798, scSE 0.818; the paper's order is none, cSE," in real
    assert "**cSE** beats none by more than two seeds differ with FC-DenseNet (+0.010), SD-Net (+0.010), U-Net" in real
    assert "**sSE** beats none by more than two seeds differ with no network. It does not beat none with" in real
    assert "(SD-Net, U-Net: one seed only, set against what two of FC-DenseNet differ.)" in real
    assert "scSE is higher than none in 27 of 27" in real
    assert real.count("nothing can be tested") == drawn.count("nothing can be tested") == 1
    noisy = "\n".join(conclude(make_study(invent(again=0.02)), "synthetic"))
    assert "cSE +0.010 (higher in 4 of 4 heads; seed 2: +0.010, 4 of 4), no more than two seeds differ (0.020)" in noisy
    single = "\n".join(conclude(make_study(invent(seeds=(1,))), "real"))
    assert "how much two seeds differ is not measured" in single
    assert "one seed only" not in single


def test_six_heads_are_tested() -> None:
    study = make_study(invent(real=6, maps=0))
    assert study.kinds == ["real"]
    results = {v: study.result("u-net", v, 1, "real") for v in VARIANTS}
    tests = compare({v: found for v, found in results.items() if found is not None}).differences()
    p = {(t.first, t.second): (t.p, t.p_holm) for t in tests}["none", "scse"]
    line = next(line for line in sections.gains(study, "real") if line.startswith("| U-Net | scSE | +"))
    assert f"| {p[0]:.4f} | {p[1]:.4f} |" in line
    assert "Of 9 differences from none, by the signed-rank test" in conclude(study, "real")[-1]


def test_a_gain_is_judged_by_its_worst_seed() -> None:
    gain = find_gains(make_study(invent()), "real")[2]
    assert (gain.network, gain.variant, sorted(gain.by_seed)) == ("fc-densenet", "scse", [1, 2])
    one, two = gain.by_seed.values()
    for means, noise, verdict in (
        ((0.03, 0.02), 0.01, Verdict.BETTER),
        ((0.03, 0.01), 0.01, Verdict.WITHIN),
        ((0.03, -0.01), 0.01, Verdict.MIXED),
        ((-0.03, 0.0), 0.01, Verdict.NOT),
        ((0.03, 0.02), None, Verdict.UNKNOWN),
    ):
        by_seed = {1: replace(one, mean=means[0]), 2: replace(two, mean=means[1])}
        assert judge(replace(gain, by_seed=by_seed), noise) is verdict
    assert seed_noise(make_study(invent()), "real") == {"fc-densenet": pytest.approx(0.005)}


def test_the_networks_take_turns(trained: Callable[..., Run], tmp_path: Path) -> None:
    options = {"optimizer": "adamw", "clip_gradient": 1.0, "dice_weight": 1.0}
    for variant, seed in (("none", 1), ("scse", 1), ("none", 2)):
        trained(variant, name=f"{variant}-{seed}", seed=seed, **options)
    file = tmp_path / "t1-steps.csv"
    variants.main(["time", "--runs", str(tmp_path / "runs"), "--out", str(file), "--rounds", "2"])
    turns = timing.read_turns(file)
    assert [(turn.variant, turn.round) for turn in turns] == [("none", 1), ("scse", 1), ("none", 2), ("scse", 2)]
    assert all(turn.milliseconds > 0 for turn in turns)
    file.write_text("a,b\n")
    with pytest.raises(InputError, match="not a table of step times"):
        timing.read_turns(file)


def test_the_page_tells_the_median_of_what_a_step_took_beside_none_in_the_same_round(tmp_path: Path) -> None:
    taken = {"none": (100.0, 200.0, 300.0), "scse": (110.0, 240.0, 390.0)}
    turns = [
        timing.Turn("u-net", variant, number, "bfloat16", "cpu", 2, own[number - 1])
        for variant, own in taken.items()
        for number in (1, 2, 3)
    ]
    timing.write_turns(tmp_path / "t1-steps.csv", turns)
    text = report_on(invent(), tmp_path)
    cost = section(text, "Parameters and training time")
    assert "| U-Net | none | 1 | 1,000 |  |  | 6 | 1,200 | 200 |  | 4 |" in cost
    assert "| U-Net | scSE | 1 | 1,010 | 1.00 % | 1.57 % | 6 | 1,200 | 240 | +20 % | 5 |" in cost
    assert "| 6 | 1,200 | – | – | – |" in cost  # the others were not timed
    assert "bfloat16 on cpu (2 threads): the networks took turns, 3 rounds; medians" in cost
    assert "[t1.csv](t1.csv) and [t1-steps.csv](t1-steps.csv)" in text


def test_what_was_written_by_hand_stays(tmp_path: Path) -> None:
    few = invent(maps=0, networks=["u-net"])
    first = report_on(few, tmp_path)
    plot = (tmp_path / "t1-u-net-real.svg").read_bytes()
    assert report_on(few, tmp_path) == first
    assert (tmp_path / "t1-u-net-real.svg").read_bytes() == plot
    mine = "What I think:\n\n- *scSE* \\1 is fine."
    (tmp_path / "t1.md").write_text(first.replace(f"{page.BY_HAND[0]}\n", f"{page.BY_HAND[0]}\n{mine}"))
    later = report_on(invent(real=3, maps=0, networks=["u-net"]), tmp_path)
    assert f"{page.BY_HAND[0]}\n{mine}\n{page.BY_HAND[1]}" in later
    assert later != first
    (tmp_path / "t1.md").write_text("# Mine\n")
    with pytest.raises(SystemExit, match="lacks the marks"):
        report_on(few, tmp_path)
    assert (tmp_path / "t1.md").read_text() == "# Mine\n"


def test_what_is_not_finished_is_said_and_left_out(tmp_path: Path) -> None:
    few = invent(maps=1, networks=["u-net"])
    scored = [one for one in few if (one.key.trained.run, one.key.scan.case) != ("u-net-scse-1", "sub-0")]
    text = report_on(scored, tmp_path)
    assert "u-net-scse-1 is left out of what is said of real heads: it has labelled 1 of 2 cases." in text
    lines = [line for line in section(text, "Dice on real heads").splitlines() if line.startswith("| U-Net | here |")]
    assert lines[0].endswith("| – |")
    lines = [line for line in section(text, "Dice on held-back synthetic heads").splitlines() if "| U-Net |" in line]
    assert not lines[0].endswith("| – |")
    alone = [one for one in few if one.key.trained.run == "u-net-none-1"]
    assert "| U-Net | here | – |" in report_on(alone, tmp_path)


def test_a_table_of_two_trainings_is_refused(tmp_path: Path) -> None:
    first, *others = invent()
    other = replace(first.key, trained=replace(first.key.trained, run="u", network="u-net", seed=9, training="x"))
    with pytest.raises(InputError, match="was not trained as"):
        make_study([*others, replace(first, key=other)])
    with pytest.raises(InputError, match="no rows"):
        make_study([])
    with pytest.raises(SystemExit, match="There is no file"):
        variants.main(["report", str(tmp_path / "nothing.csv")])
