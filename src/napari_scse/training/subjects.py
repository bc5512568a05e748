"""The subjects that a training learns from and those it is validated on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from napari_scse.dataset import LabelMapSubject, PairSubject, Sampling, Subject
from napari_scse.errors import InputError
from napari_scse.images import SUFFIXES, images_in, read, read_labels
from napari_scse.sides import can_mirror, merge_sides, mirrored
from napari_scse.sizes import Size, measure
from napari_scse.slices import Plane
from napari_scse.structures import (
    FREESURFER27,
    Structure,
    are_brain,
    class_indices,
    name_values,
    to_structures,
)
from napari_scse.synthesis import label_map_classes, label_map_partners
from napari_scse.training.config import TrainConfig
from napari_scse.volume import LabelVolume


def find_files(config: TrainConfig) -> dict[str, tuple[Path, ...]]:
    """Subject name → its label map, or its image and labels."""
    if config.label_maps is not None:
        if config.images is not None or config.labels is not None:
            raise InputError("Train either on label maps or on images with labels, not on both.")
        maps = _images_in(config.label_maps)
        return {name: (path,) for name, path in maps.items()}
    if config.images is None or config.labels is None:
        raise InputError("Training needs either a folder of label maps, or folders of images and of labels.")
    images, labels = _images_in(config.images), _images_in(config.labels)
    if images.keys() != labels.keys():
        lonely = sorted(images.keys() ^ labels.keys())
        raise InputError(f"Images and labels are paired by file name; these have no partner: {', '.join(lonely[:5])}.")
    return {name: (images[name], labels[name]) for name in images}


def _images_in(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}.")
    found = images_in(folder)
    if not found:
        raise InputError(f"The folder {folder} holds no images ({', '.join(SUFFIXES)}).")
    return found


def find_structures(config: TrainConfig, files: Mapping[str, tuple[Path, ...]]) -> tuple[Structure, ...]:
    """What there is to learn.

    The configuration's structures, or the 27 of the brain, or each label value of pairs that hold other labels.
    Sagittal slices do not tell left from right: there the two sides of a structure are one.
    """
    structures = config.structures or _labelled(files)
    return merge_sides(structures) if config.plane is Plane.SAGITTAL else structures


def _labelled(files: Mapping[str, tuple[Path, ...]]) -> tuple[Structure, ...]:
    if all(len(paths) == 1 for paths in files.values()):
        return FREESURFER27
    present: set[int] = set()
    for _, labels in files.values():
        present |= set(np.unique(read_labels(labels).data).tolist())
    if are_brain(present):
        return FREESURFER27
    return name_values(sorted(present - {0}))


def make_subject(
    config: TrainConfig, structures: Sequence[Structure], name: str, paths: tuple[Path, ...], device: torch.device
) -> Subject:
    """Read one subject: a label map alone, or an image and its labels."""
    sampling = Sampling(config.plane, config.spacing, config.canvas, config.neighbours, config.intensity)
    classes = _classes(config, structures)
    labels = _read_labels(structures, paths)
    if len(paths) == 1:
        scans = label_map_classes(classes), label_map_partners()
        return LabelMapSubject(name, labels, sampling, *scans, config.synthesis, device)
    partners = mirrored(structures) if can_mirror(structures) else None
    return PairSubject(name, read(paths[0]), labels, sampling, classes, partners)


def measure_structures(
    config: TrainConfig, structures: Sequence[Structure], paths: tuple[Path, ...]
) -> Mapping[int, Size]:
    """The sizes of one subject's structures, by their label values."""
    classes = _classes(config, structures)
    classes = label_map_classes(classes) if len(paths) == 1 else classes
    values = {label: structures[index - 1].value for label, index in classes.items() if index}
    return measure(_read_labels(structures, paths), values)


def _classes(config: TrainConfig, structures: Sequence[Structure]) -> dict[int, int]:
    """Class of every label value; on sagittal slices that of the other side as well."""
    classes = dict(class_indices([s.value for s in structures]))
    if config.plane is not Plane.SAGITTAL:
        return classes
    partners = mirrored(config.structures or FREESURFER27)
    return {partners.get(v, v): index for v, index in classes.items()} | classes


def _read_labels(structures: Sequence[Structure], paths: tuple[Path, ...]) -> LabelVolume:
    """The labels of one subject; of a pair that shows a brain mapped to the 27 structures."""
    labels = read_labels(paths[-1])
    if len(paths) > 1 and tuple(structures) in (FREESURFER27, merge_sides(FREESURFER27)):
        return LabelVolume(to_structures(labels.data), labels.affine)
    return labels


def check_names(names: Sequence[str], held_back: Sequence[str]) -> None:
    """Raise `InputError` where a subject to validate on is not there, or none is left to train on."""
    unknown = set(held_back) - set(names)
    if unknown:
        raise InputError(f"There is no subject called {', '.join(sorted(unknown))} to validate on.")
    if len(names) > 1 and held_back and not set(names) - set(held_back):
        raise InputError("Nothing is left to train on: hold fewer subjects back for validation.")


def split(subjects: Sequence[Subject], names: tuple[str, ...]) -> tuple[list[Subject], list[Subject]]:
    """Training and validation subjects; one subject alone serves as both."""
    check_names([s.name for s in subjects], names)
    if not names:
        names = tuple(s.name for s in subjects[len(subjects) - max(1, len(subjects) // 5) :])
    held_back = [s for s in subjects if s.name in names]
    learners = [s for s in subjects if s.name not in names]
    return learners or held_back, held_back
