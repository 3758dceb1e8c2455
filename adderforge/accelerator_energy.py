"""Energy of an accelerator for an image, with its memories, and what it rests on."""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import ceil, sqrt
from pathlib import Path
from statistics import stdev

import numpy as np

from hw.accelerator_netlist import AcceleratorNetlist, mapped_accelerator
from hw.delays import Delays, Surroundings
from hw.energy import EnergyReport, beside, total
from hw.liberty import Liberty
from hw.memory import GIVEN, SIZES_SOURCE, MemoryUse, memory_use
from hw.netlist import Netlist
from hw.program import Program
from sim.accelerator_gates import WARM_UP, run_windows
from sim.accelerator_windows import Accesses, Record, record
from sim.blocks import accelerator_blocks
from sim.gate_run import GateRun, price

from .energy_run import ready
from .progress import Update

COUNTED = 16  # cycles of a window
SEED = 0
UJ = 1e-6  # a pJ


@dataclass(frozen=True, kw_only=True)
class AcceleratorDesign:
    """An accelerator mapped without its memories, ready for simulation."""

    program: Program
    mapped: AcceleratorNetlist
    netlist: Netlist
    delays: Delays


@dataclass(frozen=True, kw_only=True)
class AcceleratorEnergy:
    """energy: of the logic, an operation, without memories. zero_delay: the same without gate
    delays. batches: the logic's pJ per operation in each. memories: of an image. areas_um2: of the
    blocks. source: of the memories' energies."""

    design: AcceleratorDesign
    energy: EnergyReport
    zero_delay: EnergyReport
    batches: list[float]
    memories: list[MemoryUse]
    source: str
    areas_um2: dict[str, float]
    clock_mhz: float
    compared: int
    mismatches: int

    @property
    def operations(self) -> int:
        """Of an image."""
        return self.design.program.useful_terms

    @property
    def logic_uj(self) -> float:
        """Of an image."""
        return self.uj(self.energy.pj_per_op)

    @property
    def memory_uj(self) -> float:
        return sum(memory.uj for memory in self.memories)

    @property
    def standard_error_uj(self) -> float | None:
        """Of the mean of the batches; None for a single one."""
        if len(self.batches) < 2:
            return None
        return self.uj(stdev(self.batches) / sqrt(len(self.batches)))

    @property
    def power_mw(self) -> float:
        """Mean power, images back to back."""
        energy_uj = self.logic_uj + self.memory_uj
        return 1e3 * energy_uj * self.clock_mhz / self.design.program.interval

    def uj(self, pj_per_op: float) -> float:
        """µJ of an image."""
        return pj_per_op * self.operations * UJ

    def figures(self) -> dict:
        """What --json shows; energies are those of an image."""
        energy, synthesis = self.energy, self.design.mapped.synthesis
        parts = {name: part and self.uj(part) for name, part in energy.parts.items()}
        blocks = {
            name: {part: self.uj(pj) for part, pj in of_block.items()}
            for name, of_block in energy.block_parts.items()
        }
        return {
            "uj_per_image": self.logic_uj + self.memory_uj,
            "pj_per_op": (self.logic_uj + self.memory_uj) / UJ / self.operations,
            "power_mw": self.power_mw,
            "clock_mhz": self.clock_mhz,
            "activity": energy.activity,
            "logic_uj": self.logic_uj,
            "standard_error_uj": self.standard_error_uj,
            "batches_uj": [self.uj(batch) for batch in self.batches],
            "zero_delay_logic_uj": self.uj(self.zero_delay.pj_per_op),
            "glitch_share": energy.glitch_share,
            "switching_uj": self.uj(energy.switching),
            "parts_uj": parts,
            "blocks_uj": {name: self.uj(pj) for name, pj in energy.blocks.items()},
            "block_parts_uj": blocks,
            "memory_uj": self.memory_uj,
            "fresh_memory_uj": sum(memory.fresh_uj for memory in self.memories),
            "memories": [asdict(memory) for memory in self.memories],
            "memory_source": self.source,
            "operations_per_image": self.operations,
            "cycles_per_image": self.design.program.interval,
            "simulated_cycles": energy.cycles,
            "compared": self.compared,
            "mismatches": self.mismatches,
            "longest_path_ns": self.design.delays.longest_path_ns,
            "area_um2": synthesis.area_um2,
            "areas_um2": self.areas_um2,
            "pe_area_um2": synthesis.pe_area_um2,
            "sequential_area_um2": synthesis.sequential_area_um2,
            "library": synthesis.library,
            "multiplier": synthesis.multiplier,
            "style": synthesis.style,
            "surroundings": asdict(self.design.delays.surroundings),
        }


