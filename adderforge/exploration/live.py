"""What an exploration is at: on a terminal the Pareto set as it grows, elsewhere plain lines."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.table import Table

from .design import DesignPoint
from .effort import LEVELS
from .objectives import Objective, number
from .result import Step, Watch

SHOWN = 12  # of the Pareto set
PARAMETERS = ("pe", "width", "rows", "cols", "lanes", "dataflow", "pipeline")
REDRAW = 0.5  # seconds


@contextmanager
def watching(
    console: Console, goals: tuple[Objective, ...], every: float = 60.0
) -> Iterator[Watch]:
    """The value is called with every step. every: seconds between lines off a terminal."""
    live = Live(console=console, transient=True, auto_refresh=False)
    said = drawn = time.monotonic()

    def on_terminal(step: Step) -> None:
        nonlocal drawn
        if time.monotonic() - drawn >= REDRAW or step.done == step.count:
            drawn = time.monotonic()
            live.update(front_table(step.front(), goals, _line(step)), refresh=True)

    def in_lines(step: Step) -> None:
        nonlocal said
        if time.monotonic() - said >= every or step.done == step.count:
            said = time.monotonic()
            console.print(_line(step), markup=False, highlight=False, soft_wrap=True)

    if console.is_terminal:
        with live:
            yield on_terminal
    else:
        yield in_lines


def front_table(front: list[DesignPoint], goals: tuple[Objective, ...], title: str) -> Table:
    table = Table(title=title, title_justify="left")
    for name in (*PARAMETERS, *(goal.name for goal in goals)):
        table.add_column(name, justify="right")
    for point in front[:SHOWN]:
        values = [str(point.design.values[name]) for name in PARAMETERS]
        table.add_row(*values, *(number(goal.of(point)) for goal in goals))
    if len(front) > SHOWN:
        table.caption = f"and {len(front) - SHOWN} more"
    return table


def _line(step: Step) -> str:
    return f"{LEVELS[step.level]}: {step.done:,} of {step.count:,}"
