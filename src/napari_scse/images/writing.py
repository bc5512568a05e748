"""Write volumes as images. A file appears complete under its name, or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from napari_scse.atomic import appearing
from napari_scse.errors import InputError
from napari_scse.images.formats import find_format
from napari_scse.images.reading import LARGEST_LABEL, label_type
from napari_scse.images.streams import create_stream
from napari_scse.volume import LabelVolume, Volume

_STORED_AS = {"bool": "uint8", "float16": "float32", np.dtype(np.longdouble).name: "float64"}  # formats lack these


def write(path: Path | str, volume: Volume) -> None:
    """Write a volume with its affine, in the format that the suffix of `path` names.

    Raises
    ------
    InputError
        The suffix is unknown, the format cannot hold the numbers, or the file cannot be written.
    """
    path = Path(path)
    _, form = find_format(path)
    native = volume.data.dtype.newbyteorder("=")
    data = volume.data.astype(_STORED_AS.get(native.name, native), copy=False)
    with _appearing(path) as part, create_stream(part, form.packed) as stream:
        form.save(replace(volume, data=data), stream)


def write_labels(path: Path | str, labels: LabelVolume) -> None:
    """Write labels as `write` does, as uint8 where that is enough, else as uint16.

    Raises
    ------
    InputError
        As for `write`, and where a label is not in 0 to 65535.
    """
    low, high = int(labels.data.min()), int(labels.data.max())
    if low < 0 or high > LARGEST_LABEL:
        raise InputError(f"Labels run from 0 to {LARGEST_LABEL}, but {low} to {high} occur: {path} was not written.")
    write(path, replace(labels, data=labels.data.astype(label_type(high), copy=False)))


@contextmanager
def _appearing(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to, which takes its place when all went well and goes when not."""
    try:
        target = path.resolve()
        if target.is_dir():
            raise InputError(f"{path} is a folder: name a file to write.")
        if not target.parent.is_dir():
            raise InputError(f"{path} cannot be written: {target.parent} is not a folder.")
        with appearing(target) as part:
            yield part
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}.") from error
