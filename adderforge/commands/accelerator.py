"""adderforge accelerator"""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..options import FILE, array_config, array_options, as_json, show, with_data

if TYPE_CHECKING:
    from golden.spec import QuantizedModel
    from hw.accelerator_config import AcceleratorConfig
    from sim.accelerator_run import Answer


@click.command()
@array_options
@click.option("--model", type=FILE, required=True, help="quantized network (.npz)")
@click.option("--activation-words", type=int, help="words of the activation memory")
@click.option("--weight-words", type=int, help="words of the weight memory")
@click.option("--constant-words", type=int, help="words of the requantizer's memory")
@click.option("--images", default=0, show_default=True, help="how many to run on Verilator")
@click.option("--vectors", type=FILE, help="images from a file, in place of --data")
@with_data
@click.option("--out", type=FILE, help="run folder, new or empty; default runs/accelerator-…")
@as_json
def accelerator(
    model: Path,
    images: int,
    vectors: Path | None,
    data: str,
    data_dir: str | None,
    out: Path | None,
    as_json: bool,
    **options: object,
) -> None:
    """Make an accelerator that runs a whole network, from an image's codes to its class.

    The array is weight-stationary. Prints where everything lies in the memories, and an image's
    cycles; the run folder gets the Verilog, whose memories hold the program. With --images the
    Verilog runs on images back to back, and every class and cycle is compared; exit code 1 when
    one differs.

    \b
    Example:  adderforge accelerator --model fixtures/lenet5-bn-digits-adder.npz \\
                  --rows 4 --cols 4 --lanes 4 --depth 400 \\
                  --vectors fixtures/digits-vectors.npz --images 4
    """
    from rich.console import Console

    from golden import model_file
    from hw.accelerator_verilog import TOP, accelerator_verilog
    from hw.program import compile_model, memory_map

    from ..progress import Stages
    from ..runs import new_run_folder, write_json, write_text
    from .arrays import images_from

    network = model_file.load(model)
    program = compile_model(network, _config(options, network))
    pictures = images_from(vectors, data, data_dir, images) if images else None
    folder = new_run_folder("accelerator", out)
    stages = Stages(2 if images else 1, Console(stderr=True))
    with stages.stage("verilog"):
        write_text(folder / f"{TOP}.v", accelerator_verilog(program))
    lines = [memory_map(program)]
    write_text(folder / "memory_map.txt", lines[0] + "\n")
    lines.append(
        f"{program.cycles:,} cycles from an image's first word to its class, {program.interval:,} "
        "from class to class"
    )
    figures = {"cycles": program.cycles, "interval": program.interval}
    if images:
        from golden import reference
        from sim.accelerator_run import run_images

        codes = reference.encode(network, pictures)
        with stages.stage(f"simulate {len(codes)} images"):
            answers = run_images(program, codes, folder / "simulation")
        wanted = reference.classify(network, pictures)
        figures |= _compared(answers, wanted, program.cycles, program.interval)
        lines.append(
            "{images} images: {wrong_classes} classes and {wrong_cycles} cycle counts differ from "
            "the reference and the prediction".format(**figures)
        )
    write_json(folder / "report.json", figures)
    show(figures, as_json, "\n".join(lines))
    click.echo(folder, err=as_json)
    if figures.get("wrong_classes") or figures.get("wrong_cycles"):
        raise SystemExit(1)


def _config(options: dict[str, object], network: "QuantizedModel") -> "AcceleratorConfig":
    """Of the options, which this takes out, and as the network is requantized."""
    from hw.accelerator_config import AcceleratorConfig

    names = ("activation_words", "weight_words", "constant_words")
    sizes = {name: value for name in names if (value := options.pop(name)) is not None}
    if options["dataflow"] is None and options["config"] is None:
        options["dataflow"] = "weight-stationary"
    array = array_config(**options)
    return AcceleratorConfig(array=array, requantize=network.requantize, **sizes)


def _compared(answers: "list[Answer]", wanted, cycles: int, interval: int) -> dict[str, int]:
    """How many classes and cycles are not as they should be."""
    due = [cycles + number * interval for number in range(len(answers))]
    return {
        "images": len(answers),
        "wrong_classes": sum(a.image_class != int(w) for a, w in zip(answers, wanted, strict=True)),
        "wrong_cycles": sum(a.cycle != d for a, d in zip(answers, due, strict=True)),
    }
