"""How a matrix form m × k × n runs on an array: tiles, operands of every cycle, cycle count.

Here for output-stationary arrays; `hw.weight_schedule` for the others, with the same members.
Tiles of rows × cols outputs follow one another without a gap, the filters' tiles outermost.
A tile takes ceil(k / lanes) cycles, or `rows` if that is more: sums leave a row a cycle.
Rows, columns and lanes that a tile does not fill get zeros on both operands: they add nothing.

Forms may follow one another as tiles do (`back_to_back`), if ends of tiles stay `rows` cycles
apart; only the last one's sums are waited for. ResNet-20's adder layers at 16 × 16 × 1 take
158,336 cycles one by one and 157,728 back to back, 157,696 of them useful. A layer alone waits 32
cycles for its first operands and last sums to cross the array: 1 % of a 3 × 3 layer at most, but
6 % of a 1 × 1 shortcut's 512 + 32.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .config import ArrayConfig
from .weight_schedule import WeightSchedule


def drain_latency(config: ArrayConfig) -> int:
    """Cycles from a tile's last operands to its first row of sums."""
    return config.cols + config.pipeline + config.drain_stages - 1


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A matrix form on a configuration. shape: (m, k, n), outputs × reduction × filters.

    ValueError when a size is not positive or the reduction is longer than `config.depth`.
    """

    ports: ClassVar = ("a", "w", "last")
    shape: tuple[int, int, int]
    config: ArrayConfig

    def __post_init__(self) -> None:
        self.config.check_shape(self.shape)

    @property
    def steps(self) -> int:
        """Cycles with operands in a tile."""
        return math.ceil(self.shape[1] / self.config.lanes)

    @property
    def period(self) -> int:
        """Cycles from the start of a tile to the start of the next."""
        return max(self.steps, self.config.rows)

    @property
    def tiles(self) -> tuple[int, int]:
        """Tiles along m and along n."""
        m, _, n = self.shape
        return math.ceil(m / self.config.rows), math.ceil(n / self.config.cols)

    @property
    def cycles(self) -> int:
        """From the first operands to the last useful row of sums, both cycles included."""
        before_last = (math.prod(self.tiles) - 1) * self.period
        return before_last + self.steps - 1 + drain_latency(self.config) + self._last_rows

    @property
    def empty_cycles(self) -> int:
        """Cycles without operands after which the last row of sums has left the array."""
        return self.config.rows + drain_latency(self.config)

    @property
    def rows_out(self) -> int:
        """Rows of sums that leave the array, up to the last useful one."""
        return (math.prod(self.tiles) - 1) * self.config.rows + self._last_rows

    @property
    def rows_unused(self) -> int:
        """Rows that still leave the array after that, from a last tile that is not full."""
        return self.config.rows - self._last_rows

    @property
    def _last_rows(self) -> int:
        return (self.shape[0] - 1) % self.config.rows + 1

    @property
    def utilization(self) -> float:
        """Useful PE-cycles (m · k · n / lanes) ÷ (PEs × cycles)."""
        products = self.config.rows * self.config.cols * self.config.lanes * self.cycles
        return math.prod(self.shape) / products

    def operands(self, a: np.ndarray, w: np.ndarray) -> dict[str, np.ndarray]:
        """What enters in each cycle, from the first operands to the last tile's last step.

        a: activations (m, k). w: weights (n, k). Returns, for each of `ports`, activations
        (cycles, rows, lanes), weights (cycles, cols, lanes) and `last` (cycles,).
        """
        (m, k, n), config = self.shape, self.config
        if a.shape != (m, k) or w.shape != (n, k):
            raise ValueError(f"operands must be {(m, k)} and {(n, k)}, not {a.shape}, {w.shape}")
        tiles_m, tiles_n = self.tiles
        a_tiles = self._split(a, tiles_m, config.rows)
        w_tiles = self._split(w, tiles_n, config.cols)
        last = np.zeros((tiles_n * tiles_m, self.period), dtype=bool)
        last[:, self.steps - 1] = True
        a_stream = np.tile(a_tiles, (tiles_n, 1, 1, 1))
        w_stream = np.repeat(w_tiles, tiles_m, axis=0)
        end = (tiles_n * tiles_m - 1) * self.period + self.steps
        streams = zip(self.ports, (a_stream, w_stream, last), strict=True)
        return {name: x.reshape(-1, *x.shape[2:])[:end] for name, x in streams}

    def results(self, sums: np.ndarray) -> np.ndarray:
        """Put the rows of sums, in the order of leaving the array, (tiles · rows, cols) or fewer
        when the last tile is not full, into the matrix (m, n)."""
        (m, _, n), (tiles_m, tiles_n) = self.shape, self.tiles
        rows, cols = self.config.rows, self.config.cols
        missing = tiles_m * tiles_n * rows - len(sums)
        sums = np.pad(sums, ((0, missing), (0, 0)))
        matrix = sums.reshape(tiles_n, tiles_m * rows, cols).transpose(1, 0, 2)
        return matrix.reshape(tiles_m * rows, tiles_n * cols)[:m, :n]

    def _split(self, matrix: np.ndarray, tiles: int, side: int) -> np.ndarray:
        """(tiles · side or fewer, k) to (tiles, period, side, lanes), filled up with zeros."""
        lanes, steps = self.config.lanes, self.steps
        count, k = matrix.shape
        padded = np.pad(matrix, ((0, tiles * side - count), (0, steps * lanes - k)))
        split = padded.reshape(tiles, side, steps, lanes).transpose(0, 2, 1, 3)
        return np.pad(split, ((0, 0), (0, self.period - steps), (0, 0), (0, 0)))


def plan(shape: tuple[int, int, int], config: ArrayConfig) -> Schedule | WeightSchedule:
    """The schedule of an (m, k, n) matrix form on an array of the configuration's dataflow."""
    kind = WeightSchedule if config.dataflow == "weight-stationary" else Schedule
    return kind(shape=shape, config=config)


