"""The form of the Train widget: the configuration of a training, field by field."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qtpy.QtWidgets import QFormLayout, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_scse._widgets.cards import EXCITATIONS, NETWORKS
from napari_scse._widgets.fields import Fields, title
from napari_scse._widgets.forms import Folded, form

# Fields that come from elsewhere: the name and the data from the widget, the rest from those.
ELSEWHERE = {"out", "name", "images", "labels", "label_maps", "structures", "network", "synthesis", "intensity"}
DERIVED = {"in_channels", "classes"}  # of the network: they follow from the data
_FIRST = {"network": ("kind", "excitation", "maps"), "scans": ("plane", "spacing", "canvas", "neighbours", "init")}
_SCHEDULE = ("epochs", "slices", "batch", "learning_rate", "patience", "device")
_LAYOUT = ("kernel", "depth", "upsampling", "bottleneck", "activation", "dense_output")  # what a preset says
_TITLES = {
    "kind": "Network",
    "excitation": "Excitation",
    "maps": "Maps per block",
    "init": "Start from",
    "slices": "Slices",
}
_QUICK: dict[str, Any] = {"epochs": 8, "slices": 240, "learning_rate": 0.01, "patience": None}
_QUICK |= {"optimizer": "adamw", "schedule": "one-cycle", "dice_weight": 1.0, "weight_power": 0.5, "canvas": (160, 160)}


class TrainForm(QWidget):
    """Shows all of a `TrainConfig` but the data; the defaults are the dataclass's. Made when torch is there."""

    def __init__(self, device: str, parent: QWidget | None = None) -> None:
        from napari_scse.execution import DEVICES
        from napari_scse.nn.config import PRESETS, NetworkConfig
        from napari_scse.runs import Intensity
        from napari_scse.training.config import CHOICES, TrainConfig

        super().__init__(parent)
        self.training = Fields(
            TrainConfig,
            [name for name in TrainConfig.__dataclass_fields__ if name not in ELSEWHERE | {"command"}],
            {"device": device},
            CHOICES | {"device": DEVICES},
        )
        self.network = Fields(
            NetworkConfig,
            [name for name in NetworkConfig.__dataclass_fields__ if name not in DERIVED],
            NetworkConfig.preset("fc-densenet").to_dict() | {"kernel": NetworkConfig.preset("fc-densenet").kernel},
            {"kind": NETWORKS, "excitation": {value: text for value, (text, _) in EXCITATIONS.items()}},
        )
        self.intensity = Fields(Intensity, list(Intensity.__dataclass_fields__))
        self.preset = Fields(_Preset, ["preset"], choices={"preset": PRESETS})
        self._build()
        for one in (self.network.widgets["kind"], self.preset.widgets["preset"]):
            one.changed.connect(self._on_preset)

    def _build(self) -> None:
        first, advanced = form(), form()
        for name in _FIRST["network"]:
            _row(first, self.network, name)
        for name in (*_FIRST["scans"], *_SCHEDULE):
            _row(first, self.training, name)
        _row(advanced, self.preset, "preset")
        for fields, shown in (
            (self.network, set(_FIRST["network"])),
            (self.training, {*_FIRST["scans"], *_SCHEDULE}),
            (self.intensity, set()),
        ):
            for name in fields.widgets:
                if name not in shown:
                    _row(advanced, fields, name)
        self.quick = QPushButton("Small and quick")
        self.quick.setToolTip(
            "Fill in a small network and a short schedule, which a laptop does in minutes: to try things out."
        )
        self.paper = QPushButton("As in the paper")
        self.paper.setToolTip("Fill in the defaults: the protocol of the paper. It wants a GPU.")
        buttons, column = QHBoxLayout(), QVBoxLayout(self)
        for button in (self.quick, self.paper):
            buttons.addWidget(button)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(buttons)
        column.addLayout(first)
        self.advanced = Folded("Advanced", advanced)
        column.addWidget(self.advanced)
        self.quick.clicked.connect(self.fill_quick)
        self.paper.clicked.connect(self.fill_defaults)

    def fill_quick(self) -> None:
        """Fill in what a laptop can do in minutes."""
        self.fill_defaults()
        self.network["maps"] = 16
        for name, value in _QUICK.items():
            self.training[name] = value

    def fill_defaults(self) -> None:
        """Fill in the dataclass's defaults, and keep the network and the plane."""
        from napari_scse.training.config import TrainConfig

        for name in (*_SCHEDULE[:-1], *_QUICK, "step_epochs", "momentum", "weight_decay", "weight_limit"):
            self.training[name] = TrainConfig.__dataclass_fields__[name].default
        self.network["maps"] = 64

    def config(self, out: Path, **data: Any) -> Any:
        """Return the `TrainConfig` that the form shows, with the run's folder and the `data`.

        Raises
        ------
        InputError, RunError
            A field says what it cannot.
        """
        from napari_scse.nn.config import NetworkConfig
        from napari_scse.runs import Intensity
        from napari_scse.training.config import TrainConfig

        values = self.training.values() | data
        network = NetworkConfig(**self.network.values())
        return TrainConfig(out=out, network=network, intensity=Intensity(**self.intensity.values()), **values)

    def _on_preset(self, *_: object) -> None:
        """Show the layout of the chosen network."""
        from napari_scse.nn.config import NetworkConfig

        layout = NetworkConfig.preset(self.network["kind"], self.preset["preset"])
        for name in _LAYOUT:
            self.network[name] = getattr(layout, name)


@dataclass(frozen=True)
class _Preset:
    """Which layout of the paper.

    Attributes
    ----------
    preset
        The paper's layout of the network: with Table I's parameters, or as section III-B tells it.
    """

    preset: str = "paper-count"


def _row(layout: QFormLayout, fields: Fields, name: str) -> None:
    layout.addRow(_TITLES.get(name, title(name)), fields.widgets[name].native)
