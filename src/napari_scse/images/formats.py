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


def bare_name(path: Path) -> str:
    """The file name without the suffix of an image; all of it if it has none."""
    suffix = next((suffix for suffix in SUFFIXES if path.name.lower().endswith(suffix)), "")
    return path.name[: len(path.name) - len(suffix)]


def images_in(folder: Path) -> dict[str, Path]:
    """The images in a folder by their names without suffix, in their order; hidden files are none.

    Raises
    ------
    InputError
        Two of them have one name.
    """
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or bare_name(path) == path.name or path.is_dir():
            continue
        name = bare_name(path)
        if name in found:
            raise InputError(f"'{folder}' has two files called {name}: {found[name].name} and {path.name}.")
        found[name] = path
    return found


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
