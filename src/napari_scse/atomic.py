"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def appearing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a path beside `path` to write to, which takes its place when all went well, and goes when not.

    What a link points to is replaced, not the link.
    """
    target = Path(path).resolve()
    part = target.with_name(f".{secrets.token_hex(8)}.part{target.suffix}")
    try:
        yield part
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)  # gone already, unless something failed


def remove_parts(folder: Path, suffix: str = "*") -> None:
    """Remove what killed processes left of files with that suffix, in a folder where nobody else writes such now."""
    for part in folder.glob(f".*.part{suffix}"):
        part.unlink(missing_ok=True)


def write_atomically(path: str | os.PathLike[str], content: bytes) -> None:
    """Write `content` to a file; where that fails, what was there stays, and nothing else is left."""
    with appearing(path) as part:
        part.write_bytes(content)
