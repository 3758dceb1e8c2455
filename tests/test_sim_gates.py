import json
import os
from pathlib import Path

import numpy as np
import pytest

from hw.delays import find_delays
from hw.energy import energy
from hw.liberty import read_library
from hw.liberty_text import read_text
from hw.netlist import read_netlist
from hw.yowasp import yosys
from sim.gates import simulate

COMPACT = Path(__file__).parents[1] / "fixtures" / "adderforge130.lib"
LIBRARY = read_library(COMPACT)
FOLDER = os.environ.get("ADDERFORGE_LIBERTY")
FULL = "sky130hd_tt_025C_1v80.lib.gz"


def port(direction, *bits):
    return {"direction": direction, "bits": list(bits)}


def cell(kind, **pins):
    return {"type": kind, "connections": {pin: [bit] for pin, bit in pins.items()}}


def netlist_of(tmp_path, ports, **cells):
    path = tmp_path / "netlist.json"
    path.write_text(json.dumps({"modules": {"top": {"ports": ports, "cells": cells}}}))
    return read_netlist(path, LIBRARY)


def column(*values):
    """Values of one stream, a cycle each."""
    return np.array(values)[:, None]


def outputs_of(simulation, name="q"):
    return simulation.outputs[name][:, 0].tolist()


def flip_flop(tmp_path, kind="DFF_X1", **pins):
    ports = {"clk": port("input", 2), "d": port("input", 3), "q": port("output", 4)}
    ports |= {name.lower(): port("input", bit) for name, bit in pins.items()}
    return netlist_of(tmp_path, ports, u=cell(kind, CLK=2, D=3, Q=4, **pins))


def adder(tmp_path):
    """sum = a + b + c of one bit each, in a full-adder cell."""
    ports = {"abc": port("input", 2, 3, 4), "sum": port("output", 5, 6)}
    return netlist_of(tmp_path, ports, u=cell("FA_X1", A=2, B=3, CIN=4, SUM=5, COUT=6))


def test_every_gate_follows_its_function(tmp_path):
    values = np.arange(8).reshape(8, 1)
    simulation = simulate(adder(tmp_path), {"abc": values})
    assert outputs_of(simulation, "sum") == [value.bit_count() for value in range(8)]


@pytest.mark.parametrize("streams", [1, 63, 64, 65, 200])
def test_streams_are_independent_whatever_their_number(tmp_path, streams):
    values = np.random.default_rng(streams).integers(0, 8, (5, streams))
    simulation = simulate(adder(tmp_path), {"abc": values})
    np.testing.assert_array_equal(simulation.outputs["sum"], np.bitwise_count(values))
    toggles = np.bitwise_count(values[1:] ^ values[:-1]).sum()
    assert simulation.toggles[adder(tmp_path).inputs["abc"]].sum() == toggles
    assert simulation.cycles == 4 * streams


def test_toggles_of_the_warm_up_are_not_counted(tmp_path):
    netlist = adder(tmp_path)
    values = column(7, 0, 7, 0, 0, 1)
    toggles = simulate(netlist, {"abc": values}, warm_up=3).toggles
    assert toggles[netlist.inputs["abc"]].tolist() == [2, 1, 1]
    assert toggles[netlist.outputs["sum"]].tolist() == [2, 1]


def test_a_flip_flop_starts_from_0_and_follows_one_cycle_later(tmp_path):
    netlist = flip_flop(tmp_path)
    simulation = simulate(netlist, {"d": column(1, 1, 0, 1, 0)})
    assert outputs_of(simulation) == [0, 1, 1, 0, 1]
    assert simulation.toggles[netlist.outputs["q"]].tolist() == [3]
    assert simulation.toggles[netlist.inputs["clk"]].tolist() == [0]


def test_a_flip_flop_starts_from_its_streams_state(tmp_path):
    netlist = flip_flop(tmp_path)
    simulation = simulate(netlist, {"d": np.zeros((2, 3), int)}, states=np.array([[1, 0, 1]]))
    assert simulation.outputs["q"].tolist() == [[1, 0, 1], [0, 0, 0]]


def test_states_of_other_streams_are_refused(tmp_path):
    message = r"^states must be of 1 flip-flops in 2 streams, not \(1, 3\); give one for each$"
    with pytest.raises(ValueError, match=message):
        simulate(flip_flop(tmp_path), {"d": np.zeros((2, 2), int)}, states=np.zeros((1, 3)))


def test_an_enable_holds_the_state(tmp_path):
    netlist = flip_flop(tmp_path, "DFFE_X1", DE=5)
    simulation = simulate(netlist, {"d": column(1, 1, 0, 0, 1), "de": column(0, 1, 0, 1, 0)})
    assert outputs_of(simulation) == [0, 0, 1, 1, 0]


