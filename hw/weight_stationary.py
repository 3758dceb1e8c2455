"""The weight-stationary systolic array: weights stay in the PEs, sums move down through them."""

from collections.abc import Callable
from itertools import pairwise

from amaranth import Module, Mux, Signal, Value
from amaranth.lib.data import ArrayLayout
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import Component, In, Out, Signature

from .arithmetic import (
    PLAIN,
    add_terms,
    check_structure,
    held_inverted,
    kind_arithmetic,
    pe_arithmetic,
)
from .compressor import FullAdder, full_adder
from .config import ArrayConfig
from .distance import ALONE
from .mapping import weights_inverted
from .pipeline import Arithmetic, delay, in_step
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


def weight_pe_signature(config: ArrayConfig) -> Signature:
    """The ports of a PE that keeps its weights; `WeightStationaryPE` says what they mean."""
    operands = ArrayLayout(config.width, config.lanes)
    return Signature(
        {
            "a": In(operands),
            "w": In(operands),
            "load": In(1),
            "swap": In(1),
            "above": In(config.tile_width),
            "a_out": Out(operands),
            "w_out": Out(operands),
            "load_out": Out(1),
            "swap_out": Out(1),
            "sum": Out(config.tile_width),
        }
    )


def reset_not_wanted(config: ArrayConfig) -> bool:
    """Whether weights, and the flags that travel with them, have no reset, whose net to all PEs
    would be a long path: what is under way at a reset stays ahead of all that comes later."""
    return config.pipeline > 0


class WeightStationaryPE(Component):
    """Adds its lanes' terms, those of `hw.pe.ProcessingElement`, to the sum from above.

    structure, adder: as of `ProcessingElement`.

    Members
    -------
    a : activations, lanes × width bits
    w : weights from above, lanes × width bits, inverted where `hw.mapping.weights_inverted`
    load : take `w` as the next weights
    swap : from the next cycle on use the weights that are the next ones now
    above : sum of the rows above; with `pipeline` of one cycle before, and of two for the bits
            from `low_width` on; inverted where `sum` is
    a_out, load_out, swap_out : the same, one cycle later, for the right neighbour
    w_out : the next weights, for the PE below
    sum : `above` and the terms that belong to it, one cycle later; inverted if `held_inverted`
    """

    def __init__(self, config: ArrayConfig, structure: str = PLAIN, adder: FullAdder = full_adder):
        check_structure(config, structure)
        self.config = config
        self.held_inverted = held_inverted(config, structure)
        self._structure = structure
        self._adder = adder
        super().__init__(weight_pe_signature(config))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bits, layout = len(self.w.as_value()), ArrayLayout(self.config.width, self.config.lanes)
        unreset = reset_not_wanted(self.config)
        following = Signal(bits, name="next_weights", reset_less=True)
        current = Signal(layout, name="weights", reset_less=unreset)
        with m.If(self.load):
            m.d.sync += following.eq(self.w)
        with m.If(self.swap):
            m.d.sync += current.eq(following)
        pairs = [(self.a[lane], current[lane]) for lane in range(self.config.lanes)]
        arithmetic = pe_arithmetic(self.config, self._structure, self._adder)
        m.d.comb += [
            self.a_out.eq(delay(m, self.a.as_value(), 1, "a_register")),
            self.w_out.eq(following),
            self.load_out.eq(delay(m, self.load, 1, "load_register", reset_less=unreset)),
            self.swap_out.eq(delay(m, self.swap, 1, "swap_register", reset_less=unreset)),
        ]
        _add_to_sum(m, self, pairs, arithmetic)
        return m


def sum_of(part: Component) -> Value:
    """`sum` of a PE or of a row's sum as it is, wherever that is inverted."""
    return ~part.sum if part.held_inverted else part.sum


def _add_to_sum(
    m: Module,
    part: "WeightStationaryPE | StayingRowSum",
    pairs: list[tuple[Value, Value]],
    arithmetic: Arithmetic,
) -> None:
    """Make `sum` of `above` and the terms of the pairs."""
    above, total = Signal(len(part.above)), Signal(len(part.sum), name="total")
    m.d.comb += above.eq(~part.above if part.held_inverted else part.above)
    m.d.comb += total.eq(add_terms(m, above, pairs, part.config, arithmetic))
    result = ~total if part.held_inverted else total
    m.d.comb += part.sum.eq(delay(m, result, 1, "sum_register"))


