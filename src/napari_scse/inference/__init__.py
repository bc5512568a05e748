"""From a volume and a run to labels on the volume's own grid.

`scan` lays the volume out as the run wants it, `location` finds the labelled region in a coarse pass, `labelling`
labels batches of slices, `session` remembers them and `growth` decides which are next; `segmentation` does all of a
volume in order, and `islands` removes what lies astray.
"""

from napari_scse.inference.growth import NOTHING_FOUND, grow
from napari_scse.inference.location import Location, locate
from napari_scse.inference.region import Region
from napari_scse.inference.scan import Scan
from napari_scse.inference.segmentation import Segmentation, result_of, segment
from napari_scse.inference.session import Session, open_session

__all__ = [
    "NOTHING_FOUND",
    "Location",
    "Region",
    "Scan",
    "Segmentation",
    "Session",
    "grow",
    "locate",
    "open_session",
    "result_of",
    "segment",
]
