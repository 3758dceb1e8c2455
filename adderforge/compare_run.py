"""Runs a comparison stage by stage; see `adderforge.compare` for what each one measures."""

import shutil
from dataclasses import asdict
from pathlib import Path

from golden.data import Dataset
from hw.liberty import liberty_files
from hw.synth import SynthReport

from . import compare
from .compare_accelerator import accelerator
from .contenders import Contender, Effort, Flow
from .progress import Stages


def run_comparison(
    rivals: list[Contender],
    dataset: Dataset,
    flow: Flow,
    effort: Effort,
    folder: Path,
    stages: Stages,
) -> dict:
    """Measure every contender, and arrays as large as the MAC's; returns all of it, for JSON. Each
    contender's syntheses stay in `folder/<pe>`, the cell library's files in `folder`."""
    libraries = liberty_files(flow.liberty)
    for path in libraries:
        shutil.copy(path, folder / path.name)
    twins, areas = {}, {}
    for one in rivals:
        pe = one.config.pe
        place = folder / pe
        with stages.stage(f"classify with {one.model.name}") as update:
            share = compare.accuracy(one.model, dataset, update)
        with stages.stage(f"synthesize {pe}") as update:
            reports, routes = compare.sizes(one, flow, place, update)
        with stages.stage(f"energy of {pe}") as update:
            measured = compare.energies(one, reports["asic"], flow, place, effort, update)
        twins[pe] = compare.figures(one, share, reports, routes, measured, flow)
        if one.program:
            best, within = measured.design.synthesis.multiplier, place / "accelerator"
            with stages.stage(f"whole accelerator of {pe}") as update:
                twins[pe]["accelerator"] = accelerator(one, best, flow, within, effort, update)
        areas[pe] = reports["asic"]
    equal_area = {}
    with stages.stage("arrays of the MAC's area") as update:
        for one in rivals:
            pe = one.config.pe
            update(pe, len(equal_area), len(rivals))
            equal_area[pe] = _at_area(one, areas, flow, folder / pe)
    options = {
        "data": dataset.name,
        "liberty": [path.name for path in libraries],
        "clock_mhz": flow.clock_mhz,
        "fpgas": list(flow.fpgas),
        "seeds": flow.seeds,
        "effort": asdict(effort),
    }
    return compare.summary(twins, equal_area, options)


def _at_area(one: Contender, areas: dict[str, SynthReport], flow: Flow, folder: Path) -> dict:
    """What the contender does with the area of the MAC array."""
    own = areas[one.config.pe]
    config, report = one.config, own
    if one.config.pe != "mac":
        config, report = compare.grown(one, own, areas["mac"].area_um2, flow, folder)
    return {
        "cols": config.cols,
        "area_um2": report.area_um2,
        "cycles": compare.image_cycles(one, config),
    }
