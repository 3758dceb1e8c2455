"""Energy of an accelerator for an image, with its memories, and what it rests on."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from math import ceil
from pathlib import Path

import numpy as np

from hw.accelerator_netlist import AcceleratorNetlist, mapped_accelerator
from hw.delays import Delays, Surroundings
from hw.energy import EnergyReport, beside, total, with_memories
from hw.liberty import Liberty
from hw.memory import GIVEN, SIZES_SOURCE, MemoryUse, memory_use
from hw.netlist import Netlist
from hw.program import Program
from hw.recording import Recording, joined
from sim.accelerator_gates import WARM_UP, run_windows
from sim.accelerator_windows import Accesses, Record, record
from sim.blocks import accelerator_blocks
from sim.gate_run import GateRun, price

from .contenders import Effort
from .energy_run import design_figures, energy_figures, ready
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
    """energy: of an operation, with memories; zero_delay: the same without gate delays. batches:
    pJ per operation in each. memories: of an image. areas_um2: of the blocks. source: of the
    memories' energies. recording: what was priced, of all batches."""

    design: AcceleratorDesign
    energy: EnergyReport
    zero_delay: EnergyReport
    batches: list[float]
    memories: list[MemoryUse]
    source: str
    areas_um2: dict[str, float]
    clock_mhz: float
    recording: Recording

    @property
    def operations(self) -> int:
        """Of an image."""
        return self.design.program.useful_terms

    def uj(self, pj_per_op: float) -> float:
        """µJ of an image."""
        return pj_per_op * self.operations * UJ

    def figures(self) -> dict:
        """What --json shows: `EnergyReport`'s keys, and beside them all else."""
        figures = energy_figures(self.energy, self.zero_delay, self.batches, self.clock_mhz)
        return (
            figures
            | design_figures(self.design.mapped.synthesis, self.design.delays)
            | {
                "pj_per_inference": self.energy.pj_per_op * self.operations,
                "operations_per_inference": self.operations,
                "cycles_per_inference": self.design.program.interval,
                "memories": [asdict(memory) for memory in self.memories],
                "memory_source": self.source,
                "areas_um2": self.areas_um2,
                "compared": self.recording.compared,
                "mismatches": self.recording.mismatches,
            }
        )


def map_accelerator(
    program: Program,
    liberty: Liberty,
    multiplier: str | None,
    around: Surroundings,
    update: Update | None = None,
    clock_mhz: float | None = None,
) -> AcceleratorDesign:
    """The accelerator mapped to the library, for a clock rate or the least area; NoPowerTables
    where that has no energies."""
    mapped = mapped_accelerator(program, liberty, multiplier, update, clock_mhz)
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


def simulate_batches(
    design: AcceleratorDesign,
    found: Record,
    windows: list[list[range]],
    activity: str,
    update: Update,
) -> Iterator[Recording]:
    """What the netlist does in each batch's windows, as they were recorded."""
    program, count = design.program, len(windows[0])
    for batch in range(len(windows)):
        what = f"batch {batch + 1} of {len(windows)}, cycles"
        yield run_windows(
            design.netlist,
            design.delays,
            found,
            slice(batch * count, (batch + 1) * count),
            operations=round(program.useful_terms * count * COUNTED / program.interval),
            activity=activity,
            progress=lambda done, of, what=what: update(what, done, of),
        )


def run_batches(
    design: AcceleratorDesign,
    found: Record,
    windows: list[list[range]],
    *,
    clock_mhz: float,
    activity: str,
    update: Update,
) -> list[GateRun]:
    """The energy of each batch's windows."""
    return [
        price(recording, design.netlist, design.delays, clock_mhz, accelerator_blocks)
        for recording in simulate_batches(design, found, windows, activity, update)
    ]


def measure_accelerator(
    design: AcceleratorDesign,
    codes: np.ndarray,
    effort: Effort,
    *,
    clock_mhz: float,
    activity: str,
    pj_per_bit: float | None,
    folder: Path,
    update: Update,
) -> AcceleratorEnergy:
    """Record and simulate batches of images, codes (images, channels, rows, columns), in
    `folder`."""
    windows = choose_windows(design.program, effort.batches, effort.images, effort.cycles)
    update(f"running the Verilog on {len(codes)} images", 0, 1)
    found = record_images(design, codes, windows, folder)
    options = {"clock_mhz": clock_mhz, "activity": activity, "update": update}
    runs = run_batches(design, found, windows, **options)
    return summarize(design, runs, found.accesses, len(codes), clock_mhz, pj_per_bit)


def summarize(
    design: AcceleratorDesign,
    runs: Sequence[GateRun],
    accesses: Sequence[Accesses],
    images: int,
    clock_mhz: float,
    pj_per_bit: float | None,
) -> AcceleratorEnergy:
    """What the runs say together; accesses: of so many images."""
    memories = [_memory(some, images, pj_per_bit) for some in accesses]
    of_memories = sum(memory.uj for memory in memories) / UJ / design.program.useful_terms
    zero_delay = total([run.zero_delay for run in runs])
    logic = beside(total([run.energy for run in runs]), zero_delay)
    return AcceleratorEnergy(
        design=design,
        energy=with_memories(logic, of_memories),
        zero_delay=with_memories(zero_delay, of_memories),
        batches=[run.energy.pj_per_op + of_memories for run in runs],
        memories=memories,
        source=SIZES_SOURCE if pj_per_bit is None else GIVEN,
        areas_um2=_areas(design.netlist),
        clock_mhz=clock_mhz,
        recording=joined([run.recording for run in runs]),
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
