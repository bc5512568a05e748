"""Sample data: the MNI152 average of T1 scans, which nilearn's package carries (nothing is downloaded).

Source: the ICBM 152 non-linear symmetric 2009a average, skull-stripped, 1 mm; see nilearn's `load_mni152_template`.
"""

from __future__ import annotations

import numpy as np

from napari_scse._napari.layers import LayerData, volume_layer
from napari_scse.errors import InputError
from napari_scse.volume import Volume

NAME = "MNI152 T1"


def mni152() -> Volume:
    """Return the average brain.

    Raises
    ------
    InputError
        If nilearn is not installed.
    """
    try:
        from nilearn.datasets import load_mni152_template
    except ImportError as error:
        raise InputError(
            "The MNI152 average comes with nilearn, which is not installed: install it with "
            "“pip install nilearn” (“pip install napari-scse[all]” brings it too)."
        ) from error
    image = load_mni152_template(resolution=1)
    return Volume(np.asarray(image.dataobj, dtype=np.float32), image.affine)


def open_mni152() -> list[LayerData]:
    """Return the average brain as a layer."""
    return [volume_layer(mni152(), NAME)]
