"""Energy of an accelerator in an iCE40 UP5K for an image, by `hw.up5k`."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from hw.accelerator_netlist import up5k_accelerator
from hw.delays import find_delays
from hw.ice40_cells import read_up5k
from hw.program import Program
from hw.recording import Recording, joined
from hw.up5k import SOURCE, LogicEnergy, access_pj, base_mw, logic_energy
from sim.accelerator_windows import Accesses

from .accelerator_energy import (
    UJ,
    AcceleratorDesign,
    choose_windows,
    record_images,
    simulate_batches,
)
from .contenders import Effort
from .energy_run import standard_error
from .progress import Update

WEIGHTS = "weights"


@dataclass(frozen=True, kw_only=True)
class Up5kEnergy:
    """Of an image in a stream of them. logic: with gate delays; zero_delay: without. batches: µJ of
    each, of the logic. memories: µJ of each. recording: of all batches."""

    design: AcceleratorDesign
    logic: LogicEnergy
    zero_delay: LogicEnergy
    batches: list[float]
    memories: dict[str, float]
    recording: Recording

    @property
    def cycles(self) -> int:
        """Of an image."""
        return self.design.program.interval

    def base_uj(self, clock_mhz: float, pll: bool) -> float:
        """What the device draws meanwhile, whatever is in it."""
        return base_mw(clock_mhz, pll) * self.cycles / clock_mhz * 1e-3

    @property
    def design_uj(self) -> float:
        """All else."""
        return self.logic.pj * self.cycles * UJ + sum(self.memories.values())

    @property
    def glitch_share(self) -> float | None:
        """Of the transitions' energy; None without gate delays."""
        if self.logic == self.zero_delay:
            return None
        return 1 - self.zero_delay.transitions / self.logic.transitions

    def figures(self, clock_mhz: float, pll: bool) -> dict:
        """For JSON."""
        base, recording = self.base_uj(clock_mhz, pll), self.recording
        total = base + self.design_uj
        return {
            "uj_per_image": total,
            "base_uj": base,
            "clock_pins_uj": self.logic.clock * self.cycles * UJ,
            "transitions_uj": self.logic.transitions * self.cycles * UJ,
            "memories_uj": self.memories,
            "glitch_share": self.glitch_share,
            "batches": self.batches,
            "standard_error": standard_error(self.batches),
            "clock_mhz": clock_mhz,
            "pll": pll,
            "cycles_per_image": self.cycles,
            "power_mw": total / (self.cycles / clock_mhz) * 1e3,
            "source": SOURCE,
            "simulated_cycles": recording.activity.cycles,
            "compared": recording.compared,
            "mismatches": recording.mismatches,
            "synthesis": asdict(self.design.mapped.synthesis),
        }


def measure_up5k(
    program: Program,
    codes: np.ndarray,
    effort: Effort,
    *,
    spram: bool,
    activity: str,
    folder: Path,
    update: Update,
) -> Up5kEnergy:
    """Record and simulate batches of images, codes (images, channels, rows, columns), in `folder`.
    spram: weights are in single-port RAM."""
    mapped = up5k_accelerator(program)
    netlist = read_up5k(mapped.path)
    design = AcceleratorDesign(
        program=program, mapped=mapped, netlist=netlist, delays=find_delays(netlist)
    )
    windows = choose_windows(program, effort.batches, effort.images, effort.cycles)
    update(f"running the Verilog on {len(codes)} images", 0, 1)
    found = record_images(design, codes, windows, folder)
    recordings = list(simulate_batches(design, found, windows, activity, update))
    whole = joined(recordings)
    return Up5kEnergy(
        design=design,
        logic=logic_energy(netlist, whole.activity),
        zero_delay=logic_energy(netlist, whole.zero_delay),
        batches=[
            logic_energy(netlist, some.activity).pj * program.interval * UJ for some in recordings
        ],
        memories=_memories(found.accesses, len(codes), spram),
        recording=whole,
    )


def _memories(accesses: Sequence[Accesses], images: int, spram: bool) -> dict[str, float]:
    """µJ of an image, the largest first."""
    found = {}
    for some in accesses:
        memory = some.memory
        name = memory.name.split("$")[0].removesuffix(".memory")
        pj = access_pj(memory.words, memory.width, spram and name == WEIGHTS)
        words = some.reads + some.bits_written / memory.width
        found[name] = found.get(name, 0.0) + words / images * pj * UJ
    return dict(sorted(found.items(), key=lambda memory: -memory[1]))
