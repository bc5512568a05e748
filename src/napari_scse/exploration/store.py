"""Excitation maps on disk: a zarr (version 3) group with one array a site, chunked so that a look is one small read.

A chunk is one slice of one epoch. The group's attribute ``napari-scse`` describes it all (`ExcitationMaps.to_dict`).
A store is made beside its final place and moved there when it is complete, so that there is never half a store.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from napari_scse.errors import InputError
from napari_scse.exploration.maps import AXES, ExcitationMaps, SiteRecord

FORMAT = 1
KEY = "napari-scse"


def make_arrays(records: Mapping[str, SiteRecord], dtype: str, folder: Path | None) -> dict[str, Any]:
    """Make one array of zeros a site: in the zarr group at `folder`, or in memory for None."""
    if folder is None:
        return {site: np.zeros(record.shape, dtype) for site, record in records.items()}
    group = zarr.open_group(folder, mode="w-", zarr_format=3)
    return {
        site: group.create_array(
            site,
            shape=record.shape,
            chunks=(1, 1, *record.shape[2:]),
            dtype=dtype,
            dimension_names=AXES[record.kind],
            attributes={"kind": record.kind, "stride": record.stride, "affine": record.affine},
        )
        for site, record in records.items()
    }


def describe(folder: Path, maps: ExcitationMaps) -> None:
    """Write the description of `maps` into the store at `folder`."""
    zarr.open_group(folder, mode="r+", zarr_format=3).attrs[KEY] = {"format": FORMAT, **maps.to_dict()}


@contextmanager
def partial_store(path: Path) -> Iterator[Path]:
    """Give a place beside `path` to make a store in; on success it becomes `path`, otherwise it is removed.

    Raises
    ------
    InputError
        If there is something at `path` already, or the place cannot be written to.
    """
    if path.exists() or path.is_symlink():
        raise InputError(f"Cannot write {path}: it exists already; remove it or choose another name.")
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.mkdir()
        (part / ".probe").touch()
        (part / ".probe").unlink()
        yield part
        part.rename(path)
    except OSError as error:
        raise InputError(f"Cannot write {path}: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def open_maps(path: Path | str) -> ExcitationMaps:
    """Open a store; nothing but its description is read.

    Raises
    ------
    InputError
        If there is no store of excitation maps at `path`, or it is not complete.
    """
    path = Path(path)
    try:
        group = zarr.open_group(path, mode="r", zarr_format=3)
        described = group.attrs[KEY]
        arrays = dict(group.arrays())
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise InputError(f"There are no excitation maps in {path} (a store made by excite is expected).") from error
    if not isinstance(described, dict) or described.get("format") != FORMAT:
        raise InputError(f"{path} is in a format that this version of napari-scse does not read.")
    return ExcitationMaps.from_dict(described, arrays, path)
