"""Some labels of a layer made invisible, through its colormap and so that nothing of it is lost."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap

from napari_scse._napari.label_source import colors_of
from napari_scse._napari.links import Links

_CLEAR = (0.0, 0.0, 0.0, 0.0)


class _Derived(DirectLabelColormap):  # type: ignore[misc]
    """A layer's `own` colormap with some labels clear; a copy of the layer gets a copy of both."""

    own: Any = None


def own_colormap(layer: Any) -> Any:
    """Return the colormap of a labels layer as it is with nothing hidden."""
    return layer.colormap.own if isinstance(layer.colormap, _Derived) else layer.colormap


class Hiding:
    """Hides labels of a layer until `close`, which gives the layer its own colormap back.

    Where somebody sets another colormap meanwhile, that one is the layer's own from then on, and the same labels are
    hidden in it. A copy of the layer that is made meanwhile hides nothing.

    Parameters
    ----------
    layer
        The labels layer.
    layers
        The viewer's layers.

    Attributes
    ----------
    hidden
        The labels that cannot be seen.
    """

    def __init__(self, layer: Any, layers: Any) -> None:
        self.hidden: frozenset[int] = frozenset()
        self._layer = layer
        self._own = own_colormap(layer)
        self._derived: Any = None
        self._known: frozenset[int] = frozenset()
        self._links = (
            Links(self._on_colormap, layer.events.colormap),
            Links(self._on_inserted, layers.events.inserted),
        )

    @property
    def own(self) -> Any:
        """The layer's colormap, as it is with nothing hidden."""
        return self._own

    def hide(self, values: Iterable[int], known: Iterable[int]) -> None:
        """Hide exactly `values`.

        Parameters
        ----------
        known
            All labels that occur: they keep their colours where the layer's colormap has no list of them.
        """
        hidden, known = frozenset(values), frozenset(known) | frozenset(values) | {self._layer.selected_label}
        listed = isinstance(self._own, DirectLabelColormap) or known <= self._known
        if hidden != self.hidden or (hidden and not listed):
            self.hidden, self._known = hidden, known
            self._apply()

    def close(self) -> None:
        """Show everything again, and let go of the layer."""
        for links in self._links:
            links.close()
        self.hidden = frozenset()
        self._apply()

    def _apply(self) -> None:
        if not self.hidden:
            derived, self._derived = self._derived, None
            if derived is not None and self._layer.colormap is derived:
                self._own.use_selection = self._layer.show_selected_label
                self._own.selection = self._layer.selected_label
                self._layer.colormap = self._own
            return
        colors: dict[Any, Any] = {None: _CLEAR}
        if isinstance(self._own, DirectLabelColormap):
            colors = dict(self._own.color_dict)
        else:
            other = max(self._known) + 1
            colors |= colors_of(self._own, [*self._known, other])
            colors[None] = colors.pop(other)
        colors |= dict.fromkeys(self.hidden, _CLEAR)
        self._derived = _Derived(
            own=self._own,
            color_dict=colors,
            background_value=self._own.background_value,
            use_selection=self._layer.show_selected_label,
            selection=self._layer.selected_label,
        )
        self._layer.colormap = self._derived

    def _on_inserted(self, event: Any) -> None:
        layer = event.value
        if isinstance(layer, Labels) and isinstance(layer.colormap, _Derived):
            layer.colormap = layer.colormap.own

    def _on_colormap(self, *_: object) -> None:
        """Somebody may have set another colormap."""
        if self._layer.colormap is not self._derived and self._layer.colormap is not self._own:
            self._own = self._layer.colormap
            if self.hidden:
                self._apply()
