"""The one table from suffix to format. A new format is a module with `parse` and `save`, and a line here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path

from napari_scse.errors import InputError
from napari_scse.images import mgh, nifti
from napari_scse.images.header import ImageHeader
from napari_scse.volume import Volume


@dataclass(frozen=True)
class Format:
    """How a format is read and written.

    Attributes
    ----------
    name
        For people.
    parse
        Takes an open stream at its start, and its path for messages.
    save
        Takes a volume and an open stream.
    packed
        Whether it is written gzip-compressed (on reading, that is seen from the file).
    """

    name: str
    parse: Callable[[BufferedIOBase, Path], ImageHeader]
    save: Callable[[Volume, BufferedIOBase], None]
    packed: bool


SUFFIXES: dict[str, Format] = {
    ".nii": Format("NIfTI", nifti.parse, nifti.save, packed=False),
    ".nii.gz": Format("NIfTI", nifti.parse, nifti.save, packed=True),
    ".mgh": Format("MGH", mgh.parse, mgh.save, packed=False),
    ".mgz": Format("MGH", mgh.parse, mgh.save, packed=True),
}


def find_format(path: Path | str) -> tuple[str, Format]:
    """The suffix of `path` as the table has it (be it in upper or lower case), and its format.

    Raises
    ------
    InputError
        The suffix is not in the table.
    """
    name = Path(path).name.lower()
    for suffix, form in SUFFIXES.items():
        if name.endswith(suffix) and name != suffix:
            return suffix, form
    raise InputError(f"{path} has none of the suffixes of an image: {', '.join(SUFFIXES)}.")
