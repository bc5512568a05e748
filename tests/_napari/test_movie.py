"""Films of the canvas: whole or not at all, in the formats that are said."""

from __future__ import annotations

from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest

from napari_scse._napari.movie import write_movie
from napari_scse.errors import InputError
from napari_scse.events import Progress

FRAMES = [np.full((33, 40, 4), 60 * n, np.uint8) for n in range(4)]


def test_a_gif_holds_every_frame(tmp_path: Path) -> None:
    assert list(write_movie(FRAMES, tmp_path / "film.gif")) == []
    assert imageio.imread(tmp_path / "film.gif").shape == (4, 32, 40, 3)
    assert [path.name for path in tmp_path.iterdir()] == ["film.gif"]


def test_an_mp4_holds_every_frame(tmp_path: Path) -> None:
    ffmpeg = pytest.importorskip("imageio_ffmpeg", reason="MP4 needs imageio-ffmpeg")
    list(write_movie(FRAMES, tmp_path / "film.mp4", per_second=4))
    frames, seconds = ffmpeg.count_frames_and_secs(str(tmp_path / "film.mp4"))
    assert (frames, seconds) == (4, pytest.approx(1, abs=0.1))


def test_a_name_without_a_suffix_is_a_folder_of_pictures(tmp_path: Path) -> None:
    events = list(write_movie(FRAMES, tmp_path / "film"))
    assert events[-1] == Progress(4, 4, "frames written")
    assert max(path.name for path in (tmp_path / "film").iterdir()) == "frame-0004.png"
    with pytest.raises(InputError, match="exists already"):
        list(write_movie(FRAMES, tmp_path / "film"))


def test_what_cannot_be_written_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="A film ends in"):
        list(write_movie(FRAMES, tmp_path / "film.avi"))
    with pytest.raises(InputError, match="Cannot write"):
        list(write_movie(FRAMES, tmp_path / "missing" / "film.gif"))
    with pytest.raises(InputError, match="several sizes"):
        list(write_movie([*FRAMES, FRAMES[0][2:]], tmp_path / "film.gif"))
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="Not a directory"):
        list(write_movie(FRAMES, tmp_path / "file" / "film"))
