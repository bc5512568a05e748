"""`napari-scse segment`: label a scan, on the scan's own grid."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_scse.cli.console import follow, say, shows_progress
from napari_scse.cli.fetch import fetch_missing
from napari_scse.cli.options import BatchSize, Device, Frame, Precision, RunName, Scan
from napari_scse.cli.outputs import check_output_file
from napari_scse.cli.scans import read_scan


def segment(
    scan: Scan,
    output: Annotated[
        Path,
        typer.Argument(metavar="OUT", show_default=False, help="The label file to write: .nii, .nii.gz, .mgh or .mgz."),
    ],
    run_name: RunName = None,
    planes: Annotated[
        str | None,
        typer.Option(
            metavar="coronal,axial,sagittal",
            show_default=False,
            help="Which of the model's planes to ask; all if not given.",
        ),
    ] = None,
    epoch: Annotated[str, typer.Option(metavar="N|best|last", help="Whose weights to use.")] = "best",
    device: Device = "auto",
    precision: Precision = "float32",
    batch_size: BatchSize = None,
    mirror: Annotated[
        bool | None,
        typer.Option(
            "--mirror/--no-mirror",
            help="Also look at the mirrored scan and take the mean, in twice the time; if not said, it is done where "
            "the run knows left from right.",
        ),
    ] = None,
    frame: Frame = None,
    uncertainty: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            show_default=False,
            help="Also write how uncertain each voxel's label is: 0 (sure) to 1, on the same grid.",
        ),
    ] = None,
    volumes: Annotated[
        Path | None,
        typer.Option(metavar="FILE.csv", show_default=False, help="Also write the volume of every structure, in mm3."),
    ] = None,
) -> None:
    """Label every voxel of a scan, on the scan's own grid."""
    from napari_scse import images

    check_output_file(output, images.SUFFIXES, [scan])
    if uncertainty is not None:
        check_output_file(uncertainty, images.SUFFIXES, [scan], [output])
    if volumes is not None:
        check_output_file(volumes, [".csv"], [scan], [output])

    from napari_scse.evaluation import structure_volumes, write_volumes
    from napari_scse.execution import choose_device, tune_allocator
    from napari_scse.inference import segment as label
    from napari_scse.runs import DEFAULT_MODEL, load_model

    name = DEFAULT_MODEL if run_name is None else run_name
    fetch_missing(name)
    model = load_model(name)
    if planes is not None:
        model = model.select([plane.strip() for plane in planes.split(",")])
    for run in model.runs:
        run.resolve_epoch(epoch)  # before the scan is read, which may take a while
    where = choose_device(device)
    volume, notes = read_scan(scan, frame)
    tune_allocator()
    work = label(
        volume,
        model,
        epoch=epoch,
        device=where,
        precision=precision,
        batch_size=batch_size,
        mirror=mirror,
        uncertainty=uncertainty is not None,
    )
    segmentation, messages = follow(work, f"Segmenting {scan.name}")

    images.write_labels(output, segmentation.labels)
    if segmentation.uncertainty is not None and uncertainty is not None:
        images.write(uncertainty, segmentation.uncertainty)
    measured = structure_volumes(segmentation.labels, model.runs[0].config.classes[1:])
    if volumes is not None:
        write_volumes(volumes, measured)
    say(*notes, *messages)
    if shows_progress():
        found = sum(structure.voxels > 0 for structure in measured)
        asked = ", ".join(f"{run.name} epoch {e}" for run, e in zip(model.runs, segmentation.epochs, strict=True))
        say(f"{output}: {found} of {len(measured)} structures, by {asked}.")
