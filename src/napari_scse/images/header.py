"""What every format's header says of its voxels, checked in one place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_scse.errors import InputError

_REFUSED_KINDS = {"c": "complex numbers", "V": "colours (RGB)"}


@dataclass(frozen=True, eq=False)
class ImageHeader:
    """What a header promises.

    Attributes
    ----------
    shape
        As stored, first axis fastest: three axes of space, then any others.
    dtype
        As stored, with its byte order.
    offset
        Where the voxels begin, in bytes of the uncompressed file.
    affine
        (4, 4) voxel index to RAS+ mm, not checked yet.
    slope, intercept
        What stored numbers are multiplied by, and what is added then; (1, 0) where they mean themselves.
    notes
        Sentences on what had to be assumed.
    is_labels
        Whether the header says that the numbers are labels.
    forms
        See `Volume`.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    offset: int
    affine: np.ndarray
    slope: float = 1.0
    intercept: float = 0.0
    notes: tuple[str, ...] = ()
    is_labels: bool = False
    forms: Mapping[str, Sequence[float]] | None = None

    @property
    def is_scaled(self) -> bool:
        """Whether the numbers meant are not the numbers stored."""
        return (self.slope, self.intercept) != (1.0, 0.0)


def checked_shape(path: Path, sizes: Sequence[int]) -> tuple[int, ...]:
    """The sizes without superfluous axes of length 1 behind the third.

    Raises
    ------
    InputError
        A size is not positive, or there are fewer than three.
    """
    shape = tuple(int(size) for size in sizes)
    text = " x ".join(str(size) for size in shape)
    if any(size < 1 for size in shape):
        raise InputError(f"{path} is damaged: its header gives the impossible size {text}.")
    if len(shape) < 3:
        raise InputError(f"{path} is {len(shape)}-D ({text}), but a volume has 3 axes: store a slice as {text} x 1.")
    return shape[:3] + tuple(size for size in shape[3:] if size > 1)


def checked_type(path: Path, dtype: np.dtype | None, code: int) -> np.dtype:
    """The number type that a header's `code` stands for.

    Raises
    ------
    InputError
        There is none, or its numbers are not real.
    """
    if dtype is not None and dtype.kind in _REFUSED_KINDS and dtype.itemsize:
        raise InputError(f"{path} holds {_REFUSED_KINDS[dtype.kind]}, but one real number per voxel is needed.")
    if dtype is None or dtype.kind not in "iuf":
        raise InputError(f"{path} cannot be read: the number type {code} in its header is not known.")
    return dtype
