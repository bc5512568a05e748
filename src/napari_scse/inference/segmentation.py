"""Label a volume with a model, slice by slice, on the volume's own grid.

1. The volume is laid out at the run's spacing (`Scan`), and a coarse pass finds the region to work in (`locate`).
2. The region's slices become labels one after the other (`label_slices`).
3. A model of several planes does so plane by plane. Each adds its probabilities to those of the planes before
   (`Votes`), so that the labels are there after the first plane and are revised with each further one.
4. Small islands apart from everything else are removed at the end, and the slices that this changed are told again.
5. If most structures have sizes that the run never saw in training, the user is warned (`plausibility`).
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from napari_scse.errors import InputError
from napari_scse.events import Event, Message, SliceDone
from napari_scse.execution import Executor, choose_device
from napari_scse.inference.islands import find_islands
from napari_scse.inference.labelling import LabelledSlice, label_slices, sees_both_sides
from napari_scse.inference.location import Location, locate, locate_labelled
from napari_scse.inference.plausibility import plausibility
from napari_scse.inference.scan import Scan
from napari_scse.inference.votes import Votes
from napari_scse.runs import Model, Run
from napari_scse.slices import Plane, SliceGeometry, cut
from napari_scse.structures import lack_sides
from napari_scse.volume import LabelVolume, Volume

NO_SIDES = (
    "This run sees sagittal slices, which do not show their side: both sides of a structure have the left one's number."
)
NOTHING_FOUND = (
    "A first look found next to nothing that this run knows: the whole volume is searched, at an estimated brightness. "
    "Check that the volume shows what the run was trained on, and that its affine is right."
)


@dataclass(frozen=True, eq=False)
class Segmentation:
    """What `segment` returns.

    Attributes
    ----------
    labels
        The run's label values on the volume's own grid.
    model_name, epochs
        Whose weights labelled it: for each of the model's planes the epoch.
    messages
        What the user was told on the way.
    location
        Where the coarse pass found the labelled region, as the first plane's run sees it.
    uncertainty
        Entropy of the class probabilities as a share of its largest possible value (0 to 1, float32) on the same grid;
        None if it was not asked for.
    """

    labels: LabelVolume
    model_name: str
    epochs: tuple[int, ...]
    messages: tuple[str, ...]
    location: Location
    uncertainty: Volume | None = None


def segment(
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
) -> Generator[Event, None, Segmentation]:
    """Label `volume` with `run`; to cancel, stop iterating and close the generator.

    Parameters
    ----------
    volume
        Any orientation, spacing, number type and intensity range; NaN and infinities count as background.
    run
        The trained network, or a model of several planes.
    planes
        Which of the model's planes to ask; None: all.
    epoch
        A number, ``"best"`` or ``"last"``.
    device, precision, batch_size
        See `execution`.
    mirror
        Label the left-right mirrored slices as well and take the mean of both: half a point of Dice for twice the time.
        None: where the run knows left from right and its slices show both.
    uncertainty
        Tell how uncertain the labels are as well.

    Yields
    ------
    Progress
        During the coarse pass.
    SliceDone
        One for each slice of the volume, in order through the run's plane; those without anything are told too. With
        several planes that many passes, each with the mean of the planes so far. After the last one
        (``done == total``) slices from which islands were removed come once more, corrected.
    Message
        Sentences for the user.

    Returns
    -------
    Segmentation

    Raises
    ------
    InputError
        If the volume has no finite voxel or is constant, or an option is not valid.
    RunError, DeviceError
        If a run has no such epoch, or the device is not there or too small.
    """
    model = Model.of(run) if isinstance(run, Run) else run
    if planes is not None:
        model = model.select(planes)
    if mirror and model.planes == (Plane.SAGITTAL,):
        raise InputError("A run of sagittal slices cannot be mirrored: left and right do not lie in one slice.")
    epochs = tuple(part.resolve_epoch(epoch) for part in model.runs)
    device = choose_device(device)
    values = model.runs[0].config.values
    labels = np.zeros(volume.shape, values.dtype)
    unsure = np.zeros(volume.shape, np.float32) if uncertainty else None
    messages: list[str] = []
    if lack_sides(model.runs[0].config.classes):
        messages.append(NO_SIDES)
        yield Message(NO_SIDES)
    total = sum(cut(volume, plane).geometry.stack_shape[0] for plane in model.planes)
    done = 0
    votes = location = None
    for part, number in zip(model.runs, epochs, strict=True):
        scan = Scan.of(volume, part.config)
        with Executor(part.network(number), device, precision, batch_size) as executor:
            if location is None:
                first = location = yield from locate(scan, executor)
                votes = Votes(scan) if len(model.runs) > 1 else None
                if not location.found:
                    executor.messages.append(NOTHING_FOUND)
            elif votes is not None:
                location = locate_labelled(scan, votes.labelled(scan.geometry), first.gain)
            look = label_slices(
                scan, executor, location, mirror=_mirrors(part, mirror), votes=votes, uncertainty=uncertainty
            )
            for event in _tell(look, scan.geometry, values, done, total):
                for text in executor.messages:
                    if text not in messages:
                        messages.append(text)
                        yield Message(text)
                labels[event.index] = event.labels
                if unsure is not None:
                    unsure[event.index] = 0 if event.uncertainty is None else event.uncertainty
                yield event
        done += scan.geometry.stack_shape[0]
    yield from _remove_islands(labels, cut(volume, model.planes[0]).geometry, total)
    labelled = LabelVolume(labels, volume.affine)
    doubt = plausibility(labelled, model.runs[0].config.sizes)
    if doubt is not None:
        messages.append(doubt)
        yield Message(doubt)
    return Segmentation(
        labelled,
        model.name,
        epochs,
        tuple(messages),
        first,
        None if unsure is None else Volume(unsure, volume.affine),
    )


def _mirrors(run: Run, wanted: bool | None) -> bool:
    if run.config.plane is Plane.SAGITTAL:
        return False
    return sees_both_sides(run.config) if wanted is None else wanted


def _tell(
    slices: Iterator[LabelledSlice], geometry: SliceGeometry, values: np.ndarray, before: int, total: int
) -> Iterator[SliceDone]:
    """One event for each slice of the volume, those without anything included; `before` slices were done already."""
    count, *shape = geometry.stack_shape
    done = 0

    def event(found: LabelledSlice | None) -> SliceDone:
        nonlocal done
        done += 1
        labels = np.zeros(shape, values.dtype) if found is None else values[found.classes]
        unsure = None if found is None or found.uncertainty is None else geometry.restore_slice(found.uncertainty)
        return SliceDone(geometry.index(done - 1), geometry.restore_slice(labels), before + done, total, unsure)

    for found in slices:
        while done < found.number:
            yield event(None)
        yield event(found)
    while done < count:
        yield event(None)


def _remove_islands(labels: np.ndarray, geometry: SliceGeometry, total: int) -> Iterator[SliceDone]:
    """Set islands to background, in place, and tell the slices that changed."""
    islands = find_islands(labels)
    labels[islands] = 0
    for number in range(geometry.stack_shape[0]):
        index = geometry.index(number)
        if islands[index].any():
            yield SliceDone(index, labels[index].copy(), total, total)
