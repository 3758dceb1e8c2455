"""adderforge demo"""

import json
from functools import partial
from pathlib import Path

import click

from ..options import (
    ARRAY_OPTIONS,
    FILE,
    as_json,
    cell_library,
    given,
    library_options,
    with_data,
)


@click.command()
@partial(with_data, default="digits", names="digits or mnist")
@click.option("--epochs", type=int, help="epochs of training; default: what suits the data")
@click.option("--seed", default=0, show_default=True, help="seed of weights and batches")
@click.option("--width", default=8, show_default=True, help=ARRAY_OPTIONS["width"])
@click.option("--rows", default=4, show_default=True, help=ARRAY_OPTIONS["rows"])
@click.option("--cols", default=4, show_default=True, help=ARRAY_OPTIONS["cols"])
@click.option("--lanes", default=4, show_default=True, help=ARRAY_OPTIONS["lanes"])
@click.option("--images", default=8, show_default=True, help="test images simulated in hardware")
@click.option("--simulator", default="verilator", show_default=True, help="verilator or icarus")
@library_options
@click.option("--out", type=FILE, help="run folder, new or empty; default runs/demo-…")
@as_json
def demo(
    liberty: tuple[Path, ...], pdk: str | None, out: Path | None, as_json: bool, **options: object
) -> None:
    """Run the whole flow on a small real network, a few minutes, with a report at the end.

    Trains an adder network and its CNN twin on handwritten digits, quantizes both, generates
    Verilog, simulates every layer, synthesizes, measures energy, and compares.

    \b
    Example:  adderforge demo
              adderforge demo --data mnist --data-dir ~/mnist --epochs 10
    """
    from rich.console import Console

    from ..demo import DemoConfig, run_demo
    from ..report import passed, terminal_table

    library = tuple(str(path) for path in cell_library(liberty, pdk))
    config = DemoConfig(liberty=library, **given(options))
    report, folder = run_demo(config, out, Console(stderr=as_json))
    if as_json:
        click.echo(json.dumps(report, indent=1))
    else:
        Console().print(terminal_table(report))
        click.echo("passed" if passed(report) else "FAILED: see the report")
    click.echo(folder, err=as_json)
    if not passed(report):
        raise SystemExit(1)
