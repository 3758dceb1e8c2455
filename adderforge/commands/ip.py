"""adderforge ip"""

from pathlib import Path

import click

from ..options import FILE, accelerator_config, accelerator_options, as_json, show, with_data


@click.command()
@accelerator_options
@click.option("--images", default=2, show_default=True, help="how many the self-test stores")
@click.option("--vectors", type=FILE, help="images from a file, in place of --data")
@with_data
@click.option("--simulate", is_flag=True, help="run it under cocotbext-axi on Verilator")
@click.option("--out", type=FILE, help="run folder, new or empty; default runs/ip-…")
@as_json
def ip(
    model: Path,
    images: int,
    vectors: Path | None,
    data: str,
    data_dir: str | None,
    simulate: bool,
    out: Path | None,
    as_json: bool,
    **options: object,
) -> None:
    """Make an IP block that runs a whole network: AXI4-Stream in and out, AXI4-Lite registers.

    Writes Verilog, the register map as JSON, Markdown, C header and SVD, IP-XACT and a FuseSoC core
    file. One register write runs a self-test on stored images. With --simulate eleven cocotb
    scenarios run on it; exit code 1 when one fails.

    \b
    Example:  adderforge ip --model fixtures/lenet5-bn-digits-adder.npz \\
                  --rows 4 --cols 4 --lanes 4 --depth 400 --vectors fixtures/digits-vectors.npz
    """
    from rich.console import Console

    from golden import model_file, reference
    from hw.program import compile_model
    from hw.shell.ip import ip_files
    from hw.shell.registers import program_hash
    from hw.shell.self_test import StoredImages

    from ..progress import Stages
    from ..runs import new_run_folder, write_json, write_text
    from .arrays import images_from

    network = model_file.load(model)
    program = compile_model(network, accelerator_config(options, network))
    pictures = images_from(vectors, data, data_dir, images)
    stored = StoredImages(
        codes=reference.encode(network, pictures), classes=reference.classify(network, pictures)
    )
    folder = new_run_folder("ip", out)
    stages = Stages(2 if simulate else 1, Console(stderr=True))
    with stages.stage("verilog and documents"):
        for name, text in ip_files(program, stored).items():
            write_text(folder / name, text)
    figures = {"program": program_hash(program), "cycles": program.cycles}
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
