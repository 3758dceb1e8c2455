"""adderforge reproduce"""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from golden.reproduce.paper import NETWORKS, TITLES

from ..options import FILE, as_json, left_out, show
from .train import LINES_EVERY

if TYPE_CHECKING:
    from golden.reproduce.results import Result

UNUSED = {  # options that change nothing of an experiment
    "propositions": ("data_dir", "seeds", "epochs"),
    "table1": ("seeds", "epochs"),
    "figure2": ("seeds",),
    "figure4": ("seeds",),
}
_WIDTH = max(map(len, TITLES))
_NAMES = "\n".join(f"{name:<{_WIDTH}} {title}" for name, title in TITLES.items())


@click.command(epilog=f"\b\nNAME is one of\n{_NAMES}")
@click.argument("name")
@click.option("--data-dir", help="folder of the data set; default $ADDERFORGE_DATA")
@click.option("--seeds", type=click.IntRange(min=1), help="runs of each kind; default: ours")
@click.option("--epochs", type=click.IntRange(min=1), help="default: the paper's")
@click.option(
    "--kind", "kinds", multiple=True, help="of a network of the tables, such as adder; repeat it"
)
@click.option("--out", type=FILE, default=Path("runs/reproduce"), show_default=True)
@as_json
def reproduce(name: str, out: Path, as_json: bool, **options: object) -> None:
    """Regenerate a table or a figure of the paper, beside the paper's numbers.

    Trainings that --out already holds are used again, and one that was broken off goes on from its
    last whole epoch, so a stopped command can be given again.

    \b
    Example:  adderforge reproduce propositions
              adderforge reproduce mnist --data-dir ~/mnist --seeds 2 --epochs 10
              adderforge reproduce cifar10-resnet20 --kind adder --kind cnn
    """
    from rich.console import Console

    from golden.reproduce.experiments import EXPERIMENTS
    from golden.reproduce.results import Options
    from hw.tools import tool_versions

    from ..progress import Stages
    from ..runs import write_json, write_text

    if name not in EXPERIMENTS:
        raise ValueError(f"NAME must be one of {', '.join(EXPERIMENTS)}, not {name!r}")
    if name not in NETWORKS:
        left_out(f"for {name}, which is not one of {', '.join(NETWORKS)}", kind=options["kinds"])
    left_out(f"for {name}", **{some: options[some] for some in UNUSED.get(name, ())})
    stages = Stages(1, Console(stderr=True), every=LINES_EVERY)
    with stages.stage(f"reproduce {name}") as update:
        result = EXPERIMENTS[name](Options(folder=out, **options), update)
    out.mkdir(parents=True, exist_ok=True)
    figures = asdict(result) | {"seconds": stages.seconds, "tools": tool_versions()}
    write_json(out / f"{name}.json", figures)
    text = markdown(result)
    write_text(out / f"{name}.md", text)
    show(figures, as_json, text)


def _cell(text: str) -> str:
    """Of a Markdown table."""
    return text.replace("|", "\\|")


def markdown(result: "Result") -> str:
    lines = [f"# {result.title}", ""]
    if result.rows:
        lines += ["| | ours | paper |", "| --- | --: | --: |"]
        cells = [(row.label, row.ours, row.paper or "–") for row in result.rows]
        lines += ["| " + " | ".join(map(_cell, some)) + " |" for some in cells]
        lines.append("")
    lines += [f"![{result.title}]({picture})" for picture in result.pictures]
    return "\n".join(lines) + "\n"