def map_accelerator(
    program: Program,
    liberty: Liberty,
    multiplier: str | None,
    around: Surroundings,
    update: Update | None = None,
) -> AcceleratorDesign:
    """The accelerator mapped to the library; NoPowerTables where that has no energies."""
    mapped = mapped_accelerator(program, liberty, multiplier, update)
    netlist, delays = ready(mapped.synthesis, mapped.path, liberty, around)
    return AcceleratorDesign(program=program, mapped=mapped, netlist=netlist, delays=delays)


def choose_windows(program: Program, batches: int, images: int, cycles: int) -> list[list[range]]:
    """Each batch's windows of cycles, of which the first is not counted: at least so many counted
    cycles in all, if there are. A batch is `images` images back to back, from the answer of the
    image before to that of its last, and is cut into as many strata, equally long, as it has
    windows; each window is at random in its stratum."""
    length, size = images * program.interval, WARM_UP + COUNTED
    count = min(ceil(cycles / (batches * COUNTED)), length // (size + 1))
    random = np.random.default_rng(SEED)
    found = []
    for batch in range(batches):
        first = program.cycles + batch * length
        edges = np.linspace(first, first + length, count + 1).astype(int)
        starts = random.integers(edges[:-1] + 1, edges[1:] - size, endpoint=True)
        found.append([range(start, start + size) for start in starts.tolist()])
    return found


def record_images(
    design: AcceleratorDesign, codes: np.ndarray, windows: list[list[range]], folder: Path
) -> Record:
    """Run the Verilog on images, codes (images, channels, rows, columns), in `folder`, and record
    the batches' windows. One image more comes before and after them, so that what is measured is
    one of many."""
    program = design.program
    span = range(program.cycles, program.cycles + len(codes) * program.interval)
    around = np.concatenate([codes[-1:], codes, codes[:1]])
    flat = [window for of_batch in windows for window in of_batch]
    found = record(program, around, folder, design.mapped, design.netlist, flat, span)
    due = program.cycles + program.interval * np.arange(len(around))
    if found.answers.tolist() != due.tolist():
        raise ValueError(
            f"answers must come in cycles {due.tolist()}, not {found.answers.tolist()}; the "
            "accelerator is not the one that was predicted"
        )
    return found


def run_batches(
    design: AcceleratorDesign,
    found: Record,
    windows: list[list[range]],
    *,
    clock_mhz: float,
    activity: str,
    update: Update,
) -> list[GateRun]:
    """Simulate the netlist in each batch's windows, as they were recorded."""
    program, count, runs = design.program, len(windows[0]), []
    for batch in range(len(windows)):
        what = f"batch {batch + 1} of {len(windows)}, cycles"
        recording = run_windows(
            design.netlist,
            design.delays,
            found,
            slice(batch * count, (batch + 1) * count),
            operations=round(program.useful_terms * count * COUNTED / program.interval),
            activity=activity,
            progress=lambda done, of, what=what: update(what, done, of),
        )
        runs.append(price(recording, design.netlist, design.delays, clock_mhz, accelerator_blocks))
    return runs


def summarize(
    design: AcceleratorDesign,
    runs: Sequence[GateRun],
    accesses: Sequence[Accesses],
    images: int,
    clock_mhz: float,
    pj_per_bit: float | None,
) -> AcceleratorEnergy:
    """What the runs say together; accesses: of so many images."""
    zero_delay = total([run.zero_delay for run in runs])
    return AcceleratorEnergy(
        design=design,
        energy=beside(total([run.energy for run in runs]), zero_delay),
        zero_delay=zero_delay,
        batches=[run.energy.pj_per_op for run in runs],
        memories=[_memory(some, images, pj_per_bit) for some in accesses],
        source=SIZES_SOURCE if pj_per_bit is None else GIVEN,
        areas_um2=_areas(design.netlist),
        clock_mhz=clock_mhz,
        compared=sum(run.compared for run in runs),
        mismatches=sum(run.mismatches for run in runs),
    )


def _memory(accesses: Accesses, images: int, pj_per_bit: float | None) -> MemoryUse:
    memory = accesses.memory
    return memory_use(
        re.sub(r"\$\d+", "", memory.name),  # numbers that make instances' names unique
        memory.words,
        memory.width,
        reads=accesses.reads / images,
        fresh=accesses.fresh / images,
        bits_written=accesses.bits_written / images,
        per_bit=pj_per_bit,
    )


def _areas(netlist: Netlist) -> dict[str, float]:
    """Cell area by block, the largest first."""
    areas: dict[str, float] = {}
    for kind, of_cells in accelerator_blocks(netlist).items():
        area = netlist.instances[kind].cell.area_um2 or 0.0
        for block in of_cells:
            areas[block] = areas.get(block, 0.0) + area
    return dict(sorted(areas.items(), key=lambda block: -block[1]))
