"""How a matrix form m × k × n runs on a weight-stationary array, as `hw.schedule` has it for the
output-stationary one.

A tile is rows · lanes terms of the reduction, a fold of it, by cols filters; its pass streams a
block of up to `positions` outputs through. The filters' tiles are outermost, then blocks, then
folds, so that a block's sums are all added up before the memory goes to the next block.

A pass takes as many cycles as the block has outputs, or `rows` if that is more, in which the next
weights are loaded, or 4, after which the memory gives a sum anew. Passes follow without a gap.
Rows, columns and lanes that a tile does not fill get zeros on both operands: they add nothing.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .config import ArrayConfig

TURNAROUND = 4  # cycles from reading a sum in the memory to where it can be read anew


def memory_latency(config: ArrayConfig) -> int:
    """Cycles from activations to their sums: through the array, while the memory is read."""
    return max(config.rows + config.cols, 3) + config.pipeline


@dataclass(frozen=True, kw_only=True)
class Pass:
    """start: cycle of the first activations. block: of outputs."""

    start: int
    fold: int
    block: slice
    filters: int

    @property
    def size(self) -> int:
        return self.block.stop - self.block.start


@dataclass(frozen=True, kw_only=True)
class WeightSchedule:
    """A matrix form on a configuration. shape: (m, k, n), outputs × reduction × filters.

    ValueError when a size is not positive or the reduction is longer than `config.depth`.
    """

    ports: ClassVar = ("a", "w", "load", "swap", "active", "first", "last")
    shape: tuple[int, int, int]
    config: ArrayConfig

    def __post_init__(self) -> None:
        self.config.check_shape(self.shape)

    @property
    def tiles(self) -> tuple[int, int]:
        """Tiles along k, which are folds, and along n."""
        _, k, n = self.shape
        return math.ceil(k / (self.config.rows * self.config.lanes)), math.ceil(
            n / self.config.cols
        )

    def passes(self) -> Iterator[Pass]:
        """In the order of time."""
        (m, _, _), (folds, tiles_n) = self.shape, self.tiles
        start, most = self.config.rows + 1, self.config.positions  # first come the first weights
        for filters in range(tiles_n):
            for first in range(0, m, most):
                block = slice(first, min(first + most, m))
                for fold in range(folds):
                    yield Pass(start=start, fold=fold, block=block, filters=filters)
                    start += self.period(block.stop - block.start)

    def period(self, size: int) -> int:
        """Cycles from the start of a pass of `size` outputs to the start of the next."""
        return max(size, self.config.rows, TURNAROUND)

    @property
    def cycles(self) -> int:
        """From the first weights to the last row of sums, both cycles included."""
        return self._operand_cycles + memory_latency(self.config)

    @property
    def rows_out(self) -> int:
        """Rows of sums that leave the array: one for each output and tile of filters."""
        return self.tiles[1] * self.shape[0]

    @property
    def rows_unused(self) -> int:
        """Rows that still leave the array after that: none."""
        return 0

    @property
    def empty_cycles(self) -> int:
        """Cycles without operands after which the last row of sums has left the array."""
        return memory_latency(self.config)

    @property
    def utilization(self) -> float:
        """Useful PE-cycles (m · k · n / lanes) ÷ (PEs × cycles)."""
        products = self.config.rows * self.config.cols * self.config.lanes * self.cycles
        return math.prod(self.shape) / products

    def operands(self, a: np.ndarray, w: np.ndarray) -> dict[str, np.ndarray]:
        """What enters in each cycle, from the first weights to the last activations.

        a: activations (m, k). w: weights (n, k). Returns, for each of `ports`, activations
        (cycles, rows, lanes), weights (cycles, cols, lanes) and flags (cycles,).
        """
        (m, k, n), config = self.shape, self.config
        if a.shape != (m, k) or w.shape != (n, k):
            raise ValueError(f"operands must be {(m, k)} and {(n, k)}, not {a.shape}, {w.shape}")
        (folds, tiles_n), rows, cols = self.tiles, config.rows, config.cols
        missing = folds * rows * config.lanes - k
        a_folds = np.pad(a, ((0, 0), (0, missing))).reshape(m, folds, rows, config.lanes)
        w_tiles = np.pad(w, ((0, tiles_n * cols - n), (0, missing)))
        w_tiles = w_tiles.reshape(tiles_n, cols, folds, rows, config.lanes)
        count = self._operand_cycles
        streams = {
            "a": np.zeros((count, rows, config.lanes), a.dtype),
            "w": np.zeros((count, cols, config.lanes), w.dtype),
        } | {name: np.zeros(count, bool) for name in self.ports[2:]}
        for run in self.passes():
            now = slice(run.start, run.start + run.size)
            before = slice(run.start - 1 - rows, run.start - 1)
            streams["a"][now] = a_folds[run.block, run.fold]
            bottom_first = w_tiles[run.filters, :, run.fold, ::-1]
            streams["w"][before] = bottom_first.transpose(1, 0, 2)
            streams["load"][before] = streams["swap"][run.start - 1] = True
            streams["active"][now] = True
            streams["first"][now] = run.fold == 0
            streams["last"][now] = run.fold == folds - 1
        return streams

    def results(self, sums: np.ndarray) -> np.ndarray:
        """Put the rows of sums, in the order of leaving the array, (tiles of filters · m, cols) or
        fewer, into the matrix (m, n)."""
        (m, _, n), (_, tiles_n) = self.shape, self.tiles
        sums = np.pad(sums, ((0, self.rows_out - len(sums)), (0, 0)))
        matrix = sums.reshape(tiles_n, m, self.config.cols).transpose(1, 0, 2)
        return matrix.reshape(m, tiles_n * self.config.cols)[:, :n]

    @property
    def _operand_cycles(self) -> int:
        (m, _, _), (folds, tiles_n) = self.shape, self.tiles
        blocks, rest = divmod(m - 1, self.config.positions)
        full, last = self.period(self.config.positions), self.period(rest + 1)
        busy = tiles_n * folds * (blocks * full + last)
        return self.config.rows + 1 + busy - last + rest + 1
