"""adderforge energy, of an array"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from ..energy_options import Measurement, Work, listed, path_line
from ..options import MEMORY_OPTIONS, array_for, left_out, show

if TYPE_CHECKING:
    from golden.spec import QuantizedModel
    from hw.config import ArrayConfig
    from sim.workload import MatrixForm

    from ..energy_run import Design, EnergyRun
    from ..progress import Stages


def measure(work: Work, how: Measurement, options: dict[str, object]) -> int:
    """Measure, write, print; options: of the array. Returns how many sums were wrong."""
    from rich.console import Console

    from golden import model_file
    from hw.choices import check
    from hw.recording import joined, save
    from sim import events
    from sim.gate_run import check_memory

    from ..energy_run import map_array, summarize
    from ..progress import Stages
    from ..runs import new_run_folder, write_json

    sizes = {name: options.pop(name) for name in MEMORY_OPTIONS}
    left_out("for an array; add --accelerator for it", **sizes)
    network = model_file.load(work.model)
    config, library = array_for(network, **options), how.library()
    around = how.surroundings(library)
    check_memory(config)
    check(config, "asic", how.multiplier, library, how.clock_mhz)
    batches = list(_batches(work, network, config))
    if how.activity == "gate-delay" and not how.from_activity:
        events.prepare()
    stages = Stages(2, Console(stderr=True), every=10.0)
    names = ", ".join(path.name for path in library)
    with stages.stage(f"map {config.pe} to {names}") as update, how.area_alone():
        arguments = (how.multiplier, around, update, how.clock_mhz)
        design = map_array(config, library, *arguments)
    runs = _runs(design, batches, how, stages)
    clock_mhz, pj_per_bit = how.energy_clock_mhz, how.memory_pj_per_bit
    run = summarize(design, runs, batches, work.images, clock_mhz, pj_per_bit)
    folder = new_run_folder("energy", how.out)
    figures = run.figures() | {"layers": [form.name for form in batches[0]]}
    write_json(folder / "energy.json", figures)
    if how.save_activity:
        recording = joined([run.recording for run in runs])
        save(recording, design.netlist, folder / "activity.npz")
    show(figures, how.as_json, _text(run))
    click.echo(folder, err=how.as_json)
    return run.mismatches


def _runs(design: "Design", batches: list, how: Measurement, stages: "Stages") -> list:
    from ..energy_run import price_file, run_energy

    clock_mhz = how.energy_clock_mhz
    if how.from_activity:
        with stages.stage(f"price {how.from_activity.name}"):
            return price_file(design, how.from_activity, clock_mhz)
    options = {"cycles": how.cycles, "clock_mhz": clock_mhz, "activity": how.activity}
    with stages.stage(f"simulate with {how.activity} activity") as update:
        return run_energy(design, batches, update=update, **options)


def _batches(
    work: Work, network: "QuantizedModel", config: "ArrayConfig"
) -> Iterator[Sequence["MatrixForm"]]:
    """Each batch's matrix forms; ValueError when the network has no such layer, there are too few
    images, or it does not fit the array."""
    from .arrays import forms_of

    layers = [layer.spec.name for layer in network.layers]
    if work.layer is not None and work.layer not in layers:
        raise ValueError(f"layer must be one of {', '.join(layers)}, not {work.layer!r}")
    images = work.all_images(network)
    for start in range(0, len(images), work.images):
        forms = forms_of(network, images[start : start + work.images], config)
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
        path_line(run.delays, run.synthesis, mhz),
        f"parts, pJ         {listed(energy.parts)}; ½CV² of them {energy.switching:.3g}",
        f"blocks, pJ        {listed(energy.blocks)}",
        f"memories, pJ      {run.memory.pj_per_op:.3g}, not in the above: "
        f"{run.memory.bits_per_op:.3g} bits at {run.memory.pj_per_bit:.3g} ({run.memory.source})",
        f"area              {run.synthesis.area_um2:,.0f} µm², {run.synthesis.library}",
        f"simulated         {energy.cycles:,} cycles, {energy.operations:,} operations; "
        f"{run.compared:,} sums compared, {run.mismatches} wrong",
    ]
    return "\n".join(lines)
