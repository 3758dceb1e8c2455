"""adderforge energy --accelerator"""

from typing import TYPE_CHECKING

import click

from ..energy_options import Measurement, Work, listed, path_line
from ..options import accelerator_config, left_out, show

if TYPE_CHECKING:
    from ..accelerator_energy import AcceleratorEnergy


def measure(work: Work, how: Measurement, options: dict[str, object]) -> int:
    """Measure, write, print; options: of the accelerator. Returns how many values were wrong."""
    from rich.console import Console

    from golden import model_file, reference
    from hw.program import compile_model
    from sim import events
    from sim.runner import check_simulator

    from ..accelerator_energy import map_accelerator, measure_accelerator
    from ..contenders import Effort
    from ..energy_chart import draw_chart
    from ..progress import Stages
    from ..runs import new_run_folder, write_json

    _check(work, how)
    library = how.library()
    around = how.surroundings(library)
    network = model_file.load(work.model)
    program = compile_model(network, accelerator_config(options, network))
    codes = reference.encode(network, work.all_images(network))
    check_simulator("verilator")
    if how.activity == "gate-delay":
        events.prepare()
    stages = Stages(2, Console(stderr=True), every=10.0)
    names = ", ".join(path.name for path in library)
    what = f"map {program.config.array.pe} accelerator to {names}"
    with stages.stage(what) as update, how.area_alone():
        arguments = (how.multiplier, around, update, how.clock_mhz)
        design = map_accelerator(program, library, *arguments)
    folder = new_run_folder("energy", how.out)
    with stages.stage(f"simulate with {how.activity} activity") as update:
        run = measure_accelerator(
            design,
            codes,
            Effort(images=work.images, batches=work.batches, cycles=how.cycles),
            clock_mhz=how.energy_clock_mhz,
            activity=how.activity,
            pj_per_bit=how.memory_pj_per_bit,
            folder=folder / "simulation",
            update=update,
        )
    write_json(folder / "energy.json", run.figures())
    draw_chart(run, folder / "energy.png")
    show(run.figures(), how.as_json, _text(run))
    click.echo(folder, err=how.as_json)
    return run.recording.mismatches


def _check(work: Work, how: Measurement) -> None:
    """ValueError for options of arrays alone."""
    of_arrays = {
        "layer": work.layer,
        "from_activity": how.from_activity,
        "save_activity": how.save_activity,
    }
    left_out("with --accelerator; it is of an array", **of_arrays)


def _text(run: "AcceleratorEnergy") -> str:
    """The figures for people."""
    from ..energy_run import standard_error

    energy, program, synthesis = run.energy, run.design.program, run.design.mapped.synthesis
    error, mhz = standard_error(run.batches), run.clock_mhz
    spread = "" if error is None else f" ± {run.uj(error):.2g}"
    over = f"; standard error over {len(run.batches)} batches" if spread else ""
    glitches = (
        "" if energy.glitch_share is None else f"; glitches are {energy.glitch_share:.1%} of logic"
    )
    memory_uj = sum(memory.uj for memory in run.memories)
    lines = [
        f"energy            {run.uj(energy.pj_per_op):.4g}{spread} µJ per image, "
        f"{energy.pj_per_op:.4g} pJ per operation of {run.operations:,} ({energy.activity}{over})",
        f"without delays    {run.uj(run.zero_delay.pj_per_op):.4g} µJ per image{glitches}",
        f"blocks, µJ        {listed({name: run.uj(pj) for name, pj in energy.blocks.items()})}",
        f"parts, µJ         {listed({n: p and run.uj(p) for n, p in energy.parts.items()})}; "
        f"½CV² of them {run.uj(energy.switching):.3g}",
        f"memories          {memory_uj:.4g} µJ per image ({run.source})",
        *(
            f"  {memory.name:28} {memory.words:6,} × {memory.width:4} bits {memory.reads:9,.0f} "
            f"reads {memory.bits_written / memory.width:9,.0f} writes {memory.uj:8.3g} µJ"
            for memory in sorted(run.memories, key=lambda memory: -memory.uj)
        ),
        f"  reading only at new addresses would take "
        f"{sum(memory.fresh_uj for memory in run.memories):.4g} µJ",
        f"mean power        {energy.power_mw(mhz):.4g} mW at {mhz:g} MHz, "
        f"{program.interval:,} cycles an image",
        path_line(run.design.delays, synthesis, mhz),
        f"area              {synthesis.area_um2:,.0f} µm² without memories, {synthesis.library}: "
        + ", ".join(f"{name} {area:,.0f}" for name, area in run.areas_um2.items()),
        f"simulated         {energy.cycles:,} cycles; {run.recording.compared:,} values compared "
        f"with the Verilog, {run.recording.mismatches} wrong",
    ]
    return "\n".join(lines)
