"""adderforge compare"""

from pathlib import Path

import click

from ..options import (
    FILE,
    array_for,
    array_options,
    as_json,
    cell_library,
    left_out,
    library_options,
    show,
    with_data,
)

LINES_EVERY = 60  # seconds, off a terminal


@click.command()
@array_options
@click.option("--model", type=FILE, required=True, help="quantized adder network (.npz)")
@click.option("--twin-model", type=FILE, required=True, help="its CNN, quantized")
@click.option("--bnn-model", type=FILE, help="its binary network, quantized")
@with_data
@library_options
@click.option("--clock-mhz", type=float, help="map the cells for this clock; default: least area")
@click.option("--accelerator", is_flag=True, help="whole accelerators, too, with their memories")
@click.option("--fpga/--no-fpga", default=True, show_default=True, help="iCE40 and ECP5, too")
@click.option("--route", is_flag=True, help="place and route on the FPGAs, too: clock rates")
@click.option("--seeds", type=click.IntRange(min=1), help="placements of --route; default 3")
@click.option("--images", default=2, show_default=True, help="images of a batch, for energy")
@click.option("--batches", default=3, show_default=True, help="batches, for the spread of energy")
@click.option("--cycles", default=4000, show_default=True, help="to count, all batches together")
@click.option("--out", type=FILE, help="run folder, new or empty; default runs/compare-…")
@as_json
def compare(
    model: Path,
    twin_model: Path,
    bnn_model: Path | None,
    data: str | None,
    data_dir: str | None,
    liberty: tuple[Path, ...],
    pdk: str | None,
    clock_mhz: float | None,
    accelerator: bool,
    fpga: bool,
    route: bool,
    seeds: int | None,
    images: int,
    batches: int,
    cycles: int,
    out: Path | None,
    as_json: bool,
    **options: object,
) -> None:
    """An adder array beside its MAC twin, and an XNOR one: accuracy, size, clock, energy, and why.

    All are the same array with other PEs, each with its own network and activations. Energies are
    of the mapped netlists with gate delays; with --accelerator also those of an image in the whole
    accelerators around such arrays, as `adderforge energy --accelerator` measures them. OUT gets
    compare.html, one page that needs no network, compare.md, compare.json, and everything that the
    figures came from.

    \b
    Example:  adderforge compare --rows 4 --cols 4 --lanes 4 --depth 400 \\
                  --model fixtures/lenet5-bn-digits-adder.npz \\
                  --twin-model fixtures/lenet5-bn-digits-cnn.npz --accelerator
    """
    import shlex
    import sys

    from rich.console import Console

    from golden import data as datasets
    from golden import model_file
    from hw.choices import check
    from hw.route import check_route
    from sim import events
    from sim.runner import check_simulator

    from ..compare import wrong_values
    from ..compare_page import write_pages
    from ..compare_run import run_comparison
    from ..contenders import FPGAS, Effort, Flow, contenders
    from ..progress import Stages
    from ..runs import new_run_folder

    effort = Effort(images=images, batches=batches, cycles=cycles)
    paths = [model, twin_model, *([bnn_model] if bnn_model else [])]
    networks = [model_file.load(path) for path in paths]
    config = array_for(networks[0], **options)
    if data is None and len({network.data for network in networks}) > 1:
        known = ", ".join(f"{network.name} on {network.data}" for network in networks)
        raise ValueError(
            f"networks must be trained on the same data, but are {known}; choose with --data"
        )
    flow = Flow(
        liberty=cell_library(liberty, pdk),
        clock_mhz=clock_mhz,
        fpgas=FPGAS if fpga else (),
        seeds=(seeds or 3) if route else 0,
    )
    check(config, "asic", None, flow.liberty, clock_mhz)
    if not fpga:
        left_out("without FPGAs; leave out --no-fpga or --route", route=route)
    if not route:
        left_out("where nothing is placed; add --route", seeds=seeds)
    if route:
        for target in flow.fpgas:
            check_route(config, target, "array", None)
    dataset = datasets.load(data or networks[0].data, data_dir, networks[0].classes)
    rivals = contenders(config, networks, dataset.test_images, effort, accelerator)
    if accelerator:
        check_simulator("verilator")
    events.prepare()
    folder = new_run_folder("compare", out)
    count = (4 if accelerator else 3) * len(rivals) + 1
    stages = Stages(count, Console(stderr=True), every=LINES_EVERY)
    report = run_comparison(rivals, dataset, flow, effort, folder, stages)
    report["command"] = shlex.join(["adderforge", *sys.argv[1:]])
    page = write_pages(report, folder)
    show(report, as_json, page.markdown)
    click.echo(page.html, err=as_json)
    if wrong := wrong_values(report):
        raise click.ClickException(
            f"values of the netlists must be the references', but {wrong:,} were wrong; the "
            f"figures in {page.html} are not to be used"
        )
