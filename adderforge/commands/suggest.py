"""adderforge suggest"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..options import FILE, as_json, left_out, show, with_data

if TYPE_CHECKING:
    from ..exploration.boards import Board
    from ..exploration.measuring import Laboratory
    from ..exploration.promise import Option, Wish
    from ..exploration.suggest import Ground
    from ..exploration.workloads import Workload

WISHES = "--board, --min-images-per-second, --max-uj-per-image and --min-accuracy"


@click.command()
@click.option("--board", "board_name", help="such as icebreaker, ulx3s-85f")
@click.option(
    "--model", type=FILE, required=True, help="quantized network (.npz), or checkpoint (.pt)"
)
@click.option("--min-images-per-second", type=float, help="that must be classified")
@click.option(
    "--max-uj-per-image",
    type=float,
    help="energy: the array's in a cell library, or all the FPGA's",
)
@click.option("--max-pj-per-operation", type=float, help="the same, in place of it")
@click.option(
    "--min-accuracy", type=float, help="of a checkpoint, which gets the fewest bits that keep it"
)
@with_data
@click.option("--clock-mhz", type=float, help="default: the board's, or what the array can do")
@click.option("--count", default=3, show_default=True, help="suggestions")
@click.option("--route", is_flag=True, help="make the board's bitstream, too")
@click.option("--store", type=FILE, help="results that are kept; default: in the user's cache")
@click.option("--out", type=FILE, help="run folder, new or empty; default runs/suggest-…")
@as_json
def suggest(
    board_name: str | None,
    model: Path,
    min_images_per_second: float | None,
    max_uj_per_image: float | None,
    max_pj_per_operation: float | None,
    min_accuracy: float | None,
    data: str | None,
    data_dir: str | None,
    clock_mhz: float | None,
    count: int,
    route: bool,
    store: Path | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Find the smallest hardware that does what is wished.

    Give any two or more of a board, a rate, an energy and an accuracy. For a board an accelerator
    is suggested, that runs the whole network, with the fewest LUTs, or the fastest that fits where
    no rate is wished; without one an array for the built-in cell library, of the least area. Names
    the best few, what binds them, and what one step more of rows, columns and lanes would buy.
    Cycles and memories are exact; sizes, clock rates and energies are guessed with a stated error;
    then the suggestion is synthesized, without a board its clock rate and its energy with gate
    delays on the network's images are measured, and the promise stands beside the result. One that
    breaks it makes room for the next. The energy of a board is known of the iCE40 UP5K: all that
    its core draws, by currents that others measured on one, and simulated transitions.

    \b
    Example:  adderforge suggest --board ulx3s-85f --min-images-per-second 1000 \\
                  --model fixtures/lenet5-bn-digits-adder.npz
              adderforge suggest --max-uj-per-image 1.5 --min-images-per-second 5000 \\
                  --model fixtures/lenet5-bn-digits-adder.npz
              adderforge suggest --board icebreaker --max-uj-per-image 25 \\
                  --model fixtures/lenet5-bn-digits-adder.npz
              adderforge suggest --board icebreaker --model run/adder.pt --min-accuracy 0.98
    """
    from rich.console import Console

    from hw.tools import cache_folder

    from ..exploration.executors import processes
    from ..exploration.measuring import Laboratory
    from ..exploration.run_folder import run_folder
    from ..exploration.store import Store
    from ..exploration.suggest import Adviser
    from ..exploration.suggestion_text import report_of, routed, text_of, write
    from ..progress import Stages
    from ..runs import write_json

    energy = (max_uj_per_image, max_pj_per_operation)
    _check(board_name, min_images_per_second, energy, min_accuracy, model, count, route)
    place = _place(board_name, any(energy), clock_mhz)
    with processes(1) as executor, run_folder("suggest", out) as folder:
        laboratory = Laboratory(executor, Store(store or cache_folder() / "store"))
        workload, network, accuracy = _network(model, min_accuracy, data, data_dir, laboratory)
        if max_pj_per_operation is not None:
            max_uj_per_image = max_pj_per_operation * workload.operations * 1e-6
        wish = _wish(network, min_images_per_second, max_uj_per_image)
        adviser = Adviser(_ground(place, wish, workload, clock_mhz, laboratory))
        options = adviser.options(count)
        stages = Stages(1 + route, Console(stderr=True))
        with stages.stage("build the suggestion"):
            options = adviser.build(options)
        report = report_of(options, adviser, accuracy)
        text = text_of(options, adviser, accuracy)
        write(options, report, folder)
        holds = adviser.holds(options[0])  # the first, if any does
        try:
            if route and holds:
                with stages.stage(f"make the bitstream for {board_name}") as update:
                    made = _bitstream(adviser.ground, options[0], folder / "board", update)
                report["board"] = made
                write_json(folder / "suggest.json", report)
                text.append(routed(made))
            elif route:
                text.append("no bitstream, for what is wished does not hold")
        finally:
            show(report, as_json, "\n".join(text))
            click.echo(folder, err=as_json)
    if not holds:
        raise SystemExit(1)


