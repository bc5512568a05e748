"""From a scan's own grid to a run's spacing and canvas, and scores (not nearest labels) back."""

from napari_scse.conform.conformation import UNTOUCHED, Conformation, conform
from napari_scse.conform.windows import Window, merge, windows

__all__ = ["UNTOUCHED", "Conformation", "Window", "conform", "merge", "windows"]
