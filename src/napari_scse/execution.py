"""How a network is run fast, in one place: device, precision, memory format, batch size, retreat when memory runs out.

* Networks and slices are kept channels_last, which is 1.3 to 1.8 times as fast as torch's default layout on CPUs.
* ``precision="bfloat16"`` halves weights and activations. Batch-norm keeps its numbers in float32, and the classifier
  is computed in float32: 0.1 % of the voxels change their label, all of them near ties. It is a choice, never a silent
  default.
* On a CPU a batch is small: one slice's maps then stay in the cache. On a GPU it is as large as half of the free memory
  allows.
* When memory runs out the batch is halved and the work goes on; that is said once, in `Executor.messages`.
"""

from __future__ import annotations

import copy
import ctypes
import platform
import sys
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from napari_scse.errors import DeviceError, InputError

Result = TypeVar("Result")

DEVICES: tuple[str, ...] = ("auto", "cpu", "cuda", "mps")
PRECISIONS: tuple[str, ...] = ("float32", "bfloat16")

_CACHE = 16 << 20  # bytes: one full map of a batch on a CPU stays below
_MAPS_ALIVE = 10  # full-size maps of the widest layer that are alive at once, at most (skip connections included)
_LARGEST_BATCH = {"cpu": 8, "cuda": 32, "mps": 8}
_OUT_OF_MEMORY = ("not enough memory", "can't allocate memory", "out of memory")  # CPU on Windows, CPU on Linux, MPS


def device_problem(name: str) -> str | None:
    """Say in a sentence why the device `name` cannot be used here; None where it can."""
    kind, _, number = name.partition(":")
    if kind not in DEVICES or (number and (kind != "cuda" or not number.isdecimal())):
        return f"Unknown device {name!r}: choose one of {', '.join(DEVICES)}, or cuda:N for the N-th GPU."
    if kind == "cuda":
        if torch.version.cuda is None and torch.version.hip is None:
            return "The installed PyTorch was built without CUDA: install a CUDA build, or choose the device cpu."
        if not torch.cuda.is_available():
            return "PyTorch finds no CUDA device on this computer: check its driver, or choose the device cpu."
        if number and int(number) >= torch.cuda.device_count():
            return f"There is no CUDA device {number}: this computer has {torch.cuda.device_count()}, numbered from 0."
    if kind == "mps" and not torch.backends.mps.is_available():
        return "The device mps needs an Apple GPU and macOS: choose the device cpu."
    return None


def choose_device(name: str | torch.device = "auto") -> torch.device:
    """Turn a device's name into a device; ``auto`` takes CUDA, then MPS, then the CPU.

    Raises
    ------
    DeviceError
        If the name is unknown or the device is not there.
    """
    name = str(name)
    problem = device_problem(name)
    if problem is not None:
        raise DeviceError(problem)
    if name == "auto":
        name = next(kind for kind in ("cuda", "mps", "cpu") if device_problem(kind) is None)
    return torch.device(name)


