"""Sums by trees of full adders over all lanes."""

from functools import partial

from amaranth import Const, Module, Value

from .compressor import Columns, FullAdder, ripple
from .distance import NO_CARRY, Ways, complement, ripple_less, term_of
from .multiply import add_array, add_booth, add_square
from .pipeline import Arithmetic, Total
from .primitives import bit

Pairs = list[tuple[Value, Value]]


def tree_sum(kind: str, width: int, adder: FullAdder, booth: bool) -> Arithmetic:
    """Of terms of a kind: one of PEs, or `hw.distance.ALONE`. width: bits of a cycle's total.
    booth: products are made of Booth digits, not of AND rows."""
    add_lane = partial(_add_lane, kind=kind, booth=booth, adder=adder)
    return Arithmetic(
        step=partial(_step, add_lane, adder),
        total=partial(_total, add_lane, adder, width, kind == "mac"),
        add=partial(_add, adder),
    )


def _step(add_lane: partial, adder: FullAdder, m: Module, before: Value, pairs: Pairs) -> Value:
    columns = Columns(len(before), adder)
    columns.add(before)
    for lane, (a, w) in enumerate(pairs):
        columns.add(add_lane(m, columns, a, w, name=str(lane)))
    return columns.total(m)


def _total(
    add_lane: partial, adder: FullAdder, width: int, signed: bool, m: Module, pairs: Pairs
) -> Total:
    """The last lane's deferred carry is left for the adder behind."""
    columns, deferred = Columns(width, adder), []
    for lane, (a, w) in enumerate(pairs):
        columns.add(deferred)
        deferred = add_lane(m, columns, a, w, name=str(lane))
    total = columns.total(m)
    return Total(total.as_signed() if signed else total, *deferred)


def _add(adder: FullAdder, m: Module, x: Value, total: Total, name: str) -> Value:
    y = [bit(total.bits, place) for place in range(len(x))]
    return ripple(m, x, y, total.carry, name, adder)[0]


def _add_lane(
    m: Module,
    columns: Columns,
    a: Value,
    w: Value,
    *,
    kind: str,
    booth: bool,
    adder: FullAdder,
    name: str,
) -> list[Value]:
    """Add a lane's term but for its deferred carry, if it has one, which is returned."""
    how = Ways(partial(ripple, adder=adder), ripple_less)
    if kind == "mac":
        (add_booth if booth else add_array)(m, columns, a, w, name)
        return []
    if kind == "square":
        t, c = complement(m, a, w, name, how)
        difference, _ = how.add(m, t, Const(0, len(t)), c, f"{name}_d")
        add_square(columns, difference)
        return []
    term, carry = term_of(kind)(m, a, w, name, how)
    columns.add(term)
    return [] if carry is NO_CARRY else [carry]
