"""Everything that speaks napari without Qt: layers, files, sample data, the view."""
