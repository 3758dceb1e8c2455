"""The processing element: one term per lane and cycle, summed in place (output-stationary)."""

from functools import partial

from amaranth import Cat, Const, Module, Signal, Value
from amaranth.lib.data import ArrayLayout
from amaranth.lib.wiring import Component, In, Out, Signature

from .compressor import Columns, FullAdder, full_adder, ripple
from .config import ArrayConfig
from .distance import DISTANCES, NO_CARRY, complement
from .mapping import hand_made
from .multiply import add_array, add_booth, add_square

# How a PE's terms are added up. plain: by the operators + and *, which synthesis maps as it likes
# (carry chains, DSPs), or by the cells of `hw.mapping`. Trees: one tree of full adders over all
# lanes and the accumulator; in `mac` it adds up the rows of a Booth multiplier or of an array
# multiplier.
PLAIN, TREE, BOOTH_TREE, ARRAY_TREE = "plain", "tree", "booth-tree", "array-tree"


def structures(pe: str) -> tuple[str, ...]:
    """The structures that a PE kind can have."""
    return (PLAIN, BOOTH_TREE, ARRAY_TREE) if pe == "mac" else (PLAIN, TREE)


def check_structure(config: ArrayConfig, structure: str) -> None:
    """ValueError when PEs of this kind cannot have the structure."""
    allowed = structures(config.pe)
    if structure not in allowed:
        raise ValueError(
            f"structure of a {config.pe} PE must be one of {', '.join(allowed)}, not {structure!r}"
        )


def pe_signature(config: ArrayConfig) -> Signature:
    """The ports of every PE kind; `ProcessingElement` says what they mean."""
    operands = ArrayLayout(config.width, config.lanes)
    return Signature(
        {
            "a": In(operands),
            "w": In(operands),
            "last": In(1),
            "a_out": Out(operands),
            "w_out": Out(operands),
            "last_out": Out(1),
            "sum": Out(config.pe_acc_width),
        }
    )


