"""adderforge build"""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..options import FILE, accelerator_config, accelerator_options, as_json, show

if TYPE_CHECKING:
    from hw.boards import BoardReport


@click.command()
@accelerator_options
@click.option("--board", required=True, help="icebreaker or ulx3s-85f")
@click.option("--baud", default=1_000_000, show_default=True, help="of the serial line")
@click.option("--seeds", default=1, show_default=True, help="how often to place and route")
@click.option("--out", type=FILE, help="run folder, new or empty; default runs/build-…")
@as_json
def build(
    model: Path,
    board: str,
    baud: int,
    seeds: int,
    out: Path | None,
    as_json: bool,
    **options: object,
) -> None:
    """Build a bitstream: a whole network on a board, behind its USB serial port.

    Synthesizes, places, routes and packs with YoWASP's tools; prints what is used of the device,
    and the clock rate it could have beside the board's. `adderforge run` then classifies images on
    it. Needs the extra `board`.

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
    check_board(board, tried, baud)
    network = model_file.load(model)
    program = compile_model(network, accelerator_config(options, network))
    folder = new_run_folder("build", out)
    with Stages(1, Console(stderr=True)).stage(f"build for {board}") as update:
        report = build_board(
            program, board, folder, tried, baud, lambda done, count: update("steps", done, count)
        )
    figures = report.to_json()
    write_json(folder / "report.json", figures)
    show(figures, as_json, _text(report))
    click.echo(folder / report.bitstream, err=as_json)


def _text(report: "BoardReport") -> str:
    rates = ", ".join(f"{rate:g}" for rate in report.fmax_mhz)
    lines = [f"routed at {rates} MHz; the board's clock is {report.clock_mhz:g} MHz"]
    for name, (used, most) in report.resources.items():
        mark = "  <- binds" if name == report.binding else ""
        lines.append(f"{name:16} {used:8,} of {most:8,}  {used / most:6.1%}{mark}")
    lines.append(
        f"{report.images_per_second:,.0f} images a second at the board's clock; its serial line "
        f"brings {report.line_images_per_second:,.1f}"
    )
    return "\n".join(lines)
