"""The output-stationary systolic array: a grid of PEs, operand skew and result drain."""

from collections.abc import Callable
from functools import reduce
from itertools import pairwise
from operator import or_

from amaranth import Cat, Const, Module, Signal, Value
from amaranth.lib.data import ArrayLayout
from amaranth.lib.wiring import Component, In, Out, Signature

from .config import DRAIN_GROUP, ArrayConfig
from .mapping import weights_inverted
from .pe import ProcessingElement, RowSum
from .pipeline import delay, in_step


def array_signature(config: ArrayConfig) -> Signature:
    """The ports of an array; `SystolicArray` says what they mean."""
    operands = ArrayLayout(config.width, config.lanes)
    return Signature(
        {
            "a": In(ArrayLayout(operands, config.rows)),
            "w": In(ArrayLayout(operands, config.cols)),
            "last": In(1),
            "sums": Out(ArrayLayout(config.acc_width, config.cols)),
            "valid": Out(1),
        }
    )


class SystolicArray(Component):
    """rows × cols PEs; activations travel right, weights down, each sum over its column's bus.

    Give all rows and columns the operands of one reduction step together, one step a cycle,
    `last` with the final one; the array skews them itself. There is no flow control: a cycle
    without operands is one with zeros. The next tile may start at once, but ends of tiles must be
    at least `rows` cycles apart (`hw.schedule` keeps to that). Results come out a row a cycle, top
    row first: `valid`, and with it the sums of all columns of that row.

    Latency: row r of a tile whose `last` is given in cycle t is valid in cycle t + cols + r +
    pipeline, one cycle later when there are more than 4 rows, or 2 with a `target`, and so on
    (`drain_stages`). Reset: hold `rst` for rows + cols cycles, whatever the pipeline, with zeros at
    the operands, so that none are left on their way.

    A `min` array has a column of `RowSum` at the left edge, whose results leave as the PEs' do, and
    gives Σa − 2 · Σmin(a, w) = Σ|a − w| − Σw: the SAD less a constant of the filter, which belongs
    in the bias.

    pe, row_sum: make a PE and a row's sum from the configuration; Verilog output passes a PE that
    instantiates a module of its own.

    Members
    -------
    a : activations, rows × lanes × width bits
    w : weights, cols × lanes × width bits
    last : these operands end a tile
    sums : sums of one row, cols × acc_width bits; two's complement in `mac` and `min`
    valid : `sums` holds a row
    """

    def __init__(
        self,
        config: ArrayConfig,
        pe: Callable[[ArrayConfig], Component] = ProcessingElement,
        row_sum: Callable[[ArrayConfig], Component] = RowSum,
    ):
        self.config = config
        self._pe = pe
        self._row_sum = row_sum
        super().__init__(array_signature(config))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        rows, cols = self.config.rows, self.config.cols
        grid = [[self._pe(self.config) for _ in range(cols)] for _ in range(rows)]
        for r in range(rows):
            for c in range(cols):
                m.submodules[f"pe_{r}_{c}"] = grid[r][c]
        self._feed(m, grid)
        if self.config.sum_loaded:
            self._clear(m, grid)
        sums = []
        for c in range(cols):
            drained = self._drain(m, [grid[r][c] for r in range(rows)], f"drain_{c}")
            sums.append(delay(m, drained, cols - 1 - c, f"deskew_{c}"))
        if self.config.pe == "min":
            row_sums = delay(m, self._add_rows(m, grid), cols - 1, "deskew_rows")
            sums = [row_sums - (minima << 1) for minima in sums]
        m.d.comb += [port.eq(total) for port, total in zip(self.sums, sums, strict=True)]
        ends = [grid[r][cols - 1].sum_last[1] for r in range(rows)]
        if self.config.sum_loaded:
            started = self._started(m)
            ends = [end & started for end in ends]
        m.d.comb += self.valid.eq(self._bus(m, ends, ends, "valid", reset_less=False))
        return m

    def _feed(self, m: Module, grid: list[list[Component]]) -> None:
        """Skew the operands: row r and column c start r and c cycles late."""
        last = self.last
        for r, row in enumerate(grid):
            a = delay(m, self.a[r].as_value(), r, f"skew_a_{r}")
            m.d.comb += [row[0].a.eq(a), row[0].last.eq(last)]
            for left, right in pairwise(row):
                m.d.comb += [right.a.eq(left.a_out), right.last.eq(left.last_out)]
            last = delay(m, last, 1, f"skew_last_{r + 1}", self.config.sum_loaded)
        for c, top in enumerate(grid[0]):
            w = self.w[c].as_value()
            w = ~w if weights_inverted(self.config) else w
            m.d.comb += top.w.eq(delay(m, w, c, f"skew_w_{c}"))
            for upper, lower in pairwise(grid):
                m.d.comb += lower[c].w.eq(upper[c].w_out)

    def _add_rows(self, m: Module, grid: list[list[Component]]) -> Value:
        """Σa of each row, in step with the sums of the first column."""
        column = [self._row_sum(self.config) for _ in grid]
        for r, (row_sum, row) in enumerate(zip(column, grid, strict=True)):
            m.submodules[f"row_sum_{r}"] = row_sum
            m.d.comb += [row_sum.a.eq(row[0].a), row_sum.last.eq(row[0].last)]
            if self.config.sum_loaded:
                m.d.comb += row_sum.clear.eq(row[0].clear)
        return self._drain(m, column, "drain_rows")

    def _drain(self, m: Module, column: list[Component], name: str) -> Value:
        """The sums of a column of PEs or of row sums, both halves in step."""
        width, drained = self.config.low_width, []
        for half, bits in enumerate((slice(None, width), slice(width, None))):
            ends = [pe.sum_last[half] for pe in column]
            drained.append(self._bus(m, ends, [pe.sum[bits] for pe in column], f"{name}_{half}"))
        return in_step(m, Cat(drained), self.config, f"{name}_low")

    def _clear(self, m: Module, grid: list[list[Component]]) -> None:
        """Clear the PEs on a reset, each when the operands of that cycle come to it, so that no net
        leads from one register to many PEs."""
        down = Signal(init=1, name="clear")
        m.d.sync += down.eq(0)
        for r, row in enumerate(grid):
            across = down
            for c, pe in enumerate(row):
                m.d.comb += pe.clear.eq(across)
                across = delay(m, across, 1, f"clear_{r}_{c + 1}")
            down = delay(m, down, 1, f"clear_{r + 1}")

    def _started(self, m: Module) -> Value:
        """Whether the ends that leave came in after the reset, which PEs do not clear away."""
        started = Const(1, 1)
        for index in range(self.config.pipeline - 2):
            started = delay(m, started, 1, f"started_{index}", reset_less=False)
        return started

    def _bus(
        self,
        m: Module,
        selects: list[Value],
        values: list[Value],
        name: str,
        reset_less: bool = True,
    ) -> Value:
        """The value whose select is high, of which there is one at most, else anything;
        `drain_stages` cycles later. A tree of ORs with a register behind each: as few values in
        front of the first ones as keep the path behind a PE's sum short, then four. A single value
        needs no gates."""
        chosen = values
        if len(values) > 1:
            chosen = [
                value & select.replicate(len(value))
                for select, value in zip(selects, values, strict=True)
            ]
        for stage in range(self.config.drain_stages):
            size = DRAIN_GROUP if stage else self.config.drain_group
            chosen = [
                delay(m, reduce(or_, chosen[i : i + size]), 1, f"{name}_{stage}_{i}", reset_less)
                for i in range(0, len(chosen), size)
            ]
        return chosen[0]
