"""Notice that layers are saved: napari writes files and tells nobody."""

from __future__ import annotations

from functools import partial
from typing import Any
from weakref import ref

from napari_scse._napari.edits import Edits, unwrapped


def follow_saving(layers: Any) -> None:
    """Have edits of a viewer's layers marked as saved when ``viewer.layers.save`` wrote them, as its menus do."""
    real = unwrapped(layers)
    if "save" not in vars(real):
        real.save = partial(_save, ref(real))


def _save(watched: Any, path: str, *, selected: bool = False, **options: Any) -> list[str]:
    layers = watched()
    chosen = [layer for layer in layers if not selected or layer in layers.selection]
    written: list[str] = type(layers).save(layers, path, selected=selected, **options)
    if written:
        for layer in chosen:
            edits = Edits.known(layer)
            if edits is not None:
                edits.mark_saved()
    return written
