"""One slice through one checkpoint: what the gates let through, and what the network makes of it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import numpy as np
import torch
from torch import Tensor, nn

from napari_scse.execution import Executor
from napari_scse.exploration.layout import Layout
from napari_scse.nn.overrides import Levels, Override, override_gates
from napari_scse.nn.recorder import record_excitations
from napari_scse.runs import Run

_KEPT = 8  # networks that are ready at once


@dataclass(frozen=True, eq=False)
class Frame:
    """One slice at one epoch.

    Attributes
    ----------
    gates
        Site name → its gate: float32 (h, w) of a spatial site, (C,) of a channel site, 0 … 1.
    labels
        Class index of each pixel, int32 (height, width) of the window; None where it was not asked for.
    probabilities
        Of every class, float16 (classes, height, width); None where they were not asked for.
    """

    gates: Mapping[str, np.ndarray]
    labels: np.ndarray | None = None
    probabilities: np.ndarray | None = None


class Frames:
    """Makes frames; the networks of the last few epochs are kept ready.

    Parameters
    ----------
    run, layout
        Whose network looks at what.
    device, precision, batch_size
        See `Executor`.
    """

    def __init__(
        self, run: Run, layout: Layout, device: torch.device, precision: str = "float32", batch_size: int | None = None
    ) -> None:
        self.layout = layout
        self._run = run
        self._options = (device, precision, batch_size)
        self._executors: OrderedDict[int, Executor] = OrderedDict()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def executor(self, epoch: int) -> Executor:
        """Return the network at the epoch of that index, ready to run."""
        if epoch not in self._executors:
            while len(self._executors) >= _KEPT:
                self._executors.popitem(last=False)[1].close()
            self._executors[epoch] = Executor(self._run.network(self.layout.epochs[epoch]), *self._options)
        self._executors.move_to_end(epoch)
        return self._executors[epoch]

    def look(
        self,
        epoch: int,
        numbers: Sequence[int],
        sites: Sequence[str],
        *,
        labels: bool = False,
        probabilities: bool = False,
        overrides: Mapping[str, Override | str | Levels] | None = None,
    ) -> Iterator[Frame]:
        """Make one frame of each slice, in their order.

        Parameters
        ----------
        epoch
            Index of the epoch.
        numbers
            Of the slices, counted from the layout's first.
        sites
            Gates and winner maps to record. The forward pass stops at the deepest one, unless labels or probabilities
            are wanted.
        labels, probabilities
            Whether to keep those as well.
        overrides
            Gates to replace, as for `override_gates`.
        """
        executor = self.executor(epoch)
        early = not (labels or probabilities)

        def run(network: nn.Module, batch: Tensor) -> list[Frame]:
            scores = batch  # stays, where the pass stops early
            replaced = override_gates(network, overrides or {})
            with replaced, record_excitations(network, sites, stop_early=early) as recorder:
                scores = network(batch)
            gates = {site: _numbers(site, recorder.maps[site]) for site in sites}
            found = scores.argmax(1).to(torch.int32).cpu().numpy() if labels else None
            shares = scores.float().softmax(1).half().cpu().numpy() if probabilities else None
            return [
                Frame(
                    {site: gate[place] for site, gate in gates.items()},
                    None if found is None else found[place],
                    None if shares is None else shares[place],
                )
                for place in range(len(batch))
            ]

        size = executor.batch_size(self.layout.window.height, self.layout.window.width)
        for start in range(0, len(numbers), size):
            for frames in executor.map(self.layout.seen(numbers[start : start + size]), run):
                yield from frames

    def messages(self) -> list[str]:
        """Return what the executors have to say to the user, each sentence once."""
        return list(dict.fromkeys(text for executor in self._executors.values() for text in executor.messages))

    def close(self) -> None:
        """Let go of the networks."""
        for executor in self._executors.values():
            executor.close()
        self._executors.clear()


def _numbers(site: str, gate: Tensor) -> np.ndarray:
    """(N, h, w) of a spatial site's gate or a winner map, (N, C) of a channel site's."""
    numbers: np.ndarray = gate.float().cpu().numpy()
    return numbers[:, :, 0, 0] if site.startswith("c") else numbers[:, 0]
