"""What a bench plays to an array of any configuration: the inputs of every cycle, and the rows of
sums that must come out, each in its cycle and no others.

Everything follows from the configuration and a seed, and nothing here needs a simulator.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from hw.config import ArrayConfig
from hw.schedule import Schedule, WeightSchedule, plan, words
from hw.weight_schedule import TURNAROUND

from .workload import MatrixForm, array_sums, generated_forms

Inputs = dict[str, int]


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row of sums that is valid in `cycle`; None where a sum stands for nothing. tile: counted
    through the scenario. row: of the array, or in a weight-stationary one the output's position."""

    cycle: int
    tile: int
    row: int
    sums: tuple[int | None, ...]


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """inputs: of each cycle, `rst` and the schedule's ports. rows: in the order of cycles."""

    seed: int
    inputs: list[Inputs]
    rows: list[Row]


def extremes(config: ArrayConfig, seed: int) -> Scenario:
    """Full tiles of the longest reduction, each into an empty array: zeros; the largest operands;
    the largest sum; the smallest; neighbors in time and place that differ in every bit."""
    low, high, top = _ranges(config)
    stream, shape = _Stream(config), (config.rows, config.depth, config.cols)
    chess = np.indices((max(shape), config.depth)).sum(axis=0) % 2
    a_chess, w_chess = np.where(chess, top, 0)[: shape[0]], np.where(chess, high, low)[: shape[2]]
    stream.play(_form(config, a_chess * 0, w_chess * 0))
    for a, w in ((top, high), (top, low), (0, high)):
        stream.empty()
        stream.play(_form(config, np.full_like(a_chess, a), np.full_like(w_chess, w)))
    stream.empty()
    stream.play(_form(config, a_chess, w_chess))
    return stream.scenario(seed)


def odd_shapes(config: ArrayConfig, seed: int) -> Scenario:
    """Matrix forms that fill no tile, the longest reduction among them."""
    stream = _Stream(config)
    _, _, *forms = generated_forms(config, seed)  # the first two are extremes
    for form in forms:
        stream.play(form)
        stream.empty()
    return stream.scenario(seed)


def back_to_back(config: ArrayConfig, seed: int) -> Scenario:
    """Full tiles without an idle cycle between them, of two forms that follow at once."""
    rng, stream = np.random.default_rng(seed), _Stream(config)
    k = min(config.depth, 2 * config.rows * config.lanes)
    for _ in range(2):
        stream.play(_random(config, rng, (2 * config.rows, k, 2 * config.cols)))
    return stream.scenario(seed)


def gaps(config: ArrayConfig, seed: int) -> Scenario:
    """Random forms, with idle cycles at random places, inside of tiles too."""
    rng, stream = np.random.default_rng(seed), _Stream(config)
    for _ in range(4):
        stream.play(_random(config, rng), spread=rng)
    return stream.scenario(seed)


def resets(config: ArrayConfig, seed: int) -> Scenario:
    """Resets in the middle of tiles or while sums are on their way; after each a right form at
    once. What was due later never comes."""
    rng, stream = np.random.default_rng(seed), _Stream(config)
    for _ in range(4):
        stream.play(_random(config, rng), cut=rng)
        stream.reset()
        stream.play(_random(config, rng))
    return stream.scenario(seed)


