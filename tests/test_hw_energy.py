import json
from pathlib import Path

import numpy as np
import pytest

from hw.energy import energy, loads_pf
from hw.liberty import read_library
from hw.netlist import read_netlist

# Easy figures: at 2 V a net of 1 pF costs 2 pJ a transition.
COMPACT_INVERTER_PJ = (0.022279, -0.016493)
LIBERTY = """
library (easy) {
  capacitive_load_unit (1, pf); voltage_unit : "1V"; leakage_power_unit : "1nW";
  nom_voltage : 2;
  power_lut_template (by_load) { variable_1 : total_output_net_capacitance; index_1 ("0, 1"); }
  cell (INV) {
    area : 1; cell_leakage_power : 7;
    pin (A) { direction : input; capacitance : 0.25;
      internal_power () { rise_power (scalar) { values ("-1"); }
                          fall_power (scalar) { values ("3"); } } }
    pin (Y) { direction : output; function : "!A";
      internal_power () { rise_power (by_load) { values ("10, 12"); }
                          fall_power (by_load) { values ("4, 2"); } } }
  }
  cell (NAND) {
    area : 2;
    pin (A) { direction : input; capacitance : 0.5; }
    pin (B) { direction : input; capacitance : 0.75; }
    pin (Y) { direction : output; function : "!(A B)";
      internal_power () { related_pin : "A"; power (scalar) { values ("1"); } }
      internal_power () { related_pin : "B"; power (by_load) { values ("3, 7"); } } }
  }
  cell (FLOP) {
    area : 5; cell_leakage_power : 100;
    ff (IQ, IQN) { clocked_on : "C"; next_state : "D"; clear : "!R"; }
    pin (C) { direction : input; clock : true; capacitance : 0.125;
      internal_power () { power (scalar) { values ("11"); } } }
    pin (D) { direction : input; capacitance : 0.5;
      internal_power () { power (scalar) { values ("2"); } } }
    pin (R) { direction : input; capacitance : 0.5; }
    pin (Q) { direction : output; function : "IQ";
      internal_power () { related_pin : "C"; power (scalar) { values ("20"); } }
      internal_power () { related_pin : "R"; power (scalar) { values ("999"); } } }
  }
}
"""


def netlist_of(tmp_path, *cells, library=None):
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
    return read_netlist(path, library or read_library(tmp_path / "easy.lib"))


def inverter(a, y):
    return ("INV", {"A": a, "Y": y})


def report_of(netlist, counts, **options):
    """The energy of {net: transitions}."""
    toggles = np.zeros(netlist.net_count, dtype=np.int64)
    for net, count in counts.items():
        toggles[(netlist.inputs | netlist.outputs)[f"n{net}"]] = count
    return energy(netlist, toggles, **{"cycles": 1, "operations": 1, "clock_mhz": 1} | options)


def test_without_transitions_there_is_only_leakage(tmp_path):
    report = report_of(netlist_of(tmp_path, inverter(2, 3)), {}, cycles=50, clock_mhz=5)
    assert report.parts.pop("leakage") == pytest.approx(7 * 10 * 1e-3)
    assert report.parts == {"flip_flops": 0, "clock": 0, "logic": 0}
    assert report.pj_per_op == pytest.approx(0.07)
    assert report.glitch_share is None and report.activity == "zero-delay"


def test_an_inverter_costs_its_pin_its_load_and_its_inside(tmp_path):
    report = report_of(netlist_of(tmp_path, inverter(2, 3)), {2: 4, 3: 3}, operations=10)
    load, pin, inside = 0.25 * 2**2 / 2, (-1 + 3) / 2, (10 + 4) / 2
    assert report.parts["logic"] == pytest.approx((4 * (load + pin) + 3 * inside) / 10)


def test_a_nand_costs_the_mean_over_its_inputs_at_its_load(tmp_path):
    nand = ("NAND", {"A": 2, "B": 3, "Y": 4})
    netlist = netlist_of(tmp_path, nand, inverter(4, 5), inverter(4, 6))
    pins, load = 2 * (-1 + 3) / 2, 0.5
    inside = (1 + 5) / 2
    report = report_of(netlist, {4: 3})
    assert report.parts["logic"] == pytest.approx(3 * (load * 2**2 / 2 + inside + pins))


def test_the_load_of_a_net_is_every_pin_it_drives(tmp_path):
    netlist = netlist_of(tmp_path, ("NAND", {"A": 2, "B": 2, "Y": 3}), inverter(2, 4))
    assert loads_pf(netlist)[netlist.inputs["n2"]] == pytest.approx(0.5 + 0.75 + 0.25)
    assert loads_pf(netlist).sum() == pytest.approx(1.5)


def test_a_flip_flop_pays_for_two_clock_edges_a_cycle(tmp_path):
    netlist = netlist_of(tmp_path, ("FLOP", {"C": 2, "D": 3, "R": 4, "Q": 5}))
    report = report_of(netlist, {3: 3, 5: 2}, cycles=8, clock_mhz=4)
    assert report.parts == pytest.approx(
        {
            "clock": 2 * 8 * (0.125 * 2 + 11),
            "flip_flops": 3 * 2 + 2 * 20,
            "logic": 3 * 0.5 * 2,
            "leakage": 100 * 2 * 1e-3,
        }
    )
    assert report.pj_per_op == pytest.approx(sum(report.parts.values()))


def test_what_a_flip_flop_drives_is_its_own_energy(tmp_path):
    netlist = netlist_of(tmp_path, ("FLOP", {"C": 2, "D": 5, "R": 4, "Q": 5}))
    report = report_of(netlist, {5: 1})
    assert report.parts["flip_flops"] == pytest.approx(20 + 2 + 0.5 * 2)
    assert report.parts["logic"] == 0


def test_missing_leakage_is_none_and_not_in_the_sum(tmp_path):
    report = report_of(netlist_of(tmp_path, ("NAND", {"A": 2, "B": 3, "Y": 4})), {4: 1})
    assert report.parts["leakage"] is None and report.pj_per_op == report.parts["logic"]


@pytest.mark.parametrize("name", ["cycles", "operations", "clock_mhz"])
def test_a_number_that_is_not_positive_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match=f"{name} must be positive, not 0"):
        report_of(netlist_of(tmp_path, inverter(2, 3)), {}, **{name: 0})


def test_toggles_of_another_netlist_are_refused(tmp_path):
    netlist = netlist_of(tmp_path, inverter(2, 3))
    with pytest.raises(ValueError, match=r"each of the 4 nets, not \(3,\)"):
        energy(netlist, np.zeros(3), cycles=1, operations=1, clock_mhz=1)


def test_the_compact_inverter_costs_what_its_figures_say(tmp_path):
    compact = read_library(Path(__file__).parents[1] / "fixtures" / "adderforge130.lib")
    cell = ("INV_X1", {"A": 2, "Y": 3})
    report = report_of(netlist_of(tmp_path, cell, library=compact), {2: 1, 3: 1})
    rise, fall = COMPACT_INVERTER_PJ
    switching = 0.002302 * 1.8**2 / 2
    assert report.parts["logic"] == pytest.approx(switching + (rise + fall) / 2, rel=1e-6)
