"""What a comparison measures of each contender. Every figure is measured here, and what it came
from stays in the run folder."""

from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from statistics import stdev

import numpy as np

from golden import fast
from golden.data import Dataset
from golden.spec import QuantizedModel
from hw.best import synthesize_best
from hw.choices import TREES
from hw.config import ArrayConfig
from hw.delays import find_delays
from hw.energy import EnergyReport, beside, total
from hw.liberty import read_library
from hw.mapping import on_fabric
from hw.memory import memory_energy
from hw.netlist import read_netlist
from hw.recording import joined, save
from hw.route import ROUTED, route
from hw.schedule import cycles
from hw.synth import SynthReport, synthesize
from hw.tools import ToolError, tool_versions
from hw.verilog import config_hash
from sim.gate_run import GateRun

from .contenders import Contender, Effort, Flow
from .energy_run import Design, run_energy
from .progress import Update

BATCH = 200  # images classified at a time


def accuracy(model: QuantizedModel, dataset: Dataset, update: Update) -> dict:
    """Share of the test images that the integers classify right, and how many there are."""
    count, right = len(dataset.test_images), 0
    for start in range(0, count, BATCH):
        batch = slice(start, start + BATCH)
        classes = fast.classify(model, dataset.test_images[batch])
        right += int(np.sum(classes == dataset.test_labels[batch]))
        update(model.name, min(start + BATCH, count), count)
    return {"share": right / count, "right": right, "images": count}


def sizes(
    one: Contender, flow: Flow, folder: Path, update: Update
) -> tuple[dict[str, SynthReport], dict[str, dict]]:
    """Synthesis for each target, each in a folder of its name; on FPGAs PEs are made by hand where
    that is known. A MAC has the smallest multiplier made of logic, and on FPGAs one made of DSP
    blocks beside it, `<target>-dsp`. And what routing gave, by the same names: `RouteReport`'s
    keys, or "error" alone where the array does not fit."""
    made = {"asic": one.config} | {target: on_fabric(one.config, target) for target in flow.fpgas}
    reports, routes = {}, {}
    for target, config in made.items():
        place, clock_mhz = folder / target, flow.clock_mhz if target == "asic" else None
        reports[target] = synthesize_best(
            config, target, place, flow.liberty, clock_mhz, progress=update
        )
        if one.config.pe == "mac" and target != "asic":
            name = f"{target}-dsp"
            reports[name] = synthesize(one.config, target, folder / name, "dsp")
    for name, report in reports.items():
        if flow.seeds and report.target in ROUTED:
            update(f"route on {name}", 0, 1)
            config = made.get(name, one.config)
            routes[name] = _routed(config, report, folder / f"{name}-route", flow.seeds)
    return reports, routes


def _routed(config: ArrayConfig, report: SynthReport, folder: Path, seeds: int) -> dict:
    try:
        routed = route(
            config, report.target, folder, range(1, seeds + 1), multiplier=report.multiplier
        )
    except ToolError as error:
        return {"error": str(error)}
    return asdict(routed)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A netlist, in the folder `place` of the contender's own, and its run on each batch."""

    design: Design
    place: str
    runs: tuple[GateRun, ...]

    @property
    def zero_delay(self) -> EnergyReport:
        return total([run.zero_delay for run in self.runs])

    @property
    def energy(self) -> EnergyReport:
        return beside(total([run.energy for run in self.runs]), self.zero_delay)


def energies(
    one: Contender,
    smallest: SynthReport,
    flow: Flow,
    folder: Path,
    effort: Effort,
    update: Update,
) -> Measured:
    """The contender's netlist with gate delays on each batch: that which `sizes` left or, of a
    MAC, that of the tree of least energy, which need not be the smallest. With a clock rate those
    that meet it come first. Its activity is saved beside it, in activity.npz."""
    names = dict.fromkeys((smallest.multiplier, *(TREES if one.config.pe == "mac" else ())))
    library, tried = read_library(flow.liberty), []
    for name in names:
        place, report = "asic", smallest
        if name != smallest.multiplier:
            place = f"asic-{name}"
            arguments = (one.config, "asic", folder / place, flow.liberty, flow.clock_mhz)
            report = synthesize_best(*arguments, multiplier=name, progress=update)
        netlist = read_netlist(folder / place / "netlist.json", library)
        delays = find_delays(netlist)
        design = Design(config=one.config, synthesis=report, netlist=netlist, delays=delays)
        runs = run_energy(
            design,
            one.batches,
            cycles=effort.cycles,
            clock_mhz=flow.energy_clock_mhz,
            activity="gate-delay",
            update=update,
        )
        tried.append(Measured(design=design, place=place, runs=tuple(runs)))
    best = min(
        tried, key=lambda found: (found.design.synthesis.clock_met is False, found.energy.pj_per_op)
    )
    recording = joined([run.recording for run in best.runs])
    save(recording, best.design.netlist, folder / best.place / "activity.npz")
    return best


