"""Label a volume with a run, slice by slice, on the volume's own grid.

1. The volume is laid out at the run's spacing (`Scan`), and a coarse pass finds the region to work in (`locate`).
2. The region's slices go through the network in windows of the canvas it was trained on: channel gates average over it
   (eq. 1). Their scores are brought back to the volume's grid and become labels at once: there is never more than a
   batch of scores in memory.
3. Small islands apart from everything else are removed at the end, and the slices that this changed are told again.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from napari_scse.conform import Window, merge, windows
from napari_scse.errors import InputError
from napari_scse.events import Event, Message, SliceDone
from napari_scse.execution import Executor, choose_device
from napari_scse.inference.islands import find_islands
from napari_scse.inference.location import Location, locate
from napari_scse.inference.scan import Scan
from napari_scse.runs import Run, RunConfig
from napari_scse.structures import mirrored
from napari_scse.volume import LabelVolume, Volume

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
    run_name, epoch
        Whose weights labelled it.
    messages
        What the user was told on the way.
    location
        Where the coarse pass found the labelled region.
    """

    labels: LabelVolume
    run_name: str
    epoch: int
    messages: tuple[str, ...]
    location: Location


def segment(
    volume: Volume,
    run: Run,
    *,
    epoch: int | str = "best",
    device: str | torch.device = "auto",
    precision: str = "float32",
    batch_size: int | None = None,
    mirror: bool | None = None,
) -> Generator[Event, None, Segmentation]:
    """Label `volume` with `run`; to cancel, stop iterating and close the generator.

    Parameters
    ----------
    volume
        Any orientation, spacing, number type and intensity range; NaN and infinities count as background.
    run
        The trained network.
    epoch
        A number, ``"best"`` or ``"last"``.
    device, precision, batch_size
        See `execution`.
    mirror
        Label the left-right mirrored slices as well and take the mean of both: half a point of Dice for twice the time.
        None: where the run knows left from right and its slices show both.

    Yields
    ------
    Progress
        During the coarse pass.
    SliceDone
        One for each slice of the volume, in order through the run's plane; those without anything are told too. After
        the last one (``done == total``) slices from which islands were removed come once more, corrected.
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
        If the run has no such epoch, or the device is not there or too small.
    """
    number = run.resolve_epoch(epoch)
    partners = _partners(run.config) if mirror or (mirror is None and _sees_both_sides(run.config)) else None
    scan = Scan.of(volume, run.config)
    messages: list[str] = []
    with Executor(run.network(number), choose_device(device), precision, batch_size) as executor:
        location = yield from locate(scan, executor)
        if not location.found:
            executor.messages.append(NOTHING_FOUND)
        labels = np.zeros(volume.shape, run.config.values.dtype)
        for event in _label(scan, executor, location, partners):
            while len(messages) < len(executor.messages):
                messages.append(executor.messages[len(messages)])
                yield Message(messages[-1])
            labels[event.index] = event.labels
            yield event
    yield from _remove_islands(labels, scan)
    return Segmentation(LabelVolume(labels, volume.affine), run.name, number, tuple(messages), location)


def _label(scan: Scan, executor: Executor, location: Location, partners: Tensor | None) -> Iterator[SliceDone]:
    """One event for each slice of the volume; `partners` is given where mirrored slices are to be asked too."""
    values, geometry = scan.config.values, scan.geometry
    total, *shape = geometry.stack_shape
    done = 0

    def event(plane: np.ndarray) -> SliceDone:
        nonlocal done
        done += 1
        return SliceDone(geometry.index(done - 1), geometry.restore_slice(plane), done, total)

    for slice_number, classes in _classes(scan, executor, location, partners):
        while done < slice_number:
            yield event(np.zeros(shape, values.dtype))
        yield event(values[classes])
    while done < total:
        yield event(np.zeros(shape, values.dtype))


def _classes(
    scan: Scan, executor: Executor, location: Location, partners: Tensor | None
) -> Iterator[tuple[int, np.ndarray]]:
    """Class indices (H, W) of the volume's slices in the located region, one after the other."""
    parts = windows(scan.plane_shape, scan.config.canvas, location.box)
    alone = len(parts) == 1 and scan.conformation.is_identity
    scores = _scores(scan, executor, location, parts, partners, soften=not alone)
    if alone:  # a short cut: nothing is averaged, so the background around the window needs no scores
        for number, (own,) in scores:
            yield number, _put_back(parts[0], own.argmax(0).cpu().numpy(), scan.plane_shape)
        return
    merged = ((number, merge(parts, list(own), scan.plane_shape)) for number, own in scores)
    for number, plane in scan.conformation.return_scores(merged):
        yield number, plane.argmax(0).cpu().numpy()


def _scores(
    scan: Scan,
    executor: Executor,
    location: Location,
    parts: Sequence[Window],
    partners: Tensor | None,
    soften: bool,
) -> Iterator[tuple[int, Tensor]]:
    """Scores (windows, K, H, W) of the located conformed slices, one after the other."""
    at_once = max(1, executor.batch_size(*scan.config.canvas) // len(parts))
    for start in range(location.first, location.last, at_once):
        numbers = range(start, min(start + at_once, location.last))
        scores = _ask(executor, scan.slices(numbers, location.gain, parts), partners, soften)
        for place, number in enumerate(numbers):
            yield number, scores[place * len(parts) : (place + 1) * len(parts)]
        del scores


def _put_back(window: Window, classes: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The inverse of `Window.extract`: background around the window."""
    plane = np.zeros(shape, classes.dtype)
    top, left = max(window.top, 0), max(window.left, 0)
    part = classes[top - window.top :, left - window.left :][: shape[0] - top, : shape[1] - left]
    plane[top : top + part.shape[0], left : left + part.shape[1]] = part
    return plane


def _ask(executor: Executor, slices: np.ndarray, partners: Tensor | None, soften: bool) -> Tensor:
    """Scores (B, K, H, W): logits, or probabilities where `soften` or a mirrored look asks for them.

    Where scores are averaged or interpolated they are probabilities: a very sure network must not outvote others.
    """
    logits = executor.run(slices)
    scores = logits.softmax(1) if soften or partners is not None else logits
    if partners is None:
        return scores
    turned = executor.run(slices[..., ::-1]).softmax(1)
    return scores.add_(turned.flip(-1).index_select(1, partners.to(turned.device))).mul_(0.5)


def _sees_both_sides(config: RunConfig) -> bool:
    """Whether mirroring a slice makes one that the run was trained for as well."""
    return config.plane != "sagittal" and any(a != b for a, b in mirrored(config.classes).items())


def _partners(config: RunConfig) -> Tensor:
    """For each class index that of its left-right partner, int64 (K,)."""
    if config.plane == "sagittal":
        raise InputError("A run of sagittal slices cannot be mirrored: left and right do not lie in one slice.")
    values = config.values.tolist()
    partner = mirrored(config.classes)
    return torch.tensor([values.index(partner[value]) for value in values])


def _remove_islands(labels: np.ndarray, scan: Scan) -> Iterator[SliceDone]:
    """Set islands to background, in place, and tell the slices that changed."""
    islands = find_islands(labels)
    labels[islands] = 0
    geometry = scan.geometry
    total = geometry.stack_shape[0]
    for number in range(total):
        index = geometry.index(number)
        if islands[index].any():
            yield SliceDone(index, labels[index].copy(), total, total)
