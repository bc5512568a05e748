"""The heads to be labelled: real scans, and synthetic ones drawn from label maps that no run was trained on."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from napari_scse import images
from napari_scse.errors import InputError
from napari_scse.synthesis import SynthesisConfig, synthesise
from variant_study.runs import short_sha, stem
from variant_study.scores import REAL, SYNTHETIC, CaseFacts


@dataclass(frozen=True)
class Case:
    """A scan and its labels on one grid; `head` says whose it is, `kind` is `REAL` or `SYNTHETIC`."""

    name: str
    head: str
    kind: str
    scan: Path
    labels: Path

    def describe(self) -> CaseFacts:
        """What the table says of it; both files are read."""
        scan, labels = images.read(self.scan), images.read_labels(self.labels)
        parts = (np.ascontiguousarray(a).tobytes() for v in (scan, labels) for a in (v.data, v.affine))
        return CaseFacts(self.name, self.head, self.kind, short_sha(b"".join(parts)))


def real_cases(scans: Sequence[str]) -> list[Case]:
    """A case for each ``NAME=SCAN,LABELS``; every one is taken for a head of its own.

    Raises
    ------
    InputError
        One is written otherwise, or a file is missing.
    """
    cases = []
    for text in scans:
        name, _, files = text.partition("=")
        scan, _, labels = files.rpartition(",")
        if not (name and scan and labels):
            raise InputError(f"A scan is given as NAME=SCAN,LABELS; got '{text}'.")
        missing = [path for path in (scan, labels) if not Path(path).is_file()]
        if missing:
            raise InputError(f"There is no file {missing[0]}.")
        cases.append(Case(name, name, REAL, Path(scan), Path(labels)))
    return cases


@dataclass(frozen=True)
class Drawing:
    """How synthetic heads are drawn.

    Attributes
    ----------
    maps
        The folder of label maps.
    held_back
        File name → SHA-256 of the maps that may be drawn from.
    names
        Which of them, without suffix; empty: all.
    draws, seed, synthesis
        Heads per map, what decides them, and how far they stray.
    work
        The folder that the drawn heads are kept in.
    """

    maps: Path
    held_back: Mapping[str, str]
    names: Sequence[str]
    draws: int
    seed: int
    synthesis: SynthesisConfig
    work: Path

    def chosen(self) -> list[Path]:
        """The label maps to draw from.

        Raises
        ------
        InputError
            One was trained on, is missing, or is not the file that it was at the training.
        """
        known = {stem(name): name for name in self.held_back}
        strangers = [name for name in self.names if name not in known]
        if strangers:
            raise InputError(
                f"{', '.join(strangers)}: not held back from the training; held back are {', '.join(known)}."
            )
        paths = [self.maps / known[name] for name in self.names or known]
        for path in paths:
            if not path.is_file():
                raise InputError(f"There is no label map {path}.")
            if hashlib.sha256(path.read_bytes()).hexdigest() != self.held_back[path.name]:
                raise InputError(f"{path} is not the label map that was held back from the training: it has changed.")
        return paths

    def make(self, path: Path, number: int) -> Case:
        """Draw a head of the label map in `path`; one that is there already is not drawn again."""
        head, name = stem(path.name), f"{stem(path.name)}-draw-{number}"
        recipe = json.dumps([self.held_back[path.name], number, self.seed, asdict(self.synthesis)], sort_keys=True)
        scan = self.work / f"{name}-{short_sha(recipe.encode())}.nii.gz"
        labels = scan.with_name(scan.name.replace(".nii.gz", "-labels.nii.gz"))
        if not (scan.exists() and labels.exists()):
            self.work.mkdir(parents=True, exist_ok=True)
            own = np.random.SeedSequence([self.seed, zlib.crc32(head.encode()), number]).generate_state(1)
            image, target = synthesise(images.read_labels(path), int(own[0]), self.synthesis)
            images.write(scan, image)
            images.write_labels(labels, target)
        return Case(name, head, SYNTHETIC, scan, labels)


def require_own_names(cases: Sequence[Case]) -> None:
    """Refuse two cases of one name."""
    twice = [name for name, count in Counter(case.name for case in cases).items() if count > 1]
    if twice:
        raise InputError(f"Two cases are called {', '.join(twice)}; give every case a name of its own.")
