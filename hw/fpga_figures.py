"""What a mapped netlist takes of an FPGA, by the counts of its cells."""

import json
from collections import defaultdict
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
        + (_routed_through(fabric, _cells(netlist, top)) if counts.get("CARRY4") else 0)
        + (_lone_carries(_cells(netlist, top)) if counts.get("SB_CARRY") else 0),
        "carries": total(fabric.carries),
        "flip_flops": total(fabric.flip_flops),
        "dsps": ceil(sum(blocks)),
        "block_rams": total(fabric.block_rams),
    }


def _cells(netlist: Path, top: str) -> list[dict]:
    return list(json.loads(netlist.read_text(encoding="utf-8"))["modules"][top]["cells"].values())


def _routed_through(fabric: Fabric, cells: list[dict]) -> int:
    """LUTs that a 7-series design takes only to lead a signal to an S of a CARRY4, which nothing
    but a LUT can drive; Yosys' cells do not show them."""
    of_luts, led = set(), []
    for cell in cells:
        pins = cell["connections"]
        if cell["type"] in fabric.luts:
            of_luts.update(pins.get("O", []) + pins.get("O6", []))
        elif cell["type"] == "CARRY4":
            led += pins["S"]
    return sum(isinstance(net, int) and net not in of_luts for net in led)


def _lone_carries(cells: list[dict]) -> int:
    """Logic cells of an iCE40 that a carry cell takes for itself, as nextpnr packs them
    (ice40/pack.cc). A carry cell shares that of a LUT, see `_lut_beside`. One that finds none takes
    in a LUT of at most two inputs by which one of its own is driven."""
    luts, carries = (
        [_pins(cell) for cell in cells if cell["type"] == name] for name in ("SB_LUT4", "SB_CARRY")
    )
    beside, driver = defaultdict(list), {lut["O"]: lut for lut in luts}
    for lut in luts:
        beside[lut["I1"], lut["I2"]].append(lut)
    taken, lone = set(), []
    for carry in carries:
        if lut := _lut_beside(carry, beside, taken):
            taken.add(lut["O"])
        else:
            lone.append(carry)
    paired = len(taken)
    for carry in lone:
        drivers = (driver.get(carry[pin]) for pin in ("I0", "I1"))
        free = [lut["O"] for lut in drivers if lut and lut["O"] not in taken]
        taken.update([net for net in free if driver[net]["I0"] is driver[net]["I1"] is None][:1])
    return len(lone) - (len(taken) - paired)


def _pins(cell: dict) -> dict[str, int | str | None]:
    """Its nets by pin; None where it is 0, which nextpnr takes for not connected."""
    nets = {pin: net for pin, (net,) in cell["connections"].items()}
    return {pin: None if net in ("0", "x") else net for pin, net in nets.items()}


def _lut_beside(carry: dict, beside: dict, taken: set) -> dict | None:
    """A LUT that is free, whose I1, I2 and I3 are the carry cell's inputs; where its carry-in is
    constant, the only one with such I1 and I2."""
    inputs = carry["I0"], carry["I1"]
    free = [lut for lut in beside[inputs] if any(inputs) and lut["O"] not in taken]
    if carry["CI"] in (None, "1"):
        return free[0] if len(free) == 1 else None
    return next((lut for lut in free if lut["I3"] == carry["CI"]), None)
