"""iCE40 UltraPlus logic as a cell library, so that a netlist of Yosys' is simulated as one of a
cell library is: what its cells compute, and their delays. Every content of a lookup table is a cell
of its own.

Delays are those of nextpnr's chip database for the UP5K, each with the shortest way through the
routing to it, which is not known before placement; along a carry chain there is none. Source of
what the cells compute: Lattice, iCE Technology Library, SB_LUT4, SB_CARRY, SB_DFF*.
"""

import json
from pathlib import Path

import numpy as np

from .boolean import Expression
from .cells import Cell, FlipFlop, Library, Pin, Table, Timing
from .netlist import Netlist, netlist_of

VOLTAGE_V = 1.2
_ROUTING, _ALONG_CHAIN = 1.76, 0.66  # ns
_LUT = {"I0": 1.28, "I1": 1.21, "I2": 1.18, "I3": 0.87}
_CARRY = {"I0": 0.68, "I1": 0.66, "CI": 0.28}
_CLOCK_TO_OUTPUT = 1.39
LUT, CARRY = "SB_LUT4", "SB_CARRY"
BEHIND_CARRY = "carry"  # of a lookup table whose I3 is in a carry chain
_NEXT = {  # of synchronous flip-flops on the rising edge, by what follows SB_DFF
    "": "D",
    "E": "E & D | !E & IQ",
    "SR": "D & !R",
    "SS": "D | S",
    "ESR": "E & D & !R | !E & IQ",
    "ESS": "E & (D | S) | !E & IQ",
}

MODELS = """\
module SB_LUT4 #(parameter [15:0] LUT_INIT = 0) (input I0, I1, I2, I3, output O);
  assign O = LUT_INIT[{I3, I2, I1, I0}];
endmodule
module SB_CARRY (input I0, I1, CI, output CO);
  assign CO = I0 & I1 | (I0 | I1) & CI;
endmodule
"""  # Verilog of what PEs made by hand have


def read_up5k(path: Path) -> Netlist:
    """The top module in a Yosys JSON file: of lookup tables, carries and flip-flops on rising
    edges. ValueError for a cell that is none of these, and as `hw.netlist.read_netlist`."""
    modules = json.loads(path.read_text(encoding="utf-8"))["modules"]
    ((name, module),) = ((n, m) for n, m in modules.items() if "blackbox" not in m["attributes"])
    return up5k_netlist(name, module)


def up5k_netlist(name: str, module: dict) -> Netlist:
    """As `read_up5k`, of Yosys' module. A flip-flop must begin at 0, as all do in the device."""
    chained = {
        cell["connections"]["CO"][0] for cell in module["cells"].values() if cell["type"] == CARRY
    }
    cells = {key: _named(cell, chained) for key, cell in module["cells"].items()}
    kinds = {cell["type"] for cell in cells.values()} - {"$scopeinfo"}
    library = Library(
        name="iCE40 UltraPlus",
        voltage_v=VOLTAGE_V,
        cells={kind: cell_of(kind) for kind in sorted(kinds)},
        wire_loads={},
    )
    return netlist_of(name, module | {"cells": cells}, library)


def _named(cell: dict, chained: set) -> dict:
    """With its type made a name of what it computes, and pins that are open made 0."""
    pins = cell["connections"]
    if cell["type"] == LUT:
        pins = {pin: pins.get(pin) or ["0"] for pin in _LUT} | {"O": pins["O"]}
        words = [LUT, f"{int(cell['parameters']['LUT_INIT'], 2):04x}"]
        words += [BEHIND_CARRY] if pins["I3"][0] in chained else []
        return cell | {"type": " ".join(words), "connections": pins}
    if cell["type"] == CARRY:
        pins = {pin: pins.get(pin) or ["0"] for pin in _CARRY} | {"CO": pins["CO"]}
    return cell | {"connections": pins}


def cell_of(kind: str) -> Cell:
    """What a type computes; that of lookup tables is followed by their contents, and by
    BEHIND_CARRY."""
    name, *words = kind.split()
    if name == LUT and words:
        last = _ALONG_CHAIN if BEHIND_CARRY in words else _ROUTING
        delays = {pin: ns + _ROUTING for pin, ns in _LUT.items()} | {"I3": _LUT["I3"] + last}
        return _cell(kind, tuple(_LUT), "O", _sum_of_products(int(words[0], 16)), delays)
    if name == CARRY:
        delays = {pin: ns + _ROUTING for pin, ns in _CARRY.items()} | {"CI": _CARRY["CI"]}
        return _cell(kind, tuple(_CARRY), "CO", "I0 & I1 | (I0 | I1) & CI", delays)
    if name.startswith("SB_DFF") and (suffix := name.removeprefix("SB_DFF")) in _NEXT:
        return _flip_flop(kind, suffix)
    raise ValueError(
        f"cells of an iCE40 netlist must be lookup tables, carries and flip-flops on rising edges "
        f"of the clock, to be simulated, not {kind}; leave out memories and multiplier blocks"
    )


def _sum_of_products(table: int) -> str:
    """Of the pins that matter alone."""
    bits = np.array([table >> row & 1 for row in range(16)], dtype=bool).reshape(2, 2, 2, 2)
    matter = [  # I3 is the first axis
        pin for axis, pin in enumerate(reversed(_LUT)) if (bits != np.flip(bits, axis)).any()
    ]
    first = tuple(slice(None) if pin in matter else 0 for pin in reversed(_LUT))
    products = [
        " & ".join(pin if one else f"!{pin}" for pin, one in zip(matter, row, strict=True)) or "1"
        for row in np.argwhere(bits[first])
    ]
    return " | ".join(products) or "0"


def _flip_flop(kind: str, suffix: str) -> Cell:
    follows = Expression(_NEXT[suffix])
    state = FlipFlop(
        state="IQ",
        inverted_state="IQ",
        clocked_on=Expression("C"),
        next_state=follows,
        clear=None,
        preset=None,
    )
    inputs = ("C", *(pin for pin in follows.inputs if pin != "IQ"))
    return _cell(kind, inputs, "Q", "IQ", {"C": _CLOCK_TO_OUTPUT}, state)


def _cell(
    name: str,
    inputs: tuple[str, ...],
    output: str,
    function: str,
    delays: dict[str, float],
    flip_flop: FlipFlop | None = None,
) -> Cell:
    pins = {pin: _pin(pin, "input") for pin in inputs}
    kind = "rising_edge" if flip_flop else "combinational"
    timing = tuple(_timing(pin, kind, ns) for pin, ns in delays.items())
    pins[output] = _pin(output, "output", Expression(function), timing)
    return Cell(
        name=name,
        area_um2=None,
        leakage_nw=None,
        leakages=(),
        pins=pins,
        flip_flop=flip_flop,
        latch=False,
    )


def _pin(
    name: str,
    direction: str,
    function: Expression | None = None,
    timing: tuple[Timing, ...] = (),
) -> Pin:
    return Pin(
        name=name,
        direction=direction,
        capacitance_pf=0.0,
        function=function,
        clock=name == "C",
        power=(),
        timing=timing,
    )


def _timing(pin: str, kind: str, ns: float) -> Timing:
    always = Table(np.zeros(1), np.zeros(1), np.full((1, 1), ns))
    return Timing(
        related_pins=(pin,),
        kind=kind,
        sense="non_unate",
        rise=always,
        fall=always,
        rise_slew=None,
        fall_slew=None,
    )
