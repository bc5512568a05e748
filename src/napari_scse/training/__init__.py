"""Train a run: one checkpoint per epoch, a kill at any moment loses at most the running epoch."""

from napari_scse.training.config import TrainConfig
from napari_scse.training.loop import train

__all__ = ["TrainConfig", "train"]
