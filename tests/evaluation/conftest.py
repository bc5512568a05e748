"""Results of networks that do not exist."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest

from napari_scse.evaluation import CaseReports, Report, StructureScore
from napari_scse.structures import FREESURFER27

Invent = Callable[..., CaseReports]


@pytest.fixture
def invent() -> Invent:
    """A maker of results from Dice numbers (cases, structures): NaN is a structure that the case lacks."""

    def make(dice: Sequence[Sequence[float]] | np.ndarray, extra: Mapping[str, float] | None = None) -> CaseReports:
        reports = {}
        for number, row in enumerate(np.asarray(dice, float)):
            scores = [
                StructureScore(s.value, s.name, float(d), 10.0, 10.0, 1.0, **(extra or {}))
                for s, d in zip(FREESURFER27, row, strict=False)
                if not np.isnan(d)
            ]
            reports[f"case{number:02d}"] = Report(tuple(scores))
        return CaseReports(reports)

    return make