def cycles(shape: tuple[int, int, int], config: ArrayConfig) -> int:
    """Cycles that the array takes for an (m, k, n) matrix form; equal to simulation. ValueError for
    sizes below 1 and forms that the array is too small for."""
    return plan(shape, config).cycles


def back_to_back(
    shapes: Sequence[tuple[int, int, int]], config: ArrayConfig
) -> tuple[list[int], int]:
    """Of forms that follow one another on an output-stationary array without a gap that is not
    needed: the cycle of each one's first operands, and all cycles; equal to simulation. ValueError
    for another array, or no form."""
    if config.dataflow != "output-stationary" or not shapes:
        raise ValueError(
            f"dataflow must be output-stationary, with at least one form, not {config.dataflow} "
            f"with {len(shapes)}"
        )
    starts, end = [], -config.rows  # of the tile before, the cycle of its last operands
    for shape in shapes:
        form = Schedule(shape=shape, config=config)
        starts.append(max(end + 1, end + config.rows - form.steps + 1, 0))
        end = starts[-1] + (math.prod(form.tiles) - 1) * form.period + form.steps - 1
    return starts, starts[-1] + form.cycles


def words(streams: dict[str, np.ndarray], width: int) -> dict[str, list[int]]:
    """One integer per cycle for each port: operands as `pack` makes them of `width` bits, and
    flags, (cycles,), as they are."""
    return {
        name: pack(stream, 1 if stream.ndim == 1 else width) for name, stream in streams.items()
    }


def pack(values: np.ndarray, width: int) -> list[int]:
    """One integer per cycle from (cycles, …) operands: the first in the lowest bits, negative
    ones in two's complement."""
    flat = values.reshape(len(values), -1).astype(np.int64)
    bits = (flat[:, :, None] >> np.arange(width)) & 1
    packed = np.packbits(bits.reshape(len(values), -1).astype(np.uint8), axis=1, bitorder="little")
    return [int.from_bytes(row.tobytes(), "little") for row in packed]


def unpack(words: list[int], count: int, width: int, signed: bool) -> np.ndarray:
    """(cycles, count) integers from words packed as `pack` does."""
    size = (count * width + 7) // 8
    raw = b"".join(word.to_bytes(size, "little") for word in words)
    table = np.frombuffer(raw, np.uint8).reshape(len(words), size)
    bits = np.unpackbits(table, axis=1, bitorder="little", count=count * width)
    weights = 1 << np.arange(width, dtype=np.int64)
    if signed:
        weights[-1] = -weights[-1]
    return bits.reshape(len(words), count, width).astype(np.int64) @ weights
