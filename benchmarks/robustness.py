"""How well a model labels scans that are worse than they should be: Dice against an aseg, degradation by degradation.

    python benchmarks/robustness.py --data FOLDER --out results.csv [--run NAME|DIR] [--markdown results.md]

FOLDER holds one folder per subject with T1.mgz and aseg.mgz (.mgh, .nii and .nii.gz are read as well). The table is
written whole after every row; rows that it already has for the same weights and options are not computed again, so that
hours of work can be stopped and taken up. `degradations.py` and docs/robustness.md say what each degradation is.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from degradations import DEGRADATIONS, Degradation, Head
from napari_scse import images
from napari_scse.errors import InputError, ScseError
from napari_scse.evaluation.tables import write_table
from napari_scse.events import drain
from napari_scse.execution import tune_allocator
from napari_scse.inference import segment
from napari_scse.inference.plausibility import UNLIKE
from napari_scse.metrics import overlaps
from napari_scse.runs import DEFAULT_RUN, Model, load_model
from napari_scse.sizes import measure
from napari_scse.structures import FREESURFER27, to_structures
from napari_scse.volume import LabelVolume

IN_VIEW = 0.1  # a structure is scored if this share of its volume is in the field of view
NAMES = {s.value: s.name for s in FREESURFER27}
KEY = ("subject", "degradation", "model", "weights", "epochs", "planes", "mirror", "precision", "seed")
RESULT = ("dice", "structures", "weakest", "weakest_dice", "warned", "seconds", "messages")
COLUMNS = (*KEY, *RESULT, *map(str, NAMES))
Row = Mapping[str, str]


@dataclass(frozen=True)
class Options:
    """How scans are labelled: what identifies a row beside the subject and the degradation.

    Attributes
    ----------
    model
        Its planes are those that are asked.
    epoch, mirror, precision, device
        As for `segment`.
    seed
        Of the bias field and the noise.
    """

    model: Model
    epoch: str
    mirror: bool | None
    precision: str
    device: str
    seed: int

    def key(self) -> dict[str, str]:
        """The columns of `KEY` from the model on."""
        epochs = [str(run.resolve_epoch(self.epoch)) for run in self.model.runs]
        digest = hashlib.sha256()
        for run, epoch in zip(self.model.runs, epochs, strict=True):
            digest.update(run.checkpoint(int(epoch)).read_bytes())
            if any(run.config.smoothing):
                digest.update(str(run.config.smoothing).encode())
            if len(epochs) > 1:
                digest.update(str(run.config.vote).encode())
        return {
            "model": self.model.name,
            "weights": digest.hexdigest()[:8],
            "epochs": "+".join(epochs),
            "planes": "+".join(self.model.planes),
            "mirror": {None: "auto", True: "yes", False: "no"}[self.mirror],
            "precision": self.precision,
            "seed": str(self.seed),
        }


def find_subjects(folder: Path) -> dict[str, tuple[Path, Path]]:
    """Subject → its scan and its aseg, for every folder in `folder` that has both."""
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}.")
    found = {}
    for subject in sorted(path for path in folder.iterdir() if path.is_dir()):
        scans, asegs = ([p for s in images.SUFFIXES if (p := subject / (n + s)).is_file()] for n in ("T1", "aseg"))
        if scans and asegs:
            found[subject.name] = scans[0], asegs[0]
    if not found:
        raise InputError(f"No folder in {folder} holds both a T1 and an aseg ({', '.join(images.SUFFIXES)}).")
    return found


def read_head(scan: Path, aseg: Path) -> Head:
    """Read a scan with its aseg, mapped to the 27 structures."""
    labels = images.read_labels(aseg)
    return Head(images.read(scan), LabelVolume(to_structures(labels.data), labels.affine), labels.data > 0)


def score(found: LabelVolume, degraded: Head, original: Head) -> dict[int, float]:
    """Dice of each structure in view, against the reference on the degraded scan's grid."""
    whole, seen = measure(original.labels), measure(degraded.labels)
    shared = overlaps(found.data, degraded.labels.data)
    return {
        value: shared[value].dice
        for value in NAMES
        if value in whole and value in seen and seen[value].mm3 >= IN_VIEW * whole[value].mm3
    }


def label(subject: str, original: Head, degradation: Degradation, options: Options, key: Row) -> Row:
    """Degrade a scan, label it and judge it: one row of the table."""
    started = time.monotonic()
    random = np.random.default_rng([options.seed, zlib.crc32(degradation.name.encode())])
    degraded = degradation.make(original, random)
    work = segment(
        degraded.scan,
        options.model,
        epoch=options.epoch,
        mirror=options.mirror,
        precision=options.precision,
        device=options.device,
    )
    found = drain(work)
    dice = score(found.labels, degraded, original)
    weakest = min(dice, key=dice.__getitem__, default=0)
    warned = any(message.startswith(UNLIKE) for message in found.messages)
    return {
        "subject": subject,
        "degradation": degradation.name,
        **key,
        "dice": f"{np.mean(list(dice.values())):.5f}" if dice else "",
        "structures": str(len(dice)),
        "weakest": NAMES.get(weakest, ""),
        "weakest_dice": f"{dice[weakest]:.5f}" if dice else "",
        "warned": "yes" if warned else "no",
        "seconds": f"{time.monotonic() - started:.0f}",
        "messages": " ".join(found.messages),
        **{str(value): f"{dice[value]:.5f}" if value in dice else "" for value in NAMES},
    }


