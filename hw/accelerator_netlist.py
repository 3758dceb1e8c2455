"""An accelerator mapped to a cell library, all but its memories (`hw.memory_cut`): what they give
are inputs of the netlist, what they are given are outputs. Mapped netlists are kept in the user's
cache folder, as those of arrays are."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from .accelerator_verilog import TOP, accelerator_rtlil
from .arithmetic import PLAIN
from .asic import write_commands
from .best import first_that_meets, ranked
from .cache import kept
from .choices import BUILT_IN_LIBRARY, Choice, check
from .config import ArrayConfig
from .fabric import FABRICS
from .fpga_figures import fpga_figures
from .ice40_cells import MODELS
from .liberty import Liberty
from .memory_cut import Cut, CutMemory, cut, models, open_boxes
from .program import Program
from .synth import Progress, SynthReport, asic_report, map_files, structure_of
from .tools import tool_versions
from .yowasp import yosys

NETLIST, REPORT, DESIGN, VERILOG = "netlist.json", "report.json", "cut_design.json", "cut.v"
_FILES = (NETLIST, REPORT, DESIGN, VERILOG, "stat.json", "modules.json", "synth.log", "synth.ys")


@dataclass(frozen=True, kw_only=True)
class AcceleratorNetlist:
    """synthesis: the cells, without memories. path: of the flat netlist. memories: outside of it.
    verilog: of the accelerator that was mapped, its memories modules with the netlist's ports.
    instances: their places in it, instance.….instance, of all modules."""

    synthesis: SynthReport
    path: Path
    memories: tuple[CutMemory, ...]
    verilog: str
    instances: frozenset[str]


def mapped_accelerator(
    program: Program,
    liberty: Liberty = BUILT_IN_LIBRARY,
    multiplier: str | None = None,
    progress: Progress | None = None,
    clock_mhz: float | None = None,
) -> AcceleratorNetlist:
    """The program's accelerator mapped to a cell library, from the cache where it is there.
    multiplier: of the PEs; by default, as `hw.best.choose` has it, the best. clock_mhz: by default
    none, but the least area; with it the first of the ways by which a PE meets it that the
    accelerator meets it by, too, or if none does the one with the shortest path. Errors as there.
    """
    check(program.config.array, "asic", multiplier, liberty, clock_mhz)
    parts = ["accelerator", accelerator_rtlil(program), str(multiplier), str(clock_mhz)]

    def make(folder: Path) -> None:
        folder.mkdir()
        arguments = (liberty, clock_mhz, multiplier, progress)
        found = ranked(_bare(program.config.array), "asic", folder / "candidates", *arguments)
        report = first_that_meets(
            found, lambda choice: _map(program, folder, liberty, choice, clock_mhz, progress)
        )
        _write(folder / REPORT, asdict(report))

    return _read(kept(parts, liberty, _FILES, make))


def up5k_accelerator(program: Program) -> AcceleratorNetlist:
    """The same mapped to the logic of an iCE40 UltraPlus, its products too, without a serial
    link."""
    parts = ["accelerator", accelerator_rtlil(program), "up5k"]

    def make(folder: Path) -> None:
        folder.mkdir()
        found, instances = _cut(program, PLAIN, folder)
        yosys(_UP5K, folder, "synth")
        _open(folder, found, instances)
        with (folder / VERILOG).open("a", encoding="utf-8") as file:
            file.write(MODELS)
        stat = json.loads((folder / "stat.json").read_text(encoding="utf-8"))["design"]
        figures = fpga_figures(FABRICS["ice40"], folder / NETLIST, stat, TOP)
        report = SynthReport(
            target="ice40",
            pe=program.config.array.pe,
            multiplier="none",
            cells={name: int(count) for name, count in stat["num_cells_by_type"].items()},
            tools=tool_versions(),
            **figures,
        )
        _write(folder / REPORT, asdict(report))

    files = [name for name in _FILES if name != "modules.json"]
    return _read(kept(parts, None, files, make))


_UP5K = f"""\
read_json cut.json
write_verilog -noattr {VERILOG}
setattr -unset init w:*
synth_ice40 -top {TOP} -run :check
blackbox =A:whitebox
delete t:$scopeinfo
tee -q -o stat.json stat -json
write_json {NETLIST}
"""


def _read(folder: Path) -> AcceleratorNetlist:
    design = json.loads((folder / DESIGN).read_text(encoding="utf-8"))
    for memory in design["memories"]:
        memory["granules"] = tuple(map(tuple, memory["granules"]))
    return AcceleratorNetlist(
        synthesis=SynthReport(**json.loads((folder / REPORT).read_text(encoding="utf-8"))),
        path=folder / NETLIST,
        memories=tuple(CutMemory(**memory) for memory in design["memories"]),
        verilog=(folder / VERILOG).read_text(encoding="utf-8"),
        instances=frozenset(design["instances"]),
    )


def _bare(config: ArrayConfig) -> ArrayConfig:
    """With a fold memory that does not hide how PEs differ."""
    return ArrayConfig(**(config.model_dump() | {"positions": 1}))


def _map(
    program: Program,
    folder: Path,
    liberty: Liberty,
    choice: Choice,
    clock_mhz: float | None,
    progress: Progress | None,
) -> SynthReport:
    """Leaves all but the report in the folder."""
    if progress:
        progress(f"mapping with {choice.name}", 1, 1)
    structure = structure_of(program.config.array, "asic", choice.multiplier, choice.style)
    found, instances = _cut(program, structure, folder)
    commands = write_commands(folder, liberty, choice.style, clock_mhz, TOP)
    reads = ("read_json cut.json", f"write_verilog -noattr {VERILOG}")
    map_files(reads, "asic", folder, choice.multiplier, TOP, commands)
    _open(folder, found, instances)
    pe = program.config.array.pe
    return asic_report(pe, folder, liberty, choice.multiplier, choice.style, clock_mhz)


def _open(folder: Path, found: Cut, instances: list[str]) -> None:
    """Leaves the netlist with ports in the place of its memories, and what they were."""
    with (folder / VERILOG).open("a", encoding="utf-8") as file:
        file.write(models(found))
    netlist = json.loads((folder / NETLIST).read_text(encoding="utf-8"))
    modules = netlist["modules"]
    netlist["modules"] = {n: m for n, m in modules.items() if n == TOP or n in found.memories}
    memories = open_boxes(netlist, found.memories)
    _write(folder / NETLIST, netlist)
    cut_out = [asdict(memory) for memory in memories]
    _write(folder / DESIGN, {"memories": cut_out, "instances": instances})


def _cut(program: Program, structure: str, folder: Path) -> tuple[Cut, list[str]]:
    """Leaves the design with black boxes in `folder/cut.json`; returns its instances, too."""
    (folder / "design.il").write_text(accelerator_rtlil(program, structure), encoding="utf-8")
    script = f"read_rtlil design.il\nhierarchy -top {TOP}\nproc\nmemory_collect\n"
    yosys(f"{script}write_json cut.json\n", folder, "cut")
    design = json.loads((folder / "cut.json").read_text(encoding="utf-8"))
    found = cut(design)
    _write(folder / "cut.json", design)
    return found, list(_instances(design["modules"], TOP))


def _instances(modules: dict, top: str) -> Iterator[str]:
    for name, cell in modules[top]["cells"].items():
        if cell["type"] in modules:
            yield name
            yield from (f"{name}.{inner}" for inner in _instances(modules, cell["type"]))


def _write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value), encoding="utf-8")
