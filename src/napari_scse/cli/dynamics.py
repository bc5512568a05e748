"""`napari-scse dynamics`: how the excitation changes over a training, in numbers."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_scse.cli.console import follow, say, table, tell
from napari_scse.cli.evaluate import check_mapping, number
from napari_scse.cli.fetch import fetch_missing
from napari_scse.cli.gates import Epochs, check_spatial, choose_epochs, split_names
from napari_scse.cli.options import BatchSize, Device, Frame, Precision, RunName, Scan
from napari_scse.cli.outputs import check_output_file
from napari_scse.cli.scans import read_scan
from napari_scse.errors import InputError, RunError

if TYPE_CHECKING:
    from napari_scse.exploration import Dynamics, ExcitationMaps
    from napari_scse.runs import Run
    from napari_scse.structures import Structure
    from napari_scse.volume import LabelVolume, Volume

_LOOKED_AT = 10_000  # labelled voxels, to see whether they lie in the scan


def dynamics(
    scan: Scan,
    labels: Annotated[
        Path,
        typer.Argument(metavar="LABELS", show_default=False, help="Labels of that head: a prediction or a reference."),
    ],
    output: Annotated[Path, typer.Argument(metavar="OUT.csv", show_default=False, help="The table to write.")],
    run_name: RunName = None,
    sites: Annotated[
        str | None,
        typer.Option(
            metavar="SITE,…", show_default=False, help="Gates to measure; first,last (all of --maps) if not given."
        ),
    ] = None,
    epochs: Epochs = "all",
    slab: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, show_default=False, help="Only N slices around the middle of the structures."),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE.pdf|svg|png", show_default=False, help="Also draw curves over the epochs."),
    ] = None,
    store: Annotated[
        Path | None,
        typer.Option(
            "--maps", metavar="STORE.zarr", show_default=False, help="Measure maps that 'excite' made, not new ones."
        ),
    ] = None,
    mapping: Annotated[
        str,
        typer.Option(
            "--map",
            metavar="auto|freesurfer27|none",
            help="freesurfer27 maps FreeSurfer's labels to the paper's 27 structures first; "
            "auto does so if LABELS is FreeSurfer's aseg.",
        ),
    ] = "auto",
    device: Device = "auto",
    precision: Precision = "float32",
    batch_size: BatchSize = None,
    frame: Frame = None,
) -> None:
    """Measure how the excitation changes over a training: per structure, side, site and epoch.

    The scan tells the rest of the head from air. New maps are kept in a temporary folder while they are measured.
    """
    from napari_scse.evaluation import PLOT_SUFFIXES

    check_mapping(mapping)
    check_output_file(output, [".csv"], [scan, labels])
    if plot is not None:
        check_output_file(plot, PLOT_SUFFIXES, [scan, labels], [output])
    if store is not None and (run_name is not None or slab is not None):
        raise InputError("--maps says which run and which slices: leave --run and --slab away.")

    from napari_scse.exploration import measure_dynamics, open_maps, plot_dynamics

    names = None if sites is None else split_names(sites, "--sites")
    numbers = split_names(epochs, "--epochs")
    wanted = None if store is None else _epoch_numbers(numbers)
    computing = device, precision, batch_size
    source = _plan(run_name, names, numbers, slab, computing) if store is None else open_maps(store)
    found, remarks = _read_labels(labels, mapping)
    volume, notes = read_scan(scan, frame)
    _check_overlap(volume, found, labels)
    messages: list[str] = []
    with tempfile.TemporaryDirectory(prefix="napari-scse-") as folder:
        if isinstance(source, _Recording):
            maps, messages = source.make(volume, Path(folder) / "maps.zarr", f"Looking at {scan.name}")
            structures, names = _names(source.run, found), None
        else:
            maps, structures = source, _names(_run_of(source), found)
        measuring = measure_dynamics(maps, found, image=volume, structures=structures, sites=names, epochs=wanted)
        result, _ = follow(measuring, f"Measuring {scan.name}")
    if plot is not None:
        plot_dynamics(result, plot)
    result.write_csv(output)
    say(*notes, *remarks, *messages)
    tell(_lay_out(result))
    tell(result.describe())


@dataclass(frozen=True)
class _Recording:
    """Maps to be made: what `excite` is to be asked."""

    run: Run
    options: dict[str, Any]

    def make(self, volume: Volume, store: Path, what: str) -> tuple[ExcitationMaps, list[str]]:
        from napari_scse.execution import tune_allocator
        from napari_scse.exploration import excite

        tune_allocator()
        return follow(excite(volume, self.run, store=store, dtype="float32", **self.options), what)


def _plan(
    run_name: str | None,
    sites: Sequence[str] | None,
    epochs: Sequence[str],
    slab: int | None,
    computing: tuple[str, str, int | None],
) -> _Recording:
    """Refuse what could only fail once the scan is read."""
    from napari_scse.execution import choose_device
    from napari_scse.runs import DEFAULT_EXPLORE_RUN, load_run

    name = DEFAULT_EXPLORE_RUN if run_name is None else run_name
    fetch_missing(name)
    run = load_run(name)
    names = ["first", "last"] if sites is None else sites
    check_spatial(run, names)
    device, precision, batch_size = computing
    where = {"device": choose_device(device), "precision": precision, "batch_size": batch_size}
    return _Recording(run, {"sites": names, "epochs": choose_epochs(run, epochs), "slab": slab, **where})


def _run_of(maps: ExcitationMaps) -> Run | None:
    """The run whose maps these are, if it is here."""
    from napari_scse.runs import load_run

    try:
        return load_run(maps.run_name)
    except RunError:
        return None


def _epoch_numbers(epochs: Sequence[str]) -> list[int] | None:
    if list(epochs) == ["all"]:
        return None
    if not all(epoch.isdecimal() for epoch in epochs):
        raise InputError(f"With --maps, --epochs takes numbers or all; got '{','.join(epochs)}'.")
    return [int(epoch) for epoch in epochs]


def _read_labels(path: Path, mapping: str) -> tuple[LabelVolume, list[str]]:
    """Read labels, mapped as asked; and a sentence where that was not asked for in so many words."""
    from napari_scse.evaluation import FREESURFER27_MAPPING, is_plainly_aseg
    from napari_scse.images import read_labels
    from napari_scse.structures import to_structures
    from napari_scse.volume import LabelVolume

    labels = read_labels(path)
    recognised = mapping == "auto" and is_plainly_aseg(labels)
    if mapping != FREESURFER27_MAPPING and not recognised:
        return labels, []
    remark = f"{path} is FreeSurfer's aseg: it is mapped to the 27 structures (unless --map none)."
    return LabelVolume(to_structures(labels.data), labels.affine), [remark] if recognised else []


def _check_overlap(scan: Volume, labels: LabelVolume, path: Path) -> None:
    """Refuse labels of another head or space before maps are made for them."""
    import numpy as np

    places = np.argwhere(labels.data)
    places = places[:: max(1, len(places) // _LOOKED_AT)]
    to_scan = np.linalg.inv(scan.affine) @ labels.affine
    voxels = places @ to_scan[:3, :3].T + to_scan[:3, 3]
    if not np.any(np.all((voxels > -0.5) & (voxels < np.array(scan.shape) - 0.5), axis=1)):
        raise InputError(f"The labels and the scan do not meet: no labelled voxel of {path} lies in the scan.")


def _names(run: Run | None, labels: LabelVolume) -> Sequence[Structure] | None:
    """The run's names of its structures, if `labels` holds nothing else."""
    from napari_scse.exploration import names_for

    return names_for(labels, () if run is None else run.config.classes[1:])


def _lay_out(found: Dynamics) -> str:
    """A row per site and epoch."""
    columns = {
        "foreground": ("mean", "foreground"),
        "background": ("mean", "background"),
        "AUC": ("auc", "foreground vs background"),
        "head/air AUC": ("auc", "head outside the labels vs air"),
        "boundary": ("boundary", "foreground"),
        "change": ("change", "field of view"),
    }
    rows = []
    for site in found.sites:
        series = [found.series(site, measure, name).tolist() for measure, name in columns.values()]
        for place, epoch in enumerate(found.epochs):
            most = found.most_one_sided(site, epoch)
            side = "-" if most is None else f"{most.name} {most.value:+.3f}"
            rows.append([site, str(epoch), *(number(values[place], 3) for values in series), side])
    return table(["site", "epoch", *columns, "most one-sided (left +)"], rows, right=range(1, 2 + len(columns)))
