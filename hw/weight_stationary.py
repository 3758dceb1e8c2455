"""The weight-stationary systolic array: weights stay in the PEs, sums move down through them."""

from collections.abc import Callable
from itertools import pairwise

from amaranth import Module, Signal, Value
from amaranth.lib.data import ArrayLayout
from amaranth.lib.wiring import Component, In, Out, Signature

from .config import ArrayConfig
from .fold_memory import FoldMemory
from .mapping import weights_inverted
from .pipeline import delay, in_step
from .weight_pe import StayingRowSum, WeightStationaryPE, begin, reset_not_wanted, sum_of
from .weight_schedule import memory_latency


def weight_array_signature(config: ArrayConfig, doubles: bool = False) -> Signature:
    """The ports of a weight-stationary array; `WeightStationaryArray` says what they mean."""
    operands = ArrayLayout(config.width, config.lanes)
    return Signature(
        {
            "a": In(ArrayLayout(operands, config.rows)),
            "w": In(ArrayLayout(operands, config.cols)),
            "load": In(1),
            "swap": In(1),
            "active": In(1),
            "first": In(1),
            "last": In(1),
            "sums": Out(ArrayLayout(config.acc_width, config.cols)),
            "valid": Out(1),
        }
        | ({"double": In(1)} if doubles else {})
    )


class WeightStationaryArray(Component):
    """rows × cols PEs that keep their weights; activations travel right, sums down, and a memory
    below adds up the folds of a reduction.

    Weights of a tile come in `rows` words, the bottom row's first, `load` with each, and move down
    to their rows while the array computes with those before. `swap`, after the last word, makes
    them current for the activations from the next cycle on; words of the next tile may come with
    `swap` and later. Give all rows the activations of one output position together, one position a
    cycle, `active` with each, at most `positions` after a `swap`; the memory numbers them from
    there. `first` and `last` mark all positions of a reduction's first and last fold. The array
    skews all operands itself. There is no flow control: cycles without `load` and `active` are
    idle. A position comes anew after 4 cycles at least (`hw.weight_schedule` keeps to all this).
    Sums come out a row a cycle: `valid`, and with it the sums of one position for all columns.

    Latency: activations that are given in cycle t with `last` have their sums valid in cycle
    t + rows + cols + pipeline, with one PE in t + 3 + pipeline. Reset: `rst` for one cycle; then
    load weights anew.

    A `min` array has a column of `StayingRowSum` at the left edge, and gives
    Σa − 2 · Σmin(a, w) = Σ|a − w| − Σw: the SAD less a constant of the filter, which belongs in the
    bias.

    pe, row_sum: make a PE and a row's sum from the configuration; Verilog output passes a PE that
    instantiates a module of its own. doubles: with the port `double`.

    Members
    -------
    a : activations, rows × lanes × width bits
    w : weights of one row, cols × lanes × width bits
    load : `w` is one of the `rows` words of a tile
    swap : the words that have come are the weights of the next activations
    active : `a` is one position's activations
    first, last : they are of the reduction's first, last fold
    double : this fold is added to twice the sum of those before
    sums : sums of one position, cols × acc_width bits; two's complement in `mac` and `min`
    valid : `sums` holds a row
    """

    def __init__(
        self,
        config: ArrayConfig,
        pe: Callable[[ArrayConfig], Component] = WeightStationaryPE,
        row_sum: Callable[[ArrayConfig], Component] = StayingRowSum,
        doubles: bool = False,
    ):
        self.config = config
        self._pe, self._row_sum, self._doubles = pe, row_sum, doubles
        super().__init__(weight_array_signature(config, doubles))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        rows, cols = self.config.rows, self.config.cols
        grid = [[self._pe(self.config) for _ in range(cols)] for _ in range(rows)]
        for r in range(rows):
            for c in range(cols):
                m.submodules[f"pe_{r}_{c}"] = grid[r][c]
        self._feed_weights(m, grid)
        self._feed_activations(m, grid)
        bottoms = [(c, sum_of(pe)) for c, pe in enumerate(grid[-1])]
        if self.config.pe == "min":
            bottoms.append((0, self._add_rows(m, grid)))
        m.submodules.folds = memory = FoldMemory(self.config, len(bottoms), self._doubles)
        latency = memory_latency(self.config)
        for index, (c, total) in enumerate(bottoms):
            late = latency - self.config.pipeline - rows - 1 - c
            total = in_step(m, total, self.config, f"low_{index}")
            m.d.comb += memory.folds[index].eq(delay(m, total, late, f"deskew_{index}"))
        for name in ("swap", "active", "first", "last") + self._doubles * ("double",):
            flag = delay(m, getattr(self, name), latency - 3, f"late_{name}", reset_less=False)
            m.d.comb += getattr(memory, name).eq(flag)
        for c, sums in enumerate(self.sums):
            less = self.config.pe == "min"
            total = memory.sums[cols] - (memory.sums[c] << 1) if less else memory.sums[c]
            m.d.comb += sums.eq(total)
        m.d.comb += self.valid.eq(memory.valid)
        return m

    def _add_rows(self, m: Module, grid: list[list[Component]]) -> Value:
        """Σa of all rows, in step with the first column's sum."""
        column = [self._row_sum(self.config) for _ in grid]
        for r, (row_sum, row) in enumerate(zip(column, grid, strict=True)):
            m.submodules[f"row_sum_{r}"] = row_sum
            m.d.comb += row_sum.a.eq(row[0].a)
        for upper, lower in pairwise(column):
            m.d.comb += lower.above.eq(upper.sum)
        begin(m, column[0])
        return sum_of(column[-1])

    def _feed_weights(self, m: Module, grid: list[list[Component]]) -> None:
        """Column c starts c cycles late. Row r takes a tile's words from the word r on."""
        for row, load in zip(grid, self._loads(m), strict=True):
            m.d.comb += row[0].load.eq(load)
            for left, right in pairwise(row):
                m.d.comb += right.load.eq(left.load_out)
        for c, top in enumerate(grid[0]):
            w = self.w[c].as_value()
            w = ~w if weights_inverted(self.config) else w
            m.d.comb += top.w.eq(delay(m, w, c, f"skew_w_{c}"))
            for upper, lower in pairwise(grid):
                m.d.comb += lower[c].w.eq(upper[c].w_out)

    def _loads(self, m: Module) -> list[Value]:
        """For each row, whether this cycle's word moves into it: whether at least as many of the
        tile's words have come before as there are rows above."""
        loads, last_word = [self.load], Signal()
        for r in range(1, self.config.rows):
            come = Signal(name=f"come_{r}")
            with m.If(self.load):
                m.d.sync += come.eq(loads[-1] & ~last_word)
            loads.append(self.load & come)
        m.d.comb += last_word.eq(loads[-1])
        return loads

    def _feed_activations(self, m: Module, grid: list[list[Component]]) -> None:
        """Row r starts r cycles late, and so do its weights."""
        swap, unreset = self.swap, reset_not_wanted(self.config)
        for r, row in enumerate(grid):
            a = delay(m, self.a[r].as_value(), r, f"skew_a_{r}")
            m.d.comb += [row[0].a.eq(a), row[0].swap.eq(swap)]
            for left, right in pairwise(row):
                m.d.comb += [right.a.eq(left.a_out), right.swap.eq(left.swap_out)]
            swap = delay(m, swap, 1, f"skew_swap_{r + 1}", reset_less=unreset)
        for top in grid[0]:
            begin(m, top)
        for upper_row, lower_row in pairwise(grid):
            for upper, lower in zip(upper_row, lower_row, strict=True):
                m.d.comb += lower.above.eq(upper.sum)
