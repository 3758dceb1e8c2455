import json

import numpy as np
import pytest

from hw.delays import FALL, RISE, Surroundings, find_delays, loads_pf
from hw.liberty import read_library
from hw.netlist import read_netlist

# An inverter: rise 1 ns + 2 ns for each ns of slew + 10 ns/pF, slew 0.2 ns + 1 ns/pF; fall 0.5 ns
# at every slew and load, slew 0.1 ns. A flip-flop: 3 ns up, 2 ns down, slew 0.4 ns; setup of a
# rising input 1 ns + 2 ns for each ns of its slew + 4 ns for each of the clock's, of a falling one
# 0.125 ns.
LIBERTY = """
library (easy) {
  capacitive_load_unit (1, pf); voltage_unit : "1V"; nom_voltage : 1;
  lu_table_template (both) {
    variable_1 : input_net_transition; index_1 ("0, 1");
    variable_2 : total_output_net_capacitance; index_2 ("0, 1");
  }
  lu_table_template (slews) {
    variable_1 : related_pin_transition; index_1 ("0, 1");
    variable_2 : constrained_pin_transition; index_2 ("0, 1");
  }
  wire_load ("short") { capacitance : 0.1; fanout_length (1, 2); fanout_length (2, 3); }
  cell (INV) {
    pin (A) { direction : input; capacitance : 0.125; }
    pin (Y) { direction : output; function : "!A";
      timing () { related_pin : "A"; timing_sense : negative_unate;
        cell_rise (both) { values ("1, 11", "3, 13"); }
        rise_transition (both) { values ("0.2, 1.2", "0.2, 1.2"); }
        cell_fall (scalar) { values ("0.5"); } fall_transition (scalar) { values ("0.1"); } } }
  }
  cell (XOR) {
    pin (A) { direction : input; } pin (B) { direction : input; }
    pin (Y) { direction : output; function : "A ^ B";
      timing () { related_pin : "A B"; timing_sense : positive_unate;
        cell_rise (scalar) { values ("0.25"); } cell_fall (scalar) { values ("0.5"); } }
      timing () { related_pin : "A B"; timing_sense : positive_unate; when : "A";
        cell_rise (scalar) { values ("0.125"); } cell_fall (scalar) { values ("0.125"); } }
      timing () { related_pin : "A"; timing_sense : negative_unate;
        cell_rise (scalar) { values ("0.75"); } cell_fall (scalar) { values ("1"); } } }
  }
  cell (FLOP) {
    ff (IQ, IQN) { clocked_on : "C"; next_state : "D"; clear : "!R"; }
    pin (C) { direction : input; clock : true; capacitance : 0.125; }
    pin (D) { direction : input; capacitance : 0.25;
      timing () { related_pin : "C"; timing_type : setup_rising;
        rise_constraint (slews) { values ("1, 3", "5, 7"); }
        fall_constraint (scalar) { values ("0.125"); } }
      timing () { related_pin : "C"; timing_type : hold_rising;
        rise_constraint (scalar) { values ("90"); } fall_constraint (scalar) { values ("90"); } } }
    pin (R) { direction : input; capacitance : 0.5; }
    pin (Q) { direction : output; function : "IQ";
      timing () { related_pin : "C"; timing_type : rising_edge;
        cell_rise (scalar) { values ("3"); } rise_transition (scalar) { values ("0.4"); }
        cell_fall (scalar) { values ("2"); } fall_transition (scalar) { values ("0.4"); } }
      timing () { related_pin : "R"; timing_type : clear; timing_sense : positive_unate;
        cell_fall (scalar) { values ("7"); } fall_transition (scalar) { values ("0.4"); } } }
  }
  cell (BARE) {
    pin (A) { direction : input; }
    pin (Y) { direction : output; function : "A"; }
  }
}
"""
BARE_PORTS = Surroundings(input_slew_ns=0.5, output_load_pf=0.0)


def netlist_of(tmp_path, inputs, outputs, **cells):
    """inputs, outputs: port -> net; cells: name -> (kind, pin=net, ...)."""
    (tmp_path / "easy.lib").write_text(LIBERTY)
    sides = (("input", inputs), ("output", outputs))
    ports = {
        name: {"direction": side, "bits": [net]}
        for side, some in sides
        for name, net in some.items()
    }
    cells = {
        name: {"type": kind, "connections": {pin: [net] for pin, net in pins.items()}}
        for name, (kind, pins) in cells.items()
    }
    path = tmp_path / "netlist.json"
    path.write_text(json.dumps({"modules": {"top": {"ports": ports, "cells": cells}}}))
    return read_netlist(path, read_library(tmp_path / "easy.lib"))


