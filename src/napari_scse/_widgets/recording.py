"""What the Explore widget's thread does: read the voxels, and record the gates."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing

import numpy as np

from napari_scse._napari.inputs import LayerInput
from napari_scse._widgets.cards import RunCard
from napari_scse.events import Event, Message
from napari_scse.volume import Volume

_LARGEST = 2 << 30  # bytes of maps in memory


def maps_size(volume: Volume, card: RunCard, sites: tuple[str, ...], epochs: int, slab: int | None) -> float:
    """Return about how many bytes float32 maps take."""
    voxels = float(np.prod(np.asarray(volume.shape) * volume.spacing / card.spacing))
    if slab is not None:
        voxels *= min(1.0, slab / (max(volume.shape) * max(volume.spacing) / card.spacing[0]))
    return 4 * voxels * epochs * sum(1 / card.strides[card.sites.index(site)] ** 2 for site in sites)


def record(
    source: LayerInput,
    card: RunCard,
    *,
    sites: tuple[str, ...],
    epochs: tuple[int, ...],
    slab: int | None,
    centre: int | None,
    device: str,
    precision: str,
) -> Generator[Event, None, tuple[str, ...]]:
    """Read the voxels and record the gates: runs in the job's thread. Returns what else the user should know."""
    from napari_scse.exploration import excite
    from napari_scse.runs import load_run

    volume, run = source.volume(), load_run(card.path)
    fits = maps_size(volume, card, sites, len(epochs), slab) <= _LARGEST
    messages = [] if fits else ["The maps are kept in 8-bit steps: they would not fit into 2 GB otherwise."]
    work = excite(
        volume,
        run,
        sites=sites,
        epochs=epochs,
        slab=slab,
        centre=centre,
        dtype="float32" if fits else "uint8",  # late gates lie so near to 1 that 8 bits show but two or three steps
        device=device,
        precision=precision,
    )
    with closing(work):
        for event in work:
            if isinstance(event, Message):
                messages.append(event.text)
            yield event
    return tuple(messages)
