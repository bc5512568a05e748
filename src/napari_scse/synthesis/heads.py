"""Whole synthetic heads from whole-head label maps, and what the labels of such maps mean."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from napari_scse.sides import mirrored
from napari_scse.slices import Plane, cut
from napari_scse.structures import FREESURFER27, class_indices, to_structures
from napari_scse.synthesis.config import SynthesisConfig
from napari_scse.synthesis.priors import GENERATION_LABELS
from napari_scse.synthesis.synthesiser import Synthesiser
from napari_scse.volume import LabelVolume, Volume


def label_map_classes(classes: Mapping[int, int]) -> dict[int, int]:
    """Class of every value that a whole-head label map may hold, through the mapping onto the 27 structures."""
    values = np.asarray(GENERATION_LABELS)
    return {int(v): classes.get(int(t), 0) for v, t in zip(values, to_structures(values), strict=True)}


def label_map_partners() -> dict[int, int]:
    """Left and right partners among all values of a whole-head label map."""
    extra = {5: 44, 25: 57, 26: 58, 30: 62, 136: 163, 137: 164}
    return mirrored(FREESURFER27) | extra | {v: k for k, v in extra.items()}


def synthesise(
    label_map: LabelVolume, seed: int, config: SynthesisConfig | None = None, device: torch.device | str = "cpu"
) -> tuple[Volume, LabelVolume]:
    """Draw a whole head.

    Parameters
    ----------
    label_map
        A whole-head label map, with skull, fat and so on, as SynthSeg's.
    seed
        Decides the draw.

    Returns
    -------
    tuple
        A T1-weighted scan, float32, its labels with a median of about 100; and the 27 structures in it, uint8. Both on
        the label map's grid.

    Raises
    ------
    InputError
        The map holds labels without a T1 intensity, or none of the structures.
    """
    values = np.asarray([0, *(structure.value for structure in FREESURFER27)], np.uint8)
    classes = label_map_classes(class_indices(values[1:].tolist()))
    stack = cut(label_map, Plane.CORONAL)
    scans = Synthesiser(stack, classes, label_map_partners(), config, device)
    image, target = scans.draw(torch.Generator(device).manual_seed(seed), median=100.0)
    restore = stack.geometry.restore
    labels = LabelVolume(restore(values[target.cpu().numpy()]), label_map.affine)
    return Volume(restore(image.cpu().numpy()), label_map.affine), labels
