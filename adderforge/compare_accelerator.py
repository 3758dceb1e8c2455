"""Whole accelerators of a comparison, as `adderforge energy --accelerator` measures them."""

import shutil
from pathlib import Path

from hw.delays import Surroundings
from hw.recording import save

from .accelerator_energy import map_accelerator, measure_accelerator
from .contenders import Contender, Effort, Flow
from .progress import Update

MAPPED = ("netlist.json", "cut.v", "synth.ys", "synth.log")
ACTIVITY = "activity.npz"
FILES = (*MAPPED, ACTIVITY)  # that the figures come from


def accelerator(
    one: Contender,
    multiplier: str,
    flow: Flow,
    folder: Path,
    effort: Effort,
    update: Update,
) -> dict:
    """`AcceleratorEnergy.figures` of the contender's program on its images. multiplier: of a MAC,
    which is that of the least energy. What they came from stays in the folder."""
    design = map_accelerator(
        one.program,
        flow.liberty,
        multiplier if one.config.pe == "mac" else None,
        Surroundings(),
        update,
        flow.clock_mhz,
    )
    folder.mkdir()
    for name in MAPPED:
        shutil.copy(design.mapped.path.parent / name, folder)
    run = measure_accelerator(
        design,
        one.codes,
        effort,
        clock_mhz=flow.energy_clock_mhz,
        activity="gate-delay",
        pj_per_bit=None,
        folder=folder / "simulation",
        update=update,
    )
    save(run.recording, design.netlist, folder / ACTIVITY)
    return run.figures()
