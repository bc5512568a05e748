"""What a network is: a frozen description that builds it, travels in a run's JSON and compares by value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any, Self

from napari_scse.errors import RunError
from napari_scse.nn.excitation import Aggregation, Excitation


class Position(StrEnum):
    """After which blocks the excitation stands, section II-D."""

    P1 = "P1"  # encoders
    P2 = "P2"  # decoders
    P3 = "P3"  # bottleneck
    P4 = "P4"  # classifier
    P5 = "P5"  # encoders and decoders: the paper's choice
    P6 = "P6"  # all of them

    @property
    def encoders(self) -> bool:
        """Whether the encoders are recalibrated."""
        return self in (Position.P1, Position.P5, Position.P6)

    @property
    def decoders(self) -> bool:
        """Whether the decoders are recalibrated."""
        return self in (Position.P2, Position.P5, Position.P6)

    @property
    def bottleneck(self) -> bool:
        """Whether the bottleneck is recalibrated."""
        return self in (Position.P3, Position.P6)

    @property
    def classifier(self) -> bool:
        """Whether the class scores are recalibrated."""
        return self in (Position.P4, Position.P6)


class Upsampling(StrEnum):
    """How a decoder comes back to its skip connection's size."""

    UNPOOL = "unpool"  # to the places the maxima came from
    TRANSPOSED = "transposed"  # a learnt 2x2 transposed convolution


class Bottleneck(StrEnum):
    """What stands between the last encoder and the first decoder."""

    BLOCK = "block"  # the same block as in the encoders
    CONVOLUTION = "convolution"  # one convolution of the network's kernel
    POINTWISE = "pointwise"  # one 1x1 convolution


class Activation(StrEnum):
    """The non-linearity of every block."""

    RELU = "relu"
    PRELU = "prelu"  # one learnt slope for each activation layer


class DenseOutput(StrEnum):
    """What the 1x1 convolution at the end of a dense block sees."""

    LAST = "last"  # the second convolution's maps only
    ALL = "all"  # the block's input and both convolutions' maps


KINDS: tuple[str, ...] = ("u-net", "sd-net", "fc-densenet", "relaynet")
PRESETS: tuple[str, ...] = ("paper-count", "paper-text")

_LAYOUTS: dict[tuple[str, str], dict[str, Any]] = {
    ("u-net", "paper-count"): {"kernel": (5, 5), "upsampling": "transposed", "bottleneck": "convolution"},
    ("u-net", "paper-text"): {"kernel": (3, 3), "upsampling": "transposed", "bottleneck": "block"},
    ("sd-net", "paper-count"): {"kernel": (7, 7), "depth": 3},
    ("sd-net", "paper-text"): {"kernel": (7, 7), "depth": 4},
    ("fc-densenet", "paper-count"): {"kernel": (5, 5), "bottleneck": "pointwise", "dense_output": "last"},
    ("fc-densenet", "paper-text"): {"kernel": (5, 5), "bottleneck": "block", "dense_output": "all"},
    ("relaynet", "paper-count"): {"kernel": (3, 7), "depth": 3, "classes": 9, "activation": "prelu"},
    ("relaynet", "paper-text"): {"kernel": (3, 7), "depth": 3, "classes": 9, "activation": "relu"},
}


