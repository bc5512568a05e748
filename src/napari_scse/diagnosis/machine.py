"""Processor, memory and graphics card: what is there, what torch can use of it, and what to do where that differs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from napari_scse.diagnosis.findings import Advice, Finding

_PROC = Path("/proc/driver/nvidia/version")
_GROUPS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
_QUERY = "name,driver_version,memory.total,memory.free"
_GIB = 2**30


@dataclass(frozen=True)
class NvidiaCard:
    """A graphics card of NVIDIA's, as its driver describes it; memory in bytes."""

    name: str
    driver: str
    total: int
    free: int


def machine() -> Iterator[Finding]:
    """Look at processor, memory, graphics cards and what torch makes of them."""
    import psutil
    import torch

    from napari_scse.execution import choose_device, supports_bfloat16

    memory = psutil.virtual_memory()
    cards, driver = nvidia_cards(), nvidia_driver()
    built = torch.version.cuda or torch.version.hip
    yield Finding("chosen by auto", str(choose_device("auto")))
    yield Finding("CPU", f"{os.cpu_count()} cores, torch uses {torch.get_num_threads()} threads")
    yield Finding("memory", f"{memory.available / _GIB:.1f} of {memory.total / _GIB:.1f} GiB are free")
    limit = memory_limit()
    if limit is not None and limit < memory.total:
        yield Finding("memory limit", f"{limit / _GIB:.1f} GiB for this process and others of its group")
    yield Finding("CPU bfloat16", _yes(supports_bfloat16(torch.device("cpu"))))
    yield Finding("PyTorch build", f"CUDA {torch.version.cuda}" if torch.version.cuda else built or "for CPUs only")
    yield Finding("NVIDIA driver", driver or "none", driver_advice(built, driver, bool(cards)))
    for number, card in enumerate(cards):
        free = f"{card.free / _GIB:.1f} of {card.total / _GIB:.1f} GiB are free"
        yield Finding(f"NVIDIA GPU {number}", f"{card.name}, {free}")
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            properties = torch.cuda.get_device_properties(index)
            yield Finding(f"CUDA {index}", f"{properties.name}, {properties.total_memory / _GIB:.0f} GiB")
        yield Finding("CUDA bfloat16", _yes(supports_bfloat16(torch.device("cuda"))))
    else:
        yield Finding("CUDA", "no: " + ("there is no GPU it can use" if built else "this torch is built without it"))
    yield Finding("MPS", _yes(torch.backends.mps.is_available()))


def driver_advice(built: str | None, driver: str, seen: bool, system: str = sys.platform) -> Advice | None:
    """Say what to do where there is an NVIDIA card or driver and torch cannot use it; None where all is well.

    Parameters
    ----------
    built
        What torch was built for; None or empty: CPUs only.
    driver
        Version of the driver; empty: there is none.
    seen
        Whether the driver names a card.
    system
        As `sys.platform`: where torch comes with CUDA if nothing else is asked for, and where it does not.
    """
    if built or not (driver or seen):
        return None
    again = f'"{sys.executable}" -m pip install --force-reinstall torch'
    if system.startswith("linux"):
        return Advice(
            "There is an NVIDIA GPU, but this PyTorch is for CPUs only. Paste this line, then restart:", again
        )
    return Advice(
        "There is an NVIDIA GPU, but this PyTorch is for CPUs only. pytorch.org/get-started names the address of the "
        "build for your CUDA version; paste this line with it, then restart:",
        f"{again} --index-url ADDRESS",
    )


def nvidia_driver() -> str:
    """Return the version of NVIDIA's driver, without loading it; "there" if it does not say, empty if there is none."""
    cards = nvidia_cards()
    if cards:
        return cards[0].driver
    try:
        found = re.search(r"Kernel Module\D*(\d+(?:\.\d+)+)", _PROC.read_text(encoding="utf-8", errors="replace"))
        return found.group(1) if found else "there"
    except OSError:
        pass
    if sys.platform == "win32":
        system = Path(os.environ.get("SYSTEMROOT", r"C:\Windows")) / "System32"
        return "there" if (system / "nvcuda.dll").is_file() else ""
    return ""


def nvidia_cards(timeout: float = 10.0) -> tuple[NvidiaCard, ...]:
    """Ask NVIDIA's own tool for the cards; none if it is not there or does not answer."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ()
    try:
        command = [tool, f"--query-gpu={_QUERY}", "--format=csv,noheader,nounits"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=True)
    except (OSError, subprocess.SubprocessError):
        return ()
    return parse_cards(done.stdout)


def parse_cards(text: str) -> tuple[NvidiaCard, ...]:
    """Read what the tool prints: a line a card, sizes in MiB; lines that are none are left out.

    Examples
    --------
    >>> parse_cards("A100, 550.54.15, 40960, 1024")[0].driver
    '550.54.15'
    """
    cards = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.split(",")]
        if len(cells) == 4 and cells[2].isdecimal() and cells[3].isdecimal():
            cards.append(NvidiaCard(cells[0], cells[1], int(cells[2]) << 20, int(cells[3]) << 20))
    return tuple(cards)


def memory_limit() -> int | None:
    """Return how many bytes the processes of this container may take together; None where nothing limits them."""
    for file in _GROUPS:
        try:
            text = file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            continue
        return int(text) if text.isdecimal() else None
    return None


def _yes(there: bool) -> str:
    return "yes" if there else "no"
