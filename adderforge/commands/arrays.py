"""adderforge verilog, adderforge simulate, adderforge synth"""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..options import (
    FILE,
    array_config,
    array_for,
    array_options,
    as_json,
    cell_library,
    left_out,
    library_options,
    show,
    with_data,
)

if TYPE_CHECKING:
    import numpy as np

    from golden.spec import QuantizedModel
    from hw.config import ArrayConfig
    from sim.workload import MatrixForm


LINES_EVERY = 10  # seconds, off a terminal
SEEDS = 3
ALIASES = {"xilinx": "xilinx7"}  # of targets: the family stands for its series


@click.command()
@array_options
@click.option("--clock-mhz", default=100.0, show_default=True, help="for the constraint files")
@click.option("--out", type=FILE, help="a .v file, or a folder for all; default: the terminal")
def verilog(out: Path | None, clock_mhz: float, **options: object) -> None:
    """Write the Verilog of an array.

    With a folder as --out, also: a page of ports and parameters, the clock for SDC, XDC, PCF and
    LPF, Verilator's waivers, a FuseSoC core file, and a plain Verilog test bench with vectors that
    needs no Python.

    \b
    Example:  adderforge verilog --rows 16 --cols 16 --depth 576 --out array.v
              adderforge verilog --config my.toml --clock-mhz 200 --out ip
              cd ip && iverilog -o bench adderforge_array.v adderforge_array_tb.v && vvp bench
    """
    from rich.console import Console

    from hw.collateral import clock_files
    from hw.verilog import TOP, array_verilog

    from ..progress import Stages
    from ..runs import write_text

    config = array_config(**options)
    clocks = clock_files(clock_mhz)
    in_folder = out is not None and out.suffix != ".v"
    if in_folder and out.is_dir() and any(out.iterdir()) and not (out / f"{TOP}.v").exists():
        raise ValueError(
            f"{out}: must be new, empty or a folder that this command wrote, for files in it "
            "would be replaced; choose another folder"
        )
    with Stages(1, Console(stderr=True, quiet=out is None)).stage("verilog"):
        text = array_verilog(config)
        if in_folder:
            out.mkdir(parents=True, exist_ok=True)
            for name, content in (_beside(config) | clocks | {f"{TOP}.v": text}).items():
                write_text(out / name, content)
        elif out:
            write_text(out, text)
    click.echo(out if out else text)


def _beside(config: "ArrayConfig") -> dict[str, str]:
    """Files for the folder of `verilog`, by name."""
    from hw.collateral import fusesoc_core, interface_page, lint_waivers
    from hw.verilog import TOP
    from sim.testbench import bench_files
    from sim.workload import generated_forms

    return {
        "README.md": interface_page(config),
        f"{TOP}.core": fusesoc_core(config),
        f"{TOP}.vlt": lint_waivers(),
    } | bench_files(config, generated_forms(config))


@click.command()
@array_options
@click.option("--model", type=FILE, help="quantized network (.npz); default: the scenarios")
@click.option("--vectors", type=FILE, help="images for --model from a file, in place of --data")
@with_data
@click.option("--images", type=int, help="how many images for --model; default 2")
@click.option("--seed", type=int, help="of the scenarios' random numbers; default 0")
@click.option("--simulator", default="verilator", show_default=True, help="verilator or icarus")
@click.option("--waves", is_flag=True, help="also write waves.fst, or waves.vcd")
@click.option("--out", type=FILE, help="run folder, new or empty; default runs/simulate-…")
@as_json
def simulate(
    model: Path | None,
    vectors: Path | None,
    data: str | None,
    data_dir: str | None,
    images: int | None,
    seed: int | None,
    simulator: str,
    waves: bool,
    out: Path | None,
    as_json: bool,
    **options: object,
) -> None:
    """Simulate an array with cocotb and compare every sum and the cycle it comes in.

    Without --model, scenarios: extremes, shapes that fill no tile, tiles back to back, idle cycles
    anywhere, resets in the middle of a tile. Each is a test case in results.xml (JUnit); one that
    fails says what differed first. With --model, a network's layers on its real activations. The
    run folder also holds the logs and the Verilog. Exit code 1 when anything differs. Waves are
    VCD where Verilator's FST writer lacks the headers of lz4 and zlib.

    \b
    Example:  adderforge simulate --config my.toml --seed 7 --waves
              adderforge simulate --model fixtures/lenet5-bn-digits-adder.npz \\
                  --vectors fixtures/digits-vectors.npz --rows 4 --cols 6
    """
    from rich.console import Console

    from golden import model_file
    from sim import runner

    from ..pictures import images_from
    from ..progress import Stages
    from ..runs import new_run_folder

    network = model_file.load(model) if model else None
    config = array_for(network, **options) if network else array_config(**options)
    runner.check_simulator(simulator)
    if network:
        left_out("with --model; it is of the scenarios", seed=seed)
        count = 2 if images is None else images
        forms = forms_of(network, images_from(network, vectors, data, data_dir, count), config)
    else:
        chosen = {"vectors": vectors, "data": data, "data_dir": data_dir, "images": images}
        left_out("without a network; add --model", **chosen)
    seed = seed or 0
    if seed < 0:
        raise ValueError(f"seed must be at least 0, not {seed}")
    folder = new_run_folder("simulate", out)
    with Stages(1, Console(stderr=True)).stage(f"simulate {config.pe}"):
        if network:
            results = runner.simulate(config, forms, folder, simulator, waves=waves)
        else:
            results = runner.run_scenarios(config, folder, simulator, seed, waves=waves)
    text = [
        f"{'passed' if result.passed else 'FAILED'} {result.name}: {result.summary}"
        for result in results
    ]
    show([asdict(result) for result in results], as_json, "\n".join(text))
    click.echo(folder, err=as_json)
    if not all(result.passed for result in results):
        raise SystemExit(1)


