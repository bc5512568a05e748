"""`napari-scse synthesise` writes a scan and its labels, or neither."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from napari_scse import images
from napari_scse.synthesis import SynthesisConfig, synthesise
from napari_scse.volume import LabelVolume

Cli = Callable[..., Any]


def test_files_hold_what_the_api_draws(tmp_path: Path, label_map: LabelVolume, cli: Cli) -> None:
    source, scan, labels = (tmp_path / name for name in ("map.nii.gz", "scan.nii.gz", "labels.mgz"))
    images.write_labels(source, label_map)
    outcome = cli("synthesise", source, scan, labels, "--seed", 5, "--synthesis", "texture=0.2")
    assert (outcome.code, outcome.err) == (0, "")
    wanted = synthesise(label_map, 5, SynthesisConfig(texture=0.2))
    np.testing.assert_allclose(images.read(scan).data, wanted[0].data, rtol=1e-5)
    np.testing.assert_array_equal(images.read_labels(labels).data, wanted[1].data)


def test_bad_input_is_one_line_and_leaves_nothing(tmp_path: Path, label_map: LabelVolume, cli: Cli) -> None:
    source, scan, labels = (tmp_path / name for name in ("map.nii.gz", "scan.nii.gz", "labels.nii.gz"))
    images.write_labels(source, LabelVolume(label_map.data + 1000, label_map.affine))
    for arguments in (
        (source, scan, labels),
        (source, source, labels),
        (source, scan, scan),
        (tmp_path / "none.nii", scan, labels),
        (source, scan, labels, "--synthesis", "colour=1"),
    ):
        outcome = cli("synthesise", *arguments)
        assert outcome.code == 2
        assert outcome.err.count("\n") == 1
        assert [p.name for p in tmp_path.iterdir()] == [source.name]