def _check(
    board: str | None,
    rate: float | None,
    energy: tuple[float | None, float | None],
    accuracy: float | None,
    model: Path,
    count: int,
    route: bool,
) -> None:
    """ValueError for wishes that do not go together, are too few, or cannot be."""
    from ..exploration.promise import check_positive

    if count < 1:
        raise ValueError(f"count must be at least 1, not {count}")
    if None not in energy:
        raise ValueError("give max_uj_per_image or max_pj_per_operation, not both")
    check_positive(
        min_images_per_second=rate, max_uj_per_image=energy[0], max_pj_per_operation=energy[1]
    )
    energies = [value for value in energy if value is not None]
    given = [wish for wish in (board, rate, *energies, accuracy) if wish is not None]
    if len(given) < 2:
        raise ValueError(f"at least two of {WISHES} must be given, not {len(given)}")
    if (accuracy is None) != (model.suffix != ".pt"):
        raise ValueError(
            "min_accuracy must be given with a checkpoint (.pt), and with nothing else, since a "
            f"quantized network has its width, not {accuracy} with {model}"
        )
    if board is None:
        left_out("without a board; add --board", route=route)
    elif route:
        from hw.boards import check_board

        check_board(board)


def _network(
    path: Path,
    accuracy: float | None,
    data: str | None,
    data_dir: str | None,
    laboratory: "Laboratory",
) -> tuple:
    """The workload, its quantized model, and the accuracy that was measured, or None."""
    from dataclasses import replace

    from ..exploration.narrowest import narrowest
    from ..exploration.workloads import model_layers, of_model

    if accuracy is None:
        workload = of_model(path, data=data, data_dir=data_dir)
        return workload, workload.quantized, None
    workload, network, found = narrowest(path, accuracy, laboratory, data, data_dir)
    return replace(workload, name=network.name, layers=model_layers(network)), network, found


def _wish(network: object, rate: float | None, microjoules: float | None) -> "Wish":
    from ..exploration.promise import Wish

    return Wish(model=network, images_per_second=rate, microjoules=microjoules)


def _place(
    name: str | None, with_energy: bool, clock_mhz: float | None
) -> "tuple[Board, float] | None":
    """The board and the rate that an accelerator runs at there."""
    from ..exploration.boards import accelerator_mhz, board, measured_board
    from ..exploration.promise import check_positive

    check_positive(clock_mhz=clock_mhz)
    if name is None:
        return None
    place = measured_board(name) if with_energy else board(name)
    return place, accelerator_mhz(place, clock_mhz)


def _ground(
    place: "tuple[Board, float] | None",
    wish: "Wish",
    workload: "Workload",
    clock_mhz: float | None,
    laboratory: "Laboratory",
) -> "Ground":
    from dataclasses import replace

    from ..exploration.on_board import OnBoard
    from ..exploration.on_cells import OnCells

    if place is None:
        return OnCells(wish, workload, clock_mhz, laboratory)
    return OnBoard(wish, replace(workload, accelerator=True), *place, laboratory)


def _bitstream(ground: "Ground", option: "Option", folder: Path, update: Callable) -> dict:
    from hw.boards import build_board

    from ..exploration.accelerators import compiled

    program = compiled(ground.wish.model, option.design)
    clock_mhz = ground.clock_mhz
    report = build_board(program, ground.place, folder, clock_mhz=clock_mhz, progress=update)
    return report.to_json()
