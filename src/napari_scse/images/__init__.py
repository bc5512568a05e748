"""Read and write images with a place in space: NIfTI-1 and -2 (`.nii`, `.nii.gz`), MGH (`.mgh`, `.mgz`)."""

from napari_scse.images.formats import SUFFIXES, Format, bare_name, find_format, images_in
from napari_scse.images.reading import count_frames, read, read_frames, read_labels, read_with_notes
from napari_scse.images.writing import write, write_labels

__all__ = [
    "SUFFIXES",
    "Format",
    "bare_name",
    "count_frames",
    "find_format",
    "images_in",
    "read",
    "read_frames",
    "read_labels",
    "read_with_notes",
    "write",
    "write_labels",
]
