"""Pooling by the maximum of windows that do not overlap, as codes come row by row."""

from amaranth import Cat, Module, Mux, Signal, Value
from amaranth.lib.data import ArrayLayout
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import Component, In, Out

from .systolic import delay


class MaxPooling(Component):
    """The largest code of each window, `cols` filters at a time. Latency: 2 cycles.

    A register keeps the largest code of the window's row that comes; a memory of `columns` words
    the largest of the window's rows before, for a row of windows. Codes of a window's row come one
    after the other, those of different rows of a window at least two cycles apart.

    Members
    -------
    codes : of one position, cols × width bits
    valid : `codes` are there
    column : of the windows
    first_column, last_column, first_row, last_row : the position's place in its window
    pooled : the largest codes of a window, 2 cycles after its last
    done : `pooled` is that of a whole window
    """

    def __init__(self, cols: int, width: int, columns: int):
        self.columns = columns
        codes = ArrayLayout(width, cols)
        flags = ("first_column", "last_column", "first_row", "last_row")
        super().__init__(
            {"codes": In(codes), "valid": In(1), "column": In(range(columns))}
            | {name: In(1) for name in flags}
            | {"pooled": Out(codes), "done": Out(1)}
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.rows = rows = Memory(
            shape=len(self.codes.as_value()), depth=self.columns, init=[]
        )
        read, write = rows.read_port(), rows.write_port()
        row, best = Signal(self.codes.shape()), Signal(self.codes.shape())
        with m.If(self.valid):
            m.d.sync += row.eq(self._largest(self.codes, row, self.first_column))
        row_ends = delay(m, self.valid & self.last_column, 1, "row_ends", reset_less=False)
        before = Signal(self.codes.shape())
        m.d.comb += [
            read.addr.eq(self.column),
            before.eq(read.data),
            best.eq(self._largest(row, before, delay(m, self.first_row, 1, "first_row"))),
            write.addr.eq(delay(m, self.column, 1, "column")),
            write.data.eq(best),
            write.en.eq(row_ends),
        ]
        m.d.sync += [
            self.pooled.eq(best),
            self.done.eq(row_ends & delay(m, self.last_row, 1, "last_row")),
        ]
        return m

    def _largest(self, codes: Value, before: Value, alone: Value) -> Value:
        """Of each filter's two codes, or of the first alone."""
        pairs = zip(codes, before, strict=True)
        return Cat(Mux(alone | (code > other), code, other) for code, other in pairs)
