"""adderforge ip"""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..options import (
    FILE,
    accelerator_config,
    accelerator_options,
    as_json,
    given,
    left_out,
    show,
    with_data,
)

if TYPE_CHECKING:
    from hw.program import Program


@click.command()
@accelerator_options
@click.option("--images", default=2, show_default=True, help="how many the self-test stores")
@click.option("--vectors", type=FILE, help="images from a file, in place of --data")
@with_data
@click.option(
    "--external",
    default="none",
    show_default=True,
    help="what lies in an external memory: none, weights (the whole program), or maps as well",
)
@click.option("--external-width", type=int, help="bits of its data bus; default 64")
@click.option(
    "--also",
    type=FILE,
    multiple=True,
    help="another network for the same hardware; its program is written, too",
)
@click.option("--simulate", is_flag=True, help="run it under cocotbext-axi on Verilator")
@click.option("--out", type=FILE, help="run folder, new or empty; default runs/ip-…")
@as_json
def ip(
    model: Path,
    images: int,
    vectors: Path | None,
    data: str | None,
    data_dir: str | None,
    external: str,
    external_width: int | None,
    also: tuple[Path, ...],
    simulate: bool,
    out: Path | None,
    as_json: bool,
    **options: object,
) -> None:
    """Make an IP block that runs a whole network: AXI4-Stream in and out, AXI4-Lite registers.

    Writes Verilog, the register map as JSON, Markdown, C header and SVD, IP-XACT and a FuseSoC core
    file. One register write runs a self-test on stored images. With --simulate cocotb scenarios
    run on it, twelve, or twenty with an external memory; exit code 1 when one fails.

    With --external weights the block streams its program over an AXI4 master from a memory beside
    it: weights come while the array computes, and another program, of the same shapes or smaller,
    may take its place at run time. With --external maps maps lie in that memory, too, and bands of
    their rows that fit --activation-words are worked on. Writes each program as a .bin file for
    that memory, and where everything lies in it (memory_map.txt).

    \b
    Example:  adderforge ip --model fixtures/lenet5-bn-digits-adder.npz \\
                  --rows 4 --cols 4 --lanes 4 --depth 400 --vectors fixtures/digits-vectors.npz
    Example:  adderforge ip --external weights --external-width 128 --also retrained.npz …
    """
    from rich.console import Console

    from golden import model_file, reference
    from golden.archive import write_whole
    from hw.program import compile_model
    from hw.program_hash import program_hash
    from hw.shell.ip import ip_files
    from hw.shell.registers import known_hash
    from hw.shell.self_test import StoredImages

    from ..pictures import images_from
    from ..progress import Stages
    from ..runs import new_run_folder, write_json, write_text

    network = model_file.load(model)
    if external == "none":
        left_out("without --external weights or maps", external_width=external_width)
    bus = given({"external": external, "external_width": external_width})
    program = compile_model(network, accelerator_config(options, network, **bus))
    if also and external == "none":
        raise ValueError("--also needs an external memory; give --external weights")
    others = {path: compile_model(model_file.load(path), program.config) for path in also}
    pictures = images_from(network, vectors, data, data_dir, images)
    stored = StoredImages(
        codes=reference.encode(network, pictures), classes=reference.classify(network, pictures)
    )
    programs = _programs(program, others) if external != "none" else {}
    if simulate:
        _check_simulation()
    folder = new_run_folder("ip", out)
    stages = Stages(2 if simulate else 1, Console(stderr=True))
    with stages.stage("verilog and documents"):
        for name, text in ip_files(program, stored).items():
            write_text(folder / name, text)
        for name, content in programs.items():
            write_whole(folder / name, content)
    figures = {"program": program_hash(program), "cycles": program.cycles}
    if external != "none":
        figures["hardware"] = known_hash(program)
    lines = [f"program {figures['program']}, {program.cycles:,} cycles from image to class"]
    if simulate:
        from sim.shell_run import run_shell

        with stages.stage("simulate"):
            figures["scenarios"] = found = run_shell(program, stored, folder / "simulation")
        lines += [f"{words:10} {name}" for name, words in found.items()]
    write_json(folder / "report.json", figures)
    show(figures, as_json, "\n".join(lines))
    click.echo(folder, err=as_json)
    if any(words != "passed" for words in figures.get("scenarios", {}).values()):
        raise SystemExit(1)


def _check_simulation() -> None:
    """ToolError when what the scenarios need is missing."""
    from importlib.util import find_spec

    from hw.tools import ToolError
    from sim.runner import check_simulator

    check_simulator("verilator")
    if find_spec("cocotbext") is None:
        raise ToolError("cocotbext-axi: not installed; run 'pip install adderforge[sim]'")


def _programs(program: "Program", others: dict[Path, "Program"]) -> dict[str, bytes]:
    """Files: images for the external memory, and where everything lies in the first. ValueError
    when another program does not fit the hardware, or its file would have another's name."""
    from hw.external.image import image_map, program_image
    from hw.formats import hardware_formats
    from hw.program import memory_map

    formats = hardware_formats(program)
    text = f"{memory_map(program)}\n\n{image_map(program, formats)}\n"
    files = {
        "program.bin": program_image(program, formats),
        "memory_map.txt": text.encode(),
    }
    for path, other in others.items():
        name = f"{path.stem}.bin"
        if name in files:
            raise ValueError(f"names of networks must differ, but {name} is there already")
        files[name] = program_image(other, formats)
    return files