def measure_all(
    data: Path, degradations: Sequence[Degradation], options: Options, rows: Sequence[Row]
) -> Iterator[Row]:
    """The rows that `rows` does not have yet, one after the other."""
    key = options.key()
    done = {tuple(row[name] for name in KEY) for row in rows}
    subjects = find_subjects(data)
    todo = [
        (subject, degradation)
        for subject in subjects
        for degradation in degradations
        if (subject, degradation.name, *key.values()) not in done
    ]
    print(f"{len(todo)} of {len(subjects) * len(degradations)} to do", flush=True)
    held = None
    for number, (subject, degradation) in enumerate(todo, start=1):
        if held is None or held[0] != subject:
            held = subject, read_head(*subjects[subject])
        print(f"{number} of {len(todo)}: {subject}, {degradation.name} … ", end="", flush=True)
        row = label(subject, held[1], degradation, options, key)
        print(f"Dice {row['dice']}, warned: {row['warned']}, {row['seconds']} s", flush=True)
        yield row


def read_rows(path: Path) -> list[Row]:
    """Rows of an earlier table; none if there is no file."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise InputError(f"{path} is not a table of this command; give another file.")
        return list(reader)


def to_markdown(rows: Sequence[Row]) -> str:
    """One table for each model with its options: a line per degradation, a column per subject."""
    parts = []
    for key in dict.fromkeys(tuple(row[name] for name in KEY[2:]) for row in rows):
        own = [row for row in rows if tuple(row[name] for name in KEY[2:]) == key]
        subjects = list(dict.fromkeys(row["subject"] for row in own))
        parts.append(", ".join(f"{name} {value}" for name, value in zip(KEY[2:], key, strict=True)) + "\n")
        parts.append(f"| degradation | what it is | {' | '.join(subjects)} | mean | change | weakest | warned |")
        parts.append(f"| --- | --- |{' --- |' * (len(subjects) + 4)}")
        by_case = {d.name: {r["subject"]: r for r in own if r["degradation"] == d.name} for d in DEGRADATIONS}
        parts += [_line(d, subjects, by_case[d.name], by_case["none"]) for d in DEGRADATIONS if by_case[d.name]]
        parts.append("")
    return "\n".join(parts)


def _line(degradation: Degradation, subjects: Sequence[str], rows: Mapping[str, Row], before: Mapping[str, Row]) -> str:
    dice = {subject: float(row["dice"]) for subject, row in rows.items() if row["dice"]}
    changes = [dice[s] - float(before[s]["dice"]) for s in dice if s in before and before[s]["dice"]]
    weakest = min((rows[s] for s in dice), key=lambda row: float(row["weakest_dice"]), default=None)
    cells = [
        degradation.name,
        degradation.text,
        *(f"{dice[s]:.3f}" if s in dice else "" for s in subjects),
        f"{np.mean(list(dice.values())):.3f}" if dice else "",
        f"{np.mean(changes):+.3f}" if changes and degradation.name != "none" else "",
        f"{weakest['weakest']} {float(weakest['weakest_dice']):.2f}" if weakest else "",
        f"{sum(row['warned'] == 'yes' for row in rows.values())} of {len(rows)}",
    ]
    return f"| {' | '.join(cells)} |"


def choose(names: str | None) -> list[Degradation]:
    """The degradations named in a list with commas; None: the usual ones."""
    if names is None:
        return [d for d in DEGRADATIONS if d.usual]
    known = {d.name: d for d in DEGRADATIONS}
    asked = list(dict.fromkeys(name.strip() for name in names.split(",")))
    unknown = [name for name in asked if name not in known]
    if unknown:
        raise InputError(f"There is no degradation {', '.join(unknown)}; there is {', '.join(known)}.")
    return [known[name] for name in asked]


def main(arguments: Sequence[str] | None = None) -> None:
    """Fill in what is missing in the table, and write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="one folder per subject, with a T1 and an aseg")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.csv", help="the table; what it has stays")
    parser.add_argument("--markdown", type=Path, metavar="FILE.md", help="also write the table as markdown")
    parser.add_argument("--run", default=DEFAULT_RUN, metavar="NAME|DIR", help="a run, or a model of several planes")
    parser.add_argument("--planes", metavar="PLANE,…", help="which of the model's planes to ask; all if not given")
    parser.add_argument("--only", metavar="NAME,…", help=", ".join(d.name for d in DEGRADATIONS))
    parser.add_argument("--epoch", default="best", metavar="N|best|last")
    parser.add_argument("--mirror", action=argparse.BooleanOptionalAction, default=None)
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seed", type=int, default=0, help="of the bias field and the noise")
    given = parser.parse_args(arguments)
    try:
        rows, degradations, model = read_rows(given.out), choose(given.only), load_model(given.run)
        if given.planes is not None:
            model = model.select([plane.strip() for plane in given.planes.split(",")])
        options = Options(model, given.epoch, given.mirror, given.precision, given.device, given.seed)
        given.out.parent.mkdir(parents=True, exist_ok=True)
        tune_allocator()
        for row in measure_all(given.data, degradations, options, rows):
            rows.append(row)
            write_table(given.out, COLUMNS, [[line[name] for name in COLUMNS] for line in rows])
        if given.markdown:
            given.markdown.write_text(to_markdown(rows), encoding="utf-8")
    except ScseError as error:
        raise SystemExit(f"robustness: {error}") from error


if __name__ == "__main__":
    main()
