"""A scan at every epoch of a run's training, computed where it is looked at.

The numbers lie in files that are mapped into memory: what is not computed takes no space, what is computed is there at
once when the same scan is looked at again, and memory does not grow with the scan or the epochs. A gate is never
exactly 0: a 0 in a map says that it is not computed yet.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Generator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any, Self

import numpy as np
import torch

from napari_scse.errors import RunError
from napari_scse.events import Event, MapDone, Message
from napari_scse.execution import Executor, choose_device
from napari_scse.exploration.frames import Frame, Frames
from napari_scse.exploration.layout import Layout, choose_epochs
from napari_scse.exploration.maps import ExcitationMaps, display_limits
from napari_scse.exploration.shelf import Shelf, release
from napari_scse.inference import NOTHING_FOUND, Location, Scan, locate
from napari_scse.nn.recorder import resolve_sites
from napari_scse.nn.recorder import sites as sites_of
from napari_scse.runs import Run
from napari_scse.volume import Volume

LABELS = "labels"
_FORMAT = 1
_SAMPLED = 48  # frames that display limits are taken from
_RELEASED_AFTER = 32  # frames: what was written is given back to the system's file cache then
_TINY = np.float32(1e-30)  # a gate that underflowed to 0 is stored as this


@dataclass(frozen=True)
class View:
    """What is looked at.

    Attributes
    ----------
    number
        The slice, counted from the film's first.
    epoch
        Index of the epoch.
    reach
        How many slices on each side are wanted as well; None: all.
    """

    number: int
    epoch: int
    reach: int | None = 0


class Film:
    """The maps and labels of one scan at every epoch, as far as they are computed; made by `open_film`.

    Attributes
    ----------
    maps
        The gates: axes (epoch, slice, row, column), float32, 0 where nothing is computed.
    labels
        Class indices (epoch, slice, row, column), uint8; None where they were not asked for.
    labels_affine
        Index (slice, row, column) of `labels` to RAS+ mm.
    gates
        Names of all the network's gates, also those that the film does not hold.
    done
        Which frames are computed, bool (epoch, slice).
    frames
        Makes further frames.
    lock
        Held while `frames` is at work: its networks do one thing at a time.
    classes
        Label value of each class index.
    """

    def __init__(
        self,
        run: Run,
        layout: Layout,
        frames: Frames,
        shelf: Shelf,
        arrays: dict[str, np.ndarray],
        done: np.ndarray,
    ) -> None:
        self.run = run
        self._shelf = shelf
        self.frames = frames
        self.labels = arrays.get(LABELS)
        self.done = done
        self.gates = tuple(layout.sites)
        self.maps: ExcitationMaps = layout.maps(run, {site: arrays[site] for site in layout.records})
        self.labels_affine = np.array(layout.affine(1))
        self.lock = Lock()
        self._computed = 0
        self.classes = np.asarray([structure.value for structure in run.config.classes], np.uint16)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def epochs(self) -> tuple[int, ...]:
        """Numbers of the epochs."""
        return self.maps.epochs

    def number_at(self, point: np.ndarray) -> int | None:
        """Return the slice through `point` (RAS+ mm, (3,)); None where there is none."""
        number = round(float((np.linalg.inv(self.labels_affine) @ [*point, 1.0])[0]))
        return number if 0 <= number < self.done.shape[1] else None

    def next(self, view: View) -> tuple[int, int] | None:
        """Return the (epoch index, slice) to compute next; None where nothing of what `view` wants is missing.

        The slice that is shown comes first, at the epoch that is shown, then at the others; then its neighbours at the
        epoch that is shown, nearest first; then those at the others.
        """
        epochs, count = self.done.shape
        distance = np.abs(np.arange(count) - view.number)
        missing = ~np.asarray(self.done) & (distance <= (count if view.reach is None else view.reach))
        if not missing.any():
            return None
        age = np.abs(np.arange(epochs) - view.epoch)[:, None]
        shown, here = age == 0, distance == 0
        rank = np.where(here, age, np.where(shown, epochs + distance, epochs + count + distance * epochs + age))
        epoch, number = divmod(int(np.where(missing, rank, np.iinfo(np.int64).max).argmin()), count)
        return epoch, number

    def compute(self, epoch: int, number: int) -> Frame:
        """Compute one frame and keep it; raises `InputError` where the disk is full."""
        self._shelf.require_room()
        with self.lock:
            (frame,) = self.frames.look(epoch, [number], self.maps.sites, labels=self.labels is not None)
        for site, gate in frame.gates.items():
            self.maps.arrays[site][epoch, number] = np.maximum(gate, _TINY)
        if self.labels is not None and frame.labels is not None:
            self.labels[epoch, number] = frame.labels
        self.done[epoch, number] = True
        self._computed += 1
        if self._computed % _RELEASED_AFTER == 0:
            release(*self.maps.arrays.values(), *([] if self.labels is None else [self.labels]))
        return frame

    def limits(self, site: str) -> tuple[float, float]:
        """Return display limits of a site, from a sample of what is computed; 0 and 1 where nothing is."""
        there = np.argwhere(self.done)
        if not len(there):
            return 0.0, 1.0
        chosen = there[np.unique(np.linspace(0, len(there) - 1, _SAMPLED).round().astype(int))]
        stored = self.maps[site]
        return display_limits(np.stack([stored[epoch, number, ::2, ::2] for epoch, number in chosen]))

    def close(self) -> None:
        """Let go of the networks; what is computed stays on disk."""
        self.frames.close()


def open_film(
    volume: Volume,
    run: Run,
    *,
    sites: Sequence[str] = ("first", "last"),
    epochs: str | Sequence[int | str] = "all",
    labels: bool = True,
    device: str | torch.device = "auto",
    precision: str = "float32",
    shelf: Shelf | None = None,
) -> Generator[Event, None, Film]:
    """Lay a scan out for a run's gates, without computing any: `develop` does that, where it is looked at.

    Parameters
    ----------
    volume, run, sites, epochs, device, precision
        As for `excite`.
    labels
        Whether to label the slices as well; without, a forward pass stops at the deepest site.
    shelf
        Where films are kept; None: `Shelf()`.

    Yields
    ------
    Progress
        During the coarse pass, where this scan was not looked at before.
    Message
        Sentences for the user.

    Raises
    ------
    InputError, RunError, DeviceError
        As for `excite`.
    """
    chosen = choose_epochs(run, epochs)
    where = choose_device(device)
    network = run.network("best")
    names = resolve_sites(network, sites)
    if not names and not labels:
        raise RunError(f"No site was asked for; this run has {', '.join(sites_of(network)) or 'none'}.")
    scan = Scan.of(volume, run.config)
    shelf = shelf or Shelf()
    look = {"scan": _digest(volume), "run": _identity(run, chosen), "device": where.type, "precision": precision}
    place = shelf.place(look | {"format": _FORMAT, "what": "location"})
    found = place / "location.json"
    if found.exists():
        location = _read_location(found)
    else:
        with Executor(network, where, precision) as executor:
            location = yield from locate(scan, executor)
        shelf.write(found, json.dumps(asdict(location)))
    if not location.found:
        yield Message(NOTHING_FOUND)
    layout = Layout.of(scan, network, location, sites=names, epochs=chosen)
    lead = (len(chosen), len(layout.slices))
    wanted: dict[str, tuple[tuple[int, ...], Any]] = {n: (r.shape, np.float32) for n, r in layout.records.items()}
    if labels:
        wanted[LABELS] = ((*lead, layout.window.height, layout.window.width), np.uint8)
    folder = shelf.place(look | {"format": _FORMAT, "sites": sorted(wanted)})
    arrays = {name: shelf.array(folder, name, shape, dtype) for name, (shape, dtype) in wanted.items()}
    done = shelf.array(folder, "done", lead, np.bool_)
    return Film(run, layout, Frames(run, layout, where, precision, 1), shelf, arrays, done)


def develop(film: Film, view: Callable[[], View]) -> Generator[Event, None, int]:
    """Compute what `view` wants, frame by frame; it is asked before each, so that what nobody looks at is dropped.

    Yields
    ------
    MapDone
        After each frame; `done` and `total` count the frames of the whole scan.
    Message
        Sentences for the user.

    Returns
    -------
    int
        How many frames were computed.
    """
    count = 0
    said: set[str] = set()
    while (wanted := film.next(view())) is not None:
        film.compute(*wanted)
        count += 1
        yield from (Message(text) for text in film.frames.messages() if text not in said)
        said.update(film.frames.messages())
        yield MapDone(*wanted, int(np.count_nonzero(film.done)), film.done.size)
    return count


def _digest(volume: Volume) -> str:
    digest = hashlib.sha256(np.ascontiguousarray(volume.data).data)
    digest.update(np.asarray(volume.affine, np.float64).tobytes())
    digest.update(f"{volume.data.dtype}{volume.shape}".encode())
    return digest.hexdigest()


def _identity(run: Run, epochs: Sequence[int]) -> list[Any]:
    """What changes when a run or one of its checkpoints does."""
    described = json.dumps(run.config.to_dict(), sort_keys=True)
    files = [run.checkpoint(epoch) for epoch in epochs]
    return [
        hashlib.sha256(described.encode()).hexdigest(),
        *([f.name, f.stat().st_size, f.stat().st_mtime_ns] for f in files),
    ]


def _read_location(path: Path) -> Location:
    described = json.loads(path.read_text(encoding="utf-8"))
    return Location(**described | {"box": tuple(described["box"])})
