"""Energy of a mapped array on batches of a network's real operands, with what it rests on."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import sqrt
from pathlib import Path
from statistics import stdev

from hw.cache import mapped
from hw.config import ArrayConfig
from hw.delays import Delays, Surroundings, find_delays
from hw.energy import EnergyReport, beside, check_powers, total
from hw.liberty import Liberty, read_library
from hw.memory import MemoryReport, memory_energy
from hw.netlist import Netlist, read_netlist
from hw.recording import load
from hw.synth import SynthReport
from sim.gate_run import GateRun, measure, price
from sim.stream import fill_cycles, start_distance
from sim.workload import MatrixForm

from .progress import Update

WINDOWS = 4  # of the stream of a batch, if each can be as long as a tile


class NoPowerTables(ValueError):
    """The library has no energies; `area` is what there is to report."""

    def __init__(self, reason: str, synthesis: SynthReport) -> None:
        super().__init__(f"{reason}; the area is {synthesis.area_um2:,.0f} µm²")
        self.synthesis = synthesis


@dataclass(frozen=True, kw_only=True)
class EnergyRun:
    """energy: of all batches. zero_delay: the same without gate delays, so without glitches.
    batches: each one's pJ per operation. per_inference: operations of these layers for one image.
    memory: of the memories outside the array, not in energy."""

    energy: EnergyReport
    zero_delay: EnergyReport
    batches: list[float]
    per_inference: int
    memory: MemoryReport
    clock_mhz: float
    compared: int
    mismatches: int
    synthesis: SynthReport
    delays: Delays

    @property
    def standard_error(self) -> float | None:
        """Of pJ per operation, see `standard_error`."""
        return standard_error(self.batches)

    def figures(self) -> dict:
        """What --json shows: `EnergyReport`'s keys, and beside them all else."""
        figures = energy_figures(self.energy, self.zero_delay, self.batches, self.clock_mhz)
        return (
            figures
            | design_figures(self.synthesis, self.delays)
            | {
                "pj_per_inference": self.energy.pj_per_op * self.per_inference,
                "operations_per_inference": self.per_inference,
                "memory": asdict(self.memory),
                "compared": self.compared,
                "mismatches": self.mismatches,
            }
        )


def energy_figures(
    energy: EnergyReport, zero_delay: EnergyReport, batches: Sequence[float], clock_mhz: float
) -> dict:
    """Of an energy, for JSON. batches: pJ per operation of each."""
    return asdict(energy) | {
        "blocks": energy.blocks,
        "standard_error": standard_error(batches),
        "batches": list(batches),
        "zero_delay_pj_per_op": zero_delay.pj_per_op,
        "power_mw": energy.power_mw(clock_mhz),
        "clock_mhz": clock_mhz,
    }


def standard_error(batches: Sequence[float]) -> float | None:
    """Of the batches' mean; None for a single one."""
    return stdev(batches) / sqrt(len(batches)) if len(batches) > 1 else None


def design_figures(synthesis: SynthReport, delays: Delays) -> dict:
    """Of a mapped netlist, for JSON."""
    names = ("area_um2", "pe_area_um2", "sequential_area_um2", "library", "multiplier", "style")
    return {name: getattr(synthesis, name) for name in (*names, "clock_met")} | {
        "longest_path_ns": delays.longest_path_ns,
        "surroundings": asdict(delays.surroundings),
    }


@dataclass(frozen=True, kw_only=True)
class Design:
    """A mapped array, ready for simulation."""

    config: ArrayConfig
    synthesis: SynthReport
    netlist: Netlist
    delays: Delays


def map_array(
    config: ArrayConfig,
    liberty: Liberty,
    multiplier: str | None,
    around: Surroundings,
    update: Update | None = None,
    clock_mhz: float | None = None,
) -> Design:
    """The array mapped to the library, for a clock rate or the least area; NoPowerTables where that
    has no energies."""
    synthesis, path = mapped(config, liberty, multiplier, update, clock_mhz)
    netlist, delays = ready(synthesis, path, liberty, around)
    return Design(config=config, synthesis=synthesis, netlist=netlist, delays=delays)


def ready(
    synthesis: SynthReport, path: Path, liberty: Liberty, around: Surroundings
) -> tuple[Netlist, Delays]:
    """A mapped netlist with its delays; NoPowerTables where the library has no energies."""
    netlist = read_netlist(path, read_library(liberty))
    try:
        check_powers(netlist)
    except ValueError as error:
        raise NoPowerTables(str(error), synthesis) from None
    return netlist, find_delays(netlist, around)


def run_energy(
    design: Design,
    batches: Sequence[Sequence[MatrixForm]],
    *,
    cycles: int,
    clock_mhz: float,
    activity: str,
    update: Update,
) -> list[GateRun]:
    """Simulate every batch: at least `cycles` counted cycles in all, and in each window one whole
    tile or block, so that sums are compared."""
    warm_up = fill_cycles(design.config)
    tile = max(start_distance(form.shape, design.config) for form in batches[0]) + warm_up
    windows = min(WINDOWS, max(1, cycles // (len(batches) * tile)))
    counted = max(-(-cycles // (len(batches) * windows)), tile)
    runs = []
    for number, forms in enumerate(batches):
        what = f"batch {number + 1} of {len(batches)}, cycles"
        runs.append(
            measure(
                design.config,
                design.netlist,
                forms,
                windows=windows,
                cycles=warm_up + counted,
                clock_mhz=clock_mhz,
                activity=activity,
                delays=design.delays,
                progress=lambda k, n, what=what: update(what, k, n),
            )
        )
    return runs


def price_file(design: Design, path: Path, clock_mhz: float) -> list[GateRun]:
    """The energy of a saved activity, of all its batches together."""
    recording = load(path, design.netlist)
    return [price(recording, design.netlist, design.delays, clock_mhz)]


def summarize(
    design: Design,
    runs: Sequence[GateRun],
    batches: Sequence[Sequence[MatrixForm]],
    images: int,
    clock_mhz: float,
    pj_per_bit: float | None,
) -> EnergyRun:
    """What the runs on batches, each of `images` images, say together."""
    shapes = [form.shape for forms in batches for form in forms]
    zero_delay = total([run.zero_delay for run in runs])
    return EnergyRun(
        energy=beside(total([run.energy for run in runs]), zero_delay),
        zero_delay=zero_delay,
        batches=[run.energy.pj_per_op for run in runs],
        per_inference=sum(m * k * n for m, k, n in shapes) // (images * len(batches)),
        memory=memory_energy(shapes, design.config, pj_per_bit),
        clock_mhz=clock_mhz,
        compared=sum(run.compared for run in runs),
        mismatches=sum(run.mismatches for run in runs),
        synthesis=design.synthesis,
        delays=design.delays,
    )
