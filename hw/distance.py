"""What an adder PE adds per lane and cycle: |a − w|, min(a, w) or one bit's difference.

Each kind gives a pair (term, carry) whose sum is what is to be added; the carry, one bit, is left
to a spare slot of the adders behind. `how` is how two numbers are added and compared.
"""

from collections.abc import Callable
from dataclasses import dataclass

from amaranth import Cat, Const, Module, Mux, Signal, Value

# x + y + carry, x and y of the same width: (m, x, y, carry, name) -> (sum of that width, carry).
Add = Callable[[Module, Value, Value, Value, str], tuple[Value, Value]]
# x < y, of the same width: (m, x, y, name) -> one bit.
Less = Callable[[Module, Value, Value, str], Value]

NO_CARRY = Const(0, 1)


def plain_add(m: Module, x: Value, y: Value, carry: Value, name: str) -> tuple[Value, Value]:
    """`Add` by the operator +, which synthesis maps as it likes."""
    total, carry_out = Signal(len(x), name=f"s_{name}"), Signal(name=f"c_{name}")
    m.d.comb += Cat(total, carry_out).eq(x + y + carry)
    return total, carry_out


def plain_less(m: Module, x: Value, y: Value, name: str) -> Value:
    """`Less` by the operator <, which synthesis maps as it likes."""
    return x < y


def ripple_less(m: Module, x: Value, y: Value, name: str) -> Value:
    """`Less` from the lowest bit up, in three gates a bit that invert, for cell libraries.

    With the bits below, `less` becomes the majority of ~x, y and `less`:
    ~(x · ~(less · y) + ~(less + y)). No bit of x or y is needed inverted.
    """
    less: Value = Const(0, 1)
    for place in range(len(x)):
        below, less = less, Signal(name=f"less_{name}_{place}")
        m.d.comb += less.eq(~(x[place] & ~(below & y[place]) | ~(below | y[place])))
    return less


@dataclass(frozen=True)
class Ways:
    """How a term's two numbers are added and compared."""

    add: Add = plain_add
    less: Less = plain_less


PLAIN_WAYS = Ways()


def complement(
    m: Module, a: Value, w: Value, name: str, how: Ways = PLAIN_WAYS
) -> tuple[Value, Value]:
    """|a − w| in complement code, without a second subtractor or an incrementer.

    s = a + ~w = a − w − 1 + 2**n carries out (c = 1) when a > w, and then s + 1 = a − w.
    Otherwise ~s = w − a. So the term is s or ~s, and c is the carry that is still to be added.
    """
    s, c = how.add(m, a, ~w, NO_CARRY, name)
    t = Signal(len(a), name=f"t_{name}")
    m.d.comb += t.eq(s ^ (~c).replicate(len(a)))
    return t, c


def minimum(
    m: Module, a: Value, w: Value, name: str, how: Ways = PLAIN_WAYS
) -> tuple[Value, Value]:
    """min(a, w): a comparison and a selection. |a − w| = a + w − 2 · min(a, w)."""
    t = Signal(len(a), name=f"t_{name}")
    m.d.comb += t.eq(Mux(how.less(m, a, w, name), a, w))
    return t, NO_CARRY


def two_adder(
    m: Module, a: Value, w: Value, name: str, how: Ways = PLAIN_WAYS
) -> tuple[Value, Value]:
    """|a − w| as published for FPGAs ("2A"): both differences, and a selection."""
    one = Const(1, 1)
    forward, not_less = how.add(m, a, ~w, one, f"{name}_forward")
    backward, _ = how.add(m, w, ~a, one, f"{name}_backward")
    return Mux(not_less, forward, backward), NO_CARRY


def compare_swap(
    m: Module, a: Value, w: Value, name: str, how: Ways = PLAIN_WAYS
) -> tuple[Value, Value]:
    """|a − w| as published ("1C1A"): compare, swap, subtract the smaller from the larger."""
    less = Signal(name=f"less_{name}")
    m.d.comb += less.eq(how.less(m, a, w, name))
    difference, _ = how.add(m, Mux(less, w, a), ~Mux(less, a, w), Const(1, 1), name)
    return difference, NO_CARRY


def mismatch(
    m: Module, a: Value, w: Value, name: str, how: Ways = PLAIN_WAYS
) -> tuple[Value, Value]:
    """1 where the signs that the bits stand for (1 for +1, 0 for −1) differ: their product is
    1 − 2 · mismatch, the complement of XNOR."""
    return a ^ w, NO_CARRY


def alone(m: Module, a: Value, w: Value, name: str, how: Ways = PLAIN_WAYS) -> tuple[Value, Value]:
    """a: what a row's sum adds."""
    return a, NO_CARRY


DISTANCES = {
    "complement": complement,
    "min": minimum,
    "two_adder": two_adder,
    "compare_swap": compare_swap,
    "xnor": mismatch,
}
ALONE = "alone"  # beside the kinds of PEs: `alone`


def term_of(kind: str) -> Callable[..., tuple[Value, Value]]:
    """The function of a kind of DISTANCES, or of ALONE."""
    return alone if kind == ALONE else DISTANCES[kind]
