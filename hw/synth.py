"""Synthesis of arrays with Yosys: LUTs on FPGAs, area on a Liberty library, mapped netlists.

Every PE is mapped as a module of its own, then the design is flattened and what nothing uses is
removed, for adders and multipliers alike. For a cell library the PEs are trees of full adders
(`hw.pe.structures`), which take the library's full-adder cells where it has them; for an FPGA they
are left to its carry chains. A `mac` PE is given the multiplier that is best of those that can be
made: `candidates` names them, `best_multiplier` picks.
"""

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from .arithmetic import ARRAY_TREE, BOOTH_TREE, PLAIN, TREE
from .cell_map import full_adder_cell, full_adder_map, full_adder_stub
from .config import ArrayConfig
from .fabric import FABRICS, Fabric
from .liberty import read_library
from .liberty_text import read_text
from .mapping import hand_made
from .tools import failed, tool_versions, yosys
from .verilog import FULL_ADDER, PE, TOP, array_verilog

TARGETS = (*FABRICS, "asic")
BUILT_IN_LIBRARY = Path(__file__).parent.parent / "fixtures" / "adderforge130.lib"

# How the product of a `mac` PE is made, and the Yosys command that makes it. booth-tree and
# array-tree, which need none: radix-4 Booth rows, or AND rows, of all lanes in one tree with the
# accumulator (`hw.multiply`); booth: Booth rows in a carry-save tree; booth-ripple: Booth rows
# added one after the other; rows: a row of adders for each bit of the weight; macc: Yosys' own,
# AND rows in a carry-save tree; dsp: the FPGA's own multiplier blocks.
MULTIPLIERS = {
    "none": "",
    BOOTH_TREE: "",
    ARRAY_TREE: "",
    "booth": "booth",
    "booth-ripple": "booth -lowpower",
    "rows": "techmap -map rows_multiplier.v t:$mul",
    "macc": "",
    "dsp": "",
}
SHIELD = "adderforge_shield_"
ROWS_MULTIPLIER = Path(__file__).parent / "techmap" / "rows_multiplier.v"


@dataclass(frozen=True, kw_only=True)
class SynthReport:
    """Size of one design on one target; None is a figure that the target does not have.

    luts: LUT4s, carry cells among them where they take a LUT's place; on 7-series LUT6s, also those
    that only lead a signal into a carry chain. carries: carry cells. area_um2: cell area from the
    Liberty library, flip-flops' share in sequential_area_um2. pe_area_um2: of one PE, with its
    accumulator and the registers that hand a, w and last on, but without its part of the bus.
    cells: count by type.
    """

    target: str
    pe: str
    multiplier: str
    luts: int | None = None
    carries: int | None = None
    flip_flops: int | None = None
    dsps: int | None = None
    block_rams: int | None = None
    area_um2: float | None = None
    sequential_area_um2: float | None = None
    pe_area_um2: float | None = None
    fmax_mhz: float | None = None
    library: str | None = None
    cells: dict[str, int]
    tools: dict[str, str | None]

    def to_json(self) -> dict:
        return asdict(self)


def candidates(pe: str, target: str) -> tuple[str, ...]:
    """The multipliers that are tried for a PE kind on a target; "none" for adders."""
    if pe != "mac":
        return ("none",)
    words = ("booth", "booth-ripple", "rows", "macc")
    return (BOOTH_TREE, ARRAY_TREE, *words) if target == "asic" else (*words, "dsp")


def _candidates(config: ArrayConfig, target: str) -> tuple[str, ...]:
    """As `candidates`, but "none" for a PE made by hand, which holds its own multiplier."""
    return ("none",) if hand_made(config) else candidates(config.pe, target)


