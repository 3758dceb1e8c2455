"""Synthesis of arrays with Yosys: LUTs on FPGAs, area on a Liberty library, mapped netlists.

Every PE is mapped as a module of its own, then the design is flattened and what nothing uses is
removed, for adders and multipliers alike. For a cell library the PEs are trees of full adders
(`hw.pe.structures`), mapped in one of the styles of `hw.asic`; for an FPGA they are left to its
carry chains. A `mac` PE is given the multiplier that is best of those that can be made:
`hw.choices` names them, `hw.best` picks, and by the same rule every PE's style.
"""

import json
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from .arithmetic import ARRAY_TREE, BOOTH_TREE, HALVES, PLAIN, TREE
from .asic import LOOKAHEAD, Commands, write_commands
from .choices import BUILT_IN_LIBRARY, MULTIPLIERS, block_structure, check, choices
from .config import ArrayConfig
from .delays import find_delays
from .fabric import FABRICS, Fabric
from .fpga_figures import fpga_figures
from .liberty import Liberty, liberty_files, read_library
from .netlist import read_netlist
from .tools import failed, tool_versions
from .verilog import PE, TOP, array_verilog
from .yowasp import yosys

SHIELD = "adderforge_shield_"
Progress = Callable[[str, int, int], None]  # what is at work, how much is done, of how much
_MEMORY = re.compile(r"^ *reg \[.*\] .* \[.*\];$", re.MULTILINE)  # in Verilog that Yosys wrote
ROWS_MULTIPLIER = Path(__file__).parent / "techmap" / "rows_multiplier.v"


@dataclass(frozen=True, kw_only=True)
class SynthReport:
    """Size of one design on one target; None is a figure that the target does not have.

    luts: LUT4s, carry cells among them where they take a LUT's place, as on iCE40 those beside no
    LUT; on 7-series LUT6s, also those that only lead a signal into a carry chain. carries: carry
    cells. area_um2: cell area from the Liberty library, flip-flops' share in sequential_area_um2.
    pe_area_um2: of one PE, with its accumulator and the registers that hand a, w and last on, but
    without its part of the bus.
    longest_path_ns: by the library's delays, see `hw.delays`, None where it has none; fmax_mhz: of
    a cell library its inverse, of an FPGA None here. style: how additions became cells, see
    `hw.asic`; clock_mhz: that it was mapped for, clock_met whether its path is short enough. cells:
    count by type.
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
    longest_path_ns: float | None = None
    fmax_mhz: float | None = None
    clock_mhz: float | None = None
    clock_met: bool | None = None
    style: str | None = None
    library: str | None = None
    cells: dict[str, int]
    tools: dict[str, str | None]

    def to_json(self) -> dict:
        return asdict(self)


def synthesize(
    config: ArrayConfig,
    target: str,
    folder: Path,
    multiplier: str | None = None,
    liberty: Liberty = BUILT_IN_LIBRARY,
    style: str | None = None,
    clock_mhz: float | None = None,
) -> SynthReport:
    """Map `SystolicArray(config)`; everything Yosys read and wrote stays in `folder`.

    target, multiplier: of `hw.choices`; the first multiplier by default. liberty: the cell
    library of "asic"; style: one of those in `choices`, the usual one by default; clock_mhz: that
    the styles for it aim at. The flat mapped netlist is left in `folder/netlist.json`. ToolError
    when Yosys fails, ValueError for unknown names, and with clock_mhz a library without delays.
    """
    check(config, target, multiplier, liberty, clock_mhz)
    multiplier = multiplier or choices(config, target, liberty)[0].multiplier
    folder.mkdir(parents=True, exist_ok=True)
    commands = None
    if target == "asic":
        allowed = [some.style for some in choices(config, target, liberty, clock_mhz, multiplier)]
        style = style or allowed[0]
        if style not in allowed:
            raise ValueError(f"style must be one of {', '.join(allowed)}, not {style!r}")
        commands = write_commands(folder, liberty, style, clock_mhz, TOP)
    structure = structure_of(config, target, multiplier, style)
    made_of = "none" if structure == HALVES else multiplier  # its blocks are in the design
    map_design(array_verilog(config, structure), target, folder, made_of, commands=commands)
    if target == "asic":
        return asic_report(config.pe, folder, liberty, multiplier, style, clock_mhz)
    stat = _read_stat(folder / "stat.json")["design"]
    figures = fpga_figures(FABRICS[target], folder / "netlist.json", stat)
    return SynthReport(**_common(target, config.pe, multiplier, stat), **figures)


def asic_report(
    pe: str,
    folder: Path,
    liberty: Liberty,
    multiplier: str,
    style: str | None,
    clock_mhz: float | None = None,
) -> SynthReport:
    """Of what was mapped to a cell library in `folder`."""
    stat = _read_stat(folder / "stat.json")["design"]
    figures = _asic_figures(folder, stat, liberty, clock_mhz) | {"style": style}
    return SynthReport(**_common("asic", pe, multiplier, stat), **figures)


def _common(target: str, pe: str, multiplier: str, stat: dict) -> dict:
    """Figures of every target."""
    cells = {name: int(count) for name, count in stat["num_cells_by_type"].items()}
    names = {"target": target, "pe": pe, "multiplier": multiplier}
    return names | {"cells": cells, "tools": tool_versions()}


def map_design(
    text: str,
    target: str,
    folder: Path,
    multiplier: str,
    top: str = TOP,
    commands: Commands | None = None,
) -> None:
    """Map Verilog with a multiplier of `hw.choices`; leaves the flat `netlist.json` in `folder`,
    and its cells' counts in `stat.json`. commands: for "asic", of the library in `folder`."""
    (folder / "design.v").write_text(text, encoding="utf-8")
    if fabric := FABRICS.get(target):
        commands = _fpga_commands(fabric, multiplier, top, bool(_MEMORY.search(text)))
    map_files(("read_verilog design.v",), target, folder, multiplier, top, commands)


