"""`napari-scse synthesise`: whole synthetic heads, to evaluate on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_scse.cli.options import SynthesisChanges
from napari_scse.cli.outputs import check_output_file


def synthesise(
    label_map: Annotated[
        Path, typer.Argument(metavar="MAP", show_default=False, help="A whole-head label map, such as SynthSeg's.")
    ],
    scan: Annotated[Path, typer.Argument(metavar="SCAN", show_default=False, help="The scan to write.")],
    labels: Annotated[Path, typer.Argument(metavar="LABELS", show_default=False, help="Its labels to write.")],
    seed: Annotated[int, typer.Option(min=0, help="Decides the draw.")] = 0,
    synthesis: SynthesisChanges = "",
) -> None:
    """Draw a synthetic T1 scan of a label map, and its labels: the 27 structures."""
    from napari_scse import images

    check_output_file(scan, images.SUFFIXES, [label_map])
    check_output_file(labels, images.SUFFIXES, [label_map], [scan])

    from napari_scse.synthesis import SynthesisConfig
    from napari_scse.synthesis import synthesise as draw

    image, target = draw(images.read_labels(label_map), seed, SynthesisConfig.parse(synthesis))
    images.write(scan, image)
    images.write_labels(labels, target)
