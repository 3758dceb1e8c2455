"""Mapping to a cell library: the ways in which a PE's additions become cells.

By area: full-adders takes the library's full-adder cells for the trees of full adders
(`hw.pe.structures`), gates makes them of gates, half-adders puts half-adder cells in as well,
wherever Yosys finds half adders. For a clock rate, too: fast makes all of gates, which ABC maps for
delay, buffers and sizes, since it does not see through cells for adders; lookahead does so with
carries computed ahead (Brent and Kung) in the place of trees and their ripple-carry adder.
"""

from dataclasses import dataclass
from pathlib import Path

from . import cell_map
from .cell_map import FULL, HALF
from .cells import SETUP, Cell, Library, Pin
from .liberty import Liberty, liberty_files, read_library
from .liberty_text import read_text
from .verilog import FULL_ADDER

FULL_ADDERS, HALF_ADDERS, GATES = "full-adders", "half-adders", "gates"
FAST, LOOKAHEAD = "fast", "lookahead"
TIMED = (FAST, LOOKAHEAD)

# What gives the least area, of what was tried: rewriting around cells for adders, which keeps the
# gates between them as they are written, and more where all is gates.
_RESTRUCTURE = {FULL_ADDERS: "rewrite", HALF_ADDERS: "rewrite", GATES: "dc2"}
_BY_AREA = "strash;ifraig;scorr;{};dch,-f;amap,-m;topo"
_SLEW_NS, _LAUNCH_PF = 0.05, 0.01  # of the flip-flops around a path; what the first one drives


@dataclass(frozen=True, kw_only=True)
class Commands:
    """Yosys' commands for a target. before: elaboration. mapping: of the elaborated design.
    flattened, cleaned: when it has been. stat: the command that counts cells."""

    before: tuple[str, ...]
    mapping: tuple[str, ...]
    flattened: tuple[str, ...]
    cleaned: tuple[str, ...]
    stat: str


def styles(library: Library, tree: bool, alone: bool, clock_mhz: float | None) -> tuple[str, ...]:
    """The styles to be tried, the usual one first. tree: the PE's terms, the multiplier's rows
    among them, are in one tree of full adders. alone: that is the only structure tried, as in PEs
    without multiplier, so that lookahead is to be tried beside it. Half adders are tried in trees
    alone, which are the smallest by far without them."""
    found = [FULL_ADDERS if cell_map.adder_cell(library, FULL) and tree else GATES]
    if cell_map.adder_cell(library, HALF) and tree:
        found.append(HALF_ADDERS)
    if clock_mhz is not None:
        found += [FAST, LOOKAHEAD] if alone else [FAST]
    return tuple(found)


def write_commands(
    folder: Path, liberty: Liberty, style: str, clock_mhz: float | None, top: str
) -> Commands:
    """Puts the library's files and the maps to its adders into `folder`."""
    library = read_library(liberty)
    names = [_file_name(number) for number in range(len(liberty_files(liberty)))]
    for name, path in zip(names, liberty_files(liberty), strict=True):
        (folder / name).write_text(read_text(path), encoding="utf-8")
    files = " ".join(f"-liberty {name}" for name in names)
    full = cell_map.adder_cell(library, FULL) if style in (FULL_ADDERS, HALF_ADDERS) else None
    half = cell_map.adder_cell(library, HALF) if style == HALF_ADDERS else None
    cells = [cell for cell in (full, half) if cell]
    boxes = "".join(cell_map.empty_module(library, cell) for cell in cells)
    (folder / "adders.v").write_text(boxes, encoding="utf-8")
    text = cell_map.full_adder_map(library, FULL_ADDER, full)
    (folder / "full_adder_map.v").write_text(text, encoding="utf-8")
    if half:
        text = cell_map.half_adder_map(library, half)
        (folder / "half_adder_map.v").write_text(text, encoding="utf-8")
    return Commands(
        before=("read_verilog -lib adders.v", "techmap -map full_adder_map.v"),
        mapping=(
            f"synth -top {top}",
            *(_HALF_ADDERS if half else ()),
            f"dfflibmap {files}",
            f"abc {files} -script +{_abc(library, style, clock_mhz)}",
            f"tee -q -o modules.json stat -json {files}",
        ),
        flattened=(),
        cleaned=tuple(f"delete ={cell}" for cell in cells),  # the empty modules, not the instances
        stat=f"stat -json {files}",
    )


_HALF_ADDERS = ("extract_fa -ha", "techmap -map half_adder_map.v t:$fa", "techmap", "opt -fast")


def _file_name(number: int) -> str:
    return f"cells_{number + 1}.lib" if number else "cells.lib"


def _abc(library: Library, style: str, clock_mhz: float | None) -> str:
    if style not in TIMED:
        return _BY_AREA.format(_RESTRUCTURE[style])
    target = f"-D,{max(1, round(1000 * (1000 / clock_mhz - _overhead_ns(library))))}"
    mapping = f"map,-B,0.9,{target};topo;buffer,-c;upsize,{target};dnsize,{target}"
    return f"strash;ifraig;scorr;dc2;dch,-f;{mapping}"


def _overhead_ns(library: Library) -> float:
    """What a path between flip-flops has less than a period for its gates, about: from the clock's
    edge to the output of the library's smallest flip-flop, and its setup time. 0 for what the
    library does not have."""
    cells = [cell for cell in library.cells.values() if cell.flip_flop and cell.area_um2]
    if not cells:
        return 0.0
    cell = min(cells, key=lambda cell: cell.area_um2)
    launches = _times(cell, cell.outputs, ("rise", "fall"), _LAUNCH_PF)
    setups = _times(cell, cell.inputs, ("rise_constraint", "fall_constraint"), _SLEW_NS)
    return max(launches, default=0.0) + max(setups, default=0.0)


def _times(cell: Cell, pins: tuple[Pin, ...], names: tuple[str, str], second: float) -> list[float]:
    """Figures of the pins' tables by the clock, at a usual slew and this second variable."""
    return [
        float(table.at(_SLEW_NS, second))
        for pin in pins
        for timing in pin.timing
        if cell.clock_pin in timing.related_pins and timing.kind in ("rising_edge", SETUP)
        for name in names
        if (table := getattr(timing, name))
    ]
