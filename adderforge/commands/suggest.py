"""adderforge suggest"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..options import FILE, as_json, show, with_data

if TYPE_CHECKING:
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
              adderforge suggest --board icebreaker --max-uj-per-image 15 \\
                  --model fixtures/lenet5-bn-digits-adder.npz
              adderforge suggest --board icebreaker --model run/adder.pt --min-accuracy 0.98
    """
    from rich.console import Console

    from hw.tools import cache_folder

    from ..exploration.executors import processes
    from ..exploration.measuring import Laboratory
    from ..exploration.page import toml
    from ..exploration.store import Store
    from ..exploration.suggest import Adviser
    from ..exploration.suggestion_text import figures_of, routed, suggestion_text
    from ..progress import Stages
    from ..runs import new_run_folder, write_json, write_text

    energy = (max_uj_per_image, max_pj_per_operation)
    _check(board_name, min_images_per_second, energy, min_accuracy, model, count, route)
    with processes(1) as executor:
        laboratory = Laboratory(executor, Store(store or cache_folder() / "store"))
        workload, network, accuracy = _network(model, min_accuracy, data, data_dir, laboratory)
        if max_pj_per_operation is not None:
            max_uj_per_image = max_pj_per_operation * workload.operations * 1e-6
        wish = _wish(network, min_images_per_second, max_uj_per_image)
        adviser = Adviser(_ground(board_name, wish, workload, clock_mhz, laboratory))
        options = adviser.options(count)
        folder = new_run_folder("suggest", out)
        stages = Stages(1 + route, Console(stderr=True))
        with stages.stage("build the suggestion"):
            options = adviser.build(options)
        board_report = None
        if route:
            with stages.stage(f"make the bitstream for {board_name}") as update:
                board_report = _bitstream(adviser.ground, options[0], folder / "board", update)
    for number, option in enumerate(options, 1):
        write_text(folder / f"suggestion-{number}.toml", toml(option.design))
    report = {
        "place": adviser.ground.place,
        "scope": adviser.ground.scope,
        "limits": adviser.ground.limits,
        "min_images_per_second": min_images_per_second,
        "max_uj_per_image": max_uj_per_image,
        "accuracy": accuracy,
        "suggestions": [figures_of(option, adviser) for option in options],
        "board": board_report,
    }
    write_json(folder / "suggest.json", report)
    text = [f"{adviser.ground.place}; sizes are {adviser.ground.scope}"]
    text += [suggestion_text(number, option, adviser) for number, option in enumerate(options, 1)]
    if accuracy is not None:
        text.insert(0, f"{wish.width} bits: {accuracy:.2%} of the test images right")
    if board_report:
        text.append(routed(board_report))
    show(report, as_json, "\n".join(text))
    click.echo(folder, err=as_json)
    if not any(adviser.holds(option) for option in options):
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
    """ValueError for wishes that do not go together, or are too few."""
    if count < 1:
        raise ValueError(f"count must be at least 1, not {count}")
    if None not in energy:
        raise ValueError("give max_uj_per_image or max_pj_per_operation, not both")
    energies = [value for value in energy if value is not None]
    given = [wish for wish in (board, rate, *energies, accuracy) if wish is not None]
    if len(given) < 2:
        raise ValueError(f"at least two of {WISHES} must be given, not {len(given)}")
    if (accuracy is None) != (model.suffix != ".pt"):
        raise ValueError(
            "min_accuracy must be given with a checkpoint (.pt), and with nothing else, since a "
            f"quantized network has its width, not {accuracy} with {model}"
        )
    if route:
        _check_route(board)


def _check_route(board: str | None) -> None:
    from hw.boards import check_board

    if board is None:
        raise ValueError("route must be left out without a board")
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


def _ground(
    name: str | None,
    wish: "Wish",
    workload: "Workload",
    clock_mhz: float | None,
    laboratory: "Laboratory",
) -> "Ground":
    from dataclasses import replace

    from ..exploration.boards import accelerator_mhz, board, measured_board
    from ..exploration.on_board import OnBoard
    from ..exploration.on_cells import OnCells

    if name is None:
        return OnCells(wish, workload, clock_mhz, laboratory)
    place = measured_board(name) if wish.microjoules else board(name)
    rate = accelerator_mhz(place, clock_mhz)
    return OnBoard(wish, replace(workload, accelerator=True), place, rate, laboratory)


def _bitstream(ground: "Ground", option: "Option", folder: Path, update: Callable) -> dict:
    from hw.boards import build_board

    from ..exploration.accelerators import compiled

    program = compiled(ground.wish.model, option.design)
    clock_mhz = ground.clock_mhz
    report = build_board(program, ground.place, folder, clock_mhz=clock_mhz, progress=update)
    return report.to_json()
