"""The layers that a segmentation fills while it runs."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from napari.layers import Image, Labels
from napari.utils.colormaps import Colormap

from napari_scse._napari.edits import Edits
from napari_scse._napari.inputs import LayerInput
from napari_scse._napari.labels import look_of
from napari_scse._widgets.cards import RunCard
from napari_scse.errors import InputError
from napari_scse.events import SliceDone
from napari_scse.volume import LabelVolume

Index = tuple[int | slice, ...]

# clear where the network is sure, so that the scan is seen: added light would be lost on bright tissue
_UNSURE = Colormap([(1, 0.85, 0, 0), (1, 0.6, 0, 0.7), (0.9, 0, 0, 1)], name="uncertainty")


class Growing:
    """A labels layer that jobs fill slice by slice, an uncertainty layer if wanted, and how far they are.

    What the user painted in the labels layer stays; from `resume` to `release` all is one undo step.

    Parameters
    ----------
    layers
        The viewer's layer list; new layers are added to it.
    source
        The scan; the layers lie where it does.
    card
        The run that labels.
    into
        The labels layer to fill, on the grid of `source`; None: a new one.
    """

    def __init__(self, layers: Any, source: LayerInput, card: RunCard, into: Labels | None = None) -> None:
        self._layers = layers
        self.source = source
        self.frame = source.frame  # of the scan, that was labelled last
        self.structures = len(card.classes) - 1
        self.classes = card.classes
        self._run = card.name
        self.is_new = into is None
        self.started = time.monotonic()
        self.done = self.total = 0
        self.seen = False  # whether anything was told
        self.has_guess = False  # whether nothing else was
        self._uncertainty: np.ndarray | None = None
        self._image: Image | None = None
        if into is None:
            labels = np.zeros(source.grid.shape, card.dtype)
            look = look_of(card.classes) | source.transforms
            metadata = source.grid.to_metadata()
            into = Labels(source.overlay(labels), name=f"{source.name} labels", metadata=metadata, **look)
            into.selected_label = card.classes[1].value
            layers.append(into)
        self.layer = into
        self._shape = tuple(into.data.shape)
        self._edits = Edits.of(self.layer)

    @property
    def is_shown(self) -> bool:
        """Whether the labels layer is still in the viewer."""
        return self.layer in self._layers

    @property
    def is_writing(self) -> bool:
        """Whether it is between `resume` and `release`."""
        return self._edits.is_writing

    @property
    def is_empty(self) -> bool:
        """Whether the layer is new and nothing came into it."""
        return self.is_new and not self.seen

    @property
    def has_lost_uncertainty(self) -> bool:
        """Whether the uncertainty layer was removed from the viewer."""
        return self._image is not None and self._image not in self._layers

    @property
    def result(self) -> LabelVolume:
        """The labels so far, what the user painted included."""
        grid, shown = self.source.grid, np.asarray(self.layer.data)
        return LabelVolume(grid.restore(shown[None] if self.source.is_slice else shown), grid.affine, grid.forms)

    def show_uncertainty(self, on: bool) -> None:
        """Have an uncertainty layer below the labels, or none; a new one is empty."""
        image, source = self._image, self.source
        if on == (image is not None):
            return
        self._image = self._uncertainty = None
        if image is not None:
            if image in self._layers:
                self._layers.remove(image)
            return
        self._uncertainty = np.zeros(source.grid.shape, np.float32)
        self._image = Image(
            source.overlay(self._uncertainty),
            name=f"{source.name} uncertainty",
            colormap=_UNSURE,
            contrast_limits=(0, 0.5),
            blending="translucent",
            metadata=source.grid.to_metadata(uncertainty=self._run),
            **source.transforms,
        )
        chosen = self._layers.selection.active
        self._layers.insert(self._layers.index(self.layer), self._image)
        self._layers.selection.active = chosen  # the brush stays in hand

    def resume(self) -> None:
        """Begin to write: one step of the labels layer's history."""
        self.started = time.monotonic()
        self.done = self.total = 0
        self._edits.begin()

    def take(self, event: SliceDone) -> None:
        """Put one slice in its place, unseen until `refresh`; `InputError` if the layer has another shape meanwhile."""
        if tuple(self.layer.data.shape) != self._shape:
            raise InputError(f"“{self.layer.name}” was given another shape meanwhile: it no longer fits the scan.")
        self.has_guess = event.provisional and (self.has_guess or not self.seen)
        self.seen = True
        index, labels = self._laid_out(event.index, event.labels)
        self._edits.write(index, labels)
        if self._uncertainty is not None and not event.provisional:
            self._uncertainty[event.index] = 0 if event.uncertainty is None else event.uncertainty
        if not event.provisional:
            self.done, self.total = event.done, event.total

    def refresh(self) -> None:
        """Show what came."""
        self.layer.refresh(extent=False)
        if self._image is not None:
            self._image.refresh(extent=False)

    def release(self) -> None:
        """End writing; new layers that nothing came into are taken away."""
        self._edits.commit()
        if self.is_empty:
            for layer in (self.layer, self._image):
                if layer is not None and layer in self._layers:
                    self._layers.remove(layer)

    def _laid_out(
        self, index: tuple[int | slice, ...], labels: np.ndarray
    ) -> tuple[tuple[int | slice, ...], np.ndarray]:
        """From the volume's axes to the layer's."""
        axes = self.source.grid.axes
        there = [axis for axis in range(3) if isinstance(index[axis], slice)]
        turned = labels.transpose([there.index(axis) for axis in axes if axis in there])
        shown = tuple(index[axis] for axis in axes)
        return (shown[1:] if self.source.is_slice else shown), turned
