"""Two runs side by side: the same limits for both, their difference, and where their labels disagree."""

from __future__ import annotations

from typing import Any

from napari.layers import Image, Labels
from qtpy.QtCore import QObject

from napari_scse._napari.differences import difference_layers
from napari_scse._widgets.screening import Screening
from napari_scse.events import MapDone


class Comparison(QObject):
    """Joins two screenings of one scan; both follow the same sliders.

    Parameters
    ----------
    viewer
        The difference layers are added to it.
    one, other
        What is compared.
    """

    def __init__(self, viewer: Any, one: Screening, other: Screening, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._pair = (one, other)
        for screening in self._pair:
            screening.limits = self.limits
            screening.developed.connect(self._on_developed)
            screening.caught_up.connect(self._refresh)
        self.layers: list[Any] = []
        for data, keywords, kind in difference_layers(one.film, other.film, one.source):
            layer = viewer.add_layer(Labels(data, **keywords) if kind == "labels" else Image(data, **keywords))
            layer = getattr(layer, "__wrapped__", layer)
            layer.editable = False
            if isinstance(layer, Image):
                layer.colorbar.visible = True
            self.layers.append(layer)

    def limits(self, site: str) -> tuple[float, float]:
        """Return limits that both runs' maps of a site fit into."""
        films = (screening.film for screening in self._pair)
        both = [film.limits(site) for film in films if site in film.maps.sites and film.done.any()]
        return (min(low for low, _ in both), max(high for _, high in both)) if both else (0.0, 1.0)

    def _on_developed(self, event: MapDone) -> None:
        view = self._pair[0].view
        if (event.epoch_index, event.slice_index) == (view.epoch, view.number):
            self._refresh()

    def _refresh(self) -> None:
        for layer in self.layers:
            if layer in self._viewer.layers and layer.visible:
                layer.refresh(extent=False, thumbnail=False, highlight=False)
