"""`napari-scse numbers`: size, symmetry, intensity and agreement of every structure of a label file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_scse.cli.console import follow, say, table, tell
from napari_scse.cli.evaluate import check_mapping, number
from napari_scse.cli.options import Frame
from napari_scse.cli.outputs import check_output_file
from napari_scse.cli.scans import read_scan
from napari_scse.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_scse.evaluation.numbers import StructureNumbers


def numbers(
    labels: Annotated[Path, typer.Argument(metavar="LABELS", show_default=False, help="The label file.")],
    image: Annotated[
        Path | None,
        typer.Option(metavar="SCAN", show_default=False, help="Also the mean of this scan; on the same grid."),
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option(metavar="FILE", show_default=False, help="Also the Dice with these labels; on the same grid."),
    ] = None,
    csv: Annotated[
        Path | None, typer.Option(metavar="FILE", show_default=False, help="Also write the numbers as CSV.")
    ] = None,
    mapping: Annotated[
        str,
        typer.Option(
            "--map",
            metavar="auto|freesurfer27|none",
            help="freesurfer27 maps both sides' FreeSurfer labels to the paper's 27 structures first; "
            "auto maps a reference that is FreeSurfer's aseg, if the labels are among the 27.",
        ),
    ] = "auto",
    frame: Frame = None,
) -> None:
    """Print voxels, mL, share, left-right asymmetry, mean intensity and Dice of every structure.

    The asymmetry is (L - R) / ((L + R) / 2) in percent. --frame is that of a 4-D scan.
    """
    from napari_scse import images
    from napari_scse.evaluation.numbers import COLUMNS, comparable, mean_dice, structure_numbers, write_numbers
    from napari_scse.evaluation.report import FREESURFER27_MAPPING
    from napari_scse.evaluation.tally import count, memory_order
    from napari_scse.evaluation.volumes import voxel_mm3
    from napari_scse.metrics import count_voxels
    from napari_scse.structures import FREESURFER27, are_brain, to_structures
    from napari_scse.volume import require_same_grid

    check_mapping(mapping)
    if frame is not None and image is None:
        raise InputError("--frame is that of a 4-D scan, and there is none: give it with --image.")
    if csv is not None:
        check_output_file(csv, [".csv"], [path for path in (labels, image, reference) if path is not None])
    volume = images.read_labels(labels)
    data, remarks = volume.data, []
    scan = expected = None
    if image is not None:
        picture, notes = read_scan(image, frame)
        require_same_grid(volume, picture)
        scan, remarks = picture.data, list(notes)
    if reference is not None:
        other = images.read_labels(reference)
        require_same_grid(volume, other)
        expected = other.data
    if mapping == FREESURFER27_MAPPING:
        data, expected = to_structures(data), None if expected is None else to_structures(expected)
    elif mapping == "auto" and expected is not None:
        expected, mapped = comparable(expected, count_voxels(data).keys())
        if mapped:
            remarks.append(f"{reference} is FreeSurfer's aseg: it is mapped to the 27 structures (unless --map none).")
    order = memory_order(data)
    laid = [None if array is None else array.transpose(order) for array in (scan, expected)]
    tally, _ = follow(count(data.transpose(order), *laid), "Counting")
    named = FREESURFER27 if are_brain(tally.values) or mapping == FREESURFER27_MAPPING else ()
    found = structure_numbers(tally, named, voxel_mm3(volume))
    if csv is not None:
        write_numbers(csv, found)
    say(*remarks)
    tell(_lay_out(found, [name for name in COLUMNS if _is_asked(name, image, reference)]))
    if reference is not None:
        tell(f"mean Dice {number(mean_dice(found), 3)}")


_TITLES = {
    "value": "value",
    "name": "structure",
    "voxels": "voxels",
    "ml": "mL",
    "share_percent": "share %",
    "asymmetry_percent": "(L-R) %",
    "mean": "mean",
    "sd": "SD",
    "dice": "Dice",
}
_DECIMALS = {"ml": 3, "share_percent": 2, "asymmetry_percent": 1, "dice": 3}


def _is_asked(column: str, image: Path | None, reference: Path | None) -> bool:
    return (column not in ("mean", "sd") or image is not None) and (column != "dice" or reference is not None)


def _lay_out(found: Sequence[StructureNumbers], columns: Sequence[str]) -> str:
    from napari_scse.evaluation.numbers import intensity_decimals

    decimals = _DECIMALS | dict.fromkeys(("mean", "sd"), intensity_decimals(found))
    rows = [
        [
            number(getattr(one, column), decimals[column]) if column in decimals else str(getattr(one, column))
            for column in columns
        ]
        for one in found
    ]
    return table([_TITLES[column] for column in columns], rows, [n for n, name in enumerate(columns) if name != "name"])