@dataclass(frozen=True)
class NetworkConfig:
    """The whole description of a network; `preset` fills in the paper's layouts.

    Attributes
    ----------
    kind
        U-Net, SD-Net, FC-DenseNet or ReLayNet.
    in_channels
        2 c + 1 slices, one above the other.
    classes
        What it tells apart, with the background.
    maps
        Feature maps of every block.
    depth
        Encoders, and as many decoders.
    kernel
        Rows and columns of its convolutions: odd numbers.
    upsampling
        How a decoder comes back to its skip connection's size: to the places that the maxima came from, or learnt.
    bottleneck
        What stands between the last encoder and the first decoder.
    activation
        The non-linearity of every block.
    dense_output
        What the 1x1 convolution at the end of a dense block sees; of FC-DenseNet only.
    excitation
        The squeeze & excitation variant: none, of channels (cSE), of places (sSE), or of both (scSE).
    aggregation
        How scSE joins its two gates.
    reduction
        r of the channel gate: its inner layer has so many times fewer channels.
    position
        After which blocks the excitation stands: P1 encoders, P2 decoders, P3 bottleneck, P4 classifier, P5 encoders
        and decoders, P6 all.
    skip
        1: skip connections carry the recalibrated maps, 2: those before (section IV-D).
    taught
        Of a network that learnt from strokes: the changes that they taught, from one class index to another; see
        `held`.

    Raises
    ------
    RunError
        Where a value is not one a network can be built from.
    """

    kind: str  # one of KINDS
    in_channels: int = 1
    classes: int = 28
    maps: int = 64
    depth: int = 4
    kernel: tuple[int, int] = (5, 5)
    upsampling: Upsampling = Upsampling.UNPOOL
    bottleneck: Bottleneck = Bottleneck.BLOCK
    activation: Activation = Activation.RELU
    dense_output: DenseOutput = DenseOutput.LAST
    excitation: Excitation = Excitation.SCSE
    aggregation: Aggregation = Aggregation.MAX
    reduction: int = 2
    position: Position = Position.P5
    skip: int = 1
    taught: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        for name, kind in _ENUMS.items():
            object.__setattr__(self, name, _member(name, kind, getattr(self, name)))
        if self.kind not in KINDS:
            raise RunError(f"Unknown network kind {self.kind!r}: choose one of {', '.join(KINDS)}.")
        for name, most in _MOST.items():
            value = getattr(self, name)
            if not _is_count(value) or value > most:
                raise RunError(f"A network's {name} is a whole number from 1 to {most}, not {value!r}.")
        if not _is_count(self.skip) or self.skip > 2:
            raise RunError(f"The skip configuration is 1 or 2, not {self.skip!r}.")
        kernel: Any = self.kernel
        if not isinstance(kernel, (tuple, list)) or len(kernel) != 2 or not all(_is_count(k) and k % 2 for k in kernel):
            raise RunError(f"A kernel is two odd numbers (rows, columns), not {kernel!r}.")
        object.__setattr__(self, "kernel", (kernel[0], kernel[1]))
        object.__setattr__(self, "taught", _changes(self.taught, self.classes))

    @classmethod
    def preset(cls, kind: str, preset: str = "paper-count", **overrides: Any) -> Self:
        """Return a layout of the paper: ``paper-count`` has Table I's parameters, ``paper-text`` follows section III-B.

        Every field can be overridden by name.
        """
        if kind not in KINDS:
            raise RunError(f"Unknown network kind {kind!r}: choose one of {', '.join(KINDS)}.")
        if preset not in PRESETS:
            raise RunError(f"Unknown preset {preset!r}: choose one of {', '.join(PRESETS)}.")
        return cls.from_dict({"kind": kind} | _LAYOUTS[kind, preset] | overrides)

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers, strings and lists, as a run's JSON keeps them."""
        values = asdict(self)
        values["kernel"] = list(self.kernel)
        if self.taught:
            values["taught"] = [list(change) for change in self.taught]
        else:
            del values["taught"]
        return values | {name: str(values[name]) for name in _ENUMS}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Rebuild a configuration from `to_dict`'s answer; unknown keys are refused."""
        known = [field.name for field in fields(cls)]
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise RunError(f"A network has no field {', '.join(map(repr, unknown))}: it has {', '.join(known)}.")
        if "kind" not in values:
            raise RunError(f"A network's description needs its kind: one of {', '.join(KINDS)}.")
        return cls(**values)


_MOST = {"in_channels": 1023, "classes": 65536, "maps": 4096, "depth": 16, "reduction": 4096}
_ENUMS: dict[str, type[StrEnum]] = {
    "upsampling": Upsampling,
    "bottleneck": Bottleneck,
    "activation": Activation,
    "dense_output": DenseOutput,
    "excitation": Excitation,
    "aggregation": Aggregation,
    "position": Position,
}


def _member(name: str, kind: type[StrEnum], value: Any) -> StrEnum:
    for member in kind:
        if member.value == value:
            return member
    raise RunError(f"A network's {name} is one of {', '.join(kind)}, not {value!r}.")


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _changes(pairs: Any, classes: int) -> tuple[tuple[int, int], ...]:
    if isinstance(pairs, (tuple, list)) and all(_is_change(pair, classes) for pair in pairs):
        return tuple((before, after) for before, after in pairs)
    raise RunError(f"What a network was taught is pairs of class indices below {classes}, not {pairs!r}.")


def _is_change(pair: Any, classes: int) -> bool:
    indices = isinstance(pair, (tuple, list)) and len(pair) == 2
    return indices and all(type(index) is int and 0 <= index < classes for index in pair)
