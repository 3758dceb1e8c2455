"""adderforge build"""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..options import FILE, accelerator_config, accelerator_options, as_json, show

if TYPE_CHECKING:
    from hw.accelerator_config import AcceleratorConfig
    from hw.boards import BoardReport

BOARDS = "icebreaker, ulx3s-85f, tang-nano-9k, tang-primer-20k, arty-a7-35 or arty-a7-100"


@click.command()
@accelerator_options
@click.option("--board", required=True, help=BOARDS)
@click.option("--baud", default=1_000_000, show_default=True, help="of the serial line")
@click.option("--clock-mhz", type=float, help="of the accelerator; default the board's")
@click.option("--seeds", default=1, show_default=True, help="how often to place and route")
@click.option("--out", type=FILE, help="run folder, new or empty; default runs/build-…")
@as_json
def build(
    model: Path,
    board: str,
    baud: int,
    clock_mhz: float | None,
    seeds: int,
    out: Path | None,
    as_json: bool,
    **options: object,
) -> None:
    """Build a bitstream: a whole network on a board, behind its USB serial port.

    Synthesizes, places, routes and packs with tools from PyPI; prints what is used of the device,
    and the clock rate it could have beside the board's. For an Arty A7 it writes Verilog, pins and
    a script for Vivado, which makes the bitstream, and estimates what is used. PEs are made of the
    device's carry cells. `adderforge run` then classifies images. Needs the extra `board`.

    \b
    Example:  adderforge build --board ulx3s-85f --model fixtures/lenet5-bn-digits-adder.npz \\
                  --rows 4 --cols 4 --lanes 4 --depth 400
    """
    from rich.console import Console

    from golden import model_file
    from hw.boards import build_board, check_board
    from hw.program import compile_model

    from ..progress import Stages
    from ..runs import new_run_folder, write_json

    tried = tuple(range(1, seeds + 1))
    target = check_board(board, tried, baud, clock_mhz).kind.target
    network = model_file.load(model)
    program = compile_model(network, _made_for(target, accelerator_config(options, network)))
    folder = new_run_folder("build", out)
    with Stages(1, Console(stderr=True)).stage(f"build for {board}") as update:

        def progress(done: int, count: int) -> None:
            update("steps", done, count)

        report = build_board(program, board, folder, tried, baud, clock_mhz, progress)
    figures = report.to_json()
    write_json(folder / "report.json", figures)
    show(figures, as_json, _text(report))
    click.echo(folder / (report.bitstream or report.script), err=as_json)


def _made_for(target: str, config: "AcceleratorConfig") -> "AcceleratorConfig":
    """With PEs of the fabric's cells, unless the configuration names a fabric."""
    if config.array.target != "generic":
        return config
    return replace(config, array=config.array.model_copy(update={"target": target}))


def _text(report: "BoardReport") -> str:
    lines = [_rates(report)]
    if report.estimated:
        lines.append("resources are estimates of Yosys, without place and route:")
    for name, (used, most) in report.resources.items():
        mark = "  <- binds" if name == report.binding else ""
        lines.append(f"{name:16} {used:8,} of {most:8,}  {used / most:6.1%}{mark}")
    lines.append(
        f"{report.cycles:,} cycles an image: {report.images_per_second:,.0f} images a second at "
        f"{report.clock_mhz:g} MHz; the serial line brings {report.line_images_per_second:,.1f}"
    )
    if report.at_fmax:
        lines.append(f"{report.at_fmax:,.0f} images a second at the routed clock rate")
    if report.script:
        lines.append(
            "Vivado was not run, so there is no bitstream yet, and nothing shows that the clock "
            "rate is met; in the folder: vivado -mode batch -source " + report.script
        )
    return "\n".join(lines)


def _rates(report: "BoardReport") -> str:
    clock = f"the accelerator's clock is {report.clock_mhz:g} MHz"
    if report.fmax_mhz:
        return f"routed at {', '.join(f'{rate:g}' for rate in report.fmax_mhz)} MHz; {clock}"
    if report.script:
        return f"not routed; {clock}"
    return f"routed; nextpnr does not know all delays here, so no clock rate is known; {clock}"
