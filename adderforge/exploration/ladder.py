"""Measures designs level by level, the cheap first, and only what can still win."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import compress

import numpy as np

from .around_model import AroundModel
from .calibration import samples
from .cost_model import CostModel
from .design import Design, DesignPoint
from .effort import ACCURACY, CYCLES, ENERGY, Effort
from .measuring import Laboratory
from .objectives import Objective
from .pareto import pareto_set, possible_winners, spread
from .result import Exploration, Step, Watch
from .store import Measurement
from .task import Task
from .workloads import Workload, kind_of


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
        self._refused: dict[Design, str] = {}
        self._requantized: dict[Design, Design] = {}  # of accelerators, as they run the network
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
        for design in designs:
            self._known[design] = {}
            try:
                self._exact[design] = self.workload.figures(design, self.effort)
                if self.workload.accelerator:
                    self._requantized[design] = self.workload.requantized(design)
            except ValueError as error:
                self._exact[design], self._refused[design] = {}, str(error)
        for level in self.levels:
            self._recall((d for d in designs if d not in self._refused), level)

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
            todo = (d for d in designs if d not in self._refused)
            self.measure([d for d in todo if level not in self._known[d]], level)
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
            around=self.around,
        )

    def _check_known(self, points: list[DesignPoint]) -> None:
        """ValueError when the network runs on no design, and when an objective is unknown of every
        design that has not failed."""
        if len(self._refused) == len(points):
            reason = next(iter(self._refused.values()))
            raise ValueError(f"none of {len(points)} designs runs the network; the first: {reason}")
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
        for design, (guessed, errors) in zip(chosen, self._guess(chosen), strict=True):
            known = self._known[design]
            figures = guessed | self._exact[design]
            for measurement in known.values():
                figures |= measurement.figures
                errors = {n: e for n, e in errors.items() if n not in measurement.figures}
            failures = {level: m.reason for level, m in known.items() if m.reason}
            if design in self._refused:
                failures[CYCLES] = self._refused[design]
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

    def _guess(self, designs: list[Design]) -> list[tuple[dict[str, float], dict[str, float]]]:
        if self.workload.accelerator:
            as_run = [self._requantized.get(design, design) for design in designs]
            return self.around.guess(as_run, self.effort)
        return self.model.guess(designs, self.effort.place)

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
        recipe = tuple(point.design.around.recipe.items())
        of_network = (kind_of(array.pe), array.width, recipe)
        same = of_network if missing == {"accuracy"} else point.design
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
        """The models, of the shipped measurements and of the store's."""
        known = samples(self._laboratory)
        self.model = CostModel(known)
        self.around = AroundModel(known, self.model)


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
