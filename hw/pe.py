"""The processing element: one term per lane and cycle, summed in place (output-stationary)."""

from amaranth import Cat, Module, Signal, Value
from amaranth.lib.data import ArrayLayout
from amaranth.lib.wiring import Component, In, Out, Signature

from .arithmetic import (
    PLAIN,
    add_terms,
    check_structure,
    held_inverted,
    kind_arithmetic,
    load_terms,
    pe_arithmetic,
)
from .compressor import FullAdder, full_adder
from .config import ArrayConfig
from .distance import ALONE
from .pipeline import Arithmetic, delay


def pe_signature(config: ArrayConfig) -> Signature:
    """The ports of every PE kind; `ProcessingElement` says what they mean."""
    operands = ArrayLayout(config.width, config.lanes)
    return Signature(
        _clear(config)
        | {
            "a": In(operands),
            "w": In(operands),
            "last": In(1),
            "a_out": Out(operands),
            "w_out": Out(operands),
            "last_out": Out(1),
            "sum": Out(config.pe_acc_width),
            "sum_last": Out(2),
        }
    )


def _clear(config: ArrayConfig) -> dict[str, In]:
    return {"clear": In(1)} if config.sum_loaded else {}


class ProcessingElement(Component):
    """Sum over a tile's cycles and lanes of one of

    - |a − w| (`complement`, `two_adder`, `compare_swap`),
    - min(a, w) (`min`; `SystolicArray` makes the SAD of it),
    - a · w (`mac`), w signed,
    - (a − w)² (`square`),
    - a ^ w (`xnor`, one bit): the number of mismatches of ±1 coded as 1 and 0. k products of
      signs sum to k − 2 · mismatches, of which k is a constant that belongs in the bias.

    An idle cycle is a = w = 0 with `last` low: it adds nothing in any kind.

    structure: one of `hw.arithmetic.structures`. adder: how a tree makes its full adders.

    Members
    -------
    clear : with `sum_loaded` alone: the terms of `low_latency` − 1 cycles before were a sum's last
    a, w : operands, lanes × width bits; the weight is signed in `mac`, and inverted where
           `hw.mapping.weights_inverted`
    last : these operands end a sum
    a_out, w_out, last_out : the same, one cycle later, for the neighbours
    sum : the sum that includes this cycle's operands, or those of `low_latency` cycles before, and,
          in the bits from `low_width` on, of `pipeline` cycles before. Combinational up to 2.
    sum_last : whether `sum`'s `low_width` low bits, and whether the others, are those of a result;
          in the next cycle that part of the sum begins anew
    """

    def __init__(self, config: ArrayConfig, structure: str = PLAIN, adder: FullAdder = full_adder):
        check_structure(config, structure)
        self.config = config
        self.held_inverted = held_inverted(config, structure)
        self._structure = structure
        self._adder = adder
        super().__init__(pe_signature(config))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        lanes = range(self.config.lanes)
        pairs = [(self.a[lane], self.w[lane]) for lane in lanes]
        later = [(self.a_out[lane], self.w_out[lane]) for lane in lanes]
        arithmetic = pe_arithmetic(self.config, self._structure, self._adder)
        ends = _ends(m, self)
        _sum_up(m, self, pairs, later, ends, arithmetic)
        m.d.comb += self.last_out.eq(ends[1])
        for name in ("a", "w"):
            operands = getattr(self, name)
            register = Signal(len(operands.as_value()), name=f"{name}_register", reset_less=True)
            m.d.sync += register.eq(operands)
            m.d.comb += getattr(self, f"{name}_out").eq(register)
        return m


class RowSum(Component):
    """Sum over a tile's cycles and lanes of the activations alone, of which a `min` array needs
    one per row. structure, adder: as of `ProcessingElement`.

    Members
    -------
    clear : as in `ProcessingElement`
    a : activations, lanes × width bits
    last : these operands end a sum
    sum, sum_last : as in `ProcessingElement`
    """

    def __init__(self, config: ArrayConfig, structure: str = PLAIN, adder: FullAdder = full_adder):
        self.config = config
        self.held_inverted = held_inverted(config, structure)
        self._structure = structure
        self._adder = adder
        ports = {"a": In(ArrayLayout(config.width, config.lanes)), "last": In(1)}
        ports |= _clear(config)
        super().__init__(ports | {"sum": Out(config.pe_acc_width), "sum_last": Out(2)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        register = delay(m, self.a.as_value(), 1, "a_register")
        pairs, later = (
            [(a.word_select(lane, self.config.width),) * 2 for lane in range(self.config.lanes)]
            for a in (self.a.as_value(), register)
        )
        arithmetic = kind_arithmetic(ALONE, self.config, self._structure, self._adder)
        _sum_up(m, self, pairs, later, _ends(m, self), arithmetic)
        return m


def _sum_up(
    m: Module,
    pe: ProcessingElement | RowSum,
    pairs: list[tuple[Value, Value]],
    later: list[tuple[Value, Value]],
    ends: list[Value],
    arithmetic: Arithmetic,
) -> None:
    """Make `sum` and `sum_last`. later: the pairs one cycle later. ends: `last`, by cycles later.

    With a register for the sum, the accumulator holds it, and takes the next tile's first term in
    its place; else the sum is what the accumulator is given, and it is cleared.
    """
    config = pe.config
    m.d.comb += pe.sum_last.eq(Cat(ends[config.low_latency], ends[config.pipeline]))
    if config.sum_loaded:
        acc = Signal(len(pe.sum), name="acc", reset_less=True)
        first = delay(m, ends[config.low_latency - 1] | pe.clear, 1, "first")
        firsts = Cat(first, delay(m, first, config.in_halves, "first_high"))
        m.d.sync += acc.eq(load_terms(m, acc, firsts, pairs, later, config, arithmetic))
        m.d.comb += pe.sum.eq(acc)
        return
    halves = pe.sum[: config.low_width], pe.sum[config.low_width :]
    accs = [
        accumulator(m, half, last, name, inverted=pe.held_inverted)
        for half, last, name in zip(halves, pe.sum_last, ("acc", "acc_high"), strict=True)
        if len(half)
    ]
    m.d.comb += pe.sum.eq(add_terms(m, Cat(accs), pairs, config, arithmetic))


def _ends(m: Module, pe: ProcessingElement | RowSum) -> list[Value]:
    """`last`, and the same one to `pipeline` cycles later, and one at least."""
    ends = [pe.last]
    for index in range(1, max(pe.config.pipeline, 1) + 1):
        ends.append(delay(m, ends[-1], 1, f"last_{index}", pe.config.sum_loaded))
    return ends


def accumulator(
    m: Module,
    total: Value,
    last: Value,
    name: str = "acc",
    reset_less: bool = False,
    inverted: bool = False,
) -> Value:
    """A register that takes `total`, and 0 instead after `last`. inverted: how it holds them."""
    clear = 2 ** len(total) - 1 if inverted else 0
    acc = Signal(len(total), name=name, reset_less=reset_less, init=clear)
    m.d.sync += acc.eq(~total if inverted else total)
    with m.If(last):
        m.d.sync += acc.eq(clear)
    return ~acc if inverted else acc