def test_an_asynchronous_reset_acts_at_once_and_over_the_edge(tmp_path):
    netlist = flip_flop(tmp_path, "DFFR_X1", RESET_B=5)
    inputs = {"d": column(1, 1, 1, 1, 1), "reset_b": column(1, 1, 0, 1, 1)}
    assert outputs_of(simulate(netlist, inputs)) == [0, 1, 0, 0, 1]


def test_an_asynchronous_set_acts_at_once_and_over_the_edge(tmp_path):
    netlist = flip_flop(tmp_path, "DFFS_X1", SET_B=5)
    inputs = {"d": column(0, 0, 0, 0, 0), "set_b": column(1, 0, 1, 1, 1)}
    assert outputs_of(simulate(netlist, inputs)) == [0, 1, 1, 0, 0]


def test_logic_behind_a_reset_settles_in_the_same_cycle(tmp_path):
    ports = {"clk": port("input", 2), "r": port("input", 3), "y": port("output", 5)}
    flop = cell("DFFR_X1", CLK=2, RESET_B=3, D="1", Q=4)
    netlist = netlist_of(tmp_path, ports, flop=flop, inverter=cell("INV_X1", A=4, Y=5))
    assert outputs_of(simulate(netlist, {"r": column(1, 1, 0, 1, 1)}), "y") == [1, 0, 1, 1, 0]


def test_streams_that_only_fill_a_word_do_not_toggle(tmp_path):
    ports = {"clk": port("input", 2), "unused": port("input", 3), "q": port("output", 4)}
    cells = {"flop": cell("DFF_X1", CLK=2, D=5, Q=4), "inverter": cell("INV_X1", A=4, Y=5)}
    netlist = netlist_of(tmp_path, ports, **cells)
    simulation = simulate(netlist, {"unused": np.zeros((6, 3), dtype=np.int64)})
    assert outputs_of(simulation) == [0, 1, 0, 1, 0, 1]
    assert simulation.toggles[netlist.outputs["q"]].tolist() == [5 * 3]


def test_ports_of_more_than_64_bits_are_bits(tmp_path):
    wide = {"a": port("input", *range(2, 72)), "y": port("output", *range(71, 1, -1), "1")}
    bits = np.random.default_rng(0).random((3, 5, 70)) < 0.5
    outputs = simulate(netlist_of(tmp_path, wide), {"a": bits}).outputs
    assert outputs["y"].shape == (3, 5, 71) and outputs["y"].dtype == bool
    np.testing.assert_array_equal(outputs["y"][..., :70], bits[..., ::-1])
    assert outputs["y"][..., 70].all()


def test_64_bit_and_negative_integers_keep_every_bit(tmp_path):
    through = {"a": port("input", *range(2, 66)), "y": port("output", *range(2, 66))}
    netlist = netlist_of(tmp_path, through)
    values = np.array([[2**64 - 1], [2**63], [0]], dtype=np.uint64)
    np.testing.assert_array_equal(simulate(netlist, {"a": values}).outputs["y"], values)
    assert outputs_of(simulate(netlist, {"a": column(-1, 0)}), "y") == [2**64 - 1, 0]


CONDITIONS = """
library (small) {
  voltage_unit : "1V"; nom_voltage : 1;
  cell (FLOP) { ff (IQ, IQN) { clocked_on : "C"; next_state : "D"; }
    leakage_power () { when : "D & !Q"; value : 1; }
    leakage_power () { when : "C & Q"; value : 1; }
    leakage_power () { when : "!Q"; value : 1; }
    pin (C) { direction : input; clock : true; }
    pin (D) { direction : input; }
    pin (Q) { direction : output; function : "IQ"; } } }
"""


def test_conditions_hold_for_a_share_of_the_settled_cycles_and_half_of_the_clocks(tmp_path):
    (tmp_path / "small.lib").write_text(CONDITIONS)
    ports = {"clk": port("input", 2), "d": port("input", 3), "q": port("output", 4)}
    path = tmp_path / "netlist.json"
    cells = {"u": cell("FLOP", C=2, D=3, Q=4)}
    path.write_text(json.dumps({"modules": {"top": {"ports": ports, "cells": cells}}}))
    netlist = read_netlist(path, read_library(tmp_path / "small.lib"))
    inputs = {"d": np.array([[0, 0], [1, 1], [1, 1], [0, 1], [0, 1]])}
    shares = simulate(netlist, inputs).activity.shares
    q_high = (2 + 3) / 8  # of four counted cycles of two streams
    assert shares["FLOP", "D & !Q"].tolist() == [2 / 8]
    assert shares["FLOP", "C & Q"].tolist() == [q_high / 2]
    assert shares["FLOP", "!Q"].tolist() == [1 - q_high]


def test_rises_and_falls_are_counted_apart(tmp_path):
    netlist = adder(tmp_path)
    changes = simulate(netlist, {"abc": column(0, 1, 0, 1)}).activity.changes
    assert changes[netlist.inputs["abc"]].tolist() == [[1, 2], [0, 0], [0, 0]]