def map_files(
    reads: Sequence[str],
    target: str,
    folder: Path,
    multiplier: str,
    top: str,
    commands: Commands,
) -> None:
    """As `map_design`, of what Yosys' commands `reads` read from files in `folder`."""
    if fabric := FABRICS.get(target):
        (folder / "shields.v").write_text(_shields(fabric), encoding="utf-8")
    if multiplier == "rows":
        shutil.copy(ROWS_MULTIPLIER, folder)
    yosys(_script(reads, target, multiplier, top, commands), folder, "synth")


def structure_of(config: ArrayConfig, target: str, multiplier: str, style: str | None) -> str:
    """The structure of the PEs. On FPGAs, adder trees made of carry chains are smaller."""
    if multiplier == "dsp":
        return block_structure(config, target)
    if target == "asic" and multiplier == "none" and style != LOOKAHEAD:
        return TREE
    return multiplier if multiplier in (BOOTH_TREE, ARRAY_TREE) else PLAIN


def _read_stat(path: Path) -> dict:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise failed("yosys gave no figures", path.parent / "synth.log") from None


def _script(
    reads: Sequence[str], target: str, multiplier: str, top: str, commands: Commands
) -> str:
    models = f"read_verilog -lib +/{FABRICS[target].models}/cells_sim.v" if target != "asic" else ""
    lines = [
        models,
        *reads,
        *commands.before,
        f"hierarchy -check -top {top}",
        "proc",
        "opt",
        "wreduce",
        MULTIPLIERS[multiplier],
        *commands.mapping,
        "flatten",
        *commands.flattened,
        "opt_clean -purge",
        "delete t:$scopeinfo",
        *commands.cleaned,
        f"tee -q -o stat.json {commands.stat}",
        "write_json netlist.json",
    ]
    return "".join(f"{line}\n" for line in lines if line)


def _fpga_commands(fabric: Fabric, multiplier: str, top: str, memory: bool) -> Commands:
    """memory: whether the design has any."""
    how = fabric.dsp if multiplier == "dsp" else fabric.logic
    command = f"{fabric.command} {how} -top {top}"
    start, end = fabric.ram
    without_ram = (f"{command} -run :{start}", f"{command} -run {end}:")
    return Commands(
        before=(
            "read_verilog -lib shields.v",
            *(f"chtype -set {SHIELD}{name} t:{name}" for name in fabric.shielded),
        ),
        mapping=(command,) if memory else without_ram,
        flattened=tuple(f"chtype -set {name} t:{SHIELD}{name}" for name in fabric.shielded),
        cleaned=(),
        stat="stat -json",
    )


def _shields(fabric: Fabric) -> str:
    """Verilog of empty modules that stand for the fabric's shielded cells."""
    lines = [
        f"module {SHIELD}{name}({ports} endmodule\n" for name, ports in fabric.shielded.items()
    ]
    return "".join(lines)


def _asic_figures(folder: Path, stat: dict, liberty: Liberty, clock_mhz: float | None) -> dict:
    modules = _read_stat(folder / "modules.json")["modules"]
    path_ns = _longest_path(folder / "netlist.json", liberty, required=clock_mhz is not None)
    return {
        "area_um2": round(stat["area"], 3),
        "sequential_area_um2": round(stat["sequential_area"], 3),
        "pe_area_um2": round(modules[f"\\{PE}"]["area"], 3),
        "longest_path_ns": path_ns,
        "fmax_mhz": 1000 / path_ns if path_ns else None,
        "clock_mhz": clock_mhz,
        "clock_met": None if clock_mhz is None else path_ns * clock_mhz <= 1000,
        "library": " + ".join(path.name for path in liberty_files(liberty)),
    }


def _longest_path(netlist: Path, liberty: Liberty, required: bool) -> float | None:
    """None where the library has no delays; if they are required, ValueError."""
    mapped = read_netlist(netlist, read_library(liberty))
    try:
        return find_delays(mapped).longest_path_ns
    except ValueError:
        if required:
            raise
        return None
