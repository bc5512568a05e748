"""Options that several verbs share, worded once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Scan = Annotated[
    Path, typer.Argument(metavar="IN", show_default=False, help="The scan: NIfTI (.nii, .nii.gz) or MGH (.mgh, .mgz).")
]
RunName = Annotated[
    str | None,
    typer.Option(
        "--run",
        metavar="NAME|DIR",
        show_default=False,
        help="A run by its name ('napari-scse runs' lists them) or its folder; the bundled one for this if not given.",
    ),
]
Device = Annotated[str, typer.Option("--device", metavar="auto|cpu|cuda|mps", help="Where the network computes.")]
Precision = Annotated[
    str,
    typer.Option(
        "--precision",
        metavar="float32|bfloat16",
        help="bfloat16 is faster where the processor has it; near ties may flip.",
    ),
]
BatchSize = Annotated[
    int | None,
    typer.Option(
        "--batch-size", metavar="N", min=1, show_default=False, help="Slices at a time; found out if not given."
    ),
]
Frame = Annotated[
    int | None,
    typer.Option("--frame", metavar="N", show_default=False, help="Which frame of a 4-D file, counted from 0."),
]
SynthesisChanges = Annotated[
    str,
    typer.Option(
        "--synthesis",
        metavar="NAME=VALUE,…",
        show_default=False,
        help="How far synthetic scans stray: texture=0.1,contrast=1.5,coupling=0:0.95 …",
    ),
]
LabelMapping = Annotated[
    str,
    typer.Option(
        "--map",
        metavar="auto|freesurfer27|none",
        help="freesurfer27 maps both sides' FreeSurfer labels to the paper's 27 structures first; "
        "auto does so if the reference is FreeSurfer's aseg.",
    ),
]
