"""adderforge accelerator"""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..options import (
    FILE,
    accelerator_config,
    accelerator_options,
    as_json,
    left_out,
    show,
    with_data,
)

if TYPE_CHECKING:
    import numpy as np

    from golden.spec import QuantizedModel
    from hw.program import Program
    from sim.accelerator_check import Comparison
    from sim.accelerator_explain import Fault

    from ..progress import Stages

LINES_EVERY = 60  # seconds, off a terminal


@click.command()
@accelerator_options
@click.option("--images", default=0, show_default=True, help="how many to run on Verilator")
@click.option("--vectors", type=FILE, help="images from a file, in place of --data")
@with_data
@click.option("--processes", type=click.IntRange(min=1), help="that share the images; default 2")
@click.option(
    "--explain", is_flag=True, help="trace a first difference to its PE, term and cycle; waves"
)
@click.option("--verilog", type=FILE, help="run this file in place of the Verilog that is made")
@click.option("--out", type=FILE, help="run folder, new or empty; default runs/accelerator-…")
@as_json
def accelerator(
    model: Path,
    images: int,
    vectors: Path | None,
    data: str | None,
    data_dir: str | None,
    processes: int | None,
    explain: bool,
    verilog: Path | None,
    out: Path | None,
    as_json: bool,
    **options: object,
) -> None:
    """Make an accelerator that runs a whole network, from an image's codes to its class.

    The array is weight-stationary; arrays of adders run ordinary and binary layers, too, in
    several passes. Memories are as large as the network needs, unless sizes are given. Prints
    where everything lies in them, and an image's cycles; the run folder gets the Verilog, whose
    memories hold the program. With --images the Verilog runs on images back to back, and every
    class, every stored code and every cycle count is compared with the integer reference and the
    prediction; exit code 1 when one differs, and with --explain the first PE that was wrong, and
    all signals around that cycle for GTKWave.

    \b
    Example:  adderforge accelerator --model fixtures/lenet5-bn-digits-adder.npz \\
                  --rows 4 --cols 4 --lanes 4 --depth 400 \\
                  --vectors fixtures/digits-vectors.npz --images 4
              adderforge accelerator --model run/resnet20-cifar10-adder.npz \\
                  --rows 16 --cols 16 --depth 16384 --data cifar10 --images 20 --explain
    """
    from rich.console import Console

    from golden import model_file, reference
    from hw.accelerator_verilog import TOP, accelerator_verilog
    from hw.program import compile_model, memory_map

    from ..pictures import images_from
    from ..progress import Stages
    from ..runs import new_run_folder, write_json, write_text

    if not images:
        chosen = {"vectors": vectors, "data": data, "data_dir": data_dir, "processes": processes}
        left_out("where nothing is simulated; add --images", explain=explain, **chosen)
    network = model_file.load(model)
    program = compile_model(network, accelerator_config(options, network))
    codes = None
    if images:
        codes = reference.encode(network, images_from(network, vectors, data, data_dir, images))
    text = _design(verilog) if verilog else None
    folder = new_run_folder("accelerator", out)
    stages = Stages(
        1 + bool(images) + (bool(images) and explain), Console(stderr=True), every=LINES_EVERY
    )
    with stages.stage("verilog"):
        text = accelerator_verilog(program) if text is None else text
        write_text(folder / f"{TOP}.v", text)
    lines = [memory_map(program)]
    write_text(folder / "memory_map.txt", lines[0] + "\n")
    lines.append(
        f"{program.cycles:,} cycles from an image's first word to its class, {program.interval:,} "
        "from class to class"
    )
    figures = {"cycles": program.cycles, "interval": program.interval}
    passed = True
    if codes is not None:
        comparison = _simulated(network, program, codes, text, processes or 2, folder, stages)
        figures |= asdict(comparison)
        lines += comparison.lines
        passed = comparison.passed
        if explain and not passed:
            with stages.stage("explain"):
                fault, words = _explained(program, codes, comparison, text, folder / "traced")
            figures["fault"] = fault and asdict(fault)
            lines += words
    write_json(folder / "report.json", figures)
    show(figures, as_json, "\n".join(lines))
    click.echo(folder, err=as_json)
    if not passed:
        raise SystemExit(1)


def _design(path: Path) -> str:
    """The Verilog in a file of the user's."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        text = ""
    if "module" not in text:
        raise ValueError(f"{path}: must be Verilog text with a module; give the accelerator's file")
    return text


def _simulated(
    network: "QuantizedModel",
    program: "Program",
    codes: "np.ndarray",
    verilog: str,
    processes: int,
    folder: Path,
    stages: "Stages",
) -> "Comparison":
    from golden import fast
    from sim.accelerator_check import compare
    from sim.accelerator_run import run_images

    with stages.stage(f"simulate {len(codes):,} images") as update:
        run = run_images(program, codes, folder / "simulation", processes, update, verilog)
        return compare(network, codes, run, fast.accumulate, update)


def _explained(
    program: "Program",
    codes: "np.ndarray",
    comparison: "Comparison",
    verilog: str,
    folder: Path,
) -> tuple["Fault | None", list[str]]:
    """Of the first image that differs, in its first layer that does, or else the last: the first PE
    that was wrong, and lines for people. Leaves waves in the folder."""
    from sim.accelerator_explain import first_fault, write_cycle
    from sim.accelerator_waves import write_waves

    first = comparison.first
    layer = first.layer if first else program.layers[-1].name
    image = codes[first.image if first else comparison.image]
    fault = first_fault(program, image, layer, folder, verilog)
    if fault:
        cycle, pe, lines = fault.cycle, (fault.row, fault.column), [fault.summary]
    else:
        cycle, pe = first and write_cycle(program, image, first, folder, verilog), None
        written = f"; the code was written in cycle {cycle:,}" if cycle else ""
        lines = [f"no PE was wrong: what is lies behind them{written}"]
    if cycle:
        saved = write_waves(program, image, cycle, folder, verilog, pe)
        lines.append(f"waves around cycle {cycle:,}: gtkwave {saved}")
    return fault, lines
