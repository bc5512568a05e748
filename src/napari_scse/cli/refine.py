"""`napari-scse refine`: teach a run with strokes, and label the scan with what it learnt."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_scse.cli.console import follow, say, shows_progress
from napari_scse.cli.fetch import fetch_missing
from napari_scse.cli.options import Device, Frame, RunName, Scan
from napari_scse.cli.outputs import check_output_file
from napari_scse.cli.scans import read_scan


def refine(
    scan: Scan,
    strokes: Annotated[
        Path,
        typer.Argument(
            metavar="STROKES",
            show_default=False,
            help="What was painted, on the scan's grid: label values, background (0) included, and -1 or 65535 in "
            "all voxels that were not painted.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Argument(metavar="OUT", show_default=False, help="The label file to write: .nii, .nii.gz, .mgh or .mgz."),
    ],
    run_name: RunName = None,
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", show_default=False, help="Keep what was learnt as a run of this name."),
    ] = None,
    unpainted: Annotated[
        int | None,
        typer.Option(metavar="VALUE", show_default=False, help="The value of unpainted voxels, if not -1 or 65535."),
    ] = None,
    mask: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            show_default=False,
            help="Which voxels were painted (not 0), on the same grid; STROKES may then hold any labels.",
        ),
    ] = None,
    epoch: Annotated[str, typer.Option(metavar="N|best|last", help="Whose weights to begin with.")] = "best",
    steps: Annotated[
        int | None, typer.Option(min=1, show_default=False, help="Optimiser steps; 21 if not given.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the order of slices.")] = 0,
    device: Device = "auto",
    precision: Annotated[
        str,
        typer.Option(
            "--precision",
            metavar="float32|bfloat16",
            help="Of the labelling afterwards; learning takes bfloat16 where the device has it.",
        ),
    ] = "float32",
    frame: Frame = None,
) -> None:
    """Teach a copy of a run with a few strokes, and label the scan with it."""
    from napari_scse import images
    from napari_scse.errors import InputError
    from napari_scse.refinement import check_name

    inputs = [scan, strokes, *([mask] if mask is not None else [])]
    check_output_file(output, images.SUFFIXES, inputs)
    if name is not None:
        check_name(name)

    import shlex
    import sys
    import tempfile
    from dataclasses import replace

    from napari_scse.execution import choose_device, tune_allocator
    from napari_scse.inference import segment
    from napari_scse.refinement import RefineConfig, keep, read_strokes
    from napari_scse.refinement import refine as learn
    from napari_scse.runs import DEFAULT_RUN, load_model

    asked = DEFAULT_RUN if run_name is None else run_name
    fetch_missing(asked)
    model = load_model(asked)
    if len(model.runs) > 1:
        raise InputError(f"{model.name} has several planes; refine one: {', '.join(run.name for run in model.runs)}.")
    (run,) = model.runs
    run.resolve_epoch(epoch)
    where = choose_device(device)
    volume, notes = read_scan(scan, frame)
    painted = read_strokes(strokes, volume, unpainted=unpainted, mask=mask)
    config = RefineConfig(seed=seed) if steps is None else replace(RefineConfig(seed=seed), steps=steps)
    tune_allocator()
    refined, messages = follow(
        learn(volume, run, painted, epoch=epoch, config=config, device=where), f"Learning from {strokes.name}"
    )
    command = shlex.join(["napari-scse", *sys.argv[1:]])
    with tempfile.TemporaryDirectory(prefix="napari-scse-") as folder:
        teacher = keep(refined, name or "refined", folder=Path(folder), command=command)
        work = segment(volume, teacher, device=where, precision=precision)
        segmentation, more = follow(work, f"Segmenting {scan.name}")
    kept = None if name is None else keep(refined, name, command=command)
    images.write_labels(output, segmentation.labels)
    say(*notes, *messages, *more)
    if shows_progress():
        say(
            f"{output}: of the painted voxels {refined.right_after:.0%} are labelled as painted, before "
            f"{refined.right_before:.0%}; {refined.seconds:.0f} s."
        )
        if kept is not None:
            say(f"The run {kept.name} is in {kept.path}.")
