"""What is taught: two real heads, as they are and worse, and a CT with a run that has seen a third of it.

Most choices of the method were made with two cases (`TUNED`).
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from degradations import DEGRADATIONS
from napari_scse import images
from napari_scse.errors import InputError
from napari_scse.events import drain
from napari_scse.nn.architectures import NetworkConfig
from napari_scse.runs import DEFAULT_RUN, Run, load_run
from napari_scse.slices import Plane
from napari_scse.structures import FREESURFER27, Structure
from napari_scse.training import TrainConfig, train
from napari_scse.volume import LabelVolume, Volume
from robustness import find_subjects, read_head

TUNED = ("sub-07-bias", "ct")
_VERSIONS = {"": "none", "-bias": "bias", "-slabs": "slabs-axial"}
_ORGANS = (Structure(1, "Spleen", "#dc8264"), Structure(2, "Kidneys", "#b9663a"), Structure(5, "Liver", "#dd8265"))
_SEEN = 10  # of the CT's slices, from the bottom: what its run was trained on


@dataclass(frozen=True, eq=False)
class Case:
    """A scan, its reference, and the run that is taught.

    Attributes
    ----------
    name, text
        What it is called, and what it is.
    names
        Label value → name, of the structures that are judged.
    first
        The first slice, through the run's plane, that may be painted and is judged.
    few
        Whether there are so few slices that none is left out.
    """

    name: str
    text: str
    scan: Volume
    reference: LabelVolume
    run: Run
    names: dict[int, str]
    first: int = 0
    few: bool = False


def case_names(data: Path) -> list[str]:
    """The cases that a folder of data allows."""
    heads = data / "brain-dev"
    names = (
        [f"{subject}{version}" for subject in find_subjects(heads) for version in _VERSIONS] if heads.is_dir() else []
    )
    return [*names, *(["ct"] if (data / "ct-dev").is_dir() else [])]


def make_case(name: str, data: Path, work: Path) -> Case:
    """Read a case, and make what it needs.

    Parameters
    ----------
    data
        A folder with ``brain-dev`` and ``ct-dev``.
    work
        Keeps the CT's run.

    Raises
    ------
    InputError
        There is no such case.
    """
    if name not in case_names(data):
        raise InputError(f"There is no case {name}; there is {', '.join(case_names(data)) or 'none'} in {data}.")
    return _ct(data / "ct-dev", work) if name == "ct" else _head(name, data / "brain-dev")


def _head(name: str, data: Path) -> Case:
    subjects = find_subjects(data)
    subject = next(s for s in subjects for version in _VERSIONS if name == f"{s}{version}")
    degradation = next(d for d in DEGRADATIONS if d.name == _VERSIONS[name[len(subject) :]])
    random = np.random.default_rng([0, zlib.crc32(degradation.name.encode())])
    head = degradation.make(read_head(*subjects[subject]), random)
    names = {s.value: s.name for s in FREESURFER27}
    return Case(name, f"{subject}, {degradation.text}", head.scan, head.labels, load_run(DEFAULT_RUN), names)


def _ct(data: Path, work: Path) -> Case:
    scan, labels = images.read(data / "example_ct_sm.nii.gz"), images.read_labels(data / "example_seg.nii.gz")
    organs = np.zeros(65536, np.uint8)
    organs[[1, 2, 3, 5]] = 1, 2, 2, 5  # both kidneys are one: a training from pairs mirrors what it sees
    reference = LabelVolume(organs[labels.data], labels.affine)
    text = f"a CT of the abdomen; the run was trained on its lowest {_SEEN} slices, the others are taught and judged"
    run = train_ct(scan, reference, work)
    return Case("ct", text, scan, reference, run, {s.value: s.name for s in _ORGANS}, _SEEN, few=True)


def train_ct(scan: Volume, reference: LabelVolume, work: Path) -> Run:
    """Train a small run on the lowest slices of the CT, which is in RAS; one that is there already is taken."""
    out = work / "ct-run"
    if (out / "run.json").exists():
        return Run(out)
    for folder, volume in (("images", scan), ("labels", reference)):
        (work / "ct" / folder).mkdir(parents=True, exist_ok=True)
        part = volume.data[:, :, :_SEEN]
        if folder == "images":
            images.write(work / "ct" / folder / "lowest.nii.gz", Volume(part, volume.affine))
        else:
            images.write_labels(work / "ct" / folder / "lowest.nii.gz", LabelVolume(part, volume.affine))
    config = TrainConfig(
        out=out,
        network=NetworkConfig.preset("fc-densenet", maps=16),
        images=work / "ct" / "images",
        labels=work / "ct" / "labels",
        structures=_ORGANS,
        plane=Plane.AXIAL,
        spacing=(3.0, 3.0, 3.0),
        canvas=(112, 160),
        epochs=4,
        slices=240,
        optimizer="adamw",
        schedule="one-cycle",
        learning_rate=3e-3,
        clip_gradient=1.0,
        dice_weight=1.0,
        weight_power=0.5,
        seed=1,
    )
    return drain(train(config))


def choose(names: str | None, data: Path) -> Sequence[str]:
    """The cases named in a list with commas; None: all."""
    return case_names(data) if names is None else [name.strip() for name in names.split(",")]