def supports_bfloat16(device: torch.device) -> bool:
    """Tell whether `device` computes bfloat16 itself; elsewhere it works too, but slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        ask = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
        return bool(ask()) if ask is not None else False
    return True


def tune_allocator() -> bool:
    """Keep freed memory in this process instead of giving it back to the kernel after every layer (1.5 times as fast).

    It changes the whole process, so only a program that owns its process calls it: the command line, never a plugin.
    Linux with glibc only; elsewhere nothing happens.

    Returns
    -------
    bool
        Whether anything was changed.
    """
    if sys.platform != "linux" or platform.libc_ver()[0] != "glibc":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    trim_threshold, top_pad, mmap_max = -1, -2, -4  # glibc's malloc.h
    settings = ((mmap_max, 0), (trim_threshold, 2**31 - 1), (top_pad, 256 << 20))
    return all(mallopt(ctypes.c_int(name), ctypes.c_int(value)) == 1 for name, value in settings)


class Executor:
    """A network on a device, ready to run.

    Parameters
    ----------
    network
        In evaluation mode; it is copied, the caller's stays as it is.
    device
        See `choose_device`.
    precision
        ``"float32"`` or ``"bfloat16"``.
    batch_size
        How many slices at once; None: as many as suit the device and their size.

    Attributes
    ----------
    network
        The copy that is run; hooks may be put on it.
    messages
        Sentences for the user that came up so far.

    Examples
    --------
    >>> with Executor(network, choose_device("auto")) as executor:  # doctest: +SKIP
    ...     logits = executor.run(slices)
    """

    def __init__(
        self, network: nn.Module, device: torch.device, precision: str = "float32", batch_size: int | None = None
    ) -> None:
        if precision not in PRECISIONS:
            raise InputError(f"Unknown precision {precision!r}: choose one of {', '.join(PRECISIONS)}.")
        if batch_size is not None and batch_size < 1:
            raise InputError(f"A batch has at least one slice, not {batch_size}.")
        self.device = device
        self.dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
        self.messages: list[str] = []
        self._limit = batch_size
        self._asked = batch_size is not None
        self._said_smaller = False
        convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
        self._width = max((max(m.in_channels, m.out_channels) for m in convolutions), default=1)
        try:
            self.network = self._prepare(copy.deepcopy(network).eval())
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            raise DeviceError(f"The device {device} has too little free memory for the network.") from error
        if precision == "bfloat16" and not supports_bfloat16(device):
            self.messages.append(f"This {device.type} has no bfloat16 arithmetic: float32 would be faster.")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def batch_size(self, height: int, width: int) -> int:
        """Return how many slices of that size are run at once."""
        if self._limit is not None and self._asked:
            return self._limit
        one_map = self._width * height * width * self.dtype.itemsize
        if self.device.type == "cuda":
            size = torch.cuda.mem_get_info(self.device)[0] // (2 * _MAPS_ALIVE * one_map)
        else:
            size = _CACHE // one_map
        size = max(1, min(int(size), _LARGEST_BATCH.get(self.device.type, 1)))
        return size if self._limit is None else min(size, self._limit)

    def run(self, slices: np.ndarray) -> Tensor:
        """Return the network's logits.

        Parameters
        ----------
        slices
            Real numbers (B, C, H, W), B >= 1.

        Returns
        -------
        torch.Tensor
            float32 (B, K, H, W) on the device.

        Raises
        ------
        DeviceError
            If the memory does not even suffice for one slice.
        """
        return torch.cat(list(self.map(slices, self._logits)))

    def map(self, slices: np.ndarray, function: Callable[[nn.Module, Tensor], Result]) -> Iterator[Result]:
        """Call ``function(network, batch)`` for one batch after the other, with the retreat when memory runs out.

        Parameters
        ----------
        slices
            (B, C, H, W).
        function
            Gets `network` and (b, C, H, W) in the executor's type, on its device, channels_last. It runs without
            gradients and may run again with half of the batch.
        """
        done = 0
        while done < len(slices):
            size = min(self.batch_size(*slices.shape[2:]), len(slices) - done)
            answer = self._attempt(slices[done : done + size], function)
            if answer is None:
                self._retreat(size, slices.shape)
                continue
            done += size
            yield answer[0]

    def close(self) -> None:
        """Let go of the network and give the device's memory back to other programs."""
        self.network = nn.Identity()
        self._empty_cache()

    def _prepare(self, network: nn.Module) -> nn.Module:
        network = network.to(self.device)
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack it
        if self.dtype is torch.float32:
            return network
        classifiers = [m for name, m in network.named_modules() if name.split(".")[-1] == "classifier"]
        exact = {id(module) for classifier in classifiers for module in classifier.modules()}
        for module in network.modules():
            if id(module) not in exact and not isinstance(module, nn.BatchNorm2d):
                for parameter in module.parameters(recurse=False):
                    parameter.data = parameter.data.to(self.dtype)
        for classifier in classifiers:
            classifier.register_forward_pre_hook(_in_float32)
        return network

    @torch.inference_mode()
    def _attempt(self, slices: np.ndarray, function: Callable[[nn.Module, Tensor], Result]) -> tuple[Result] | None:
        """Return the function's answer in a tuple, or None where memory ran out."""
        try:
            return (function(self.network, self._batch(slices)),)
        except RuntimeError as error:
            if is_out_of_memory(error):
                return None
            raise

    def _batch(self, slices: np.ndarray) -> Tensor:
        # Built as (B, H, W, C): with one channel `contiguous(memory_format=channels_last)` keeps the strides of NCHW.
        last = np.ascontiguousarray(np.moveaxis(slices, 1, -1), dtype=np.float32)
        return torch.from_numpy(last).to(self.device, self.dtype).permute(0, 3, 1, 2)

    def _logits(self, network: nn.Module, batch: Tensor) -> Tensor:
        logits: Tensor = network(batch)
        return logits.float()

    def _retreat(self, size: int, shape: tuple[int, ...]) -> None:
        self._empty_cache()
        if size == 1:
            raise DeviceError(
                f"The device {self.device} has too little free memory for one slice of {shape[2]} x {shape[3]}: "
                "close other programs that use it, or take another device."
            )
        self._limit = size // 2
        if not self._said_smaller:
            self._said_smaller = True
            self.messages.append(f"The memory of {self.device} ran out: going on with {self._limit} slices at once.")

    def _empty_cache(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        elif self.device.type == "mps":
            torch.mps.empty_cache()


def is_out_of_memory(error: RuntimeError) -> bool:
    """Tell whether an error of torch's means that the memory of the CPU or of another device ran out."""
    return isinstance(error, torch.cuda.OutOfMemoryError) or any(part in str(error).lower() for part in _OUT_OF_MEMORY)


def _in_float32(_: nn.Module, arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(a.float() for a in arguments)
