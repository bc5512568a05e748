"""What a segmentation leaves ready for the next one: networks on their device, laid out scans, and locations."""

from __future__ import annotations

import zlib
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, replace

import numpy as np
import torch

from napari_scse.execution import Executor
from napari_scse.inference.location import Location
from napari_scse.inference.scan import Scan
from napari_scse.runs import Run, RunConfig
from napari_scse.volume import Volume

_LOCATIONS = 32  # that are remembered


@dataclass(frozen=True)
class Options:
    """How networks are asked.

    Attributes
    ----------
    device, precision, batch_size
        See `execution`.
    mirror
        See `segment`.
    uncertainty
        Whether it is told.
    """

    device: torch.device
    precision: str = "float32"
    batch_size: int | None = None
    mirror: bool | None = None
    uncertainty: bool = False


class Ready:
    """Networks, scans and locations by what they were made from; not for two threads at once."""

    def __init__(self) -> None:
        self._networks: dict[Hashable, Executor] = {}
        self._scans: dict[Hashable, Scan] = {}
        self._locations: OrderedDict[Hashable, Location] = OrderedDict()
        self._used: set[Hashable] = set()

    def network(self, run: Run, epoch: int, options: Options) -> Executor:
        """Return a run's network at an epoch, ready on the device."""
        key = network_key(run, epoch, options)
        self._used.add(key)
        if key not in self._networks:
            network = run.network(epoch)
            self._networks[key] = Executor(network, options.device, options.precision, options.batch_size)
        return self._networks[key]

    def scan(self, volume: Volume, fingerprint: Hashable, config: RunConfig) -> Scan:
        """Return `volume` laid out for a run; raises `InputError` where there is nothing in it."""
        key = (fingerprint, config.plane, config.spacing)
        self._used.add(key)
        if key not in self._scans:
            self._scans[key] = Scan.of(volume, config)
        return replace(self._scans[key], config=config)

    def location(self, *key: Hashable) -> Location | None:
        """Return what was located with the same network in the same scan, or a guess that was kept."""
        return self._locations.get(key)

    def remember(self, location: Location, *key: Hashable) -> None:
        """Keep a location; the oldest are forgotten."""
        self._locations[key] = location
        self._locations.move_to_end(key)
        while len(self._locations) > _LOCATIONS:
            self._locations.popitem(last=False)

    def begin(self) -> None:
        """Start a new piece of work: what it does not use is let go of by `tidy`."""
        self._used.clear()

    def tidy(self) -> None:
        """Let go of the networks and scans that were not used since `begin`."""
        for key in self._networks.keys() - self._used:
            self._networks.pop(key).close()
        for key in self._scans.keys() - self._used:
            del self._scans[key]

    def close(self) -> None:
        """Let go of everything."""
        self.begin()
        self.tidy()
        self._locations.clear()


def network_key(run: Run, epoch: int, options: Options) -> Hashable:
    """Return what changes when a run's checkpoint, or how it is run, does."""
    file = run.checkpoint(epoch).stat()
    place = (str(run.path), epoch, file.st_mtime_ns, file.st_size)
    return (*place, str(options.device), options.precision, options.batch_size)


def fingerprint(volume: Volume) -> Hashable:
    """Return what changes when one of a volume's voxels or its place in space does."""
    flat = volume.data.ravel(order="K")  # a view wherever the voxels lie side by side
    sum_ = zlib.adler32(np.ascontiguousarray(flat).view(np.uint8).data)
    return (sum_, volume.shape, volume.data.dtype.str, volume.data.strides, volume.affine.tobytes())