class _Stream:
    """Inputs one after another, as close as the array's docstring allows, and the sums of the
    tiles in them. Starts with a reset."""

    def __init__(self, config: ArrayConfig):
        self._config = config
        self._stays = config.dataflow == "weight-stationary"
        one = plan((1, 1, 1), config)
        self._idle: Inputs = dict.fromkeys(("rst", *one.ports), 0)
        self._empty_cycles = one.empty_cycles
        self._latency = one.cycles - len(one.operands(*np.zeros((2, 1, 1), int))["a"])
        self._inputs: list[Inputs] = []
        self._sums: list[tuple[int, int, tuple[int | None, ...]]] = []  # tile, row, sums
        self._tiles = 0
        self.reset()

    def reset(self) -> None:
        """For as long as the array's docstring asks."""
        cycles = 1 if self._stays else self._config.rows + self._config.cols
        self._inputs += [self._idle | {"rst": 1}] * cycles

    def empty(self) -> None:
        """Idle cycles until nothing is on its way."""
        self._inputs += [self._idle] * self._empty_cycles

    def play(
        self, form: MatrixForm, spread: Generator | None = None, cut: Generator | None = None
    ) -> None:
        """Add a form. spread: puts idle cycles into it. cut: ends it early, or soon after."""
        schedule = plan(form.shape, self._config)
        streams = words(schedule.operands(form.activations, form.weights), self._config.width)
        rows = zip(*streams.values(), strict=True)
        cycles = [self._idle | dict(zip(streams, row, strict=True)) for row in rows]
        if spread:
            counts = spread.integers(0, 4, len(cycles)) * (spread.random(len(cycles)) < 0.3)
            cycles = [
                x for x, n in zip(cycles, counts, strict=True) for x in [self._idle] * n + [x]
            ]
        self._keep_apart(cycles)
        if cut:
            end = int(cut.integers(1, len(cycles) + self._latency))
            cycles = (cycles + [self._idle] * self._latency)[:end]
        self._inputs += cycles
        count = sum(map(self._ends, cycles)) * self._rows_per_end
        self._sums += _rows(form, schedule, self._tiles)[:count]
        self._tiles = self._sums[-1][0] + 1 if self._sums else 0

    def scenario(self, seed: int) -> Scenario:
        """All of it, and idle cycles in which nothing must be left over."""
        self.empty()
        self.empty()
        return Scenario(seed=seed, inputs=self._inputs, rows=list(self._due()))

    def _keep_apart(self, cycles: list[Inputs]) -> None:
        """Idle cycles between ends of tiles, or between visits of a position, as far as they must
        be apart."""
        flag, least = ("active", TURNAROUND) if self._stays else ("last", self._config.rows)
        before = next((n for n, x in enumerate(reversed(self._inputs), 1) if x[flag]), least)
        after = next(n for n, x in enumerate(cycles) if x[flag])
        self._inputs += [self._idle] * (least - before - after)

    @property
    def _rows_per_end(self) -> int:
        return 1 if self._stays else self._config.rows

    @staticmethod
    def _ends(inputs: Inputs) -> bool:
        """Whether sums are complete with this cycle's operands."""
        return bool(inputs["last"] and inputs.get("active", 1))

    def _due(self) -> Iterator[Row]:
        """The rows that no reset stops on their way."""
        ends = [cycle for cycle, inputs in enumerate(self._inputs) if self._ends(inputs)]
        stops = np.array([cycle for cycle, inputs in enumerate(self._inputs) if inputs["rst"]])
        for number, (tile, row, sums) in enumerate(self._sums):
            end = ends[number // self._rows_per_end]
            cycle = end + self._latency + number % self._rows_per_end
            if not np.any((end <= stops) & (stops < cycle)):
                yield Row(cycle=cycle, tile=tile, row=row, sums=sums)


def _rows(
    form: MatrixForm, schedule: Schedule | WeightSchedule, tile: int
) -> list[tuple[int, int, tuple[int | None, ...]]]:
    """Tile, row and sums of each row in the order of leaving the array; the first tile's number
    is given."""
    config, count = schedule.config, schedule.rows_out
    sums = np.full(count * config.cols, None)
    places = schedule.results(np.arange(sums.size).reshape(count, config.cols))
    sums[places] = form.sums
    unused = [(None,) * config.cols] * schedule.rows_unused
    per_tile = form.shape[0] if config.dataflow == "weight-stationary" else config.rows
    return [
        (tile + number // per_tile, number % per_tile, tuple(row))
        for number, row in enumerate([*sums.reshape(count, config.cols).tolist(), *unused])
    ]


def _random(
    config: ArrayConfig, rng: Generator, shape: tuple[int, int, int] | None = None
) -> MatrixForm:
    """Random operands, of a random shape of a few tiles unless one is given."""
    longest = min(config.depth, 3 * config.rows * config.lanes)
    most = (2 * config.rows + 1, longest, 2 * config.cols + 1)
    m, k, n = shape or (int(rng.integers(1, size + 1)) for size in most)
    low, high, top = _ranges(config)
    return _form(config, rng.integers(0, top + 1, (m, k)), rng.integers(low, high + 1, (n, k)))


def _form(config: ArrayConfig, a: np.ndarray, w: np.ndarray) -> MatrixForm:
    return MatrixForm(name="", activations=a, weights=w, sums=array_sums(config, a, w))


def _ranges(config: ArrayConfig) -> tuple[int, int, int]:
    """Lowest and highest weight, highest activation."""
    low = -(2 ** (config.width - 1)) if config.weight_signed else 0
    return low, low + 2**config.width - 1, 2**config.width - 1
