"""What a mapped netlist takes of an FPGA, by the counts of its cells."""

import json
from math import ceil
from pathlib import Path

from .fabric import Fabric
from .verilog import TOP


def fpga_figures(fabric: Fabric, netlist: Path, stat: dict, top: str = TOP) -> dict:
    """What a flat mapped netlist takes of an FPGA. stat: Yosys' figures of it. top: its module."""
    counts = stat["num_cells_by_type"]

    def total(prefixes: tuple[str, ...]) -> int:
        return sum(count for name, count in counts.items() if name.startswith(prefixes))

    blocks = (blocks * total((name,)) for name, blocks in fabric.dsps.items())

    return {
        "luts": sum(weight * counts.get(name, 0) for name, weight in fabric.luts.items())
        + (_routed_through(fabric, netlist, top) if counts.get("CARRY4") else 0),
        "carries": total(fabric.carries),
        "flip_flops": total(fabric.flip_flops),
        "dsps": ceil(sum(blocks)),
        "block_rams": total(fabric.block_rams),
    }


def _routed_through(fabric: Fabric, netlist: Path, top: str) -> int:
    """LUTs that a 7-series design takes only to lead a signal to an S of a CARRY4, which nothing
    but a LUT can drive; Yosys' cells do not show them."""
    cells = json.loads(netlist.read_text(encoding="utf-8"))["modules"][top]["cells"].values()
    of_luts, led = set(), []
    for cell in cells:
        pins = cell["connections"]
        if cell["type"] in fabric.luts:
            of_luts.update(pins.get("O", []) + pins.get("O6", []))
        elif cell["type"] == "CARRY4":
            led += pins["S"]
    return sum(isinstance(net, int) and net not in of_luts for net in led)
