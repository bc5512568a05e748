"""Teach a run with strokes: a copy of its network learns, in seconds, what a user painted.

`strokes` is what was painted, `lessons` the slices with and without strokes that the network learns from, `learning`
the loss and its steps, `refine` the whole of it, `keeping` makes a run of what came out, and
`difference` counts what new labels change.
"""

from napari_scse.refinement.config import Part, RefineConfig
from napari_scse.refinement.difference import Difference
from napari_scse.refinement.keeping import check_name, keep, lineage
from napari_scse.refinement.reading import read_strokes, write_strokes
from napari_scse.refinement.refine import Refined, refine
from napari_scse.refinement.strokes import Strokes

__all__ = [
    "Difference",
    "Part",
    "RefineConfig",
    "Refined",
    "Strokes",
    "check_name",
    "keep",
    "lineage",
    "read_strokes",
    "refine",
    "write_strokes",
]
