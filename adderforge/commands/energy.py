"""adderforge energy"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..options import (
    FILE,
    array_config,
    array_options,
    as_json,
    cell_library,
    library_options,
    show,
    with_data,
)

if TYPE_CHECKING:
    from hw.config import ArrayConfig
    from sim.workload import MatrixForm

    from ..energy_run import EnergyRun


@dataclass(frozen=True, kw_only=True)
class Work:
    """Which operands: of `batches` times `images` images, the layer of that name or all."""

    model: Path
    layer: str | None
    vectors: Path | None
    data: str
    data_dir: str | None
    images: int
    batches: int


@click.command()
@array_options
@click.option("--model", type=FILE, required=True, help="quantized network (.npz)")
@click.option("--layer", help="name of the layer; default: all layers")
@click.option("--vectors", type=FILE, help="images from a file, in place of --data")
@with_data
@click.option("--images", default=2, show_default=True, help="images of a batch")
@click.option("--batches", default=4, show_default=True, help="batches, for the error bars")
@click.option("--cycles", default=4000, show_default=True, help="to count, all batches together")
@click.option("--clock-mhz", default=100.0, show_default=True, help="for leakage and power")
@click.option(
    "--activity", default="gate-delay", show_default=True, help="gate-delay or zero-delay"
)
@click.option("--from-activity", type=FILE, help="price a saved activity, without simulation")
@click.option("--save-activity", is_flag=True, help="also write activity.npz, for --from-activity")
@library_options
@click.option("--multiplier", help="for mac: booth-tree, rows, …; default: the smallest of all")
@click.option("--wire-load", help="one of the library's wire models, by name; default: no wires")
@click.option("--wire-ff-per-fanout", default=0.0, help="wire of a net for each pin it drives, fF")
@click.option("--memory-pj-per-bit", type=float, help="of the memories outside the array")
@click.option("--out", type=FILE, help="run folder, new or empty; default runs/energy-…")
@as_json
def energy(
    activity: str,
    from_activity: Path | None,
    save_activity: bool,
    cycles: int,
    clock_mhz: float,
    liberty: tuple[Path, ...],
    pdk: str | None,
    multiplier: str | None,
    wire_load: str | None,
    wire_ff_per_fanout: float,
    memory_pj_per_bit: float | None,
    out: Path | None,
    as_json: bool,
    **options: object,
) -> None:
    """Measure the energy of an array on a network's own activations.

    The netlist mapped to the cell library is simulated with the library's gate delays, and its
    transitions are priced by the library's power tables at their slews and loads. Sums are compared
    with the integer reference. Glitch share: what a simulation without delays would miss. Figures
    are before placement: no clock tree, and no wires unless asked for.

    \b
    Example:  adderforge energy --model fixtures/lenet5-bn-digits-adder.npz --layer conv2 \\
                  --vectors fixtures/digits-vectors.npz --rows 4 --cols 4
              adderforge energy --config my.toml --model run/adder.npz --data mnist --json
    """
    from rich.console import Console

    from hw.delays import Surroundings, check_surroundings
    from hw.liberty import read_library
    from hw.recording import joined, save
    from hw.synth import check
    from sim import events
    from sim.gate_run import check_activity, check_memory

    from ..energy_run import NoPowerTables, map_array, price_file, run_energy, summarize
    from ..progress import Stages
    from ..runs import new_run_folder, write_json

    names = Work.__dataclass_fields__
    work = Work(**{name: options.pop(name) for name in names})
    config = array_config(**options)
    library = cell_library(liberty, pdk)
    for name, number in (("cycles", cycles), ("clock_mhz", clock_mhz)):
        if not number > 0:
            raise ValueError(f"{name} must be positive, not {number}")
    check_activity(activity)
    check_memory(config)
    check(config, "asic", multiplier, library)
    around = Surroundings(wire_load=wire_load, wire_pf_per_fanout=wire_ff_per_fanout / 1000)
    check_surroundings(around, read_library(library))
    batches = list(_batches(work, config))
    if activity == "gate-delay" and not from_activity:
        events.prepare()
    stages = Stages(2, Console(stderr=True), every=10.0)
    with stages.stage(f"map {config.pe} to {', '.join(path.name for path in library)}") as update:
        try:
            design = map_array(config, library, multiplier, around, update)
        except NoPowerTables as error:
            area = error.synthesis.area_um2
            show(
                {"area_um2": area, "pj_per_op": None}, as_json, f"area              {area:,.0f} µm²"
            )
            raise
    if from_activity:
        with stages.stage(f"price {from_activity.name}"):
            runs = price_file(design, from_activity, clock_mhz)
    else:
        options = {"cycles": cycles, "clock_mhz": clock_mhz, "activity": activity}
        with stages.stage(f"simulate with {activity} activity") as update:
            runs = run_energy(design, batches, update=update, **options)
    run = summarize(design, runs, batches, work.images, clock_mhz, memory_pj_per_bit)
    folder = new_run_folder("energy", out)
    figures = run.figures() | {"layers": [form.name for form in batches[0]]}
    write_json(folder / "energy.json", figures)
    if save_activity:
        recording = joined([run.recording for run in runs])
        save(recording, design.netlist, folder / "activity.npz")
    show(figures, as_json, _text(run))
    click.echo(folder, err=as_json)
    if run.mismatches:
        raise SystemExit(1)


def _batches(work: Work, config: "ArrayConfig") -> Iterator[Sequence["MatrixForm"]]:
    """Each batch's matrix forms; ValueError when the network has no such layer, there are too few
    images, or it does not fit the array."""
    from golden import model_file

    from .arrays import _forms_of, images_from

    for name in ("images", "batches"):
        if (number := getattr(work, name)) < 1:
            raise ValueError(f"{name} must be at least 1, not {number}")
    layers = [layer.spec.name for layer in model_file.load(work.model).layers]
    if work.layer is not None and work.layer not in layers:
        raise ValueError(f"layer must be one of {', '.join(layers)}, not {work.layer!r}")
    wanted = work.images * work.batches
    images = images_from(work.vectors, work.data, work.data_dir, wanted)
    if len(images) < wanted:
        raise ValueError(
            f"{work.batches} batches of {work.images} images need {wanted}, but there are "
            f"{len(images)}; give fewer"
        )
    for start in range(0, wanted, work.images):
        forms = _forms_of(work.model, images[start : start + work.images], config)
        yield [form for form in forms if work.layer in (None, form.name)]


def _text(run: "EnergyRun") -> str:
    """The figures for people."""
    energy, mhz = run.energy, run.clock_mhz
    error = "" if run.standard_error is None else f" ± {run.standard_error:.3g}"
    lines = [
        f"energy            {energy.pj_per_op:.4g}{error} pJ per operation ({energy.activity}; "
        f"standard error over {len(run.batches)} batches)",
        f"without delays    {run.zero_delay.pj_per_op:.4g} pJ per operation"
        + (f"; glitches are {energy.glitch_share:.1%}" if energy.glitch_share is not None else ""),
        f"per inference     {energy.pj_per_op * run.per_inference / 1e6:.4g} µJ, "
        f"{run.per_inference:,} operations",
        f"mean power        {energy.power_mw(mhz):.4g} mW at {mhz:g} MHz",
        f"longest path      {run.path_ns:.3g} ns" + _too_fast(run),
        f"parts, pJ         {_listed(energy.parts)}; ½CV² of them {energy.switching:.3g}",
        f"blocks, pJ        {_listed(energy.blocks)}",
        f"memories, pJ      {run.memory.pj_per_op:.3g}, not in the above: "
        f"{run.memory.bits_per_op:.3g} bits at {run.memory.pj_per_bit:.3g} ({run.memory.source})",
        f"area              {run.synthesis.area_um2:,.0f} µm², {run.synthesis.library}",
        f"simulated         {energy.cycles:,} cycles, {energy.operations:,} operations; "
        f"{run.compared:,} sums compared, {run.mismatches} wrong",
    ]
    return "\n".join(lines)


def _too_fast(run: "EnergyRun") -> str:
    period = 1000 / run.clock_mhz
    return f": longer than the clock's period of {period:.3g} ns" if run.path_ns > period else ""


def _listed(parts: dict[str, float | None]) -> str:
    figures = {name: "unknown" if x is None else f"{x:.3g}" for name, x in parts.items()}
    return ", ".join(f"{name.replace('_', ' ')} {figure}" for name, figure in figures.items())
