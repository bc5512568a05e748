"""Whether what a run labelled has the sizes of what it was trained on.

A network answers whatever it is shown. On a scan of something else it still paints its structures, but their sizes are
wrong, whereas on a poor scan of the right thing nearly all of them keep theirs. Each structure is compared with its
size in the training labels; how many are off decides.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from napari_scse.sizes import Size, TypicalSize, measure
from napari_scse.volume import LabelVolume

UNLIKE = "This scan does not look like what the run was trained on"  # how the sentence begins

# A structure is off if the logarithm of its volume lies further than FAR spreads of the training's from their mean. Few
# training volumes show too little spread, and a network's own errors come on top: LEAST_SPREAD, a quarter, stands for
# both, so that nothing within a factor of two (exp(3 * 0.25) = 2.1) is ever off.
FAR = 3.0
LEAST_SPREAD = 0.25

# The warning needs more than this share of structures off, among at least so many where the run has that many.
SHARE = 1 / 3
LEAST_JUDGED = 5

# Structures may be missing because they are out of view: where what is labelled is cut by the volume's faces, over at
# least this share of one face of a cube that holds all structures. For a brain that is a patch of 33 by 33 mm: any cut
# deeper than its last centimetre. A few stray voxels on a face are no excuse. (Of structures that lie far apart, as
# organs do, some may be out of view although none is cut: then the sentence says that they are missing.)
OPEN = 0.1


def plausibility(labels: LabelVolume, sizes: Mapping[int, TypicalSize]) -> str | None:
    """Judge labels by the sizes of their structures.

    What lies outside of the field of view is allowed for. A structure that reaches a face of the volume is left out,
    unless there is too much of it already; missing ones are left out where what is labelled is cut widely (OPEN).

    Parameters
    ----------
    labels
        All that the run labelled, on the scan's grid.
    sizes
        The run's label values → their sizes in its training.

    Returns
    -------
    str or None
        A sentence for the user where more than a third of the structures that can be judged are missing, or off. None
        otherwise; where too few can be judged, as in a small field of view; and where nothing is labelled.
    """
    judged = list(_judge(measure(labels), sizes))
    off = sum(judged)
    if len(judged) < min(LEAST_JUDGED, len(sizes)) or off <= SHARE * len(judged):
        return None
    return (
        f"{UNLIKE}: {off} of the {len(judged)} structures that can be judged are missing, far too small or far too "
        "large; check what it shows, and that its affine is right."
    )


def _judge(found: Mapping[int, Size], sizes: Mapping[int, TypicalSize]) -> Iterator[bool]:
    """For each structure that can be judged, whether it is off."""
    if not found:
        return
    face_mm2 = sum(usual.mm3 for usual in sizes.values()) ** (2 / 3)
    out_of_view = sum(size.open_mm2 for size in found.values()) >= OPEN * face_mm2
    for value, usual in sizes.items():
        size = found.get(value)
        if size is None:
            if not out_of_view:
                yield True
            continue
        away = math.log(size.mm3 / usual.mm3) / max(usual.spread, LEAST_SPREAD)
        if away > FAR or not size.open_mm2:
            yield abs(away) > FAR
