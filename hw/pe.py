"""The processing element: one term per lane and cycle, summed in place (output-stationary)."""

from amaranth import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.data import ArrayLayout
from amaranth.lib.wiring import In, Out

from .config import ArrayConfig
from .mapping import hand_made


def pe_signature(config: ArrayConfig) -> wiring.Signature:
    """The ports of every PE kind; `ProcessingElement` says what they mean."""
    operands = ArrayLayout(config.width, config.lanes)
    return wiring.Signature(
        {
            "a": In(operands),
            "w": In(operands),
            "last": In(1),
            "a_out": Out(operands),
            "w_out": Out(operands),
            "last_out": Out(1),
            "sum": Out(config.acc_width),
        }
    )


class ProcessingElement(wiring.Component):
    """Sum over a tile's cycles and lanes of |a − w| (`complement`) or of a · w (`mac`).

    An idle cycle is a = w = 0 with `last` low: it adds nothing in any kind.

    Members
    -------
    a, w : operands, lanes × width bits; the weight is signed in `mac`, and inverted where
           `hw.mapping.weights_inverted`
    last : these operands end a sum
    a_out, w_out, last_out : the same, one cycle later, for the neighbours
    sum : the sum that includes this cycle's operands; the result when `last`. Combinational.
          The accumulator is clear in the next cycle.
    """

    def __init__(self, config: ArrayConfig):
        self.config = config
        super().__init__(pe_signature(config))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        generic = {"complement": accumulate_distance, "mac": accumulate_product}
        step = hand_made(self.config) or generic[self.config.pe]
        acc = Signal(self.config.acc_width)
        pairs = [(self.a[lane], self.w[lane]) for lane in range(self.config.lanes)]
        m.d.comb += self.sum.eq(step(m, acc, pairs))
        m.d.sync += [acc.eq(self.sum), self.last_out.eq(self.last)]
        with m.If(self.last):
            m.d.sync += acc.eq(0)
        for name in ("a", "w"):
            operands = getattr(self, name)
            register = Signal(len(operands.as_value()), name=f"{name}_register", reset_less=True)
            m.d.sync += register.eq(operands)
            m.d.comb += getattr(self, f"{name}_out").eq(register)
        return m


def distance(m: Module, a: Value, w: Value, name: str) -> tuple[Signal, Signal]:
    """|a − w| as (t, c) with |a − w| = t + c, in complement code, without a second subtractor.

    s = a + ~w = a − w − 1 + 2**n carries out (c = 1) when a > w, and then s + 1 = a − w.
    Otherwise ~s = w − a. So t is s or ~s, and c is still to be added.
    """
    width = len(a)
    s, c = Signal(width, name=f"s_{name}"), Signal(name=f"c_{name}")
    t = Signal(width, name=f"t_{name}")
    m.d.comb += [Cat(s, c).eq(a + ~w), t.eq(Mux(c, s, ~s))]
    return t, c


def accumulate_distance(m: Module, acc: Signal, pairs: list[tuple[Value, Value]]) -> Value:
    """acc + Σ|a − w|. Each lane's deferred carry enters one of the adders as its carry-in."""
    terms = [distance(m, a, w, str(lane)) for lane, (a, w) in enumerate(pairs)]
    return accumulate(acc, [t for t, _ in terms], [c for _, c in terms])


def accumulate_product(m: Module, acc: Signal, pairs: list[tuple[Value, Value]]) -> Value:
    """acc + Σ a · w, a unsigned, w signed."""
    products = [a * w.as_signed() for a, w in pairs]
    return accumulate(acc.as_signed(), products, [Const(0, 1)] * len(products))


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
