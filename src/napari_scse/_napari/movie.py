"""Pictures of the canvas as a film: GIF, MP4, or a folder of PNG files."""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator, Sequence
from contextlib import suppress
from pathlib import Path

import imageio.v3 as imageio
import numpy as np

from napari_scse.errors import InputError
from napari_scse.events import Event, Progress

SUFFIXES = (".gif", ".mp4", "")  # no suffix: a folder of PNG files


def write_movie(frames: Sequence[np.ndarray], path: Path, per_second: float = 1.5) -> Generator[Event, None, None]:
    """Write `frames` to `path`, whole or not at all.

    Parameters
    ----------
    frames
        Pictures (height, width, 3 or 4), uint8.
    path
        Ends in .gif or .mp4; without a suffix it is a new folder of numbered PNG files.
    per_second
        Frames a second.

    Yields
    ------
    Progress
        After each written frame, where they are written one by one.

    Raises
    ------
    InputError
        For another suffix, pictures of several sizes, a folder that exists, MP4 without a way to encode it, or where
        nothing can be written.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(
            f"A film ends in .gif or .mp4, or in nothing for a folder of pictures; '{path.name}' does not."
        )
    if len({frame.shape[:2] for frame in frames}) > 1:
        raise InputError("The canvas had several sizes: leave the window as it is while pictures of it are taken.")
    pictures = [np.ascontiguousarray(_even(frame[..., :3])) for frame in frames]
    part = path.with_name(f".{path.stem}.{os.getpid()}.part{suffix}")
    try:
        if suffix == "":
            if path.exists():
                raise InputError(f"{path} exists already; give another name.")
            part.mkdir()
            for number, picture in enumerate(pictures, start=1):
                imageio.imwrite(part / f"frame-{number:04d}.png", picture)
                yield Progress(number, len(pictures), "frames written")
        elif suffix == ".gif":
            imageio.imwrite(part, pictures, duration=1000 / per_second, loop=0)
        else:
            _write_mp4(pictures, part, per_second)
        part.replace(path)
    except OSError as error:
        raise InputError(f"Cannot write {path}: {error.strerror or error}.") from error
    finally:
        if part.is_dir():
            shutil.rmtree(part, ignore_errors=True)
        else:
            with suppress(OSError):
                part.unlink()


def _write_mp4(pictures: Sequence[np.ndarray], path: Path, per_second: float) -> None:
    try:
        import imageio_ffmpeg
    except ImportError as error:
        raise InputError(
            "MP4 needs the package imageio-ffmpeg (pip install imageio-ffmpeg); GIF needs nothing."
        ) from error
    height, width = pictures[0].shape[:2]
    writer = imageio_ffmpeg.write_frames(str(path), (width, height), fps=per_second, macro_block_size=2, quality=8)
    writer.send(None)
    for picture in pictures:
        writer.send(picture)
    writer.close()


def _even(picture: np.ndarray) -> np.ndarray:
    """Cut to an even height and width, which MP4 asks for."""
    return picture[: picture.shape[0] // 2 * 2, : picture.shape[1] // 2 * 2]
