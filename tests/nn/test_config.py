"""A network's description: frozen, JSON-able, strict."""

import dataclasses
import json

import pytest

from napari_scse.errors import RunError
from napari_scse.nn.architectures import KINDS, PRESETS, NetworkConfig
from napari_scse.nn.config import Position


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("overrides", [{}, {"excitation": "sse", "maps": 8, "skip": 2, "kernel": (1, 9)}])
def test_round_trip_through_json(kind, preset, overrides):
    config = NetworkConfig.preset(kind, preset, **overrides)
    values = json.loads(json.dumps(config.to_dict()))
    assert NetworkConfig.from_dict(values) == config
    assert hash(NetworkConfig.from_dict(values)) == hash(config)
    assert all(getattr(config, name) == value for name, value in overrides.items())


def test_the_paper_is_the_default():
    config = NetworkConfig.preset("fc-densenet")
    assert (config.classes, config.maps, config.depth, config.reduction, config.skip) == (28, 64, 4, 2, 1)
    assert (config.excitation, config.aggregation, config.position) == ("scse", "max", "P5")


def test_frozen():
    config = NetworkConfig.preset("u-net")
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.maps = 3  # type: ignore[misc]


def test_unknown_fields_are_named():
    with pytest.raises(RunError, match=r"'channels', 'se'.*excitation"):
        NetworkConfig.from_dict({"kind": "u-net", "se": "cse", "channels": 3})
    with pytest.raises(RunError, match="kind"):
        NetworkConfig.from_dict({"maps": 64})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("kind", "unet"),
        ("excitation", "CSE"),
        ("aggregation", "mean"),
        ("position", "P7"),
        ("upsampling", "bilinear"),
        ("bottleneck", None),
        ("activation", ["relu"]),
        ("dense_output", "first"),
        ("classes", 0),
        ("maps", 64.0),
        ("depth", True),
        ("reduction", -2),
        ("in_channels", "1"),
        ("skip", 0),
        ("skip", 3),
        ("kernel", (3, 4)),
        ("kernel", (3,)),
        ("kernel", 3),
        ("kernel", "33"),
    ],
)
def test_what_no_network_can_be_built_from_is_refused(field, value):
    with pytest.raises(RunError) as error:
        NetworkConfig.from_dict({"kind": "u-net", field: value})
    assert repr(value) in str(error.value)


@pytest.mark.parametrize(("kind", "preset"), [("v-net", "paper-count"), ("u-net", "paper")])
def test_unknown_presets_are_refused(kind, preset):
    with pytest.raises(RunError, match="choose one of"):
        NetworkConfig.preset(kind, preset)


def test_positions_are_those_of_section_ii_d():
    where = {p.value: (p.encoders, p.decoders, p.bottleneck, p.classifier) for p in Position}
    assert where == {
        "P1": (True, False, False, False),
        "P2": (False, True, False, False),
        "P3": (False, False, True, False),
        "P4": (False, False, False, True),
        "P5": (True, True, False, False),
        "P6": (True, True, True, True),
    }
