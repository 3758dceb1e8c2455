"""adderforge build"""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..options import (
    FILE,
    accelerator_config,
    accelerator_options,
    as_json,
    left_out,
    made_for,
    show,
    with_data,
)

if TYPE_CHECKING:
    import numpy as np

    from golden.spec import QuantizedModel
    from hw.boards import BoardReport
    from hw.boards.plan import Plan
    from sim.routed import RoutedCheck

BOARDS = "icebreaker, ulx3s-85f, tang-nano-9k, tang-primer-20k, arty-a7-35 or arty-a7-100"


@click.command()
@accelerator_options
@click.option("--board", required=True, help=BOARDS)
@click.option("--baud", default=1_000_000, show_default=True, help="of the serial line")
@click.option("--clock-mhz", type=float, help="of the accelerator; default the board's")
@click.option("--seeds", type=click.IntRange(min=1), help="how often to place and route; default 1")
@click.option("--check", is_flag=True, help="simulate the routed netlist on one image")
@click.option("--vectors", type=FILE, help="for --check: its first image, in place of --data")
@with_data
@click.option("--out", type=FILE, help="run folder, new or empty; default runs/build-…")
@as_json
def build(
    model: Path,
    board: str,
    baud: int,
    clock_mhz: float | None,
    seeds: int | None,
    check: bool,
    vectors: Path | None,
    data: str | None,
    data_dir: str | None,
    out: Path | None,
    as_json: bool,
    **options: object,
) -> None:
    """Build a bitstream: a whole network on a board, behind its USB serial port.

    Synthesizes, places, routes and packs with tools from PyPI; prints what is used of the device,
    and the clock rate it could have beside the board's. For an Arty A7 it writes Verilog, pins and
    a script for Vivado, which makes the bitstream, and estimates what is used. PEs are made of the
    device's carry cells. `adderforge run` then classifies images. Needs the extra `board`.

    --check sends an image through the serial pins of the netlist that was placed and routed, and
    fails when the answer is not that of the design's Verilog and of the integer reference. Of an
    iCEBreaker and a ULX3S; needs the extra `sim`.

    \b
    Example:  adderforge build --board ulx3s-85f --model fixtures/lenet5-bn-digits-adder.npz \\
                  --rows 4 --cols 4 --lanes 4 --depth 400
    """
    from rich.console import Console

    from golden import model_file
    from hw.boards import build_board, check_board
    from hw.program import compile_model
    from hw.tools import ToolError

    from ..progress import Stages
    from ..runs import new_run_folder, write_json

    tried = tuple(range(1, (seeds or 1) + 1))
    plan = check_board(board, tried, baud, clock_mhz)
    if plan.kind.toolchain is None:
        left_out(f"for {board}, which Vivado places", seeds=seeds)
    if not check:
        left_out("without --check", vectors=vectors, data=data, data_dir=data_dir)
    network = model_file.load(model)
    config = made_for(plan.kind.target, accelerator_config(options, network))
    program = compile_model(network, config)
    image = _checkable(plan, network, vectors, data, data_dir) if check else None
    folder = new_run_folder("build", out)
    stages = Stages(1 + check, Console(stderr=True), every=60.0)
    with stages.stage(f"build for {board}") as update:
        report = build_board(program, board, folder, tried, baud, clock_mhz, update)
    checked = None
    if check:
        from sim.routed import check_routed

        with stages.stage("check of the routed netlist"):
            checked = check_routed(plan, program, network, image, folder, report.best_seed)
    figures = report.to_json() | {"check": checked.to_json() if checked else None}
    write_json(folder / "report.json", figures)
    show(figures, as_json, _text(report, checked))
    click.echo(folder / (report.bitstream or report.script), err=as_json)
    if checked and not checked.passed:
        raise ToolError(f"{checked.line}; see {folder / 'check'}")


def _checkable(
    plan: "Plan",
    network: "QuantizedModel",
    vectors: Path | None,
    data: str | None,
    data_dir: str | None,
) -> "np.ndarray":
    """The image for --check. ValueError when the board's netlist cannot be simulated, or the image
    is not the network's."""
    from sim.routed import FABRICS
    from sim.runner import check_simulator

    from ..pictures import images_from

    if plan.kind.target not in FABRICS:
        raise ValueError(f"--check must be of a board on {' or '.join(FABRICS)}, not {plan.board}")
    check_simulator("verilator")
    return images_from(network, vectors, data, data_dir, 1)[0]


def _text(report: "BoardReport", checked: "RoutedCheck | None") -> str:
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
    if checked:
        lines.append(checked.line)
    return "\n".join(lines)


def _rates(report: "BoardReport") -> str:
    clock = f"the accelerator's clock is {report.clock_mhz:g} MHz"
    if report.fmax_mhz:
        return f"routed at {', '.join(f'{rate:g}' for rate in report.fmax_mhz)} MHz; {clock}"
    if report.script:
        return f"not routed; {clock}"
    return f"routed; nextpnr does not know all delays here, so no clock rate is known; {clock}"
