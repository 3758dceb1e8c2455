"""adderforge explore"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..options import FILE, as_json, given, left_out, show

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from ..exploration.result import Exploration

LINES_EVERY = 60  # seconds, off a terminal


@click.command()
@click.option("--space", "path", type=FILE, required=True, help="TOML file, see below")
@click.option("--fidelity", type=int, help="highest level, 0 to 4; default: the file's, or 0")
@click.option("--objective", "objectives", multiple=True, help="in place of the file's; repeat it")
@click.option("--target", help="ice40, ecp5, xilinx7, gowin or asic; default: the file's, or asic")
@click.option("--seed", type=int, help="of the search of large spaces")
@click.option("--trials", type=int, help="designs to look at in large spaces")
@click.option("--store", type=FILE, help="results that are kept; default: in the user's cache")
@click.option("--processes", type=int, help="at work on this machine; default: one for each core")
@click.option("--scheduler", help="Dask scheduler, tcp://host:port, whose workers measure instead")
@click.option("--sweep", is_flag=True, help="measure every design, whether it can win or not")
@click.option("--retry", is_flag=True, help="measure again what has failed")
@click.option("--parquet", is_flag=True, help="also write explore.parquet")
@click.option("--out", type=FILE, help="run folder, new or empty; default runs/explore-…")
@as_json
def explore(
    path: Path,
    objectives: tuple[str, ...],
    store: Path | None,
    processes: int | None,
    scheduler: str | None,
    sweep: bool,
    retry: bool,
    parquet: bool,
    out: Path | None,
    as_json: bool,
    **options: object,
) -> None:
    """Find the designs that nothing beats at running a network.

    Levels: 0 cycles, and guesses with stated errors; 1 synthesis; 2 clock rate; 3 energy with gate
    delays; 4 accuracy of the quantized network. Cheap first: what can still win goes up. Results
    are kept, so a run that was interrupted goes on where it was. OUT gets explore.html, one page
    that needs no network, .png, .md, .json, .csv, and a configuration file for each design of the
    Pareto set.

    \b
    Example:  adderforge explore --space space.toml --fidelity 1
    \b
    space.toml:
        objectives = ["area_um2", "microseconds"]
        fidelity = 2
        [workload]
        network = "resnet20"             # or model = "m.npz"; models = {adder = "run/adder.pt"}
        accelerator = false              # true: whole accelerators, of a model's network
        [space]                          # names of a configuration file; of accelerators as well
        pe = ["complement", "mac"]
        width = [4, 8]
        rows = {from = 2, to = 32, times = 2}
        cols = {from = 2, to = 32, times = 2}
        constraints = ["rows * cols <= 256"]
        [effort]
        target = "asic"
    """
    import shlex
    import sys

    from rich.console import Console

    from hw.tools import ToolError, cache_folder

    from ..exploration.explore import explore as run
    from ..exploration.live import watching
    from ..exploration.objectives import checked
    from ..exploration.page import markdown, write_pages
    from ..exploration.run_folder import run_folder
    from ..exploration.space_file import arguments, read_request
    from ..exploration.store import Store
    from ..exploration.tables import write_parquet

    if parquet:
        _need_pyarrow()
    if scheduler is not None:
        left_out("with --scheduler, whose workers measure", processes=processes)
    wanted = {"objectives": objectives} if objectives else {}
    wanted |= {"sweep": True} if sweep else {}
    request = read_request(path, **given(options), **wanted)
    known = Store(store or cache_folder() / "store")
    command = shlex.join(["adderforge", *sys.argv[1:]])
    console = Console(stderr=True)
    with run_folder("explore", out) as folder:
        with (
            _workers(processes, scheduler) as executor,
            watching(console, checked(request.objectives), LINES_EVERY) as watch,
        ):
            found = run(
                **arguments(request), executor=executor, store=known, retry=retry, watch=watch
            )
        report = write_pages(found, folder, command)
        if parquet:
            write_parquet(found.points, folder / "explore.parquet")
    show(report, as_json, markdown(found, report))
    click.echo(folder / "explore.html", err=as_json)
    if len(found.failed) == len(found.points):
        raise ToolError(_why_nothing(found))


def _why_nothing(found: "Exploration") -> str:
    first, count = found.failed[0], len(found.points)
    words = f"none of {count} designs could be measured; the first ({first.design.options})"
    return f"{words}: {next(iter(first.failures.values()))}"


@contextmanager
def _workers(count: int | None, address: str | None) -> "Iterator[Executor]":
    from ..exploration import executors

    if address:
        with executors.scheduler(address) as executor:
            yield executor
    else:
        with executors.processes(count) as executor:
            yield executor


def _need_pyarrow() -> None:
    from importlib.util import find_spec

    from hw.tools import ToolError

    if find_spec("pyarrow") is None:
        raise ToolError("pyarrow: not installed; run 'pip install adderforge[parquet]'")
