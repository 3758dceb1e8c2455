import json
from dataclasses import replace

import numpy as np
import pytest

from hw.activity import Activity
from hw.delays import Surroundings, find_delays
from hw.energy import PARTS, EnergyReport, beside, energy, total, with_memories
from hw.liberty import read_library
from hw.netlist import read_netlist

# Easy figures: at 2 V a net of 1 pF costs 2 pJ a transition. Input ports have a slew of 0.5 ns,
# gates rise in 1 ns and fall in 2 ns, and output ports drive nothing.
LIBERTY = """
library (easy) {
  capacitive_load_unit (1, pf); voltage_unit : "1V"; leakage_power_unit : "1nW";
  nom_voltage : 2;
  power_lut_template (by_load) { variable_1 : total_output_net_capacitance; index_1 ("0, 1"); }
  power_lut_template (by_both) {
    variable_1 : input_transition_time; index_1 ("0, 1");
    variable_2 : total_output_net_capacitance; index_2 ("0, 1");
  }
  cell (INV) {
    area : 1; cell_leakage_power : 7;
    pin (A) { direction : input; capacitance : 0.25;
      internal_power () { rise_power (scalar) { values ("-1"); }
                          fall_power (scalar) { values ("3"); } } }
    pin (Y) { direction : output; function : "!A";
      internal_power () { related_pin : "A";
                          rise_power (by_both) { values ("10, 12", "30, 32"); }
                          fall_power (by_load) { values ("4, 2"); } }
      timing () { related_pin : "A"; timing_sense : negative_unate; DELAYS } }
  }
  cell (BUF) {
    area : 1;
    pin (A) { direction : input; capacitance : 0; }
    pin (Y) { direction : output; function : "A";
      internal_power () { related_pin : "A"; rise_power (by_both) { values ("10, 12", "30, 32"); } }
      timing () { related_pin : "A"; timing_sense : positive_unate; DELAYS } }
  }
  cell (NAND) {
    area : 2; cell_leakage_power : 100;
    leakage_power () { when : "A B"; value : 8; }
    leakage_power () { when : "!A"; value : 4; }
    pin (A) { direction : input; capacitance : 0.5; }
    pin (B) { direction : input; capacitance : 0.75; }
    pin (Y) { direction : output; function : "!(A B)";
      internal_power () { related_pin : "A"; power (scalar) { values ("1"); } }
      internal_power () { related_pin : "B"; power (by_load) { values ("3, 7"); } }
      timing () { related_pin : "A B"; timing_sense : negative_unate; DELAYS } }
  }
  cell (XOR) {
    area : 3;
    pin (A) { direction : input; capacitance : 0;
      internal_power () { when : "B"; power (scalar) { values ("16"); } } }
    pin (B) { direction : input; capacitance : 0;
      internal_power () { when : "A"; power (scalar) { values ("50"); } }
      internal_power () { power (scalar) { values ("10"); } } }
    pin (Y) { direction : output; function : "A ^ B";
      internal_power () { related_pin : "A"; when : "B"; power (scalar) { values ("2"); } }
      internal_power () { related_pin : "A"; when : "!B"; power (scalar) { values ("6"); } }
      internal_power () { related_pin : "B"; when : "A"; power (scalar) { values ("3"); } }
      timing () { related_pin : "A B"; timing_sense : non_unate; DELAYS } }
  }
  cell (FLOP) {
    area : 5; cell_leakage_power : 100;
    ff (IQ, IQN) { clocked_on : "C"; next_state : "D"; clear : "!R"; }
    pin (C) { direction : input; clock : true; capacitance : 0.125;
      internal_power () { when : "D"; power (scalar) { values ("11"); } }
      internal_power () { when : "!D"; power (scalar) { values ("1"); } } }
    pin (D) { direction : input; capacitance : 0.5;
      internal_power () { power (scalar) { values ("1"); } }
      internal_power () { power (scalar) { values ("3"); } } }
    pin (R) { direction : input; capacitance : 0.5; }
    pin (Q) { direction : output; function : "IQ";
      internal_power () { related_pin : "C"; power (scalar) { values ("20"); } }
      internal_power () { related_pin : "R"; power (scalar) { values ("999"); } }
      timing () { related_pin : "C"; timing_type : rising_edge; DELAYS } }
  }
  cell (MUTE) {
    area : 1;
    pin (A) { direction : input; capacitance : 0.25; }
    pin (Y) { direction : output; function : "A"; timing () { related_pin : "A"; DELAYS } }
  }
}
""".replace(
    "DELAYS",
    'cell_rise (scalar) { values ("0.3"); } rise_transition (scalar) { values ("1"); } '
    'cell_fall (scalar) { values ("0.2"); } fall_transition (scalar) { values ("2"); }',
)
AROUND = Surroundings(input_slew_ns=0.5, output_load_pf=0.0)