def test_progress_is_told_every_cycle(tmp_path):
    seen = []
    simulate(adder(tmp_path), {"abc": column(1, 2, 3)}, progress=lambda *n: seen.append(n))
    assert seen == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize(
    ("inputs", "warm_up", "message"),
    [
        ({}, 1, "inputs of top must be d, not none; the clock is driven by the simulation"),
        ({"d": column(0, 1), "clk": column(0, 1)}, 1, "must be d, not clk, d; the clock is"),
        ({"d": np.zeros(3)}, 1, r"input d of 1 bits must be integers \(cycles, streams\)"),
        ({"d": column(0, 1)}, 2, "warm_up must be at least 1 and less than the 2 cycles, not 2"),
        ({"d": column(0, 1)}, 0, "warm_up must be at least 1 and less than the 2 cycles, not 0"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(tmp_path, inputs, warm_up, message):
    with pytest.raises(ValueError, match=message):
        simulate(flip_flop(tmp_path), inputs, warm_up=warm_up)


def test_inputs_of_different_lengths_are_refused(tmp_path):
    ports = {"a": port("input", 2), "b": port("input", 3)}
    with pytest.raises(ValueError, match="all for the same cycles and streams"):
        simulate(netlist_of(tmp_path, ports), {"a": column(0, 1), "b": column(0, 1, 2)})


SAD = """
module sad(input clk, input first, input [7:0] a, input [7:0] w, output reg [17:0] acc);
  wire [7:0] d = a > w ? a - w : w - a;
  always @(posedge clk) acc <= (first ? 18'd0 : acc) + d;
endmodule
"""
MULTIPLIER = """
module multiplier(input clk, input resetn, input [7:0] a, input [7:0] w, output reg [15:0] p);
  always @(posedge clk or negedge resetn) if (!resetn) p <= 0; else p <= a * w;
endmodule
"""


def mapped(tmp_path, verilog, liberty=COMPACT):
    """Returns (netlist, area_um2) of the only module in a Verilog text."""
    top = verilog.split("(")[0].split()[-1]
    (tmp_path / "top.v").write_text(verilog)
    (tmp_path / "cells.lib").write_text(read_text(liberty))
    script = f"""
read_verilog top.v; synth -flatten -booth -top {top}; dfflibmap -liberty cells.lib
abc -liberty cells.lib -script +strash;ifraig;scorr;dc2;dch,-f;amap,-m
opt_clean -purge; write_json top.json; tee -q -o area.json stat -json -liberty cells.lib
"""
    yosys(script, tmp_path, "map")
    area = json.loads((tmp_path / "area.json").read_text())["modules"][f"\\{top}"]["area"]
    return read_netlist(tmp_path / "top.json", read_library(liberty)), area


def operands(cycles=100, streams=70):
    rng = np.random.default_rng(5)
    a, w = rng.integers(0, 256, (2, cycles, streams))
    return a, w, rng.integers(0, 2, (cycles, streams))


@pytest.mark.slow
def test_a_mapped_sad_pe_equals_its_model(tmp_path):
    a, w, first = operands()
    netlist, _ = mapped(tmp_path, SAD)
    got = simulate(netlist, {"a": a, "w": w, "first": first}).outputs["acc"]
    acc = np.zeros(a.shape[1], dtype=np.int64)
    for cycle in range(len(a)):
        np.testing.assert_array_equal(got[cycle], acc)
        acc = np.where(first[cycle], 0, acc) + abs(a[cycle] - w[cycle])


@pytest.mark.slow
def test_a_mapped_multiplier_equals_its_model(tmp_path):
    a, w, resetn = operands()
    netlist, _ = mapped(tmp_path, MULTIPLIER)
    assert netlist.instances.keys() >= {"DFFR_X1"}
    got = simulate(netlist, {"a": a, "w": w, "resetn": resetn}).outputs["p"]
    product = np.where(resetn, a * w, 0)
    np.testing.assert_array_equal(got[1:], np.where(resetn[1:], product[:-1], 0))


@pytest.mark.slow
@pytest.mark.skipif(not FOLDER, reason=f"set ADDERFORGE_LIBERTY to the folder that holds {FULL}")
def test_compact_and_full_library_agree_within_10_percent(tmp_path):
    a, w, first = operands()
    figures = []
    for liberty in (COMPACT, Path(FOLDER) / FULL):
        (folder := tmp_path / liberty.name.split(".")[0]).mkdir()
        netlist, area = mapped(folder, SAD, liberty)
        run = simulate(netlist, {"a": a, "w": w, "first": first})
        delays = find_delays(netlist)
        options = {"operations": run.cycles, "clock_mhz": 100}
        report = energy(netlist, run.activity, delays, **options)
        figures.append((area, report.pj_per_op, delays.longest_path_ns))
    np.testing.assert_allclose(figures[0], figures[1], rtol=0.10)
