"""Every error this package raises on purpose.

They derive from `Exception` and not from `RuntimeError`, so that a real defect (torch raises `RuntimeError` for a wrong
shape) is never mistaken for a sentence meant for the user. Each message is one sentence or two: what was expected, what
came, what to do.
"""

from __future__ import annotations


class ScseError(Exception):
    """Base of all errors whose message is written for the user."""


class InputError(ScseError):
    """A file, an array or an argument is not what is needed."""


class SpaceError(ScseError):
    """An affine, a spacing or a grid does not make sense, or two grids differ."""


class RunError(ScseError):
    """A run, one of its epochs or one of its sites is missing or broken."""


class DeviceError(ScseError):
    """The device asked for is not there, or it has too little memory."""
