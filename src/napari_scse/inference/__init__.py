"""From a volume and a run to labels on the volume's own grid.

`scan` lays the volume out as the run wants it, `location` finds the labelled region in a coarse pass, `segmentation`
labels it slice by slice, and `islands` removes what lies astray.
"""

from napari_scse.inference.location import Location, locate
from napari_scse.inference.scan import Scan
from napari_scse.inference.segmentation import NOTHING_FOUND, Segmentation, segment

__all__ = ["NOTHING_FOUND", "Location", "Scan", "Segmentation", "locate", "segment"]
