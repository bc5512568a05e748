"""A volume laid out for a model and kept ready: any of its slices can be labelled, in any order, again and again.

`open_session` makes one, `grow` fills it. What is labelled is remembered, so that work that was stopped goes on where
it was, and the labels do not depend on the order in which slices were asked for.
"""

from __future__ import annotations

from collections.abc import Generator, Hashable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Self

import numpy as np
import torch
from torch import nn

from napari_scse.errors import InputError
from napari_scse.events import Event, Message
from napari_scse.execution import Executor, choose_device
from napari_scse.inference.doubt import Doubt
from napari_scse.inference.labelling import LabelledSlice
from napari_scse.inference.location import Location
from napari_scse.inference.passes import Pass
from napari_scse.inference.ready import Options, Ready, fingerprint, network_key
from napari_scse.inference.region import Region
from napari_scse.inference.votes import Votes
from napari_scse.runs import Model, Run
from napari_scse.sides import lack_sides
from napari_scse.slices import Plane, SliceGeometry, cut
from napari_scse.volume import Volume

NO_SIDES = (
    "This run sees sagittal slices, which do not show their side: both sides of a structure have the left one's number."
)


class Session:
    """One volume, one model, and what is labelled so far; made by `open_session`.

    It is a context manager: closing it lets go of the networks. Only one thread may use it at a time.

    Attributes
    ----------
    volume, model, epochs, options
        What is labelled, by whom and how; for each of the model's planes the epoch.
    labels
        The labels so far on the volume's grid, (I, J, K) in the run's values; 0 where nothing is labelled yet.
    uncertainty
        (I, J, K) float32, None where it was not asked for.
    doubts
        Slice number of the first plane → where its network is least sure of it.
    finished
        Whether the whole volume is labelled in all planes, and islands are removed.
    messages
        What the user was told.
    ready
        What the next session may take over.
    """

    def __init__(
        self, volume: Volume, mark: Hashable, model: Model, epochs: tuple[int, ...], options: Options, ready: Ready
    ) -> None:
        self.volume, self.model, self.epochs, self.options, self.ready = volume, model, epochs, options, ready
        self.messages: list[str] = []
        self._mark = mark
        self._keys = _keys(model, epochs, options)
        self._networks: dict[Plane, Executor] = {}  # that were exchanged
        self._exchanged: dict[Plane, nn.Module] = {}  # for these
        self._located: dict[Plane, Location] = {}
        self._order = model.planes
        self._passes: dict[Plane, Pass] = {}
        self._votes: Votes | None = None
        self._box: Region | None = None
        self.forget()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def values(self) -> np.ndarray:
        """The label value of each class."""
        return self.model.runs[0].config.values

    @property
    def order(self) -> tuple[Plane, ...]:
        """The planes as they are asked: each revises what those before it said."""
        return self._order

    @property
    def votes(self) -> Votes | None:
        """What the planes say together; None where there is but one, or none was asked yet."""
        return self._votes

    def matches(
        self,
        mark: Hashable,
        model: Model,
        epochs: tuple[int, ...],
        options: Options,
        networks: Mapping[Plane, nn.Module],
    ) -> bool:
        """Whether this session labels just that, with just those networks exchanged."""
        asked = (mark, options, _keys(model, epochs, options), dict(networks))
        return (self._mark, self.options, self._keys, self._exchanged) == asked

    def geometry(self, plane: Plane) -> SliceGeometry:
        """Return where the slices of `plane` lie in the volume."""
        return cut(self.volume, plane).geometry

    def begin_with(self, plane: Plane | None, anew: bool = False) -> None:
        """Ask the run of `plane` first, if the model has one and it tells left from right.

        Where another plane has labelled something already nothing changes, unless that is to be begun `anew`.
        """
        runs = {run.config.plane: run for run in self.model.runs}
        first = self.model.runs[0].config.classes
        if plane not in runs or runs[plane].config.classes != first or plane is self._order[0]:
            return
        if not any(one.known.any() for one in self._passes.values()) or anew:
            self.forget()
            self._order = (plane, *(other for other in self.model.planes if other is not plane))

    def turn(self, plane: Plane) -> Pass:
        """Return the pass over the slices of `plane`, its network and scan ready."""
        if plane not in self._passes:
            place = self.model.planes.index(plane)
            run, epoch = self.model.runs[place], self.epochs[place]
            executor = self._networks.get(plane) or self.ready.network(run, epoch, self.options)
            scan = self.ready.scan(self.volume, self._mark, run.config)
            one = Pass(run, scan, executor, self.options)
            if plane is self._order[0]:
                found = self._located.get(plane) or self.ready.location(*self._place(plane))
                one.begin(found, self.ready.location(*self._guess(plane)))
                self._votes = Votes(scan) if len(self._order) > 1 else None
            self._passes[plane] = one
        return self._passes[plane]

    def has_begun(self, plane: Plane) -> bool:
        """Whether something is labelled in the pass over `plane`."""
        return plane in self._passes and bool(self._passes[plane].known.any())

    def require(self, region: Region | None) -> Region:
        """Return the part of the volume to label; raises `InputError` where there is none.

        What several planes say together holds for the region they were asked for: with another one they begin anew.
        """
        box = Region.whole(self.volume.shape) if region is None else region.within(self.volume.shape)
        if box != self._box and any(self.has_begun(plane) for plane in self._order[1:]):
            self.forget()
        self._box = box
        return box

    def replace_network(self, network: nn.Module, plane: Plane | None = None) -> None:
        """Label with another network of the same make, for example a fine-tuned copy; what is labelled is forgotten.

        Parameters
        ----------
        network
            It is copied.
        plane
            Of which plane; None: the first one's. Scan and location stay as they are.
        """
        plane = plane or self._order[0]
        options = self.options
        executor = Executor(network, options.device, options.precision, options.batch_size)
        if plane in self._networks:
            self._networks[plane].close()
        self._networks[plane], self._exchanged[plane] = executor, network
        self.forget()

    def forget(self) -> None:
        """Forget all labels; scans, networks and where the first plane's region lies stay."""
        self._passes, self._votes, self._box = {}, None, None
        self.finished = False
        self.doubts: dict[int, Doubt] = {}
        self.labels = np.zeros(self.volume.shape, self.values.dtype)
        self.uncertainty = np.zeros(self.volume.shape, np.float32) if self.options.uncertainty else None

    def take(self, geometry: SliceGeometry, number: int, found: LabelledSlice | None) -> None:
        """Remember the labels of a slice; None: nothing is there."""
        index = geometry.index(number)
        self.labels[index] = 0 if found is None else geometry.restore_slice(self.values[found.classes])
        if found is not None and found.doubt is not None and geometry.plane is self._order[0]:
            self.doubts[number] = found.doubt
        if self.uncertainty is not None:
            unsure = None if found is None else found.uncertainty
            self.uncertainty[index] = 0 if unsure is None else geometry.restore_slice(unsure)

    def located(self, one: Pass) -> Location:
        """Remember where the first plane's region lies, also as a guess for other runs."""
        if one.location is None:
            raise ValueError("nothing is located yet")
        plane = one.scan.config.plane
        self._located[plane] = one.location
        if plane not in self._networks:
            self.ready.remember(one.location, *self._place(plane))
        self.ready.remember(one.location, *self._guess(plane))
        return one.location

    def close(self) -> None:
        """Let go of the networks and scans."""
        self.let_go()
        self.ready.close()

    def let_go(self) -> None:
        """Let go of the networks that were exchanged, and of nothing that the next session may take over."""
        for executor in self._networks.values():
            executor.close()
        self._networks, self._exchanged = {}, {}
        self.forget()

    def _place(self, plane: Plane) -> tuple[object, ...]:
        place = self.model.planes.index(plane)
        return self._mark, network_key(self.model.runs[place], self.epochs[place], self.options)

    def _guess(self, plane: Plane) -> tuple[object, ...]:
        config = self.model.runs[self.model.planes.index(plane)].config
        grid = (self.volume.shape, self.volume.affine.tobytes())
        return (*grid, plane, config.spacing, config.canvas, config.intensity)


