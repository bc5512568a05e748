"""The layers that a segmentation fills while it runs."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from napari.layers import Image, Labels
from napari.utils.colormaps import Colormap

from napari_scse._napari.inputs import LayerInput
from napari_scse._napari.labels import look_of
from napari_scse._widgets.cards import RunCard
from napari_scse.events import SliceDone
from napari_scse.volume import LabelVolume

# clear where the network is sure, so that the scan is seen: added light would be lost on bright tissue
_UNSURE = Colormap([(1, 0.85, 0, 0), (1, 0.6, 0, 0.7), (0.9, 0, 0, 1)], name="uncertainty")


class Growing:
    """A labels layer that a job fills slice by slice, an uncertainty layer if wanted, and how far they are.

    Parameters
    ----------
    layers
        The viewer's layer list; the new layers are added to it.
    source
        The scan; the layers lie where it does.
    card
        The run that labels.
    uncertain
        Whether to show uncertainty as well.
    """

    def __init__(self, layers: Any, source: LayerInput, card: RunCard, uncertain: bool) -> None:
        self._layers = layers
        self._affine = source.grid.affine
        self._labels = np.zeros(source.grid.shape, card.dtype)
        self.structures = len(card.classes) - 1
        self.started = time.monotonic()
        self.done = self.total = 0
        common = {**source.transforms, "metadata": source.grid.to_metadata()}
        self.layer = Labels(
            source.overlay(self._labels), name=f"{source.name} labels", **common | look_of(card.classes)
        )
        self.layer.selected_label = card.classes[1].value
        self.layer.editable = False  # until it is complete: what is painted meanwhile would be overwritten
        self._uncertainty: np.ndarray | None = None
        self._image: Image | None = None
        if uncertain:
            self._uncertainty = np.zeros(source.grid.shape, np.float32)
            self._image = Image(
                source.overlay(self._uncertainty),
                name=f"{source.name} uncertainty",
                colormap=_UNSURE,
                contrast_limits=(0, 0.5),
                blending="translucent",
                **common,
            )
            layers.append(self._image)
        layers.append(self.layer)

    @property
    def is_shown(self) -> bool:
        """Whether the labels layer is still in the viewer."""
        return self.layer in self._layers

    @property
    def result(self) -> LabelVolume:
        """The labels so far."""
        return LabelVolume(self._labels, self._affine)

    def take(self, event: SliceDone) -> None:
        """Put one slice in its place, unseen until `refresh`."""
        self._labels[event.index] = event.labels
        if self._uncertainty is not None:
            self._uncertainty[event.index] = 0 if event.uncertainty is None else event.uncertainty
        self.done, self.total = event.done, event.total

    def refresh(self) -> None:
        """Show what came."""
        self.layer.refresh(extent=False)
        if self._image is not None:
            self._image.refresh(extent=False)

    def release(self) -> None:
        """Let go of the layers: complete, or with what is finished; empty ones are taken away."""
        self.layer.editable = True
        if not self.done:
            for layer in (self.layer, self._image):
                if layer is not None and layer in self._layers:
                    self._layers.remove(layer)
