"""From a netlist to Verilog."""

from pathlib import Path

from . import ecp5, ice40
from .netlist import Netlist
from .verilog import Verilog

KINDS = ice40.KINDS | ecp5.KINDS
BLOCKS = ("ice40.v", "ecp5.v")


def routed_verilog(netlist: Netlist, top: str) -> str:
    """Verilog of a netlist with the device's pins as ports; module `top`. ValueError for a cell, or
    a setting of one, that is not understood."""
    verilog = Verilog()
    for cell in netlist.cells.values():
        if cell.kind not in KINDS:
            raise ValueError(
                f"cell {cell.name} must be of {', '.join(KINDS)} to be simulated, not {cell.kind}"
            )
        KINDS[cell.kind].check(cell)
        KINDS[cell.kind].write(cell, netlist, verilog)
    known = verilog.driven | set(netlist.ports.values())
    for cell in netlist.cells.values():
        for pin, net in cell.pins.items():
            if net not in known:
                raise ValueError(f"pin {pin} of {cell.kind} {cell.name} must be on a driven net")
    blocks = (Path(__file__).with_name(name).read_text(encoding="utf-8") for name in BLOCKS)
    return "".join(blocks) + verilog.text(top, netlist.ports)