def inverters(tmp_path):
    first, second = ("INV", {"A": 2, "Y": 3}), ("INV", {"A": 3, "Y": 4})
    return netlist_of(tmp_path, {"a": 2}, {"y": 4}, first=first, second=second)


def test_a_gate_is_looked_up_at_the_slew_and_load_that_it_has(tmp_path):
    netlist = inverters(tmp_path)
    delays = find_delays(netlist, BARE_PORTS)
    arcs = delays.arcs_ns["INV", "Y", "A"]
    up = 1 + 2 * 0.5 + 10 * 0.125, 1 + 2 * 0.1 + 0
    np.testing.assert_allclose(arcs[:, FALL, RISE], up)
    np.testing.assert_allclose(arcs[:, RISE, FALL], 0.5)
    assert np.isnan(arcs[:, RISE, RISE]).all() and np.isnan(arcs[:, FALL, FALL]).all()
    assert delays.longest_path_ns == pytest.approx(max(up[0] + 0.5, 0.5 + up[1]))
    middle = netlist.instances["INV"].nets["A"][1]
    np.testing.assert_allclose(delays.slews_ns[middle, [FALL, RISE]], [0.1, 0.2 + 0.125])


def test_loads_are_pins_output_ports_and_wires(tmp_path):
    netlist = inverters(tmp_path)
    nets = [netlist.inputs["a"][0], netlist.outputs["y"][0]]
    for around, expected in (
        (Surroundings(output_load_pf=0.5), [0.125, 0.5]),
        (Surroundings(output_load_pf=0.5, wire_pf_per_fanout=0.25), [0.375, 0.75]),
        (Surroundings(output_load_pf=0.5, wire_load="short"), [0.325, 0.7]),
    ):
        np.testing.assert_allclose(loads_pf(netlist, around)[nets], expected)


def test_a_wire_model_that_the_library_lacks_is_refused(tmp_path):
    with pytest.raises(ValueError, match="wire_load must be one of library easy's, short, not 'w'"):
        find_delays(inverters(tmp_path), Surroundings(wire_load="w"))


def test_a_negative_load_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"^output_load_pf must be at least 0, not -1$"):
        find_delays(inverters(tmp_path), Surroundings(output_load_pf=-1))


def test_a_pin_of_both_senses_has_four_delays_the_longest_of_each(tmp_path):
    gate = ("XOR", {"A": 2, "B": 3, "Y": 4})
    delays = find_delays(netlist_of(tmp_path, {"a": 2, "b": 3}, {"y": 4}, u=gate))
    np.testing.assert_allclose(delays.arcs_ns["XOR", "Y", "A"], [[[0.5, 0.75], [1, 0.25]]])
    np.testing.assert_allclose(
        delays.arcs_ns["XOR", "Y", "B"], [[[0.5, np.nan], [np.nan, 0.25]]], equal_nan=True
    )


def test_paths_begin_at_the_clock_and_input_ports_follow_it_as_flip_flops_do(tmp_path):
    flop = ("FLOP", {"C": 2, "D": 3, "R": "1", "Q": 4})
    inverter = ("INV", {"A": 5, "Y": 3})
    ports = {"clk": 2, "d": 5}
    netlist = netlist_of(tmp_path, ports, {"q": 4}, flop=flop, inverter=inverter)
    delays = find_delays(netlist, BARE_PORTS)
    assert delays.input_delay_ns == pytest.approx((3 + 2) / 2)
    setup = 1 + 2 * (0.2 + 0.25) + 4 * 0.5
    assert delays.longest_path_ns == pytest.approx(2.5 + 1 + 2 * 0.5 + 10 * 0.25 + setup)
    np.testing.assert_allclose(
        delays.arcs_ns["FLOP", "Q", "C"], [[[np.nan] * 2, [2, 3]]], equal_nan=True
    )


def test_constants_start_no_path(tmp_path):
    gate = ("XOR", {"A": "1", "B": 3, "Y": 4})
    delays = find_delays(netlist_of(tmp_path, {"b": 3}, {"y": 4}, u=gate))
    assert delays.longest_path_ns == pytest.approx(0.5)


def test_a_cell_without_delays_is_refused(tmp_path):
    message = (
        "library easy must have delays of cell BARE from A to Y, rising and falling; give a "
        "library with timing tables"
    )
    netlist = netlist_of(tmp_path, {"a": 2}, {"y": 3}, u=("BARE", {"A": 2, "Y": 3}))
    with pytest.raises(ValueError, match=f"^{message}$"):
        find_delays(netlist)
