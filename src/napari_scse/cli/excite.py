"""`napari-scse excite`: what a network's gates let through, slice by slice and epoch by epoch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_scse.cli.console import follow, say, shows_progress
from napari_scse.cli.fetch import fetch_missing
from napari_scse.cli.gates import check_spatial, split_names
from napari_scse.cli.options import BatchSize, Device, Frame, Precision, RunName, Scan
from napari_scse.cli.outputs import check_output_file, check_output_folder
from napari_scse.cli.scans import read_scan
from napari_scse.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_scse.runs import Run

MapFile = tuple[Path, str, int]  # where to write the map of which site and epoch


def excite(
    scan: Scan,
    output: Annotated[
        Path,
        typer.Argument(metavar="OUT.zarr", show_default=False, help="The store to make; napari opens it as layers."),
    ],
    run_name: RunName = None,
    sites: Annotated[
        str,
        typer.Option(
            metavar="SITE,…",
            help="Gates to record, such as sE-1,sD-4; first is sE-1, last the last decoder's, wD-4 a winner map.",
        ),
    ] = "first,last",
    epochs: Annotated[str, typer.Option(metavar="all|N,…", help="Epochs to record; also best and last.")] = "all",
    slab: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, show_default=False, help="Only N slices around the middle of the structures."),
    ] = None,
    centre: Annotated[
        int | None,
        typer.Option(metavar="N", show_default=False, help="The slab's middle slice instead, counted from 0."),
    ] = None,
    as_float: Annotated[bool, typer.Option("--float", help="Store 32-bit numbers instead of 8-bit steps.")] = False,
    nifti: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SITE:EPOCH=FILE", show_default=False, help="Also write this map as an image. Can be repeated."
        ),
    ] = None,
    device: Device = "auto",
    precision: Precision = "float32",
    batch_size: BatchSize = None,
    frame: Frame = None,
) -> None:
    """Record where a network looks in a scan, epoch by epoch.

    The maps are what the gates of its squeeze & excitation blocks let through: 0 is shut, 1 is open.
    """
    check_output_folder(output, ".zarr", [scan])

    from napari_scse.execution import choose_device, tune_allocator
    from napari_scse.exploration import excite as record
    from napari_scse.runs import DEFAULT_EXPLORE_RUN, load_run

    name = DEFAULT_EXPLORE_RUN if run_name is None else run_name
    fetch_missing(name)
    run = load_run(name)
    names, numbers = split_names(sites, "--sites"), split_names(epochs, "--epochs")
    files = _map_files(nifti or (), run, names, numbers, scan, output)
    where = choose_device(device)
    volume, notes = read_scan(scan, frame)
    tune_allocator()
    work = record(
        volume,
        run,
        sites=names,
        epochs="all" if numbers == ["all"] else numbers,
        slab=slab,
        centre=centre,
        store=output,
        dtype="float32" if as_float else "uint8",
        device=where,
        precision=precision,
        batch_size=batch_size,
    )
    maps, messages = follow(work, f"Looking at {scan.name}")
    for path, site, epoch in files:
        maps.write_nifti(path, site, epoch)
    say(*notes, *messages)
    if shows_progress():
        first, last = maps.slices
        say(f"{output}: {', '.join(maps.sites)}; {len(maps.epochs)} epochs of {last - first} slices, by {run.name}.")


def _map_files(
    wishes: Sequence[str], run: Run, sites: Sequence[str], epochs: Sequence[str], scan: Path, output: Path
) -> list[MapFile]:
    """Understand every SITE:EPOCH=FILE, and refuse what could only fail once the work is done."""
    from napari_scse.images import SUFFIXES
    from napari_scse.nn.architectures import build_network
    from napari_scse.nn.recorder import resolve_sites

    network = build_network(run.config.network)
    recorded = resolve_sites(network, sites)
    kept = run.epochs if epochs == ["all"] else [run.resolve_epoch(epoch) for epoch in epochs]
    files: list[MapFile] = []
    for wish in wishes:
        what, equals, name = wish.partition("=")
        place, colon, epoch = what.partition(":")
        if not (equals and colon and name):
            raise InputError(f"--nifti takes SITE:EPOCH=FILE, for example sE-1:7=map.nii.gz; got '{wish}'.")
        (site,) = resolve_sites(network, place)
        number = run.resolve_epoch(epoch)
        if site not in recorded or number not in kept:
            raise InputError(f"--nifti {wish}: that map is not recorded; add it to --sites and --epochs.")
        check_spatial(run, [site])
        check_output_file(Path(name), SUFFIXES, [scan], [output, *(file for file, _, _ in files)])
        files.append((Path(name), site, number))
    return files
