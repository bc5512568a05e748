"""A network that was taught some changes makes no others."""

from __future__ import annotations

import pytest
import torch

from napari_scse.errors import RunError
from napari_scse.execution import Executor, choose_device
from napari_scse.nn.architectures import EncoderDecoder, NetworkConfig, build_network
from napari_scse.nn.recorder import record_excitations, sites

KINDS = ("u-net", "sd-net", "fc-densenet", "relaynet")


def small(kind: str) -> NetworkConfig:
    return NetworkConfig.preset(kind, maps=8, depth=2, classes=5)


def pair(kind: str, taught: tuple[tuple[int, int], ...]) -> tuple[EncoderDecoder, EncoderDecoder]:
    """A network, and another that learnt (here: was drawn anew behind its encoders) and may make some changes."""
    torch.manual_seed(3)
    before, after = (build_network(small(kind)).eval() for _ in range(2))
    after.encoders, after.bottleneck = before.encoders, before.bottleneck
    after.keep_from(before, taught)
    return before, after


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_no_other_changes_are_made(kind: str) -> None:
    x = torch.randn(2, 1, 33, 41)
    every = tuple((a, b) for a in range(5) for b in range(5) if a != b)
    before, after = pair(kind, every)
    was, now = before(x).argmax(1), after(x).argmax(1)
    after.let_go()
    assert torch.equal(now, after(x).argmax(1))  # where all may change, what learnt decides alone
    made = set(zip(was.flatten().tolist(), now.flatten().tolist(), strict=True))
    taught = tuple(sorted(change for change in made if change[0] != change[1])[::2])
    assert taught
    before, after = pair(kind, taught)
    was, now = before(x).argmax(1), after(x).argmax(1)
    changed = was != now
    assert changed.any()
    assert set(zip(was[changed].tolist(), now[changed].tolist(), strict=True)) <= set(taught)


@torch.no_grad()
def test_the_best_score_stays_and_so_do_those_that_may_not_change() -> None:
    x = torch.randn(1, 1, 32, 32)
    before, after = pair("fc-densenet", ((0, 1), (2, 3)))
    was, now = before(x), after(x)
    first = was.argmax(1)
    torch.testing.assert_close(now.amax(1), was.amax(1))
    still = (first == 1) | (first == 3) | (first == 4)
    assert torch.equal(now.movedim(1, -1)[still], was.movedim(1, -1)[still])
    assert torch.equal(now[:, 4][first == 0], was[:, 4][first == 0])


def test_nothing_taught_is_nothing_changed() -> None:
    before, after = pair("u-net", ())
    assert after.held is None
    assert after.config == before.config
    assert all(
        torch.equal(a, b) for a, b in zip(after.state_dict().values(), before.state_dict().values(), strict=True)
    )


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_it_is_rebuilt_from_its_configuration(kind: str) -> None:
    _, after = pair(kind, ((0, 1), (3, 0)))
    config = NetworkConfig.from_dict(after.config.to_dict())
    assert config == after.config
    again = build_network(config).eval()
    again.load_state_dict(after.state_dict(), strict=True)
    x = torch.randn(1, 1, 30, 26)
    assert torch.equal(again(x), after(x))


@torch.no_grad()
def test_untaught_is_what_it_was_before() -> None:
    before, after = pair("sd-net", ((0, 1),))
    x = torch.randn(1, 1, 24, 24)
    assert torch.equal(after.untaught()(x), before(x))
    assert before.untaught() is before
    later = build_network(small("sd-net")).eval()
    later.encoders, later.bottleneck = before.encoders, before.bottleneck
    later.keep_from(after, ((1, 2),))
    assert later.config.taught == ((0, 1), (1, 2))
    assert torch.equal(later.untaught()(x), before(x))


def test_held_gates_are_no_sites() -> None:
    before, after = pair("fc-densenet", ((0, 1),))
    assert list(sites(after)) == list(sites(before))
    with torch.no_grad(), record_excitations(after, ["sE-1", "sD-2"]) as recorder:
        after(torch.randn(1, 1, 16, 16))
    assert recorder.maps.keys() == {"sE-1", "sD-2"}


def test_both_classifiers_are_computed_in_float32() -> None:
    _, after = pair("fc-densenet", ((0, 1), (1, 0)))
    with Executor(after, choose_device("cpu"), "bfloat16") as executor:
        held = executor.network.get_submodule("held.classifier")
        assert {p.dtype for p in held.parameters()} == {torch.float32}
        assert torch.isfinite(executor.run(torch.randn(1, 1, 16, 16).numpy())).all()


@pytest.mark.parametrize("taught", [((0, 5),), ((-1, 2),), ((True, 2),), ((1, 2, 3),), 7])
def test_changes_that_are_none_are_refused(taught: object) -> None:
    with pytest.raises(RunError, match="pairs of class indices below 5"):
        NetworkConfig(kind="u-net", classes=5, taught=taught)  # type: ignore[arg-type]