def check(
    config: ArrayConfig, target: str, multiplier: str | None, liberty: Path = BUILT_IN_LIBRARY
) -> None:
    """ValueError when there is no such target, the PE has no such multiplier there, or the cell
    library is missing or cannot be read."""
    if target not in TARGETS:
        raise ValueError(f"target must be one of {', '.join(TARGETS)}, not {target!r}")
    if config.target not in ("generic", target):
        raise ValueError(f"an array made for {config.target} cannot be synthesized for {target}")
    allowed = _candidates(config, target)
    if multiplier is not None and multiplier not in allowed:
        raise ValueError(
            f"multiplier of a {config.pe} PE on {target} must be one of {', '.join(allowed)}, "
            f"not {multiplier!r}"
        )
    if target == "asic":
        read_library(liberty)


def best_multiplier(
    config: ArrayConfig, target: str, folder: Path, liberty: Path = BUILT_IN_LIBRARY
) -> str:
    """The candidate, made of logic and not of DSPs, whose single PE is smallest: by area for
    "asic", by LUTs for an FPGA. Every candidate is synthesized, each in a folder of its name."""
    single = ArrayConfig(**(config.model_dump() | {"rows": 1, "cols": 1}))
    names = [name for name in _candidates(config, target) if name != "dsp"]
    if len(names) == 1:
        return names[0]
    sizes = {}
    for name in names:
        report = synthesize(single, target, folder / name, name, liberty)
        sizes[name] = report.area_um2 or report.luts
    return min(names, key=sizes.__getitem__)


def synthesize(
    config: ArrayConfig,
    target: str,
    folder: Path,
    multiplier: str | None = None,
    liberty: Path = BUILT_IN_LIBRARY,
) -> SynthReport:
    """Map `SystolicArray(config)`; everything Yosys read and wrote stays in `folder`.

    target: one of TARGETS. multiplier: one of `candidates`; the first by default. liberty: the cell
    library of "asic", plain or gzip. The flat mapped netlist is left in `folder/netlist.json`.
    ToolError when Yosys fails, ValueError for unknown names.
    """
    check(config, target, multiplier, liberty)
    multiplier = multiplier or _candidates(config, target)[0]
    folder.mkdir(parents=True, exist_ok=True)
    full_adder = _write_library(folder, liberty) if target == "asic" else None
    design = array_verilog(config, _structure(target, multiplier))
    map_design(design, target, folder, multiplier, full_adder=full_adder)
    stat = _read_stat(folder / "stat.json")["design"]
    return SynthReport(
        target=target,
        pe=config.pe,
        multiplier=multiplier,
        cells={name: int(count) for name, count in stat["num_cells_by_type"].items()},
        tools=tool_versions(),
        **(
            _asic_figures(folder, stat, liberty.name)
            if target == "asic"
            else _fpga_figures(FABRICS[target], folder, stat)
        ),
    )


def map_design(
    text: str,
    target: str,
    folder: Path,
    multiplier: str,
    top: str = TOP,
    full_adder: str | None = None,
) -> None:
    """Map Verilog with a multiplier of `candidates`; leaves the flat `netlist.json` in `folder`,
    and its cells' counts in `stat.json`. "asic" reads `cells.lib` and the map to its full adder,
    the cell of that name, there."""
    (folder / "design.v").write_text(text, encoding="utf-8")
    if fabric := FABRICS.get(target):
        (folder / "shields.v").write_text(_shields(fabric), encoding="utf-8")
    if multiplier == "rows":
        shutil.copy(ROWS_MULTIPLIER, folder)
    yosys(_script(target, multiplier, top, full_adder), folder, "synth")


def _structure(target: str, multiplier: str) -> str:
    """The structure of the PEs. On FPGAs, adder trees made of carry chains are smaller."""
    if target == "asic" and multiplier == "none":
        return TREE
    return multiplier if multiplier in (BOOTH_TREE, ARRAY_TREE) else PLAIN


def _write_library(folder: Path, liberty: Path) -> str | None:
    """Put the cells and a map to their full adder into `folder`; returns its name."""
    library = read_library(liberty)
    files = {
        "cells.lib": read_text(liberty),
        "full_adder.v": full_adder_stub(library),
        "full_adder_map.v": full_adder_map(library, FULL_ADDER),
    }
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return full_adder_cell(library)


