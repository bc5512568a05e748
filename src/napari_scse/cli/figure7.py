"""`napari-scse figure7`: one slice of a scan and its excitation maps at every epoch, as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_scse.cli.console import follow, say, shows_progress
from napari_scse.cli.fetch import fetch_missing
from napari_scse.cli.gates import Epochs, check_spatial, choose_epochs, split_names
from napari_scse.cli.options import BatchSize, Device, Frame, Precision, RunName, Scan
from napari_scse.cli.outputs import check_output_file
from napari_scse.cli.scans import read_scan
from napari_scse.errors import InputError

if TYPE_CHECKING:
    from napari_scse.exploration import ExcitationMaps

_FAINT = 0.1  # of the range of colours


def figure7(
    scan: Scan,
    output: Annotated[
        Path,
        typer.Argument(metavar="OUT.png|svg|pdf", show_default=False, help="The picture to write."),
    ],
    run_name: RunName = None,
    slice_: Annotated[
        str,
        typer.Option(
            "--slice",
            metavar="middle|N",
            help="The slice, counted from 0 along the scan's own axis; middle is that of the structures.",
        ),
    ] = "middle",
    sites: Annotated[
        str,
        typer.Option(metavar="SITE,…", help="Gates, a row each; first is sE-1 and last the last decoder."),
    ] = "first,last",
    epochs: Epochs = "all",
    limits: Annotated[
        str,
        typer.Option(
            metavar="shared|site|full", help="One colour bar for all maps, one a row, or from 0 to 1 for all."
        ),
    ] = "shared",
    device: Device = "auto",
    precision: Precision = "float32",
    batch_size: BatchSize = None,
    frame: Frame = None,
) -> None:
    """Draw the paper's figure 7 of any scan: a slice, and where a network looks in it at every epoch.

    Only that slice is computed.
    """
    from napari_scse.evaluation import PLOT_SUFFIXES

    check_output_file(output, PLOT_SUFFIXES, [scan])
    centre = _slice_number(slice_)

    from napari_scse.execution import choose_device, tune_allocator
    from napari_scse.exploration import LIMITS, excite, plot_figure7
    from napari_scse.runs import DEFAULT_EXPLORE_RUN, load_run
    from napari_scse.slices import cut

    if limits not in LIMITS:
        raise InputError(f"Unknown --limits '{limits}'; there is {', '.join(LIMITS)}.")
    name = DEFAULT_EXPLORE_RUN if run_name is None else run_name
    fetch_missing(name)
    run = load_run(name)
    names = split_names(sites, "--sites")
    check_spatial(run, names)
    chosen = choose_epochs(run, split_names(epochs, "--epochs"))
    where = choose_device(device)
    volume, notes = read_scan(scan, frame)
    if centre is not None:
        cut(volume, run.config.plane).geometry.number(centre)  # refuses what is not there
    tune_allocator()
    work = excite(
        volume,
        run,
        sites=names,
        epochs=chosen,
        slab=1,
        centre=centre,
        dtype="float32",
        device=where,
        precision=precision,
        batch_size=batch_size,
    )
    maps, messages = follow(work, f"Looking at {scan.name}")
    plot_figure7(maps, volume, output, limits=limits)
    say(*notes, *messages, *(_hints(maps) if limits == "shared" else ()))
    if shows_progress():
        say(f"{output}: {', '.join(maps.sites)} at {len(maps.epochs)} epochs, by {run.name}.")


def _hints(maps: ExcitationMaps) -> list[str]:
    """Say which rows cannot be seen beside the others."""
    spans = {site: maps.limits(site) for site in maps.sites}
    whole = max(high for _, high in spans.values()) - min(low for low, _ in spans.values())
    faint = [site for site, (low, high) in spans.items() if high - low < _FAINT * whole]
    hint = "varies little beside the others; '--limits site' gives it colours of its own."
    return [f"{site} {hint}" for site in faint]


def _slice_number(text: str) -> int | None:
    if text == "middle":
        return None
    if not text.isdecimal():
        raise InputError(f"--slice takes a number from 0 on, or middle; got '{text}'.")
    return int(text)
