"""Pooling over windows that do not overlap, as codes come row by row."""

from amaranth import Module, Mux, Signal, Value
from amaranth.lib.data import ArrayLayout
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import Component, In, Out

from .pipeline import delay


class Pooling(Component):
    """The largest code of each window, or (Σ codes + offset) >> shift, of `cols` filters at a
    time. Latency: 3 cycles.

    A register keeps the maximum or sum of the window's row that comes; a memory of `columns` words
    those of the window's rows before, for a row of windows. Codes of a window's row come one after
    the other, those of different rows of a window at least two cycles apart.

    most_shift: the largest `shift`; 0 for maxima alone.

    Members
    -------
    mean, offset, shift : whether it is a mean, and its constants; 0 for maxima; constant while
        codes come
    codes : of one position, cols × width bits
    valid : `codes` are there
    column : of the windows
    first_column, last_column, first_row, last_row : the position's place in its window
    pooled : the code of a window, 3 cycles after its last
    done : `pooled` is that of a whole window
    """

    def __init__(self, cols: int, width: int, columns: int, most_shift: int):
        self.columns = columns
        codes = ArrayLayout(width, cols)
        wide = width + most_shift
        self._sums = ArrayLayout(wide, cols)
        flags = ("first_column", "last_column", "first_row", "last_row")
        super().__init__(
            {"mean": In(1), "offset": In(wide), "shift": In(range(most_shift + 1))}
            | {"codes": In(codes), "valid": In(1), "column": In(range(columns))}
            | {name: In(1) for name in flags}
            | {"pooled": Out(codes), "done": Out(1)}
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.rows = rows = Memory(shape=self._sums, depth=self.columns, init=[])
        read, write = rows.read_port(), rows.write_port()
        row, window = Signal(self._sums), Signal(self._sums)
        first_row = delay(m, self.first_row, 1, "first_row")
        row_ends = delay(m, self.valid & self.last_column, 1, "row_ends", reset_less=False)
        with m.If(self.valid):
            for code, before in zip(self.codes, row, strict=True):
                m.d.sync += before.eq(self._join(code, before, self.first_column))
        for total, code, before in zip(window, row, read.data, strict=True):
            m.d.comb += total.eq(self._join(code, before, first_row))
        m.d.comb += [
            read.addr.eq(self.column),
            read.en.eq(self.valid & ~self.first_row),
            write.addr.eq(delay(m, self.column, 1, "column")),
            write.data.eq(window),
            write.en.eq(row_ends),
        ]
        whole = Signal(self._sums)
        m.d.sync += whole.eq(window)
        for code, total in zip(self.pooled, whole, strict=True):
            m.d.sync += code.eq((total + self.offset) >> self.shift)
        ends = row_ends & delay(m, self.last_row, 1, "last_row")
        m.d.comb += self.done.eq(delay(m, ends, 2, "done", reset_less=False))
        return m

    def _join(self, code: Value, before: Value, alone: Value) -> Value:
        """The sum or the larger of two, or the first alone."""
        larger = Mux(code > before, code, before)
        return Mux(alone, code, Mux(self.mean, code + before, larger))