def open_session(
    volume: Volume,
    run: Run | Model,
    *,
    planes: Sequence[Plane | str] | None = None,
    epoch: int | str = "best",
    device: str | torch.device = "auto",
    precision: str = "float32",
    batch_size: int | None = None,
    mirror: bool | None = None,
    uncertainty: bool = False,
    networks: Mapping[Plane, nn.Module] | None = None,
    after: Session | None = None,
) -> Generator[Event, None, Session]:
    """Lay `volume` out for a model and make its network ready, without labelling anything.

    Parameters
    ----------
    volume, run, planes, epoch, device, precision, batch_size, mirror, uncertainty
        As for `segment`.
    networks
        Other networks of the same make instead of the runs' own, by plane; see `Session.replace_network`.
    after
        An earlier session that is not needed any more. If it labels the very same it is returned, with all that it
        knows; otherwise the new one takes over its scan, networks and locations as far as they are the same.

    Yields
    ------
    Message
        Sentences for the user.

    Raises
    ------
    InputError, RunError, DeviceError
        As for `segment`.
    """
    model = Model.of(run) if isinstance(run, Run) else run
    if planes is not None:
        model = model.select(planes)
    if mirror and model.planes == (Plane.SAGITTAL,):
        raise InputError("A run of sagittal slices cannot be mirrored: left and right do not lie in one slice.")
    epochs = tuple(part.resolve_epoch(epoch) for part in model.runs)
    options = Options(choose_device(device), precision, batch_size, mirror, uncertainty)
    mark = fingerprint(volume)
    exchanged = {plane: network for plane, network in (networks or {}).items() if plane in model.planes}
    if after is not None and after.matches(mark, model, epochs, options, exchanged):
        yield from (Message(text) for text in after.messages)
        return after
    session = Session(volume, mark, model, epochs, options, Ready() if after is None else after.ready)
    session.ready.begin()
    if after is not None:
        after.let_go()
    for plane, network in exchanged.items():
        session.replace_network(network, plane)
    yield from tell(session, [NO_SIDES] if lack_sides(model.runs[0].config.classes) else [])
    session.turn(session.order[0])
    session.ready.tidy()
    return session


def tell(session: Session, texts: Sequence[str]) -> Iterator[Message]:
    """Say what was not said before."""
    for text in texts:
        if text not in session.messages:
            session.messages.append(text)
            yield Message(text)


def _keys(model: Model, epochs: tuple[int, ...], options: Options) -> tuple[object, ...]:
    """Return what changes when one of a model's checkpoints does."""
    return tuple(network_key(run, epoch, options) for run, epoch in zip(model.runs, epochs, strict=True))
