"""Read and write images with a place in space: NIfTI-1 and -2 (`.nii`, `.nii.gz`), MGH (`.mgh`, `.mgz`)."""

from napari_scse.images.formats import SUFFIXES, Format, find_format
from napari_scse.images.reading import count_frames, read, read_frames, read_labels, read_with_notes
from napari_scse.images.writing import require_different, write, write_labels

__all__ = [
    "SUFFIXES",
    "Format",
    "count_frames",
    "find_format",
    "read",
    "read_frames",
    "read_labels",
    "read_with_notes",
    "require_different",
    "write",
    "write_labels",
]
