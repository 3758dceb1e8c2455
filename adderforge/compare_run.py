"""Runs a comparison stage by stage; see `adderforge.compare` for what each one measures."""

import shutil
from dataclasses import asdict
from pathlib import Path

from golden.data import Dataset
from hw.synth import SynthReport

from . import compare
from .compare import Contender, Effort
from .progress import Stages


def run_comparison(
    rivals: list[Contender],
    dataset: Dataset,
    liberty: Path,
    effort: Effort,
    folder: Path,
    stages: Stages,
) -> dict:
    """Measure every contender, and arrays as large as the MAC's; returns all of it, for JSON. Each
    contender's syntheses stay in `folder/<pe>`, the cell library in `folder`."""
    shutil.copy(liberty, folder / liberty.name)
    twins, areas = {}, {}
    for one in rivals:
        pe = one.config.pe
        place = folder / pe
        with stages.stage(f"classify with {one.model.name}") as update:
            share = compare.accuracy(one.model, dataset, update)
        with stages.stage(f"synthesize {pe}"):
            reports = compare.sizes(one, liberty, place)
        with stages.stage(f"energy of {pe}") as update:
            measured = compare.energies(one, reports["asic"], liberty, place, effort, update)
        twins[pe] = compare.figures(one, share, reports, measured)
        areas[pe] = reports["asic"]
    with stages.stage("arrays of the MAC's area"):
        equal_area = {
            one.config.pe: _at_area(one, areas, liberty, folder / one.config.pe) for one in rivals
        }
    options = {"data": dataset.name, "liberty": liberty.name, "effort": asdict(effort)}
    return compare.summary(twins, equal_area, options)


def _at_area(one: Contender, areas: dict[str, SynthReport], liberty: Path, folder: Path) -> dict:
    """What the contender does with the area of the MAC array."""
    own = areas[one.config.pe]
    config, report = one.config, own
    if one.config.pe != "mac":
        config, report = compare.grown(one, own, areas["mac"].area_um2, liberty, folder)
    return {
        "cols": config.cols,
        "area_um2": report.area_um2,
        "cycles": compare.image_cycles(one, config),
    }
