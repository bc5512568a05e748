"""`napari-scse params`: Table I of the paper beside the networks built here."""

from __future__ import annotations

from napari_scse.cli.console import table, tell


def params() -> None:
    """Print Table I: parameters per network and SE variant."""
    from napari_scse.nn.parameters import table_one

    rows = table_one()
    header = ("network", "preset", "SE", "parameters", "paper's", "added", "paper's", "percent", "paper's")
    cells = [
        (
            *(row.network, row.preset, str(row.excitation)),
            *(f"{row.parameters:,}", _rounded(row.paper_parameters)),
            *(f"{row.added:,}", _rounded(row.paper_added)),
            *(f"{row.percent:.2f}", "-" if row.paper_percent is None else f"{row.paper_percent:.2f}"),
        )
        for row in rows
    ]
    tell(table(header, cells, right=range(3, 9)))
    tell("\nThe paper gives the parameters without excitation, and what each variant adds. The presets:")
    notes = {(row.network, row.preset): row.note for row in rows}
    for (network, preset), note in notes.items():
        tell(f"  {network} {preset}: {note}.")


def _rounded(figure: float | None) -> str:
    """The paper's figure as the paper prints it: in powers of ten but for the small ones."""
    if figure is None:
        return "-"
    return f"{figure:.0f}" if figure < 1e4 else f"{figure:.1e}".replace("e+0", "e")
