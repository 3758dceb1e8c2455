"""Explores: measures designs level by level, the cheap first, and only what can still win."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from itertools import compress
from pathlib import Path

import numpy as np

from .calibration import samples
from .cost_model import TERMS, CostModel
from .design import Design, DesignPoint
from .effort import ACCURACY, ENERGY, Effort
from .measuring import Laboratory
from .objectives import FIGURES, Objective, objectives
from .pareto import pareto_set, possible_winners, spread
from .space import Space
from .store import Measurement, Store
from .task import Task
from .workloads import Workload, kind_of

MOST = 200  # points that climb to one level
EXHAUSTIVE = 20_000  # combinations up to which all are looked at


@dataclass(frozen=True, kw_only=True)
class Step:
    """What an exploration is at, for who watches: `done` of `count` measurements of a level, and
    the Pareto set of what is known so far."""

    level: int
    done: int
    count: int
    front: "Callable[[], list[DesignPoint]]"


Watch = Callable[[Step], None]


@dataclass(frozen=True, kw_only=True)
class Exploration:
    """points: of all designs, in the order of the space. front: those that nothing beats, among
    the points that were measured up to the highest level. left_out: points that could have won but
    did not climb, since there were more than `most`. model: what guessed."""

    workload: Workload
    effort: Effort
    objectives: tuple[Objective, ...]
    points: tuple[DesignPoint, ...]
    front: tuple[DesignPoint, ...]
    left_out: int
    model: CostModel

    @property
    def failed(self) -> list[DesignPoint]:
        return [point for point in self.points if point.failures]


def explore(
    space: Space,
    workload: Workload,
    wanted: Iterable[Objective | Callable[..., float] | str] = ("area_um2", "cycles"),
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

    wanted: objectives, by name or as functions, see `objectives`. fidelity: the highest level, 0 to
    4, see `levels`; on the way, levels that no objective needs are left out. executor: processes
    on this machine by default. store: results that are known, and where new ones are kept; without
    one they are lost at the end. Spaces of up to EXHAUSTIVE combinations are looked at as a whole,
    others by Optuna with `trials` and `seed`. most: points that climb to one level. sweep: all
    climb to all levels, whether they can win or not. retry: measure again what has failed.

    A point climbs if it may still be in the Pareto set: guesses count with their stated error, and
    while an objective is unknown, points are compared only where it must be equal. The same
    arguments and the same store give the same answer. ValueError for bad arguments, OSError when
    the disk is full, ToolError when workers die.
    """
    goals = objectives(wanted)
    effort = effort or Effort()
    ladder = Ladder(
        workload=workload,
        effort=effort,
        goals=goals,
        levels=_levels(goals, fidelity, effort),
        laboratory=Laboratory(executor=executor, store=store, retry=retry),
        most=EXHAUSTIVE if sweep else most,
        sweep=sweep,
        watch=watch,
    )
    defaults = {"depth": workload.depth} | effort.defaults
    if space.size > EXHAUSTIVE:
        from .search import search

        search(space, defaults, goals, ladder.evaluate, trials, seed, _journal(store))
    else:
        ladder.add(space.designs(**defaults))
    return ladder.climb()


def _journal(store: Store | None) -> Path | None:
    return store.folder / "search.log" if store is not None else None


def _levels(goals: tuple[Objective, ...], fidelity: int, effort: Effort) -> list[int]:
    """The levels to climb. ValueError when one cannot measure what is wanted there."""
    if fidelity not in range(ACCURACY + 1):
        raise ValueError(f"fidelity must be 0 to {ACCURACY}, not {fidelity}")
    for goal in goals:
        if any(FIGURES.get(name, 0) > fidelity and name not in TERMS for name in goal.needs):
            least = max(goal.levels)
            raise ValueError(
                f"objective {goal.name!r} is measured at fidelity {least}, and not guessed before; "
                f"fidelity must be at least {least}, not {fidelity}"
            )
    wanted = {fidelity}.union(*(goal.levels for goal in goals))
    chosen = [level for level in range(1, fidelity + 1) if level in wanted]
    for level in chosen:
        effort.check(level)
    return chosen


