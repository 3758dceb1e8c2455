"""Explores a space: all designs of it or, where they are too many, those that a search proposes."""

from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from pathlib import Path

from .cost_model import TERMS
from .effort import ACCURACY, Effort
from .ladder import Ladder
from .measuring import Laboratory
from .objectives import COUNTED, FIGURES, Objective, checked
from .result import Exploration, Watch
from .search import check_counts, search
from .space import Space
from .store import Store
from .workloads import Workload

MOST = 200  # points that climb to one level
EXHAUSTIVE = 20_000  # combinations up to which all are looked at


def explore(
    space: Space,
    workload: Workload,
    objectives: Iterable[Objective | Callable[..., float] | str] = ("area_um2", "cycles"),
    fidelity: int = 0,
    executor: Executor | None = None,
    store: Store | None = None,
    *,
    effort: Effort | None = None,
    trials: int = 1000,
    seed: int = 0,
    most: int = MOST,
    sweep: bool = False,
    retry: bool = False,
    watch: Watch = lambda step: None,
) -> Exploration:
    """Find the designs of a space that nothing beats at running a workload.

    objectives: by name or as functions, see `adderforge.exploration.objectives`. fidelity: the
    highest level, 0 to 4, see `levels`; on the way, levels that no objective needs are left out.
    executor: processes on this machine by default. store: results that are known, and where new
    ones are kept; without one they are lost at the end. Spaces of up to EXHAUSTIVE combinations are
    looked at as a whole, of others up to `trials` designs, by Optuna, whose `seed` is 0 to 2³² − 1.
    most: points that climb to one level. sweep: all climb to all levels, whether they can win or
    not. retry: measure again what has failed.

    A point climbs if it may still be in the Pareto set: guesses count with their stated error, and
    while an objective is unknown, points are compared only where it must be equal. The same
    arguments and the same store give the same answer. ValueError for bad arguments, OSError when
    the disk is full, ToolError when workers die, and what `levels.measure` raises.
    """
    check_counts(trials, most, seed)
    goals = checked(objectives)
    effort = effort or Effort()
    ladder = Ladder(
        workload=workload,
        effort=effort,
        goals=goals,
        levels=_levels(goals, fidelity, effort, workload),
        laboratory=Laboratory(executor=executor, store=store, retry=retry),
        most=EXHAUSTIVE if sweep else most,
        sweep=sweep,
        watch=watch,
    )
    defaults = workload.defaults | effort.defaults
    if space.size > EXHAUSTIVE:
        search(space, defaults, goals, ladder.evaluate, trials, seed, _journal(store))
    else:
        ladder.add(space.designs(**defaults))
    return ladder.climb()


def _journal(store: Store | None) -> Path | None:
    return store.folder / "search.log" if store is not None else None


def _levels(
    goals: tuple[Objective, ...], fidelity: int, effort: Effort, workload: Workload
) -> list[int]:
    """The levels to climb. ValueError when one cannot measure what is wanted there."""
    if fidelity not in range(ACCURACY + 1):
        raise ValueError(f"fidelity must be 0 to {ACCURACY}, not {fidelity}")
    guessed = {*TERMS, *(COUNTED if workload.accelerator else ())}
    for goal in goals:
        if lacking := sorted({*goal.needs} & {*effort.without}):
            raise ValueError(
                f"objective {goal.name!r} needs {', '.join(lacking)}, which no design has on "
                f"target {effort.target!r}; give another objective or target"
            )
        if any(FIGURES.get(name, 0) > fidelity and name not in guessed for name in goal.needs):
            least = max(goal.levels)
            raise ValueError(
                f"objective {goal.name!r} is measured at fidelity {least}, and not guessed before; "
                f"fidelity must be at least {least}, not {fidelity}"
            )
    wanted = {fidelity}.union(*(goal.levels for goal in goals))
    chosen = [level for level in range(1, fidelity + 1) if level in wanted]
    for level in chosen:
        effort.check(level, workload.accelerator)
    return chosen
