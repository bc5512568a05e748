"""Label a volume with a model, slice by slice, on the volume's own grid.

1. The volume is laid out at the run's spacing (`Scan`), and a coarse pass finds the region to work in (`locate`).
2. The region's slices become labels one after the other (`Labeller`).
3. A model of several planes does so plane by plane. Each adds its probabilities to those of the planes before
   (`Votes`), so that the labels are there after the first plane and are revised with each further one.
4. Small islands apart from everything else are removed at the end, and the slices that this changed are told again.
5. If most structures have sizes that the run never saw in training, the user is warned (`plausibility`).

All of this is a `Session` that grows from its first slice to its last.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

import torch

from napari_scse.errors import InputError
from napari_scse.events import Event
from napari_scse.inference.growth import NOTHING_FOUND, grow
from napari_scse.inference.location import Location
from napari_scse.inference.session import NO_SIDES, Session, open_session
from napari_scse.runs import Model, Run
from napari_scse.slices import Plane
from napari_scse.volume import LabelVolume, Volume

__all__ = ["NOTHING_FOUND", "NO_SIDES", "Segmentation", "result_of", "segment"]


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
    opening = open_session(
        volume,
        run,
        planes=planes,
        epoch=epoch,
        device=device,
        precision=precision,
        batch_size=batch_size,
        mirror=mirror,
        uncertainty=uncertainty,
    )
    with (yield from opening) as session:
        yield from grow(session)
        return result_of(session)


def result_of(session: Session) -> Segmentation:
    """Return what a session has labelled so far: all of it once it is `finished`."""
    volume, location = session.volume, session.turn(session.order[0]).location
    if location is None:
        raise InputError("Nothing is labelled yet: let the session grow first.")
    return Segmentation(
        LabelVolume(session.labels, volume.affine, volume.forms),
        session.model.name,
        session.epochs,
        tuple(session.messages),
        location,
        None if session.uncertainty is None else Volume(session.uncertainty, volume.affine, volume.forms),
    )
