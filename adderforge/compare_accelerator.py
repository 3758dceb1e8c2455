"""Whole accelerators of a comparison, as `adderforge energy --accelerator` measures them."""

import shutil
from pathlib import Path

from hw.delays import Surroundings

from .accelerator_energy import map_accelerator, measure_accelerator
from .contenders import Contender, Effort, Flow
from .progress import Update

FILES = ("netlist.json", "cut.v", "synth.ys", "synth.log", "report.json")


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
    for name in FILES:
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
    return run.figures()
