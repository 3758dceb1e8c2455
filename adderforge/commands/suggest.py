"""adderforge suggest"""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..options import FILE, as_json, show

if TYPE_CHECKING:
    from ..exploration.boards import Board
    from ..exploration.suggest import Option


@click.command()
@click.option("--board", "board_name", required=True, help="such as icebreaker, ulx3s-85f")
@click.option(
    "--model", type=FILE, required=True, help="quantized network (.npz), or checkpoint (.pt)"
)
@click.option(
    "--min-images-per-second", type=float, required=True, help="that the array must classify"
)
@click.option(
    "--min-accuracy", type=float, help="of a checkpoint, which gets the fewest bits that keep it"
)
@click.option("--data-dir", help="folder of the checkpoint's data set; default $ADDERFORGE_DATA")
@click.option("--clock-mhz", type=float, help="of the array; default: the board's oscillator")
@click.option("--count", default=3, show_default=True, help="suggestions; the first one is built")
@click.option("--route", is_flag=True, help="place and route it too, on ice40 and ecp5")
@click.option("--store", type=FILE, help="results that are kept; default: in the user's cache")
@click.option("--out", type=FILE, help="run folder, new or empty; default runs/suggest-…")
@as_json
def suggest(
    board_name: str,
    model: Path,
    min_images_per_second: float,
    min_accuracy: float | None,
    data_dir: str | None,
    clock_mhz: float | None,
    count: int,
    route: bool,
    store: Path | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Find the smallest array that runs a network on a board fast enough.

    Names the best few, the resource that binds them, and what one step more of rows, columns and
    lanes would buy. Cycles are exact, sizes are guessed with the stated error; the first suggestion
    is then synthesized, and the promise stands beside the result.

    \b
    Example:  adderforge suggest --board icebreaker --min-images-per-second 100 \\
                  --model fixtures/lenet5-bn-digits-adder.npz
              adderforge suggest --board ulx3s-85f --min-images-per-second 1000 \\
                  --model run/adder.pt --min-accuracy 0.98
    """
    from rich.console import Console

    from golden import model_file
    from hw.cache import cache_folder

    from ..exploration.boards import board
    from ..exploration.effort import CLOCK
    from ..exploration.executors import processes
    from ..exploration.measuring import Laboratory
    from ..exploration.narrowest import narrowest
    from ..exploration.page import toml
    from ..exploration.store import Store
    from ..exploration.suggest import Adviser, Wish
    from ..progress import Stages
    from ..runs import new_run_folder, write_json, write_text

    if count < 1:
        raise ValueError(f"count must be at least 1, not {count}")
    place = board(board_name)
    if (min_accuracy is None) != (model.suffix != ".pt"):
        raise ValueError(
            "min_accuracy must be given with a checkpoint (.pt), and with nothing else, since a "
            f"quantized network has its width, not {min_accuracy} with {model}"
        )
    with processes(1) as executor:
        laboratory = Laboratory(executor, Store(store or cache_folder() / "store"))
        if min_accuracy is None:
            network, accuracy = model_file.load(model), None
        else:
            network, accuracy = narrowest(model, min_accuracy, data_dir, laboratory)
        wish = Wish(
            model=network,
            board=place,
            images_per_second=min_images_per_second,
            clock_mhz=place.clock_mhz if clock_mhz is None else clock_mhz,
        )
        adviser = Adviser(wish, laboratory)
        if route:
            adviser.effort.check(CLOCK)
        options = adviser.options(count)
        folder = new_run_folder("suggest", out)
        what = "synthesize, place and route" if route else "synthesize"
        with Stages(1, Console(stderr=True)).stage(f"{what} the first suggestion"):
            options[0] = adviser.build(options[0], route)
    for number, option in enumerate(options, 1):
        write_text(folder / f"suggestion-{number}.toml", toml(option.design))
    report = {
        "board": asdict(place),
        "clock_mhz": wish.clock_mhz,
        "min_images_per_second": min_images_per_second,
        "accuracy": accuracy,
        "suggestions": [_figures(option, place) for option in options],
    }
    write_json(folder / "suggest.json", report)
    text = [_text(number, option, place) for number, option in enumerate(options, 1)]
    if accuracy is not None:
        text.insert(0, f"{wish.width} bits: {accuracy:.2%} of the test images right")
    show(report, as_json, "\n".join([*text, _result(options[0], place, wish.clock_mhz, route)]))
    click.echo(folder, err=as_json)


def _figures(option: "Option", board: "Board") -> dict:
    figures = asdict(option) | {"design": option.design.values}
    return figures | {"shares": option.shares(board), "binding": option.binding(board)}


def _text(number: int, option: "Option", board: "Board") -> str:
    from ..exploration.suggest import words

    used = ", ".join(
        f"{option.used[name]:,}"
        + (f" ± {option.errors[name]:.0%}" if name in option.errors else "")
        + f" of {has:,} {words(name)}"
        for name, has in board.resources.items()
    )
    lines = [
        f"{number}. {option.design.options}",
        f"   {option.images_per_second:,.0f} images a second; {used}",
        f"   {words(option.binding(board))} bind it",
    ]
    for step in option.steps:
        fits = "" if step.fits else "; does not fit"
        lines.append(
            f"   {step.parameter} {step.value}: {step.images_per_second:,.0f} images a second, "
            f"{step.used['luts']:,} LUTs{fits}"
        )
    return "\n".join(lines)


def _result(option: "Option", board: "Board", clock_mhz: float, route: bool) -> str:
    """What was promised beside what was built."""
    if option.failure and not option.built:
        return f"built: failed: {option.failure}"
    off = option.used["luts"] / option.built["luts"] - 1
    text = (
        f"built: {option.built['luts']:,} LUTs where {option.used['luts']:,} were promised "
        f"({off:+.1%}), {option.built['flip_flops']:,} flip-flops where "
        f"{option.used['flip_flops']:,} were"
    )
    if option.failure:
        return f"{text}\nrouted: failed: {option.failure}"
    if route:
        holds = "holds" if option.fmax_mhz >= clock_mhz else "DOES NOT HOLD"
        part = "iCE40HX8K" if board.target == "ice40" else "LFE5U-85F"
        slower = "" if part == board.device else f" there; {board.device} may be slower"
        text += f"\nrouted on {part}: {option.fmax_mhz:g} MHz; {clock_mhz:g} MHz {holds}{slower}"
    return text
