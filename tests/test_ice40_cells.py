"""iCE40 cells as a cell library: what they compute, and that a netlist of Yosys' does in simulation
what its Verilog says."""

from pathlib import Path

import numpy as np
import pytest

from hw.delays import find_delays
from hw.ice40_cells import LUT, cell_of, read_up5k, up5k_netlist
from hw.yowasp import yosys
from sim import events, gates

ROWS = np.arange(64, dtype=np.uint64)
WORDS = {
    f"I{place}": np.bitwise_or.reduce((ROWS >> np.uint64(place) & np.uint64(1)) << ROWS)
    for place in range(4)
}
DESIGN = """\
module top (input clk, input rst, input go, input [7:0] a, input [7:0] b, output [16:0] y,
            output reg [7:0] sum, output reg [7:0] last, output reg ones);
  assign y = a * b + a;
  always @(posedge clk) begin
    last <= sum;
    if (rst) sum <= 0;
    else if (go) sum <= sum + a - b;
    if (rst) ones <= 1;
    else if (go) ones <= &sum;
  end
endmodule
"""


def table_of(cell) -> int:
    words = cell.pins["O"].function.evaluate(WORDS)
    return int(np.broadcast_to(words, 1)[0]) & 0xFFFF


@pytest.mark.parametrize(
    "table", [0, 0xFFFF, 0xAAAA, 0xFF00, 0x8000, 0x7FFF, 0x6996, 0xCAFE, 0x0660]
)
def test_a_lookup_table_computes_its_contents_of_the_pins_that_matter(table):
    cell = cell_of(f"{LUT} {table:04x}")
    assert table_of(cell) == table
    for place, pin in enumerate(cell.pins["O"].function.inputs):
        number = int(pin[1])
        flipped = sum((table >> (row ^ 1 << number) & 1) << row for row in range(16))
        assert flipped != table, (place, pin)


def test_a_carry_is_the_majority():
    words = {pin: WORDS[f"I{place}"] for place, pin in enumerate(("I0", "I1", "CI"))}
    found = int(cell_of("SB_CARRY").pins["CO"].function.evaluate(words)) & 0xFF
    assert found == sum((row.bit_count() > 1) << row for row in range(8))


def test_the_way_from_a_carry_is_shorter():
    plain, chained = cell_of(f"{LUT} 6996"), cell_of(f"{LUT} 6996 carry")
    delays = [
        {t.related_pins[0]: float(t.rise.at(0, 0)) for t in cell.pins["O"].timing}
        for cell in (plain, chained)
    ]
    assert delays[0]["I3"] > delays[1]["I3"]
    assert {**delays[0], "I3": 0} == {**delays[1], "I3": 0}


@pytest.mark.parametrize("kind", ["SB_MAC16", "SB_DFFN", "SB_DFFR", "SB_RAM40_4K", "SB_LUT4"])
def test_other_cells_are_refused(kind):
    with pytest.raises(ValueError, match=f"not {kind}; leave out memories and multiplier blocks"):
        cell_of(kind)


def test_open_pins_are_0():
    cell = {
        "type": LUT,
        "parameters": {"LUT_INIT": f"{0x6996:016b}"},
        "connections": {"I0": [2], "I3": [], "O": [3]},
    }
    ports = {
        name: {"direction": side, "bits": [bit]}
        for name, side, bit in (("x", "input", 2), ("y", "output", 3))
    }
    netlist = up5k_netlist("top", {"ports": ports, "cells": {"one": cell}})
    run = gates.simulate(netlist, {"x": np.array([[0], [1], [0], [1]])})
    assert run.outputs["y"].ravel().tolist() == [0, 1, 0, 1]


@pytest.mark.slow
def test_a_netlist_does_what_its_verilog_says(tmp_path):
    (tmp_path / "top.v").write_text(DESIGN)
    yosys("read_verilog top.v\nsynth_ice40 -top top\nwrite_json top.json\n", tmp_path, "synth")
    netlist = read_up5k(Path(tmp_path / "top.json"))
    kinds = {kind.split()[0] for kind in netlist.instances}
    assert {LUT, "SB_CARRY", "SB_DFF", "SB_DFFESR", "SB_DFFESS"} <= kinds
    random, cycles = np.random.default_rng(0), 200
    a, b = random.integers(0, 256, (2, cycles, 3))
    a[:3], b[:3] = [[0], [255], [255]], [[0], [255], [0]]
    go, rst = random.integers(0, 2, (cycles, 3)), random.random((cycles, 3)) < 0.1
    inputs = {"a": a, "b": b, "go": go, "rst": rst.astype(int)}
    states = {name: np.zeros((cycles + 1, 3), dtype=int) for name in ("sum", "last", "ones")}
    for cycle in range(cycles):
        before = states["sum"][cycle]
        states["last"][cycle + 1] = before
        follows = np.where(go[cycle], (before + a[cycle] - b[cycle]) % 256, before)
        states["sum"][cycle + 1] = np.where(rst[cycle], 0, follows)
        ones = np.where(go[cycle], before == 255, states["ones"][cycle])
        states["ones"][cycle + 1] = np.where(rst[cycle], 1, ones)
    for simulate, more in ((gates.simulate, ()), (events.simulate, (find_delays(netlist),))):
        found = simulate(netlist, *more, inputs).outputs
        assert np.array_equal(found["y"], a * b + a)
        for name, values in states.items():
            assert np.array_equal(found[name], values[:cycles]), name
