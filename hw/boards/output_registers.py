"""Block RAM of ECP5 with its own output registers.

Without them its answer takes 5.6 ns of a cycle, with them 1.0 ns (nextpnr's delays, speed grade 6),
but Yosys leaves registers behind block RAM to flip-flops. Source: Lattice FPGA-TN-02204.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import NamedTuple

ZERO, ONE = ["0"], ["1"]


class Port(NamedTuple):
    """A side of a block RAM that is read: how its outputs' names begin; its clock and reset, the
    enable of its output registers; the parameter that asks for them."""

    outputs: str
    clock: str
    reset: str
    enable: str
    mode: str


PORTS = {
    "DP16KD": [
        Port(f"DO{side}", f"CLK{side}", f"RST{side}", f"OCE{side}", f"REGMODE_{side}")
        for side in "AB"
    ],
    "PDPW16KD": [Port("DO", "CLKR", "RST", "OCER", "REGMODE")],
}


def use_output_registers(module: dict) -> int:
    """Takes flip-flops into the block RAM that they stand behind, all of a port's or none, in a
    module as Yosys writes it for nextpnr (JSON). They must have neither enable nor reset, the RAM's
    clock, and 0 at the start, and nothing else may read what goes into them. Returns how many
    flip-flops are gone."""
    cells, readers = module["cells"], _readers(module)
    gone = 0
    for cell in list(cells.values()):
        for port in PORTS.get(cell["type"], ()):
            behind = {name: readers[bit] for name, bit in _outputs(cell, port) if readers[bit]}
            if behind and all(_fits(cells, cell, port, some) for some in behind.values()):
                for name, ((register, _),) in behind.items():
                    cell["connections"][name] = cells.pop(register)["connections"]["Q"]
                cell["connections"][port.enable] = ONE
                cell["port_directions"][port.enable] = "input"
                cell["parameters"][port.mode] = "OUTREG"
                gone += len(behind)
    return gone


def _readers(module: dict) -> Mapping[int, list[tuple[str, str]]]:
    """bit -> the cells, or ports, and pins that it goes to."""
    readers = defaultdict(list)
    for name, port in module["ports"].items():
        for bit in port["bits"]:
            readers[bit].append((name, ""))
    for name, cell in module["cells"].items():
        for pin, bits in cell["connections"].items():
            if cell["port_directions"][pin] != "output":
                for bit in bits:
                    readers[bit].append((name, pin))
    return readers


def _outputs(cell: dict, port: Port) -> Iterator[tuple[str, int]]:
    for name, bits in cell["connections"].items():
        if name.rstrip("0123456789") == port.outputs:
            yield from ((name, bit) for bit in bits)


def _fits(cells: dict, ram: dict, port: Port, readers: list[tuple[str, str]]) -> bool:
    (name, pin), *others = readers
    register = cells.get(name)
    if others or pin != "DI" or register["type"] != "TRELLIS_FF":
        return False
    pins, settings = register["connections"], register["parameters"]
    return (
        pins["CLK"] == ram["connections"][port.clock]
        and ram["connections"][port.reset] == ZERO
        and ram["parameters"].get(port.mode, "NOREG") == "NOREG"
        and settings["CLKMUX"].strip() == "CLK"
        and (settings["CEMUX"].strip() == "1" or pins.get("CE") == ONE)
        and pins["LSR"] == ZERO
        and settings["LSRMUX"].strip() == "LSR"
        and settings["REGSET"].strip() == "RESET"
    )