def image_cycles(one: Contender, config: ArrayConfig | None = None) -> int:
    """Cycles that an array takes for the contender's layers of one image, one by one."""
    specs = [layer.spec for layer in one.model.layers if layer.spec.name in one.layers]
    return sum(cycles(spec.matrix_shape(), config or one.config) for spec in specs)


def grown(
    one: Contender, own: SynthReport, area_um2: float, flow: Flow, folder: Path
) -> tuple[ArrayConfig, SynthReport]:
    """The contender's array with as many columns as fit into the area, and its synthesis, in a
    folder of its number of columns. ValueError when not even one fits."""

    @cache
    def with_columns(cols: int) -> SynthReport:
        return synthesize(
            _columns(one.config, cols),
            "asic",
            folder / f"{cols}-columns",
            own.multiplier,
            flow.liberty,
            own.style,
            flow.clock_mhz,
        )

    areas = {0: 0.0, one.config.cols: own.area_um2}
    guess = int(one.config.cols * area_um2 / own.area_um2)
    while True:
        fit = max(cols for cols, area in areas.items() if area <= area_um2)
        over = min((cols for cols, area in areas.items() if area > area_um2), default=None)
        if over == fit + 1:
            break
        if over is not None:
            share = (area_um2 - areas[fit]) / (areas[over] - areas[fit])
            guess = min(fit + int(share * (over - fit)), over - 1)
        guess = max(guess, fit + 1)
        areas[guess] = with_columns(guess).area_um2
    if fit == 0:
        raise ValueError(f"no column of {one.config.pe} PEs fits into {area_um2:.0f} µm²")
    return _columns(one.config, fit), with_columns(fit)


def _columns(config: ArrayConfig, cols: int) -> ArrayConfig:
    return ArrayConfig(**config.model_dump() | {"cols": cols})


def figures(
    one: Contender,
    share: dict,
    reports: dict[str, SynthReport],
    routes: dict[str, dict],
    measured: Measured,
    flow: Flow,
) -> dict:
    """All that is known of a contender's array, for JSON. Energies are those of all batches."""
    runs, shapes = measured.runs, [form.shape for batch in one.batches for form in batch]
    per_op, energy = [run.energy.pj_per_op for run in runs], measured.energy
    operations = sum(
        layer.spec.reduction * layer.spec.out_channels * int(np.prod(layer.spec.map_shape))
        for layer in one.model.layers
        if layer.spec.name in one.layers
    )
    path_ns, count = reports["asic"].longest_path_ns, image_cycles(one)
    return {
        "network": one.model.name,
        "array": one.config.model_dump() | {"acc_width": one.config.acc_width},
        "configuration_hash": config_hash(one.config),
        "layers": list(one.layers),
        "other_layers": [
            layer.spec.name for layer in one.model.layers if layer.spec.name not in one.layers
        ],
        "accuracy": share,
        "synthesis": {target: asdict(report) for target, report in reports.items()},
        "routes": routes,
        "longest_path_ns": path_ns,
        "memory": asdict(memory_energy(shapes, one.config)),
        "energy": asdict(energy)
        | {
            "blocks": energy.blocks,
            "multiplier": measured.design.synthesis.multiplier,
            "clock_met": measured.design.synthesis.clock_met,
            "place": measured.place,
            "spread_pj": stdev(per_op) if len(per_op) > 1 else None,
            "zero_delay_pj": measured.zero_delay.pj_per_op,
            "clock_mhz": flow.energy_clock_mhz,
        },
        "netlist_check": {
            "compared": sum(run.compared for run in runs),
            "mismatches": sum(run.mismatches for run in runs),
        },
        "inference": {
            "operations": operations,
            "cycles": count,
            "pj": energy.pj_per_op * operations,
            "us_at_longest_path": count * path_ns * 1e-3,
            "us_at_energy_clock": count / flow.energy_clock_mhz,
        },
    }


def wrong_values(report: dict) -> int:
    """How many of the values that were compared with the references were wrong."""
    twins = report["twins"].values()
    wholes = [twin["accelerator"]["mismatches"] for twin in twins if "accelerator" in twin]
    return sum(twin["netlist_check"]["mismatches"] for twin in twins) + sum(wholes)


def summary(twins: dict[str, dict], equal_area: dict, options: dict) -> dict:
    """The whole comparison, for JSON."""
    return {
        "options": options,
        "tools": tool_versions(),
        "twins": twins,
        "equal_area": equal_area,
    }