class ProcessingElement(Component):
    """Sum over a tile's cycles and lanes of one of

    - |a − w| (`complement`, `two_adder`, `compare_swap`),
    - min(a, w) (`min`; `SystolicArray` makes the SAD of it),
    - a · w (`mac`), w signed,
    - (a − w)² (`square`),
    - a ^ w (`xnor`, one bit): the number of mismatches of ±1 coded as 1 and 0. k products of
      signs sum to k − 2 · mismatches, of which k is a constant that belongs in the bias.

    An idle cycle is a = w = 0 with `last` low: it adds nothing in any kind.

    structure: one of `structures(config.pe)`. adder: how a tree makes its full adders.

    Members
    -------
    a, w : operands, lanes × width bits; the weight is signed in `mac`, and inverted where
           `hw.mapping.weights_inverted`
    last : these operands end a sum
    a_out, w_out, last_out : the same, one cycle later, for the neighbours
    sum : the sum that includes this cycle's operands; the result when `last`. Combinational.
          The accumulator is clear in the next cycle.
    """

    def __init__(self, config: ArrayConfig, structure: str = PLAIN, adder: FullAdder = full_adder):
        check_structure(config, structure)
        self.config = config
        self._structure = structure
        self._adder = adder
        super().__init__(pe_signature(config))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        acc = accumulator(m, self.sum, self.last)
        pairs = [(self.a[lane], self.w[lane]) for lane in range(self.config.lanes)]
        m.d.comb += self.sum.eq(add_terms(m, acc, pairs, self.config, self._structure, self._adder))
        m.d.sync += self.last_out.eq(self.last)
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
    a : activations, lanes × width bits
    last : these operands end a sum
    sum : the sum that includes this cycle's activations, as in `ProcessingElement`
    """

    def __init__(self, config: ArrayConfig, structure: str = PLAIN, adder: FullAdder = full_adder):
        self.config = config
        self._structure = structure
        self._adder = adder
        ports = {"a": In(ArrayLayout(config.width, config.lanes)), "last": In(1)}
        super().__init__(ports | {"sum": Out(config.pe_acc_width)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        acc = accumulator(m, self.sum, self.last)
        terms = [self.a[lane] for lane in range(self.config.lanes)]
        if self._structure == PLAIN:
            m.d.comb += self.sum.eq(accumulate(acc, terms, [NO_CARRY] * len(terms)))
        else:
            columns = Columns(len(acc), self._adder)
            for number in (acc, *terms):
                columns.add(number)
            m.d.comb += self.sum.eq(columns.total(m))
        return m


def accumulator(m: Module, total: Value, last: Value) -> Signal:
    """A register that takes `total`, and 0 instead after `last`."""
    acc = Signal(len(total), name="acc")
    m.d.sync += acc.eq(total)
    with m.If(last):
        m.d.sync += acc.eq(0)
    return acc


def add_terms(
    m: Module,
    acc: Signal,
    pairs: list[tuple[Value, Value]],
    config: ArrayConfig,
    structure: str = PLAIN,
    adder: FullAdder = full_adder,
) -> Value:
    """acc + Σ terms of the pairs (a, w), modulo 2**len(acc), as PEs of the configuration and
    structure add them; see `ProcessingElement`."""
    if structure == PLAIN:
        step = hand_made(config) or partial(_plain_sum, config.pe)
        return step(m, acc, pairs)
    columns = Columns(len(acc), adder)
    columns.add(acc)
    for lane, (a, w) in enumerate(pairs):
        _add_lane(m, columns, a, w, config.pe, structure, adder, str(lane))
    return columns.total(m)


def _add_lane(
    m: Module,
    columns: Columns,
    a: Value,
    w: Value,
    pe: str,
    structure: str,
    adder: FullAdder,
    name: str,
) -> None:
    add = partial(ripple, adder=adder)
    if pe == "mac":
        {BOOTH_TREE: add_booth, ARRAY_TREE: add_array}[structure](m, columns, a, w, name)
    elif pe == "square":
        t, c = complement(m, a, w, name, add)
        difference, _ = add(m, t, Const(0, len(t)), c, f"{name}_d")
        add_square(columns, difference)
    else:
        term, carry = DISTANCES[pe](m, a, w, name, add)
        columns.add(term)
        if carry is not NO_CARRY:
            columns.add(carry)


def _plain_sum(pe: str, m: Module, acc: Signal, pairs: list[tuple[Value, Value]]) -> Value:
    """acc + Σ terms. Each lane's deferred carry enters one of the adders as its carry-in."""
    if pe == "mac":
        products = [a * w.as_signed() for a, w in pairs]
        return accumulate(acc.as_signed(), products, [NO_CARRY] * len(products))
    kind = complement if pe == "square" else DISTANCES[pe]
    lanes = [kind(m, a, w, str(lane)) for lane, (a, w) in enumerate(pairs)]
    if pe == "square":
        differences = [(t + c)[: len(t)] for t, c in lanes]
        lanes = [(difference * difference, NO_CARRY) for difference in differences]
    return accumulate(acc, [term for term, _ in lanes], [carry for _, carry in lanes])


def accumulate(acc: Value, terms: list[Value], carries: list[Value]) -> Value:
    """acc + Σ terms + Σ carries, modulo 2**len(acc): a tree of as many adders as there are terms,
    each with one of the carries at its carry-in. Terms and acc are all signed or all unsigned."""
    *tree, last = carries
    free = iter(tree)
    while len(terms) > 1:
        pairs = zip(terms[::2], terms[1::2], strict=False)
        odd = terms[len(terms) // 2 * 2 :]
        terms = [add(x, y, next(free)) for x, y in pairs] + odd
    return add(acc, terms[0], last)[: len(acc)]


def add(x: Value, y: Value, carry: Value) -> Value:
    """x + y + carry, one bit longer than the longer of the two, as one adder with a carry-in: the
    carry is made by a bit below the lowest, where 1 + carry carries out just if carry is 1."""
    signed = x.shape().signed
    x, y = Cat(Const(1, 1), x), Cat(carry, y)
    if not signed:
        return (x + y)[1:]
    return (x.as_signed() + y.as_signed())[1:].as_signed()