def forms_of(
    network: "QuantizedModel", images: "np.ndarray", config: "ArrayConfig"
) -> list["MatrixForm"]:
    """ValueError when the array is not made for the network's layers."""
    from golden import reference
    from sim.workload import check_fit, for_array, matrix_forms

    check_fit(network, config)
    return list(for_array(matrix_forms(network, reference.encode(network, images)), config))


@click.command()
@array_options
@click.option(
    "--target",
    default="ice40",
    show_default=True,
    help="ice40, ecp5, xilinx7 (or xilinx), gowin or asic",
)
@click.option(
    "--multiplier", help="for mac: booth-tree, rows, dsp, …; default: the smallest of all"
)
@library_options
@click.option("--clock-mhz", type=float, help="for asic: map for this clock; default: least area")
@click.option(
    "--route", is_flag=True, help="place and route too, on ice40, ecp5, gowin: clock rate"
)
@click.option("--seeds", type=click.IntRange(min=1), help=f"placements of --route; default {SEEDS}")
@click.option("--out", type=FILE, help="run folder, new or empty; default runs/synth-…")
@as_json
def synth(
    target: str,
    multiplier: str | None,
    liberty: tuple[Path, ...],
    pdk: str | None,
    clock_mhz: float | None,
    route: bool,
    seeds: int | None,
    out: Path | None,
    as_json: bool,
    **options: object,
) -> None:
    """Synthesize an array with Yosys: LUTs, flip-flops, carries, DSPs, or area and longest path.

    A cell library's cells are mapped for the least area or, with --clock-mhz, for the least that
    meets the clock: exit code 1 if nothing does, and the fastest is reported.
    On an FPGA, PEs are those of the TOML file's target: made by hand of the FPGA's carry cells if
    it is the same, generic ones by default.

    \b
    Example:  adderforge synth --rows 4 --cols 4 --target ecp5
              adderforge synth --config my.toml --target ecp5 --route --seeds 5
              adderforge synth --config my.toml --pe mac --target asic --liberty sky130.lib.gz
              PDK_ROOT=~/.ciel adderforge synth --config my.toml --target asic --pdk ihp-sg13g2
              adderforge synth --config my.toml --target asic --liberty cells.lib \\
                  --liberty sram.lib --clock-mhz 250
    """
    from rich.console import Console

    from hw import route as routing
    from hw.best import synthesize_best
    from hw.choices import check

    from ..progress import Stages
    from ..runs import new_run_folder, write_json

    config = array_config(**options)
    target = ALIASES.get(target, target)
    if target != "asic":
        left_out(f"for {target}; it is of asic alone", liberty=liberty, pdk=pdk)
    if not route:
        left_out("where nothing is placed; add --route", seeds=seeds)
    library = cell_library(liberty, pdk)
    check(config, target, multiplier, library, clock_mhz)
    if route:
        routing.check_route(config, target, "array", multiplier)
    folder = new_run_folder("synth", out)
    stages = Stages(2 if route else 1, Console(stderr=True), every=LINES_EVERY)
    with stages.stage(f"synthesize {config.pe} for {target}") as update:
        made = synthesize_best(config, target, folder, library, clock_mhz, multiplier, update)
        report = asdict(made)
    if route:
        with stages.stage(f"place and route {config.pe} on {target}") as update:
            routed = routing.route(
                config,
                target,
                folder / "route",
                range(1, (seeds or SEEDS) + 1),
                multiplier=made.multiplier,
                progress=lambda done, count: update(f"seed {done} of {count}", done, count),
            )
        report |= {"fmax_mhz": routed.median_mhz, "route": asdict(routed)}
    write_json(folder / "report.json", report)
    show(report, as_json, _lines(report))
    click.echo(folder, err=as_json)
    if made.clock_met is False:
        raise ValueError(
            f"the clock must be {clock_mhz:g} MHz, but the fastest that was made has "
            f"{made.fmax_mhz:.1f}; add pipeline registers, or choose a lower rate"
        )


def _lines(report: dict) -> str:
    """The report's figures in one line, its cells in another, and what routing gave."""
    figures = {
        name: round(value, 3) if isinstance(value, float) else value
        for name, value in report.items()
        if isinstance(value, str | int | float)
    }
    cells = sorted(report["cells"].items(), key=lambda cell: -cell[1])
    lines = [
        ", ".join(f"{name} {value}" for name, value in figures.items()),
        "cells: " + ", ".join(f"{count} {name}" for name, count in cells),
    ]
    if "route" in report:
        routed = report["route"]
        paths = "; ".join(f"{name} {delay:.2f} ns" for name, delay in routed["paths_ns"].items())
        rates = ", ".join(f"{rate:.1f}" for rate in routed["fmax_mhz"])
        lines.append(
            f"routed between registers: {routed['median_mhz']:.1f} MHz, median of {rates}; spread "
            f"{routed['spread_mhz']:.1f}; longest paths: {paths}"
        )
    return "\n".join(lines)