def netlist_of(tmp_path, *cells):
    """Cells (name, pin=net, ...); undriven nets are input ports n<net>, driven ones outputs."""
    (tmp_path / "easy.lib").write_text(LIBERTY)
    driven = {pins[pin] for _, pins in cells for pin in ("Y", "Q") if pin in pins}
    read = {net for _, pins in cells for net in pins.values()} - driven
    ports = {f"n{net}": {"direction": "input", "bits": [net]} for net in read}
    ports |= {f"n{net}": {"direction": "output", "bits": [net]} for net in driven}
    instances = {
        f"u{n}": {"type": name, "connections": {pin: [net] for pin, net in pins.items()}}
        for n, (name, pins) in enumerate(cells)
    }
    path = tmp_path / "netlist.json"
    path.write_text(json.dumps({"modules": {"top": {"ports": ports, "cells": instances}}}))
    return read_netlist(path, read_library(tmp_path / "easy.lib"))


def inverter(a, y):
    return ("INV", {"A": a, "Y": y})


def nand(a, b, y):
    return ("NAND", {"A": a, "B": b, "Y": y})


def report_of(netlist, counts, *, cycles=1, caused=None, shares=None, **options):
    """The energy of {net: (falls, rises)}; conditions hold for the given shares of the time, the
    others never."""
    changes = np.zeros((netlist.net_count, 2))
    for net, edges in counts.items():
        changes[(netlist.inputs | netlist.outputs)[f"n{net}"]] = edges
    never = {
        (kind, when): np.zeros(len(some.names))
        for kind, some in netlist.instances.items()
        for when in some.cell.conditions
    }
    activity = Activity(
        kind="zero-delay",
        cycles=cycles,
        changes=changes,
        caused={key: np.array([edges]) for key, edges in (caused or {}).items()},
        shares=never | {key: np.array([share]) for key, share in (shares or {}).items()},
    )
    options = {"operations": 1, "clock_mhz": 1} | options
    return energy(netlist, activity, find_delays(netlist, AROUND), **options)


def test_without_transitions_there_is_only_leakage(tmp_path):
    report = report_of(netlist_of(tmp_path, inverter(2, 3)), {}, cycles=50, clock_mhz=5)
    assert report.parts.pop("leakage") == pytest.approx(7 * 10 * 1e-3)
    assert report.parts == {"flip_flops": 0, "clock": 0, "logic": 0}
    assert report.pj_per_op == pytest.approx(0.07)
    assert report.glitch_share is None and report.activity == "zero-delay"


def test_an_inverter_costs_its_pin_its_load_and_its_inside_by_edge(tmp_path):
    """Input: 3 falls, 1 rise. Output, unloaded: 1 fall, 3 rises, at the input's slew of 0.5 ns."""
    netlist = netlist_of(tmp_path, inverter(2, 3))
    report = report_of(netlist, {2: (3, 1), 3: (1, 3)}, operations=10)
    switching = 4 * 0.25 * 2**2 / 2
    pin = 3 * 3 + 1 * -1
    inside = 1 * 4 + 3 * (10 + 20 * 0.5)
    assert report.parts["logic"] == pytest.approx((switching + pin + inside) / 10)
    assert report.switching == pytest.approx(switching / 10)


def test_a_second_inverter_is_looked_up_at_the_first_ones_slew_and_the_first_at_its_load(tmp_path):
    netlist = netlist_of(tmp_path, inverter(2, 3), inverter(3, 4))
    report = report_of(netlist, {3: (0, 1), 4: (1, 0)})
    first = 0.25 * 2**2 / 2 + (10 + 20 * 0.5 + 2 * 0.25)
    second = -1 + 4
    assert report.parts["logic"] == pytest.approx(first + second)
    report = report_of(netlist, {4: (0, 1)})
    assert report.parts["logic"] == pytest.approx(10 + 20 * 2.0)


def test_a_buffer_rises_at_the_slew_of_its_rising_input(tmp_path):
    netlist = netlist_of(tmp_path, inverter(2, 3), ("BUF", {"A": 3, "Y": 4}))
    report = report_of(netlist, {4: (0, 1)})
    assert report.parts["logic"] == pytest.approx(10 + 20 * 1.0)