def _read_stat(path: Path) -> dict:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise failed("yosys gave no figures", path.parent / "synth.log") from None


def _script(target: str, multiplier: str, top: str, full_adder: str | None) -> str:
    fabric = FABRICS.get(target)
    shielded = fabric.shielded if fabric else ()
    if fabric:
        how = fabric.dsp if multiplier == "dsp" else fabric.logic
        mapping = [f"{fabric.command} {how} -top {top}"]
    else:
        mapping = [
            f"synth -top {top}",
            "dfflibmap -liberty cells.lib",
            "abc -liberty cells.lib -script +strash;ifraig;scorr;dc2;dch,-f;amap,-m;topo",
        ]
    lines = [
        f"read_verilog -lib +/{fabric.models}/cells_sim.v" if fabric else "",
        "read_verilog design.v",
        "read_verilog -lib shields.v" if fabric else "",
        *[f"chtype -set {SHIELD}{name} t:{name}" for name in shielded],
        "read_verilog -lib full_adder.v" if full_adder else "",
        "techmap -map full_adder_map.v" if target == "asic" else "",
        f"hierarchy -check -top {top}",
        "proc",
        "opt",
        "wreduce",
        MULTIPLIERS[multiplier],
        *mapping,
        "tee -q -o modules.json stat -json -liberty cells.lib" if target == "asic" else "",
        "flatten",
        *[f"chtype -set {name} t:{SHIELD}{name}" for name in shielded],
        "opt_clean -purge",
        "delete t:$scopeinfo",
        f"delete ={full_adder}" if full_adder else "",  # the empty module, not its instances
        f"tee -q -o stat.json stat -json {'-liberty cells.lib' if target == 'asic' else ''}",
        "write_json netlist.json",
    ]
    return "".join(f"{line}\n" for line in lines if line)


def _shields(fabric: Fabric) -> str:
    """Verilog of empty modules that stand for the fabric's shielded cells."""
    lines = [
        f"module {SHIELD}{name}({ports} endmodule\n" for name, ports in fabric.shielded.items()
    ]
    return "".join(lines)


def _fpga_figures(fabric: Fabric, folder: Path, stat: dict) -> dict:
    counts = stat["num_cells_by_type"]

    def total(prefixes: tuple[str, ...]) -> int:
        return sum(count for name, count in counts.items() if name.startswith(prefixes))

    return {
        "luts": sum(weight * counts.get(name, 0) for name, weight in fabric.luts.items())
        + (_routed_through(fabric, folder / "netlist.json") if counts.get("CARRY4") else 0),
        "carries": total(fabric.carries),
        "flip_flops": total(fabric.flip_flops),
        "dsps": total(fabric.dsps),
        "block_rams": total(fabric.block_rams),
    }


def _routed_through(fabric: Fabric, netlist: Path) -> int:
    """LUTs that a 7-series design takes only to lead a signal to an S of a CARRY4, which nothing
    but a LUT can drive; Yosys' cells do not show them."""
    cells = json.loads(netlist.read_text(encoding="utf-8"))["modules"][TOP]["cells"].values()
    of_luts, led = set(), []
    for cell in cells:
        pins = cell["connections"]
        if cell["type"] in fabric.luts:
            of_luts.update(pins.get("O", []) + pins.get("O6", []))
        elif cell["type"] == "CARRY4":
            led += pins["S"]
    return sum(isinstance(net, int) and net not in of_luts for net in led)


def _asic_figures(folder: Path, stat: dict, library: str) -> dict:
    modules = _read_stat(folder / "modules.json")["modules"]
    return {
        "area_um2": round(stat["area"], 3),
        "sequential_area_um2": round(stat["sequential_area"], 3),
        "pe_area_um2": round(modules[f"\\{PE}"]["area"], 3),
        "library": library,
    }
