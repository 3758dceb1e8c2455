"""adderforge energy --accelerator --board"""

import click

from ..energy_options import Measurement, Work, listed
from ..options import accelerator_config, left_out, made_for, show

_EXCESS = {
    "block_rams": ("does not fit", ""),
    "luts": ("may not fit", ", with products for which 'adderforge build' may take multipliers"),
}


def measure(work: Work, how: Measurement, options: dict[str, object]) -> int:
    """Measure, write, print; options: of the accelerator. Returns how many values were wrong."""
    from rich.console import Console

    from golden import model_file, reference
    from hw.link.weight_store import fits_spram
    from hw.program import compile_model
    from sim import events
    from sim.runner import check_simulator

    from ..contenders import Effort
    from ..exploration import effort as exploration
    from ..exploration.accelerators import block_rams_of
    from ..exploration.boards import accelerator_mhz, measured_board
    from ..progress import Stages
    from ..runs import new_run_folder, write_json
    from ..up5k_energy import measure_up5k

    board = measured_board(how.board)
    place = exploration.Effort(target=board.target, ultraplus=board.ultraplus)
    left_out("with --accelerator; it is of an array", layer=work.layer)
    _check(how)
    clock_mhz = accelerator_mhz(board, how.clock_mhz)
    network = model_file.load(work.model)
    config = made_for(board.target, accelerator_config(options, network))
    program = compile_model(network, config)
    codes = reference.encode(network, work.all_images(network))
    check_simulator("verilator")
    if how.activity == "gate-delay":
        events.prepare()
    folder = new_run_folder("energy", how.out)
    stages = Stages(1, Console(stderr=True), every=10.0)
    what = f"map {config.array.pe} accelerator to {board.device}, and simulate it"
    with stages.stage(what) as update:
        run = measure_up5k(
            program,
            codes,
            Effort(images=work.images, batches=work.batches, cycles=how.cycles),
            spram=fits_spram(program),
            activity=how.activity,
            folder=folder / "simulation",
            update=update,
        )
    figures = run.figures(clock_mhz, pll=clock_mhz != board.clock_mhz)
    figures["taken"] = taken = {
        "luts": (run.design.mapped.synthesis.luts, board.luts),
        "block_rams": (block_rams_of(program, place), board.block_rams),
    }
    write_json(folder / "energy.json", figures)
    show(figures, how.as_json, _text(figures, board.device))
    for name, (count, there) in taken.items():
        if count > there:
            does, but = _EXCESS[name]
            click.echo(
                f"warning: this accelerator {does} the {board.device}: {name} must be at most "
                f"{there}, but are {count}{but}; take fewer PEs, channels or bits",
                err=True,
            )
    click.echo(folder, err=how.as_json)
    return run.recording.mismatches


def _check(how: Measurement) -> None:
    """ValueError for options of cell libraries alone, and numbers out of range."""
    of_cells = {
        "liberty": how.liberty,
        "pdk": how.pdk,
        "multiplier": how.multiplier,
        "wire_load": how.wire_load,
        "wire_ff_per_fanout": how.wire_ff_per_fanout or None,
        "memory_pj_per_bit": how.memory_pj_per_bit,
        "from_activity": how.from_activity,
        "save_activity": how.save_activity,
    }
    left_out("with --board; it is of a cell library", **of_cells)
    how.check_numbers()


def _text(figures: dict, device: str) -> str:
    """The figures for people."""
    error, pll = figures["standard_error"], " from the PLL" if figures["pll"] else ""
    spread = "" if error is None else f" ± {error:.2g}"
    share = figures["glitch_share"]
    glitches = "" if share is None else f"; glitches are {share:.1%} of the transitions'"
    parts = {
        "at rest and for the clock": figures["base_uj"],
        "flip-flops' clock": figures["clock_pins_uj"],
        "transitions": figures["transitions_uj"],
        "memories": sum(figures["memories_uj"].values()),
    }
    synthesis = figures["synthesis"]
    lines = [
        f"energy            {figures['uj_per_image']:.4g}{spread} µJ per image of the core of an "
        f"{device}{glitches}",
        f"parts, µJ         {listed(parts)}",
        f"memories, µJ      {listed(figures['memories_uj'])}",
        f"mean power        {figures['power_mw']:.4g} mW at {figures['clock_mhz']:g} MHz{pll}, "
        f"{figures['cycles_per_image']:,} cycles an image",
        f"logic             {synthesis['luts']:,} LUTs, {synthesis['flip_flops']:,} flip-flops, "
        "without multiplier blocks and the serial link",
        f"simulated         {figures['simulated_cycles']:,} cycles; {figures['compared']:,} values "
        f"compared with the Verilog, {figures['mismatches']} wrong",
        f"by                {figures['source']}; memories by a model",
    ]
    return "\n".join(lines)