def test_a_nand_costs_what_the_pin_that_caused_it_says(tmp_path):
    """At a load of two inverters, 0.5 pF: 2 transitions by A, 1 by B."""
    netlist = netlist_of(tmp_path, nand(2, 3, 4), inverter(4, 5), inverter(4, 6))
    caused = {("NAND", "Y", "A"): (1, 1), ("NAND", "Y", "B"): (1, 0)}
    caused |= {("INV", "Y", "A"): (0, 0)}
    report = report_of(netlist, {4: (2, 1)}, caused=caused)
    switching = 3 * 0.5 * 2**2 / 2
    inside = 2 * 1 + 1 * (3 + 4 * 0.5)
    pins = 2 * (2 * 3 + 1 * -1)
    assert report.parts["logic"] == pytest.approx(switching + inside + pins)


def test_where_nobody_knows_the_cause_it_is_shared_by_the_inputs_changes(tmp_path):
    netlist = netlist_of(tmp_path, nand(2, 3, 4))
    switching = (1 * 0.5 + 3 * 0.75) * 2**2 / 2
    report = report_of(netlist, {2: (1, 0), 3: (1, 2), 4: (1, 1)})
    assert report.parts["logic"] == pytest.approx(switching + 2 * (1 / 4 * 1 + 3 / 4 * 3))


def test_a_flip_flop_pays_for_two_clock_edges_a_cycle_in_the_states_it_is_in(tmp_path):
    netlist = netlist_of(tmp_path, ("FLOP", {"C": 2, "D": 3, "R": 4, "Q": 5}))
    shares = {("FLOP", "D"): 0.25, ("FLOP", "!D"): 0.75}
    counts = {3: (2, 1), 5: (1, 1)}
    report = report_of(netlist, counts, cycles=8, clock_mhz=4, shares=shares)
    assert report.parts == pytest.approx(
        {
            "clock": 2 * 8 * (0.125 * 2 + 0.25 * 11 + 0.75 * 1),
            "flip_flops": 3 * (1 + 3) / 2 + 2 * 20,
            "logic": 3 * 0.5 * 2,
            "leakage": 100 * 2 * 1e-3,
        }
    )
    assert report.pj_per_op == pytest.approx(sum(report.parts.values()))
    assert report.power_mw(4) == pytest.approx(report.pj_per_op / 8 * 4 * 1e-3)


def test_what_a_flip_flop_drives_is_its_own_energy(tmp_path):
    netlist = netlist_of(tmp_path, ("FLOP", {"C": 2, "D": 5, "R": 4, "Q": 5}))
    report = report_of(netlist, {5: (0, 1)})
    assert report.parts["flip_flops"] == pytest.approx(20 + 2 + 0.5 * 2)
    assert report.parts["logic"] == 0


def xor_of(tmp_path):
    return netlist_of(tmp_path, ("XOR", {"A": 2, "B": 3, "Y": 4}))


def test_an_input_pin_costs_nothing_in_states_that_no_condition_covers(tmp_path):
    report = report_of(xor_of(tmp_path), {2: (2, 2)}, shares={("XOR", "B"): 0.75})
    assert report.parts["logic"] == pytest.approx(4 * 0.75 * 16)


def test_a_table_without_a_condition_stands_for_the_states_that_none_covers(tmp_path):
    report = report_of(xor_of(tmp_path), {3: (2, 2)}, shares={("XOR", "A"): 0.25})
    assert report.parts["logic"] == pytest.approx(4 * (0.25 * 50 + 0.75 * 10))


@pytest.mark.parametrize(("high", "low", "inside"), [(0.25, 0.75, 5), (0.1, 0.1, 4), (0, 0, 4)])
def test_an_outputs_conditions_are_scaled_to_a_whole(tmp_path, high, low, inside):
    shares = {("XOR", "B"): high, ("XOR", "!B"): low}
    caused = {("XOR", "Y", "A"): (1, 0), ("XOR", "Y", "B"): (0, 0)}
    report = report_of(xor_of(tmp_path), {4: (1, 0)}, caused=caused, shares=shares)
    assert report.parts["logic"] == pytest.approx(inside)


