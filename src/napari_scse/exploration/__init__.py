"""Where a network looks: the gates of its squeeze & excitation blocks, slice by slice and epoch by epoch.

`recording` runs a scan through a run's checkpoints and keeps what the gates let through, `store` keeps it on disk or in
memory, and `maps` reads it.
"""

from napari_scse.exploration.maps import ExcitationMaps, MapsStarted, SiteRecord
from napari_scse.exploration.recording import excite
from napari_scse.exploration.store import open_maps

__all__ = ["ExcitationMaps", "MapsStarted", "SiteRecord", "excite", "open_maps"]
