"""The files of a training that its process and those who look after it both know. Without torch."""

from __future__ import annotations

from pathlib import Path

TRAIN_FILE = "train.json"  # the whole configuration
RESUME_STATE = "resume.safetensors"  # the optimiser after the last finished epoch


def has_epochs(folder: Path) -> bool:
    """Whether an epoch is finished."""
    return any(folder.glob("epoch-*.safetensors"))
