"""Table I: our exact counts, pinned, beside the paper's rounded ones."""

import pytest

from napari_scse.nn.architectures import KINDS, PRESETS, Excitation, NetworkConfig, build_network
from napari_scse.nn.parameters import count_parameters, table_one

REFERENCE = {
    ("fc-densenet", "paper-count"): 3_120_480,
    ("fc-densenet", "paper-text"): 3_516_962,
    ("sd-net", "paper-count"): 1_812_636,
    ("sd-net", "paper-text"): 2_415_132,
    ("u-net", "paper-count"): 2_118_300,
    ("u-net", "paper-text"): 843_484,
    ("relaynet", "paper-count"): 777_424,
    ("relaynet", "paper-text"): 777_417,
}
ADDED = {  # number of blocks after which an excitation stands in P5: cSE, sSE, scSE
    8: {"none": 0, "cse": 32_768, "sse": 512, "scse": 33_280},
    6: {"none": 0, "cse": 24_576, "sse": 384, "scse": 24_960},
}


@pytest.fixture(scope="module")
def rows():
    return {(row.network, row.preset, row.excitation.value): row for row in table_one()}


def test_a_row_for_every_network(rows):
    assert set(rows) == {(kind, preset, se.value) for kind in KINDS for preset in PRESETS for se in Excitation}


@pytest.mark.parametrize(("kind", "preset"), REFERENCE)
def test_exact_counts(rows, kind, preset):
    blocks = 2 * NetworkConfig.preset(kind, preset).depth
    for se, added in ADDED[blocks].items():
        row = rows[kind, preset, se]
        assert row.added == added
        assert row.parameters == REFERENCE[kind, preset] + added


@pytest.mark.parametrize("kind", ["fc-densenet", "sd-net", "u-net"])
def test_paper_count_is_what_table_one_rounds(rows, kind):
    row = rows[kind, "paper-count", "none"]
    assert row.paper_parameters == pytest.approx(row.parameters, abs=0.05e6)


@pytest.mark.parametrize("kind", ["fc-densenet", "u-net"])
@pytest.mark.parametrize("se", ["cse", "sse", "scse"])
def test_what_is_added_fits_table_one_too(rows, kind, se):
    row = rows[kind, "paper-count", se]
    assert row.paper_added == pytest.approx(row.added, rel=0.03)
    assert row.paper_percent == pytest.approx(row.percent, abs=0.03)


def test_the_papers_own_contradiction_is_said(rows):
    # 3.2e4 more parameters are 1.17 % of 2.8e6, not of 1.8e6.
    row = rows["sd-net", "paper-count", "cse"]
    assert 100 * row.paper_added / row.paper_percent == pytest.approx(2.8e6, rel=0.05)
    assert "contradicts itself" in row.note
    assert "contradicts itself" in rows["sd-net", "paper-text", "none"].note


def test_relaynet_holds_as_many_numbers_as_the_authors_checkpoints():
    network = build_network(NetworkConfig.preset("relaynet", excitation="none"))
    numbers = [x.numel() for name, x in network.state_dict().items() if not name.endswith("num_batches_tracked")]
    assert sum(numbers) == 778_320


def test_counting_builds_the_same_network():
    config = NetworkConfig.preset("fc-densenet", maps=8, aggregation="concatenate", position="P6")
    assert count_parameters(config) == sum(p.numel() for p in build_network(config).parameters())


def test_section_ii_e_for_other_positions():
    def added(**where):
        there = count_parameters(NetworkConfig.preset("u-net", excitation="scse", **where))
        return there - count_parameters(NetworkConfig.preset("u-net", excitation="none"))

    block = 64**2 + 64  # C^2 and C new weights for r = 2
    classifier = 28 * 28 + 28
    assert added(position="P1") == added(position="P2") == 4 * block
    assert added(position="P3") == block
    assert added(position="P4") == classifier
    assert added(position="P6") == 9 * block + classifier
    assert added(reduction=16) == 8 * (2 * 64 * 4 + 64)
