"""Where a network looks: the gates of its squeeze & excitation blocks, slice by slice and epoch by epoch.

`recording` runs a scan through a run's checkpoints and keeps what the gates let through, `store` keeps it on disk or in
memory, and `maps` reads it. `film` does the same where it is looked at, one frame (a slice at an epoch) after the
other, and its `shelf` keeps what was computed. `dynamics` measures how maps change over a training, and `curves` and
`figure` draw that; `probe` says what goes on at a voxel, and `whatif` what labels come of other gates.
"""

from napari_scse.exploration.curves import plot_dynamics
from napari_scse.exploration.dynamics import Dynamics, measure_dynamics, names_for
from napari_scse.exploration.figure import LIMITS, plot_figure7
from napari_scse.exploration.film import Film, View, develop
from napari_scse.exploration.findings import MEASURES, Finding
from napari_scse.exploration.maps import ExcitationMaps, MapsStarted, SiteRecord
from napari_scse.exploration.opening import open_film
from napari_scse.exploration.probe import Probe, VoxelCurves, probe_slice
from napari_scse.exploration.recording import excite
from napari_scse.exploration.shelf import Shelf
from napari_scse.exploration.store import open_maps
from napari_scse.exploration.whatif import WhatIf, painted_levels, what_if

__all__ = [
    "LIMITS",
    "MEASURES",
    "Dynamics",
    "ExcitationMaps",
    "Film",
    "Finding",
    "MapsStarted",
    "Probe",
    "Shelf",
    "SiteRecord",
    "View",
    "VoxelCurves",
    "WhatIf",
    "develop",
    "excite",
    "measure_dynamics",
    "names_for",
    "open_film",
    "open_maps",
    "painted_levels",
    "plot_dynamics",
    "plot_figure7",
    "probe_slice",
    "what_if",
]
