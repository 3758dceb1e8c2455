"""The command line. Commands load what they need when they run, so that `--help` is quick."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import click

FILE = click.Path(path_type=Path)
ARRAY_OPTIONS = {
    "pe": "kind of PE: complement or mac",
    "width": "bits of an activation and of a weight, 2 to 16",
    "rows": "PEs down",
    "cols": "PEs across",
    "lanes": "products per PE and cycle",
    "depth": "terms of the longest reduction; sizes the accumulator",
}


class Commands(click.Group):
    """Turns what a user can put right into one line and exit code 1; ADDERFORGE_TRACEBACK=1
    shows where it came from instead."""

    def invoke(self, context: click.Context) -> object:
        from hw.tools import ToolError

        try:
            return super().invoke(context)
        except (ValueError, OSError, ToolError, ImportError) as error:
            if os.environ.get("ADDERFORGE_TRACEBACK"):
                raise
            click.echo(f"adderforge: error: {_one_line(error)}", err=True)
            context.exit(1)


def _one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno is not None:
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror}; nothing was left half-written under its final name"
    if isinstance(error, ModuleNotFoundError):
        return f"{error.name} is not installed; run 'pip install adderforge[all]'"
    return " ".join(str(error).split())


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="adderforge")
def main() -> None:
    """Generate FPGA and ASIC accelerators for AdderNet: adders in place of multipliers.

    \b
    Start with:  adderforge demo
    """


def array_options(command: Callable) -> Callable:
    """--config and an option for each array parameter, which wins over the file."""
    for name, text in reversed(ARRAY_OPTIONS.items()):
        kind = str if name == "pe" else int
        command = click.option(f"--{name}", type=kind, help=text)(command)
    return click.option("--config", type=FILE, help="TOML file with an array's parameters")(command)


def array_config(config: Path | None, **options: object):
    from hw.config import ArrayConfig, load_config

    values = load_config(config).model_dump() if config else {}
    chosen = {name: value for name, value in options.items() if value is not None}
    return ArrayConfig(**values | chosen)


as_json = click.option("--json", "as_json", is_flag=True, help="print the result as JSON")
data_options = [
    click.option("--data", default="digits", show_default=True, help="digits or mnist"),
    click.option("--data-dir", help="folder of the data set; default $ADDERFORGE_DATA"),
]


def with_data(command: Callable) -> Callable:
    for option in reversed(data_options):
        command = option(command)
    return command


@main.command()
@with_data
@click.option("--epochs", type=int, help="epochs of training; default: what suits the data")
@click.option("--seed", default=0, show_default=True, help="seed of weights and batches")
@click.option("--width", default=8, show_default=True, help=ARRAY_OPTIONS["width"])
@click.option("--rows", default=8, show_default=True, help=ARRAY_OPTIONS["rows"])
@click.option("--cols", default=8, show_default=True, help=ARRAY_OPTIONS["cols"])
@click.option("--lanes", default=1, show_default=True, help=ARRAY_OPTIONS["lanes"])
@click.option("--images", default=8, show_default=True, help="test images simulated in hardware")
@click.option("--simulator", default="verilator", show_default=True, help="verilator or icarus")
@click.option("--liberty", type=str, help="cell library for ASIC (.lib or .lib.gz)")
@click.option("--out", type=FILE, help="run folder, new or empty; default runs/demo-…")
@as_json
def demo(out: Path | None, as_json: bool, **options: object) -> None:
    """Run the whole flow on a small real network, a few minutes, with a report at the end.

    Trains an adder network and its CNN twin on handwritten digits, quantizes both, generates
    Verilog, simulates every layer, synthesizes, measures energy, and compares.

    \b
    Example:  adderforge demo
              adderforge demo --data mnist --data-dir ~/mnist --epochs 10 --rows 16 --cols 16
    """
    from rich.console import Console

    from .demo import DemoConfig, run_demo
    from .report import passed, terminal_table

    config = DemoConfig(**{name: value for name, value in options.items() if value is not None})
    report, folder = run_demo(config, out, Console(stderr=as_json))
    if as_json:
        click.echo(json.dumps(report, indent=1))
    else:
        Console().print(terminal_table(report))
        click.echo("passed" if passed(report) else "FAILED: see the report")
    click.echo(folder, err=as_json)
    if not passed(report):
        raise SystemExit(1)


@main.command()
@with_data
@click.option("--kind", default="adder", show_default=True, help="adder or cnn")
@click.option("--epochs", default=30, show_default=True, help="passes over the training images")
@click.option("--batch-size", default=64, show_default=True)
@click.option("--eta", type=float, help="η of Eq. 13, the adder filters' step")
@click.option("--seed", default=0, show_default=True)
@click.option("--out", type=FILE, required=True, help="folder for <kind>.pt and <kind>.csv")
@as_json
def train(out: Path, as_json: bool, **options: object) -> None:
    """Train LeNet-5-BN as an adder network or as a CNN.

    \b
    Example:  adderforge train --kind adder --data digits --out build/float
    """
    from rich.console import Console

    from golden import data
    from golden.train import TrainConfig

    from .progress import Stages
    from .stages import train_network

    chosen = {name: value for name, value in options.items() if value is not None}
    config = TrainConfig(**chosen)
    dataset = data.load(config.data, config.data_dir)
    out.mkdir(parents=True, exist_ok=True)
    with Stages(1, Console(stderr=True)).stage(f"train {config.kind}") as update:
        result = train_network(config, dataset, out, update)
    figures = {"checkpoint": f"{out / config.kind}.pt", "test_accuracy": result.test_accuracy}
    _print(figures, as_json, "test accuracy {test_accuracy:.2%}, {checkpoint}")


@main.command()
@click.argument("checkpoint", type=FILE)
@click.option("--width", default=8, show_default=True, help=ARRAY_OPTIONS["width"])
@click.option("--data-dir", help="folder of the data set; default $ADDERFORGE_DATA")
@click.option("--out", type=FILE, required=True, help="folder for <kind>.npz")
@as_json
def quantize(checkpoint: Path, width: int, data_dir: str | None, out: Path, as_json: bool) -> None:
    """Quantize a trained network and run the integer reference on every test image.

    \b
    Example:  adderforge quantize build/float/adder.pt --width 8 --out build/integer
    """
    from rich.console import Console

    from golden import checkpoint as checkpoints
    from golden import data

    from .progress import Stages
    from .stages import quantize_network

    result = checkpoints.load(checkpoint)
    dataset = data.load(result.config.data, data_dir or result.config.data_dir)
    out.mkdir(parents=True, exist_ok=True)
    kind = result.config.kind
    with Stages(1, Console(stderr=True)).stage(f"quantize {kind}") as update:
        _, accuracy = quantize_network(result, dataset, width, out, update)
    figures = {
        "model": f"{out / kind}.npz",
        "float_accuracy": accuracy.float_correct / accuracy.images,
        "integer_accuracy": accuracy.integer_correct / accuracy.images,
    }
    text = "test accuracy {float_accuracy:.2%} float, {integer_accuracy:.2%} integer, {model}"
    _print(figures, as_json, text)


@main.command()
@array_options
@click.option("--out", type=FILE, help="Verilog file; default: the terminal")
def verilog(out: Path | None, **options: object) -> None:
    """Write the Verilog of an array.

    \b
    Example:  adderforge verilog --rows 16 --cols 16 --depth 576 --out array.v
              adderforge verilog --config my.toml --pe mac
    """
    from hw.verilog import array_verilog

    from .runs import write_text

    text = array_verilog(array_config(**options))
    if out:
        write_text(out, text)
    click.echo(out if out else text)


@main.command()
@array_options
@click.option("--model", type=FILE, help="quantized network (.npz); default: generated operands")
@with_data
@click.option("--images", default=2, show_default=True, help="test images for --model")
@click.option("--simulator", default="verilator", show_default=True, help="verilator or icarus")
@click.option("--out", type=FILE, help="run folder, new or empty; default runs/simulate-…")
@as_json
def simulate(
    model: Path | None,
    data: str,
    data_dir: str | None,
    images: int,
    simulator: str,
    out: Path | None,
    as_json: bool,
    **options: object,
) -> None:
    """Simulate an array with cocotb and compare every sum and the cycle count.

    With --model on a network's real activations, else on extremes and random operands of odd
    sizes. The run folder holds results.xml (JUnit), logs and the Verilog.

    \b
    Example:  adderforge simulate --config my.toml
              adderforge simulate --model fixtures/lenet5_bn-digits-adder.npz --depth 400
    """
    from rich.console import Console

    from sim import runner

    from .progress import Stages
    from .runs import new_run_folder

    config = array_config(**options)
    runner.check_simulator(simulator)
    forms = list(_forms(config, model, data, data_dir, images))
    folder = new_run_folder("simulate", out)
    with Stages(1, Console(stderr=True)).stage(f"simulate {config.pe}"):
        results = runner.simulate(config, forms, folder, simulator)
    for result in results:
        _print(_result(result), as_json, RESULT)
    click.echo(folder, err=True)
    if not all(result.passed for result in results):
        raise SystemExit(1)


RESULT = (
    "{verdict} {name}: {compared} sums, {mismatches} wrong, {cycles} cycles, "
    "{predicted_cycles} predicted"
)


def _result(result) -> dict:
    from dataclasses import asdict

    return asdict(result) | {"verdict": "passed" if result.passed else "FAILED"}


def _forms(config, model: Path | None, data: str, data_dir: str | None, images: int):
    from sim.workload import generated_forms, matrix_forms

    if model is None:
        return generated_forms(config)
    from golden import reference, spec
    from golden.data import load

    network = spec.load(model)
    return matrix_forms(
        network, reference.encode(network, load(data, data_dir).test_images[:images])
    )


@main.command()
@array_options
@click.option("--target", default="ice40", show_default=True, help="ice40, ecp5 or asic")
@click.option("--multiplier", help="for mac: booth, booth-ripple, rows, macc, dsp; default: best")
@click.option("--liberty", type=FILE, help="cell library for asic (.lib or .lib.gz)")
@click.option("--out", type=FILE, help="run folder, new or empty; default runs/synth-…")
@as_json
def synth(
    target: str,
    multiplier: str | None,
    liberty: Path | None,
    out: Path | None,
    as_json: bool,
    **options: object,
) -> None:
    """Synthesize an array with Yosys: LUTs, flip-flops, carries, DSPs, or area.

    \b
    Example:  adderforge synth --rows 4 --cols 4 --target ecp5
              adderforge synth --config my.toml --pe mac --target asic --liberty sky130.lib.gz
    """
    from dataclasses import asdict

    from rich.console import Console

    from hw import synth as synthesis

    from .progress import Stages
    from .runs import new_run_folder, write_json

    config = array_config(**options)
    synthesis.check(config, target, multiplier)
    library = liberty or synthesis.BUILT_IN_LIBRARY
    folder = new_run_folder("synth", out)
    with Stages(1, Console(stderr=True)).stage(f"synthesize {config.pe} for {target}"):
        name = multiplier or synthesis.best_multiplier(
            config, target, folder / "candidates", library
        )
        report = synthesis.synthesize(config, target, folder, name, library)
    figures = asdict(report)
    write_json(folder / "report.json", figures)
    shown = {name: value for name, value in figures.items() if isinstance(value, int | float | str)}
    _print(figures, as_json, ", ".join(f"{name} {value}" for name, value in shown.items()))
    click.echo(folder, err=True)


@main.command()
@as_json
def doctor(as_json: bool) -> None:
    """Say what is installed and what is missing.

    \b
    Example:  adderforge doctor
    """
    import shutil

    from hw.tools import tool_versions

    found = {name: shutil.which(name) for name in ("g++", "make", "perl", "iverilog")}
    figures = {"versions": tool_versions(), "programs": found}
    lines = [
        f"{name} {version or 'not installed'}" for name, version in figures["versions"].items()
    ]
    lines += [f"{name} {place or 'not found'}" for name, place in found.items()]
    _print(figures, as_json, "\n".join(lines))


def _print(figures: dict, as_json: bool, text: str) -> None:
    click.echo(json.dumps(figures) if as_json else text.format(**figures))