def _begin(m: Module, top: "WeightStationaryPE | StayingRowSum") -> None:
    """Give a column's top the sum 0 from above."""
    m.d.comb += top.above.eq(-1 if top.held_inverted else 0)


class StayingRowSum(Component):
    """Adds its lanes' activations to the sum from above; a `min` array has a column of them.
    structure, adder: as of `ProcessingElement`.

    Members
    -------
    a, above, sum : as of `WeightStationaryPE`
    """

    def __init__(self, config: ArrayConfig, structure: str = PLAIN, adder: FullAdder = full_adder):
        self.config = config
        self.held_inverted = held_inverted(config, structure)
        self._structure = structure
        self._adder = adder
        ports = weight_pe_signature(config).members
        super().__init__({name: ports[name] for name in ("a", "above", "sum")})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        arithmetic = kind_arithmetic(ALONE, self.config, self._structure, self._adder)
        _add_to_sum(m, self, [(a, a) for a in self.a], arithmetic)
        return m


class FoldMemory(Component):
    """Adds up the folds of a reduction, position by position. The sum of a position can be read
    anew 4 cycles after it was read (`hw.weight_schedule.TURNAROUND`).
    Block RAM on FPGAs; cell libraries have no memories, so synthesis makes it of flip-flops there.

    Members
    -------
    swap : the next operands are those of position 0
    active : two cycles later `folds` are the sums of a position, and then of the next position
    first, last : they are those of a reduction's first, last fold
    double : they are added to twice the sums so far; only if the memory `doubles`
    folds : one fold's sums, columns × tile_width bits
    sums : sums of the folds so far, columns × pe_acc_width bits, one cycle after `folds`
    valid : `sums` are those of all folds
    """

    def __init__(self, config: ArrayConfig, columns: int, doubles: bool = False):
        self.config, self._doubles = config, doubles
        super().__init__(
            ({"double": In(1)} if doubles else {})
            | {
                "swap": In(1),
                "active": In(1),
                "first": In(1),
                "last": In(1),
                "folds": In(ArrayLayout(config.tile_width, columns)),
                "sums": Out(ArrayLayout(config.pe_acc_width, columns)),
                "valid": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        place = Signal(range(config.positions))
        with m.If(self.swap):
            m.d.sync += place.eq(0)
        with m.Elif(self.active):
            m.d.sync += place.eq(place + 1)
        width = config.pe_acc_width
        memory = Memory(shape=len(self.sums.as_value()), depth=config.positions, init=[])
        m.submodules.memory = memory
        read, write = memory.read_port(), memory.write_port()
        active = delay(m, self.active, 2, "active", reset_less=False)
        first, last = delay(m, self.first, 2, "first"), delay(m, self.last, 2, "last")
        sums = Signal(self.sums.shape(), name="sums_register", reset_less=True)
        before = Mux(first, 0, delay(m, read.data, 1, "read"))  # block RAM is slow to answer
        if self._doubles:
            double = delay(m, self.double, 2, "double")
        for c in range(len(self.sums)):
            old = before.word_select(c, width)
            if self._doubles:
                old = Mux(double, old << 1, old)
            fold = self.folds[c].as_signed() if config.weight_signed else self.folds[c]
            m.d.sync += sums[c].eq(old + fold)
        m.d.comb += [
            read.addr.eq(place),
            write.addr.eq(delay(m, place, 3, "place")),
            write.en.eq(delay(m, active, 1, "active_again")),
            write.data.eq(sums),
            self.sums.eq(sums),
            self.valid.eq(delay(m, active & last, 1, "valid", reset_less=False)),
        ]
        return m


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
        _begin(m, column[0])
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
            _begin(m, top)
        for upper_row, lower_row in pairwise(grid):
            for upper, lower in zip(upper_row, lower_row, strict=True):
                m.d.comb += lower.above.eq(upper.sum)
