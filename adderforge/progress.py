"""Progress of a run of stages: a bar while a stage works, one line `[k/n] name … time` after it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

Update = Callable[[str, int, int], None]


class Stages:
    """Prints to `console`; on a terminal with a live bar, elsewhere plain lines only.

    every: elsewhere, seconds after which a line says what a long stage is at; None for never.
    seconds: of the stages done, by name.
    """

    def __init__(self, count: int, console: Console, every: float | None = None):
        self.count, self.console, self.every = count, console, every
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[Update]:
        """Run a stage; the value takes (what it is at, steps done, steps in all)."""
        label = f"[{len(self.seconds) + 1}/{self.count}] {name}"
        started = time.monotonic()
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[what]}", markup=False),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        bar = Progress(
            *columns, console=self.console, transient=True, disable=not self.console.is_terminal
        )
        with bar:
            task = bar.add_task(label, total=None, what="")

            said = started

            def update(what: str, done: int, total: int) -> None:
                nonlocal said
                bar.update(task, what=what, completed=done, total=total)
                now = time.monotonic()
                if self.every is not None and now - said >= self.every and bar.disable:
                    said = now
                    self._print(f"{label} … {what} ({done:,} of {total:,}, {now - started:.0f} s)")

            yield update
        self.seconds[name] = round(time.monotonic() - started, 1)
        self._print(f"{label} … {self.seconds[name]:.1f} s")

    def _print(self, line: str) -> None:
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)
