"""What an exploration finds, and what it is at."""

from collections.abc import Callable
from dataclasses import dataclass

from .around_model import AroundModel
from .cost_model import CostModel
from .design import DesignPoint
from .effort import Effort
from .objectives import Objective
from .workloads import Workload


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
    did not climb, since there were more than `most`. model, around: what guessed."""

    workload: Workload
    effort: Effort
    objectives: tuple[Objective, ...]
    points: tuple[DesignPoint, ...]
    front: tuple[DesignPoint, ...]
    left_out: int
    model: CostModel
    around: AroundModel

    @property
    def failed(self) -> list[DesignPoint]:
        return [point for point in self.points if point.failures]