def test_leakage_follows_the_states_and_the_rest_is_the_cells_own_figure(tmp_path):
    shares = {("NAND", "A B"): 0.5, ("NAND", "!A"): 0.25}
    report = report_of(netlist_of(tmp_path, nand(2, 3, 4)), {}, shares=shares)
    assert report.parts["leakage"] == pytest.approx((0.5 * 8 + 0.25 * 4 + 0.25 * 100) * 1e-3)


def test_missing_leakage_is_none_and_not_in_the_sum(tmp_path):
    report = report_of(xor_of(tmp_path), {4: (1, 0)}, shares={("XOR", "B"): 1})
    assert report.parts["leakage"] is None and report.pj_per_op == report.parts["logic"]


def test_blocks_add_up_to_the_whole(tmp_path):
    netlist = netlist_of(tmp_path, inverter(2, 3), inverter(3, 4))
    counts = {2: (1, 1), 3: (1, 1), 4: (1, 1)}
    report = report_of(netlist, counts, blocks={"INV": ["front", "back"]})
    assert report.blocks.keys() == {"front", "back", "input ports"}
    assert report.blocks["input ports"] == pytest.approx(2 * 0.25 * 2**2 / 2)
    assert sum(report.blocks.values()) == pytest.approx(report.pj_per_op)


@pytest.mark.parametrize("name", ["cycles", "operations", "clock_mhz"])
def test_a_number_that_is_not_positive_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match=f"{name} must be positive, not 0"):
        report_of(netlist_of(tmp_path, inverter(2, 3)), {}, **{name: 0})


def test_the_activity_of_another_netlist_is_refused(tmp_path):
    netlist, other = netlist_of(tmp_path, inverter(2, 3)), np.zeros((3, 2))
    activity = Activity(kind="zero-delay", cycles=1, changes=other, caused={}, shares={})
    with pytest.raises(ValueError, match=r"each of the 4 nets, not \(3, 2\)"):
        energy(netlist, activity, find_delays(netlist), operations=1, clock_mhz=1)


def test_a_cell_without_power_tables_is_refused_and_not_free(tmp_path):
    message = (
        "library easy must have internal_power tables for an energy, but cell MUTE has none; give "
        "a library with power tables"
    )
    with pytest.raises(ValueError, match=f"^{message}$"):
        report_of(netlist_of(tmp_path, ("MUTE", {"A": 2, "Y": 3})), {2: (1, 1)})


def figures(pj_per_op, leakage, operations=1, activity="gate-delay"):
    parts = {"flip_flops": 0.0, "clock": 0.0, "logic": pj_per_op - (leakage or 0)}
    return EnergyReport(
        pj_per_op=pj_per_op,
        glitch_share=None,
        parts=parts | {"leakage": leakage},
        operations=operations,
        cycles=10,
        activity=activity,
        switching=pj_per_op / 2,
        block_parts={"PEs": parts | {"leakage": leakage or 0.0}},
    )


def test_the_glitch_share_is_what_transitions_cost_more_than_without_delays():
    with_glitches, without = figures(5.0, 1.0), figures(4.0, 1.0, activity="zero-delay")
    assert beside(with_glitches, without).glitch_share == pytest.approx(1 - 3 / 4)
    assert beside(without, without).glitch_share is None


def test_the_total_of_runs_weighs_them_by_their_operations():
    bus = {"bus": dict.fromkeys(PARTS, 0.25)}
    report = total([figures(5.0, 1.0, 1), replace(figures(1.0, 0.5, 3), block_parts=bus)])
    assert report.pj_per_op == pytest.approx((5 + 3) / 4)
    assert report.parts["leakage"] == pytest.approx((1 + 1.5) / 4)
    assert report.parts["logic"] == pytest.approx((4 + 1.5) / 4)
    assert (report.operations, report.cycles) == (4, 20)
    assert report.blocks == pytest.approx({"PEs": 5 / 4, "bus": 3 / 4})
    assert total([figures(5.0, None), figures(1.0, None)]).parts["leakage"] is None


def test_memories_are_a_part_and_a_block_and_no_glitches():
    logic, zero_delay = figures(5.0, 1.0), figures(4.0, 1.0, activity="zero-delay")
    report = with_memories(beside(logic, zero_delay), 2.0)
    assert report.pj_per_op == 7.0 == pytest.approx(sum(report.parts.values()))
    assert report.parts["memories"] == report.blocks["memories"] == 2.0
    assert report.blocks["PEs"] == 5.0
    assert report.transitions == logic.transitions
    assert report.glitch_share == pytest.approx(1 - 3 / 4)
