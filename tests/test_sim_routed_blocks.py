"""Blocks of ECP5 of which Yosys has no models: what it makes of memories and products, simulated as
routed netlists are, beside the Verilog that it made them of."""

import json

import pytest

from hw.boards.output_registers import use_output_registers
from hw.tools import run
from hw.yowasp import yosys
from sim.routed.netlist import Cell, Netlist
from sim.routed.writer import routed_verilog
from sim.verilated import executable

WIDTH_IN, WIDTH_OUT, LATE = 100, 198, 72
DESIGN = """
module memories(input clk, input [99:0] in, output [197:0] out);
    reg [53:0] read;
    reg [71:0] read_too, late;
    reg [35:0] wide [0:511];
    reg [17:0] narrow [0:1023];
    reg [35:0] wide_too [0:511];
    reg [17:0] narrow_too [0:1023];
    reg [17:0] narrowest [0:2047];
    integer index;
    initial for (index = 0; index < 512; index = index + 1) wide[index] = index * 36'h123456789;
    initial for (index = 0; index < 512; index = index + 1) wide_too[index] = index * 36'h123456789;
    initial for (index = 0; index < 1024; index = index + 1) narrow[index] = index * 18'h2345;
    initial for (index = 0; index < 1024; index = index + 1) narrow_too[index] = index * 18'h2345;
    initial for (index = 0; index < 2048; index = index + 1) narrowest[index] = index * 18'h2345;
    wire [8:0] to = {in[2:0], 3'b0, in[5:3]}, from = {in[8:6], 3'b0, in[11:9]};
    wire [9:0] at = {in[14:12], 4'b0, in[17:15]};
    always @(posedge clk) begin
        if (in[18]) wide[to] <= in[63:28];
        read <= {narrow[at], wide[from]};
        if (in[19]) narrow[at] <= in[81:64];
        if (in[18] & !in[20]) wide_too[to] <= in[63:28];
        if (in[19] & !in[20]) narrow_too[at] <= in[81:64];
        if (in[20]) read_too <= {narrowest[in[31:21]], narrow_too[in[41:32]], wide_too[from]};
        late <= read_too;
    end
    wire [35:0] signs = $signed(in[99:82]) * $signed(in[81:64]);
    wire [35:0] numbers = in[99:82] * in[63:46];
    assign out = {late, numbers, signs, read};
endmodule
"""
SCRIPT = """
read_verilog design.v
hierarchy -top memories
proc
memory_dff
setparam -set COLLISION_X_MASK 1'1 t:$memrd_v2 r:MEMID=*_too %i
synth_ecp5 -top memories -noccu2 -nowidelut -json mapped.json
"""
BENCH = """
module bench(input clk, output reg wrong = 0, output reg [31:0] reads = 0);
    reg [99:0] in = 0;
    reg [2:0] begun = 0;
    wire [197:0] ours, theirs;
    integer part;
    always @(posedge clk) begin
        for (part = 0; part < 100; part = part + 1) in[part] <= $urandom_range(1) == 1;
        begun <= {begun[1:0], 1'b1};
        if (begun[2] && ours != theirs) wrong <= 1;
        if (ours[35:0] != 0 && ours[53:36] != 0) reads <= reads + 1;
    end
    memories models(clk, in, theirs);
    routed dut(.clk_0(clk), INPUTS, OUTPUTS);
endmodule
"""
MAIN = """
#include <cstdio>
#include "Vbench.h"
int main() {
    Vbench bench;
    for (int cycle = 0; cycle < 20000; ++cycle) {
        bench.clk = 1; bench.eval();
        bench.clk = 0; bench.eval();
    }
    std::printf("%d %d\\n", bench.wrong, bench.reads);
}
"""
RENAMED = {"LUT4": ("TRELLIS_COMB", {"INIT": "INITVAL"}, {"Z": "F"})}


def as_routed(name, cell):
    """As nextpnr makes it: constants are parameters of the pins, tables have another name."""
    kind, settings, pins = RENAMED.get(cell["type"], (cell["type"], {}, {}))
    given = {settings.get(key, key): value.strip() for key, value in cell["parameters"].items()}
    nets = {}
    for pin, (bit,) in cell["connections"].items():
        if isinstance(bit, int):
            nets[pins.get(pin, pin)] = f"n{bit}"
        elif kind == "TRELLIS_COMB":
            nets[pin] = f"constant{bit.replace('x', '0')}"
        else:
            given[f"{pin}MUX"] = bit.replace("x", "0")
    if kind == "TRELLIS_FF":
        given["SD"] = "1"
    for pin in ("LSRMUX", "SOURCEAMUX", "SOURCEBMUX"):  # 0, for which nextpnr has no parameter
        if given.get(pin) == "0":
            del given[pin]
    return Cell(name=name, kind=kind, settings=given, attributes={}, pins=nets)


def mapped(folder):
    (folder / "design.v").write_text(DESIGN)
    yosys(SCRIPT, folder, "map")
    module = json.loads((folder / "mapped.json").read_text())["modules"]["memories"]
    assert use_output_registers(module) == LATE
    cells = {
        name: as_routed(name, cell)
        for name, cell in module["cells"].items()
        if cell["type"] != "$scopeinfo"
    }
    for bit in "01":
        table, pin = {"INITVAL": 16 * bit}, {"F": f"constant{bit}"}
        one = {"name": pin["F"], "kind": "TRELLIS_COMB", "settings": table, "pins": pin}
        cells[pin["F"]] = Cell(attributes={}, **one)
    ports = {
        f"{port}_{place}": f"n{bit}"
        for port, what in module["ports"].items()
        for place, bit in enumerate(what["bits"])
    }
    return Netlist(ports=ports, cells=cells)


def pins(port, side, count):
    return ", ".join(f".{port}_{place}({side}[{place}])" for place in range(count))


@pytest.mark.slow
def test_memories_and_products_of_ecp5_are_as_yosys_maps_them(tmp_path):
    netlist = mapped(tmp_path)
    kinds = [cell.kind for cell in netlist.cells.values()]
    assert kinds.count("DP16KD") >= 6 and kinds.count("MULT18X18D") == 2
    bench = BENCH.replace("INPUTS", pins("in", "in", WIDTH_IN))
    sources = {
        "design.v": DESIGN,
        "routed.v": routed_verilog(netlist, "routed"),
        "bench.v": bench.replace("OUTPUTS", pins("out", "ours", WIDTH_OUT)),
    }
    (tmp_path / "main.cpp").write_text(MAIN)
    program = executable(tmp_path, sources, tmp_path / "main.cpp", level="-O1")
    run([str(program)], tmp_path, tmp_path / "log")
    wrong, reads = map(int, (tmp_path / "log").read_text().split())
    assert not wrong and reads > 1000
