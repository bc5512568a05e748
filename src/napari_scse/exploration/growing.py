"""The film of a run that is still being trained: it has room for all epochs, and computes those that are there."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
import torch

from napari_scse.events import Event, Message
from napari_scse.execution import Executor, choose_device
from napari_scse.exploration.film import LABELS, Film
from napari_scse.exploration.frames import Frames
from napari_scse.exploration.layout import Layout
from napari_scse.exploration.opening import digest
from napari_scse.exploration.shelf import Shelf
from napari_scse.inference import NOTHING_FOUND, Location, Scan, locate
from napari_scse.inference.location import locate_labelled
from napari_scse.intensity import foreground_gain, labelled_gain
from napari_scse.nn.recorder import sites as sites_of
from napari_scse.runs import Run
from napari_scse.slices import cut
from napari_scse.volume import LabelVolume, Volume, require_same_grid


class GrowingFilm(Film):
    """A film whose epochs come one after the other."""

    @property
    def there(self) -> np.ndarray:
        """Which epochs have a checkpoint by now, bool (epoch,)."""
        return np.array([self.run.checkpoint(epoch).exists() for epoch in self.epochs], np.bool_)


def open_growing_film(
    volume: Volume,
    run: Run,
    epochs: int,
    *,
    labels: LabelVolume | None = None,
    device: str | torch.device = "cpu",
    shelf: Shelf | None = None,
) -> Generator[Event, None, GrowingFilm]:
    """Lay a scan out for the labels and two gates of a run that has its first epoch: sE-1 and the last decoder's.

    Parameters
    ----------
    volume, run
        The scan, and the run that is being trained.
    epochs
        How many epochs it is to have.
    labels
        True labels on the scan's grid: they say where to look, and how bright the scan is. Without, the last network
        says it, as for any scan, as well as it can by now.
    device, shelf
        As for `open_film`; a GPU that trains is better left alone.

    Raises
    ------
    InputError, RunError, DeviceError, SpaceError
        As for `open_film`, and where labels and scan lie on different grids.
    """
    where = choose_device(device)
    last = run.last_epoch
    network = run.network(last)
    scan = Scan.of(volume, run.config)
    if labels is not None:
        location = _located(scan, volume, labels)
    else:
        with Executor(network, where) as executor:
            location = yield from locate(scan, executor)
        if not location.found:
            yield Message(NOTHING_FOUND)
    numbers = tuple(range(1, max(epochs, last) + 1))
    layout = Layout.of(scan, network, location, sites=_looked_at(network), epochs=numbers)
    lead = (len(numbers), len(layout.slices))
    shelf = shelf or Shelf()
    made = (run.path / "run.json").stat().st_mtime_ns
    key = {"growing": str(run.path.resolve()), "made": made, "scan": digest(volume), "epochs": len(numbers)}
    folder = shelf.place(key | {"gain": location.gain, "window": str(layout.window)})
    arrays = {name: shelf.array(folder, name, record.shape, np.float32) for name, record in layout.records.items()}
    size = (*lead, layout.window.height, layout.window.width)
    arrays[LABELS] = shelf.array(folder, LABELS, size, run.config.values.dtype)
    done = shelf.array(folder, "done", lead, np.bool_)
    return GrowingFilm(run, layout, Frames(run, layout, where, "float32", 1), shelf, arrays, done)


def _looked_at(network: torch.nn.Module) -> tuple[str, ...]:
    """The first encoder's and the last decoder's spatial gate, as far as there are any."""
    spatial = [name for name, site in sites_of(network).items() if site.kind == "spatial"]
    decoders = [name for name in spatial if name.startswith("sD-")]
    return tuple(dict.fromkeys((*spatial[:1], *decoders[-1:])))


def _located(scan: Scan, volume: Volume, labels: LabelVolume) -> Location:
    """Where the labels lie, and the gain that training gives the scan."""
    require_same_grid(volume, labels)
    known = scan.conformation.resample_labels(cut(labels, scan.config.plane).data)
    labelled = np.isin(known, scan.config.values[1:])
    target = scan.config.intensity.labelled_median
    gain = labelled_gain(scan.data, labelled, target) if labelled.any() else None
    return locate_labelled(scan, np.where(labelled, known, 0), gain or foreground_gain(scan.data, target))