class Ladder:
    """What is known of an exploration's designs, and the way up."""

    def __init__(
        self,
        *,
        workload: Workload,
        effort: Effort,
        goals: tuple[Objective, ...],
        levels: list[int],
        laboratory: Laboratory,
        most: int,
        sweep: bool,
        watch: Watch,
    ) -> None:
        self.workload, self.effort, self.goals = workload, effort, goals
        self.levels, self._laboratory, self._most, self._watch = levels, laboratory, most, watch
        self._sweep = sweep
        self._exact: dict[Design, dict[str, float]] = {}
        self._known: dict[Design, dict[int, Measurement]] = {}
        self._left_out = 0
        self._refit()

    def add(self, designs: Iterable[Design]) -> None:
        """Put designs on the lowest level, with what the store knows of them. ValueError when
        energy or accuracy is wanted and there is no network for one."""
        designs = [design for design in designs if design not in self._exact]
        if not {ENERGY, ACCURACY}.isdisjoint(self.levels):
            for array in {design.array.pe: design.array for design in designs}.values():
                self.workload.model_for(array)
        operations = self.workload.operations
        for design in designs:
            array = design.array
            count = self.workload.cycles(array)
            useful = operations / (array.rows * array.cols * array.lanes * count)
            exact = {"cycles": count, "operations": operations, "utilization": useful}
            self._exact[design] = exact
            self._known[design] = {}
        for level in self.levels:
            self._recall(designs, level)

    def _recall(self, designs: Iterable[Design], level: int) -> None:
        for task in self._tasks(designs, level):
            if found := self._laboratory.recall(task):
                self._known[task.design][level] = found

    def evaluate(self, designs: Sequence[Design]) -> list[list[float] | None]:
        """Add designs, and measure them up to the lowest level that knows every objective. Returns
        the objectives' values; None of a design that failed."""
        self.add(designs)
        for level in self.levels:
            if all(None not in self._values(point) for point in self.points(designs)):
                break
            self.measure([d for d in designs if level not in self._known[d]], level)
        return [
            None if point.failures or None in self._values(point) else self._values(point)
            for point in self.points(designs)
        ]

    def climb(self) -> Exploration:
        """Up to the highest level; a round of measurements teaches the model, which may let others
        win, so that a level is done when all its possible winners are measured."""
        for level in self.levels:
            room = self._most
            while todo := self._unmeasured(level, self._may_win()):
                chosen = self._spread(todo, room)
                if not chosen:
                    self._left_out += len(todo)
                    break
                room -= len(chosen)
                self.measure(chosen, level)
                self._refit()
        points = self.points()
        self._check_known(points)
        return Exploration(
            workload=self.workload,
            effort=self.effort,
            objectives=self.goals,
            points=tuple(points),
            front=tuple(self._front(points)),
            left_out=self._left_out,
            model=self.model,
        )

    def _check_known(self, points: list[DesignPoint]) -> None:
        """ValueError when an objective is unknown of every design that has not failed."""
        sound = [point for point in points if not point.failures]
        for goal in self.goals:
            if sound and all(goal.of(point) is None for point in sound):
                raise ValueError(
                    f"objective {goal.name!r} is unknown of all {len(sound)} designs for target "
                    f"{self.effort.target!r}, and there are too few measurements to guess it; "
                    f"fidelity must be at least {max(goal.levels)}"
                )

    def measure(self, designs: list[Design], level: int) -> None:
        done = 0

        def progress(task: Task, measurement: Measurement) -> None:
            nonlocal done
            done += 1
            self._known[task.design][level] = measurement
            front = partial(self._front, None)
            self._watch(Step(level=level, done=done, count=count, front=front))

        tasks = self._tasks(designs, level)
        count = len({task.subject.key for task in tasks})
        results = self._laboratory.measure(tasks, progress)
        for design, measurement in zip(designs, results, strict=True):
            self._known[design][level] = measurement
        if level == ACCURACY:  # which other designs of the same width and kind share
            self._recall(self._exact, level)

    def points(self, designs: Iterable[Design] | None = None) -> list[DesignPoint]:
        """Measured figures take the place of guesses."""
        chosen = list(self._exact if designs is None else designs)
        points = []
        guesses = self.model.guess(chosen, self.effort.place)
        for design, (guessed, errors) in zip(chosen, guesses, strict=True):
            known = self._known[design]
            figures = guessed | self._exact[design]
            for measurement in known.values():
                figures |= measurement.figures
                errors = {n: e for n, e in errors.items() if n not in measurement.figures}
            failures = {level: m.reason for level, m in known.items() if m.reason}
            points.append(
                DesignPoint(
                    design=design,
                    figures=figures,
                    errors=errors,
                    level=self._reached(known),
                    failures=failures,
                )
            )
        return points

    def _reached(self, known: dict[int, Measurement]) -> int:
        """The level up to which all are known, and none has failed."""
        reached = 0
        for level in self.levels:
            if level not in known or known[level].reason:
                break
            reached = level
        return reached

    def _values(self, point: DesignPoint) -> list[float | None]:
        return [goal.of(point) for goal in self.goals]

    def _tasks(self, designs: Iterable[Design], level: int) -> list[Task]:
        return [
            Task(level=level, design=design, workload=self.workload, effort=self.effort)
            for design in designs
        ]

    def _unmeasured(self, level: int, points: list[DesignPoint]) -> list[DesignPoint]:
        return [point for point in points if level not in self._known[point.design]]

    def _may_win(self) -> list[DesignPoint]:
        """Points that have not failed and may be in the Pareto set, by what is known. A point
        counts against those alone whose unknown objectives are the same by construction."""
        sound = [point for point in self.points() if not point.failures]
        if self._sweep:
            return sound
        groups: dict[object, list[DesignPoint]] = defaultdict(list)
        for point in sound:
            groups[self._alike(point)].append(point)
        winners = []
        for points in groups.values():
            if known := [goal for goal in self.goals if goal.of(points[0]) is not None]:
                points = list(compress(points, possible_winners(*bounds(points, known))))
            winners += points
        return winners

    def _alike(self, point: DesignPoint) -> tuple:
        """What the values of unknown objectives follow from, with their names."""
        unknown = [goal for goal in self.goals if goal.of(point) is None]
        array = point.design.array
        missing = {name for goal in unknown for name in goal.needs if name not in point.figures}
        same = (kind_of(array.pe), array.width) if missing == {"accuracy"} else point.design
        return (*(goal.name for goal in unknown), same if missing else None)

    def _front(self, points: list[DesignPoint] | None) -> list[DesignPoint]:
        """Of points that are measured up to the highest level, or as far as any is."""
        points = self.points() if points is None else points
        points = [
            point for point in points if not point.failures and None not in self._values(point)
        ]
        highest = max((point.level for point in points), default=0)
        points = [point for point in points if point.level == highest]
        if not points:
            return []
        costs, _ = bounds(points, self.goals, guessed=False)
        front = list(compress(points, pareto_set(costs)))
        return sorted(front, key=lambda point: [goal.cost(point) for goal in self.goals])

    def _spread(self, points: list[DesignPoint], room: int) -> list[Design]:
        known = [g for g in self.goals if None not in [g.of(point) for point in points]]
        if len(points) <= room or not known:
            return [point.design for point in points[:room]]
        costs, _ = bounds(points, known, guessed=False)
        return [points[index].design for index in spread(costs, room)]

    def _refit(self) -> None:
        """The model, of the shipped measurements and of the store's."""
        self.model = CostModel(samples(self._laboratory))


def bounds(
    points: list[DesignPoint], goals: Iterable[Objective], guessed: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """The least and the most that each point may cost by each objective, (points, objectives);
    twice the likely cost where errors of guesses do not count."""
    costs = np.array([[goal.cost(point) for goal in goals] for point in points])
    if not guessed:
        return costs, costs
    errors = np.array([[goal.error(point) for goal in goals] for point in points])
    spans = np.abs(costs) * errors
    return costs - spans, costs + spans
