"""Pooling as codes come row by row, over windows of which one may share a row and a column with the
next."""

from amaranth import Module, Mux, Signal, Value
from amaranth.lib.data import ArrayLayout, StructLayout
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import Component, In, Out

from golden.spec import Pool

from .pipeline import delay


def windows_layout(start: int, last: int, turn: int, shares: int) -> StructLayout:
    """Of windows along an axis; arguments are numbers of bits.

    start: place of the first position in its window, which is how many the padding before it takes.
    last: place of a window's last position. turn: of the last before places start anew. shares: a
    window's last position is the next one's first.
    """
    return StructLayout({"start": start, "last": last, "turn": turn, "shares": shares})


def windows_values(pool: Pool, axis: int) -> dict[str, int]:
    """Of `windows_layout`, for windows that share at most one position."""
    side, step = pool.kernel[axis], pool.stride[axis]
    return {
        "start": pool.padding[axis],
        "last": side - 1,
        "turn": max(side, step) - 1,
        "shares": int(side > step),
    }


class Windows(Component):
    """Follows positions along an axis, row after row.

    Members
    -------
    windows : of `windows_layout`
    first, last : the position is the first, the last of its row
    step : go on to the next
    begins : the position is its window's first; also if padding is before it
    ends : it is a window's last; also if padding is behind it
    window : number of the window in its row, modulo 2**bits
    """

    def __init__(self, windows: StructLayout, width: int):
        self._width = width
        super().__init__(
            {"windows": In(windows)}
            | {name: In(1) for name in ("first", "last", "step")}
            | {"begins": Out(1), "ends": Out(1), "window": Out(width)}
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        windows, kept = self.windows, Signal(len(self.windows.turn) + 1)
        place, number = Signal.like(kept), Signal(self._width)
        turns = place == windows.turn
        m.d.comb += [
            place.eq(Mux(self.first, windows.start, kept)),
            self.window.eq(Mux(self.first, 0, number)),
            self.begins.eq(self.first | (place == 0)),
            self.ends.eq(self.last | (place == windows.last)),
        ]
        with m.If(self.step):
            m.d.sync += [
                kept.eq(Mux(turns, windows.shares, place + 1)),
                number.eq(self.window + self.ends),
            ]
        return m


class Pooling(Component):
    """The largest code of each window, or (Σ codes + offset) >> shift, of `cols` filters at a
    time. Latency: 3 cycles.

    A register keeps the maximum or sum of the window's row that comes; a memory of `columns` words
    those of the window's rows before, for a row of windows. Codes of a window's row come one after
    the other, those of different rows of a window at least two cycles apart.

    rows, columns: layouts of the windows along the axes. row_windows: the most in a row.
    most_shift: the largest `shift`; 0 for maxima alone.

    Members
    -------
    mean, offset, shift : whether it is a mean, and its constants; 0 for maxima; constant while
        codes come
    rows, columns : the windows; constant while codes come
    codes : of one position, cols × width bits
    valid : `codes` are there
    first_column, last_column, first_row, last_row : the position's place in the map
    pooled : the code of a window, 3 cycles after its last
    done : `pooled` is that of a whole window
    """

    def __init__(
        self,
        cols: int,
        width: int,
        rows: StructLayout,
        columns: StructLayout,
        row_windows: int,
        most_shift: int,
    ):
        self._row_windows = row_windows
        codes = ArrayLayout(width, cols)
        wide = width + most_shift
        self._sums = ArrayLayout(wide, cols)
        flags = ("first_column", "last_column", "first_row", "last_row")
        super().__init__(
            {"mean": In(1), "offset": In(wide), "shift": In(range(most_shift + 1))}
            | {"rows": In(rows), "columns": In(columns)}
            | {"codes": In(codes), "valid": In(1)}
            | {name: In(1) for name in flags}
            | {"pooled": Out(codes), "done": Out(1)}
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        columns, rows = self._windows(m)
        row, kept, whole = (
            Signal(self._sums, name=name, reset_less=True) for name in ("row", "kept", "whole")
        )
        for code, before, so_far in zip(self.codes, kept, row, strict=True):
            joined = self._join(code, before, columns.begins)
            with m.If(self.valid):
                m.d.sync += so_far.eq(joined)
                m.d.sync += before.eq(Mux(columns.ends & columns.windows.shares, code, joined))
        row_ends = delay(m, self.valid & columns.ends, 1, "row_ends", reset_less=False)
        begins, ends = (delay(m, flag, 1, "window") for flag in (rows.begins, rows.ends))
        window = self._join_rows(m, row, columns.window, row_ends, begins, ends)
        m.d.sync += whole.eq(window)
        for index, total in enumerate(whole):
            code = ((total + self.offset) >> self.shift)[: len(self.pooled[index])]
            m.d.comb += self.pooled[index].eq(delay(m, code, 1, f"pooled_{index}"))
        m.d.comb += self.done.eq(delay(m, row_ends & ends, 2, "done", reset_less=False))
        return m

    def _windows(self, m: Module) -> tuple[Windows, Windows]:
        """Along a row of the map, and down its rows."""
        width = max((self._row_windows - 1).bit_length(), 1)
        m.submodules.windows_columns = columns = Windows(self.columns.shape(), width)
        m.submodules.windows_rows = rows = Windows(self.rows.shape(), 1)
        m.d.comb += [
            columns.windows.eq(self.columns),
            columns.first.eq(self.first_column),
            columns.last.eq(self.last_column),
            columns.step.eq(self.valid),
            rows.windows.eq(self.rows),
            rows.first.eq(self.first_row),
            rows.last.eq(self.last_row),
            rows.step.eq(self.valid & self.last_column),
        ]
        return columns, rows

    def _join_rows(
        self, m: Module, row: Value, place: Value, row_ends: Value, begins: Value, ends: Value
    ) -> Signal:
        """A window's rows so far, which are kept but for what the next window shares."""
        m.submodules.rows = memory = Memory(shape=self._sums, depth=self._row_windows, init=[])
        read, write, window = memory.read_port(), memory.write_port(), Signal(self._sums)
        for total, code, before in zip(window, row, read.data, strict=True):
            m.d.comb += total.eq(self._join(code, before, begins))
        m.d.comb += [
            read.addr.eq(place),
            read.en.eq(self.valid),
            write.addr.eq(delay(m, place, 1, "place")),
            write.data.eq(Mux(ends & self.rows.shares, row.as_value(), window.as_value())),
            write.en.eq(row_ends),
        ]
        return window

    def _join(self, code: Value, before: Value, alone: Value) -> Value:
        """The sum or the larger of two, or the first alone."""
        larger = Mux(code > before, code, before)
        return Mux(alone, code, Mux(self.mean, code + before, larger))
