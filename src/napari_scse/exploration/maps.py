"""The excitation maps of one scan: what they are, where they lie in space, and how to look at them.

Nothing here is computed ahead: an array is read where it is looked at, one epoch of one slice at a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import dask.array as da
import numpy as np

from napari_scse import images
from napari_scse.errors import InputError, RunError
from napari_scse.events import Event
from napari_scse.volume import Volume

DTYPES: tuple[str, ...] = ("uint8", "float32")
AXES = {"spatial": ("epoch", "slice", "row", "column"), "channel": ("epoch", "slice", "channel")}

_SAMPLED_SLICES = 24  # that display limits are taken from
_SAMPLED_WIDTH = 128  # rows and columns of each, at most
_STEP = 1 / 255


@dataclass(frozen=True)
class SiteRecord:
    """What was recorded at one gate.

    Attributes
    ----------
    kind
        ``"spatial"``: maps (epoch, slice, row, column); ``"channel"``: gates (epoch, slice, channel).
    stride
        Conformed pixels per map pixel.
    affine
        (4, 4) index (slice, row, column) of a spatial map to RAS+ mm, in nested tuples; None for a channel gate.
    shape
        Of the whole array.
    """

    kind: str
    stride: int
    affine: tuple[tuple[float, ...], ...] | None
    shape: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class ExcitationMaps:
    """The excitation maps of one scan.

    Attributes
    ----------
    run_name, version
        The run whose gates these are, and the version of this package that recorded them.
    plane
        The plane of the slices.
    slices
        Half-open range of slice numbers, counted at the run's spacing from the scan's first slice.
    epochs, losses
        The epochs along the first axis, and the training loss of each where it is known.
    records
        Site name → what was recorded there.
    arrays
        Site name → the stored numbers (numpy or zarr), uint8 or float32; see `unit`.
    path
        The store, None in memory.
    """

    run_name: str
    version: str
    plane: str
    slices: tuple[int, int]
    epochs: tuple[int, ...]
    losses: tuple[float | None, ...]
    records: Mapping[str, SiteRecord]
    arrays: Mapping[str, Any] = field(repr=False)
    path: Path | None = None

    @property
    def sites(self) -> tuple[str, ...]:
        """Names of the sites, in the order in which they were asked for."""
        return tuple(self.records)

    @property
    def unit(self) -> int:
        """The stored number that means 1: an open gate. 255 for uint8, 1 for float32."""
        return 255 if all(array.dtype == np.uint8 for array in self.arrays.values()) else 1

    def __getitem__(self, site: str) -> Any:
        """Return a site's stored array, as lazy as its store: see `unit` and `AXES`."""
        self.record(site)
        return self.arrays[site]

    def record(self, site: str) -> SiteRecord:
        """Return what was recorded at `site`; raises `RunError` where nothing was."""
        if site not in self.records:
            raise RunError(f"Nothing was recorded at {site!r}; there is {', '.join(self.sites)}.")
        return self.records[site]

    def values(self, site: str) -> Any:
        """Return a site's gates in 0 … 1: a lazy dask array of float32, one epoch of one slice a chunk."""
        stored = self[site]
        lazy: Any = da.from_array(stored, chunks=(1, 1, *stored.shape[2:]), name=False)  # type: ignore[no-untyped-call]
        return lazy if self.unit == 1 else lazy.astype(np.float32) / np.float32(self.unit)

    def affine(self, site: str) -> np.ndarray:
        """Return (4, 4) index (slice, row, column) of a spatial site's map to RAS+ mm."""
        affine = self.record(site).affine
        if affine is None:
            raise RunError(f"{site} is a channel gate: it has one number a channel and no place in space.")
        return np.array(affine)

    def limits(self, site: str, low: float = 1.0, high: float = 99.0) -> tuple[float, float]:
        """Return percentiles of a site's gates over all epochs, in 0 … 1, as display limits (the first is smaller).

        Parameters
        ----------
        site
            Its name.
        low, high
            Percentiles; they are taken from some two dozen slices spread over the scan.
        """
        stored = self[site]
        count = stored.shape[1]
        numbers = np.unique(np.linspace(0, count - 1, min(count, _SAMPLED_SLICES)).round().astype(int))
        thin = tuple(slice(None, None, -(-size // _SAMPLED_WIDTH)) for size in stored.shape[2:])
        sample = [np.asarray(stored[epoch, int(n)])[thin] for epoch in range(stored.shape[0]) for n in numbers]
        return display_limits(np.stack(sample) / np.float32(self.unit), low, high)

    def epoch_label(self, index: int) -> str:
        """Say which epoch lies at `index` of the first axis, such as "epoch 3 · loss 0.412"."""
        loss = self.losses[index]
        return f"epoch {self.epochs[index]}" + ("" if loss is None else f" · loss {loss:.3g}")

    def write_nifti(self, path: Path | str, site: str, epoch: int) -> None:
        """Write one epoch of a spatial site as a float32 image in 0 … 1, on the map's own grid.

        Raises
        ------
        RunError
            If nothing was recorded there, or the site is a channel gate.
        InputError
            If the file cannot be written.
        """
        affine = self.affine(site)
        if epoch not in self.epochs:
            raise RunError(f"Epoch {epoch} was not recorded; there is {', '.join(map(str, self.epochs))}.")
        data = np.asarray(self[site][self.epochs.index(epoch)], dtype=np.float32)
        images.write(Path(path), Volume(data / np.float32(self.unit), affine))

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the numbers, as JSON keeps it."""
        described = {"run": self.run_name, "version": self.version, "plane": self.plane, "slices": list(self.slices)}
        sites = {site: asdict(record) for site, record in self.records.items()}
        return described | {"epochs": list(self.epochs), "losses": list(self.losses), "sites": sites}

    @classmethod
    def from_dict(cls, described: Mapping[str, Any], arrays: Mapping[str, Any], path: Path | None) -> Self:
        """Inverse of `to_dict`.

        Raises
        ------
        InputError
            If something is missing, or the arrays are not those that are described.
        """
        try:
            first, last = (int(n) for n in described["slices"])
            records = {str(site): _record(record) for site, record in described["sites"].items()}
            epochs = tuple(int(epoch) for epoch in described["epochs"])
            losses = tuple(None if loss is None else float(loss) for loss in described["losses"])
            run, version, plane = (str(described[key]) for key in ("run", "version", "plane"))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"The description of these excitation maps is not complete: {error}.") from error
        if len(losses) != len(epochs):
            raise InputError(f"These excitation maps name {len(losses)} losses for {len(epochs)} epochs.")
        for site, record in records.items():
            array = arrays.get(site)
            known = array is not None and array.shape == record.shape and str(array.dtype) in DTYPES
            if not known or record.shape[:2] != (len(epochs), last - first):
                raise InputError(f"The maps of {site} are missing or not what their description says.")
        return cls(run, version, plane, (first, last), epochs, losses, records, arrays, path)


@dataclass(frozen=True, eq=False)
class MapsStarted(Event):
    """The arrays are there, still empty; each `MapDone` says which part of them has been filled since.

    In memory they are the arrays of the result. Those of a store are moved when it is complete: use the result's then.
    """

    maps: ExcitationMaps


def display_limits(gates: np.ndarray, low: float = 1.0, high: float = 99.0) -> tuple[float, float]:
    """Return percentiles of some gates in 0 … 1, at least one step of 8 bits apart."""
    bottom, top = (float(p) for p in np.percentile(gates, [low, high]))
    if top - bottom < _STEP:
        bottom = min(max(0.0, (top + bottom - _STEP) / 2), 1 - _STEP)
        top = bottom + _STEP
    return bottom, top


def _record(described: Mapping[str, Any]) -> SiteRecord:
    kind, shape = str(described["kind"]), tuple(int(size) for size in described["shape"])
    if kind not in AXES or len(shape) != len(AXES[kind]):
        raise ValueError(f"a site cannot be {kind} with {len(shape)} axes")
    affine = None
    if kind == "spatial":
        matrix = np.array(described["affine"], dtype=np.float64)
        if matrix.shape != (4, 4):
            raise ValueError("an affine is a 4 x 4 matrix")
        affine = tuple(tuple(row) for row in matrix.tolist())
    return SiteRecord(kind, int(described["stride"]), affine, shape)
