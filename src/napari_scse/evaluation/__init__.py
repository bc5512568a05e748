"""How good a segmentation is: against a reference, over many cases, and one network's against another's.

`evaluate` compares two volumes and gives a `Report`; `find_cases` and `evaluate_cases` do so for two folders; `compare`
puts the results of several networks beside each other, with paired tests over heads; `plot_boxes` draws them.
"""

from napari_scse.evaluation.boxes import MAX_VARIANTS, SIDES, plot_boxes
from napari_scse.evaluation.cases import (
    AUTO_MAPPING,
    Case,
    CaseReports,
    StructureSummary,
    evaluate_cases,
    find_cases,
)
from napari_scse.evaluation.comparison import Comparison, PairedDifference, compare
from napari_scse.evaluation.figures import PLOT_SUFFIXES
from napari_scse.evaluation.heads import read_heads
from napari_scse.evaluation.measures import MEASURES, SURFACE_MEASURES, Spread, spread
from napari_scse.evaluation.report import (
    FREESURFER27_MAPPING,
    MAPPINGS,
    Report,
    StructureScore,
    evaluate,
    is_plainly_aseg,
)
from napari_scse.evaluation.volumes import StructureVolume, structure_volumes, write_volumes

__all__ = [
    "AUTO_MAPPING",
    "FREESURFER27_MAPPING",
    "MAPPINGS",
    "MAX_VARIANTS",
    "MEASURES",
    "PLOT_SUFFIXES",
    "SIDES",
    "SURFACE_MEASURES",
    "Case",
    "CaseReports",
    "Comparison",
    "PairedDifference",
    "Report",
    "Spread",
    "StructureScore",
    "StructureSummary",
    "StructureVolume",
    "compare",
    "evaluate",
    "evaluate_cases",
    "find_cases",
    "is_plainly_aseg",
    "plot_boxes",
    "read_heads",
    "spread",
    "structure_volumes",
    "write_volumes",
]
