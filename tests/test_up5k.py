"""What an iCE40 UP5K draws: the measured currents come back, and what is routed is counted."""

import numpy as np
import pytest

from hw import up5k
from hw.activity import Activity
from hw.delays import find_delays
from hw.ice40_cells import up5k_netlist

PASS = f"{0xAAAA:016b}"  # a lookup table that gives its I0


def microamperes(milliwatts: float) -> float:
    return milliwatts * 1000 / up5k.VOLTS


def logic_ua(bits: int, mhz: float) -> float:
    """Of a counter."""
    pj = bits * up5k.CLOCKED_PJ + up5k.COUNTER_TRANSITIONS * up5k.TRANSITION_PJ
    return pj * mhz / up5k.VOLTS


def test_a_blank_device_and_the_counters_draw_what_was_measured():
    assert microamperes(up5k.base_mw(0, pll=False)) == pytest.approx(up5k.BLANK_UA)
    base = microamperes(up5k.base_mw(12, pll=False))
    for bits, measured in ((28, up5k.COUNTER_UA), (224, up5k.WIDE_COUNTER_UA)):
        assert base + logic_ua(bits, 12) == pytest.approx(measured)


def test_counters_of_sizes_between_draw_what_was_measured_to_1_percent():
    base = microamperes(up5k.base_mw(12, pll=False))
    for bits, measured in ((56, 616.65), (112, 624.2)):
        assert base + logic_ua(bits, 12) == pytest.approx(measured, rel=0.01)


def test_clocks_from_the_pll_draw_what_was_measured_to_4_percent():
    for mhz, measured in up5k.PLL_UA.items():
        found = microamperes(up5k.base_mw(mhz, pll=True)) + logic_ua(24, mhz)
        assert found == pytest.approx(measured, rel=0.04)


@pytest.mark.parametrize(
    ("words", "width", "blocks"),
    [
        (1, 1, 1),
        (256, 16, 1),
        (256, 17, 2),
        (16, 17, 2),
        (257, 16, 2),
        (784, 34, 9),
        (2048, 2, 1),
        (2049, 2, 2),
    ],
)
def test_an_access_takes_as_many_blocks_as_the_word_is_spread_over(words, width, blocks):
    assert up5k.access_pj(words, width, spram=False) == pytest.approx(
        blocks * up5k.access_pj(1, 1, spram=False)
    )


def test_single_port_ram_has_larger_and_wider_blocks():
    one = up5k.access_pj(2**14, 16, spram=True)
    assert one > up5k.access_pj(2**8, 16, spram=False)
    assert up5k.access_pj(2**14 + 1, 16, spram=True) == pytest.approx(2 * one)
    assert up5k.access_pj(2**14, 32, spram=True) == pytest.approx(2 * one)


def netlist_of(cells: dict, outputs: dict[str, int]):
    ports = {"clk": ("input", 2), "x": ("input", 3)} | {
        n: ("output", bit) for n, bit in outputs.items()
    }
    module = {
        "ports": {name: {"direction": side, "bits": [bit]} for name, (side, bit) in ports.items()},
        "cells": {str(place): cell for place, cell in enumerate(cells)},
    }
    return up5k_netlist("top", module)


def table(given: int, gives: int) -> dict:
    pins = {"I0": [given], "O": [gives]}
    return {"type": "SB_LUT4", "parameters": {"LUT_INIT": PASS}, "connections": pins}


def flip_flop(given: int, gives: int) -> dict:
    return {
        "type": "SB_DFF",
        "parameters": {},
        "connections": {"C": [2], "D": [given], "Q": [gives]},
    }


def carry(given: int, chained: int | str, gives: int) -> dict:
    pins = {"I0": [given], "I1": ["0"], "CI": [chained], "CO": [gives]}
    return {"type": "SB_CARRY", "parameters": {}, "connections": pins}


@pytest.mark.parametrize(
    ("cells", "outputs", "routed"),
    [
        ([table(3, 4), flip_flop(4, 5)], {"y": 5}, [3, 5]),  # 4 stays in the cell
        ([table(3, 4), flip_flop(4, 5), table(4, 6)], {"y": 5, "z": 6}, [3, 4, 5, 6]),
        ([flip_flop(3, 4), flip_flop(4, 5)], {"y": 5}, [3, 4, 5]),  # through a table each
        ([carry(3, "0", 4), carry(3, 4, 5), table(5, 6)], {"y": 6}, [3, 5, 6]),  # 4 is in the chain
    ],
)
def test_what_stays_in_a_cell_or_a_chain_is_not_routed(cells, outputs, routed):
    netlist = netlist_of(cells, outputs)
    count = sum(cell["type"] == "SB_DFF" for cell in cells)
    places = {int(bits[0]): name for name, bits in (netlist.inputs | netlist.outputs).items()}
    changes = np.zeros((netlist.net_count, 2), dtype=int)
    changes[2:] = [3, 2]
    changes[netlist.inputs["clk"]] = 0
    activity = Activity(kind="gate-delay", cycles=10, changes=changes, caused={}, shares={})
    found = up5k.logic_energy(netlist, activity)
    assert found.transitions == pytest.approx(len(routed) * 0.5 * up5k.TRANSITION_PJ), places
    assert found.clock == pytest.approx(count * up5k.CLOCKED_PJ)


@pytest.mark.slow
def test_the_product_has_the_transitions_that_the_figure_rests_on(monkeypatch, request):
    monkeypatch.syspath_prepend(request.config.rootpath / "benchmarks")
    from up5k_energy import product_netlist, product_transitions

    netlist = product_netlist()
    found = product_transitions(netlist, find_delays(netlist))
    assert found == pytest.approx(up5k.PRODUCT_TRANSITIONS, rel=0.03)
