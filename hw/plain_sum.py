"""Sums by the operators + and *, which synthesis maps as it likes."""

from functools import partial

from amaranth import Cat, Const, Module, Value

from .distance import NO_CARRY, complement, term_of
from .pipeline import Arithmetic, Total


def plain_sum(kind: str) -> Arithmetic:
    """Of terms of a kind: one of PEs, or `hw.distance.ALONE`."""
    total = partial(_total, kind)
    return Arithmetic(
        step=lambda m, before, pairs: add_total(m, before, total(m, pairs)),
        total=total,
        add=add_total,
    )


def add_total(m: Module, x: Value, total: Total, name: str = "") -> Value:
    """x + total, modulo 2**len(x), as one adder."""
    x = x.as_signed() if total.bits.shape().signed else x
    return _add(x, total.bits, total.carry)[: len(x)]


def _total(kind: str, m: Module, pairs: list[tuple[Value, Value]]) -> Total:
    """A tree of one adder less than there are lanes. Each lane's deferred carry but the last one's
    enters one of the adders as its carry-in."""
    lanes = [_term(kind, m, a, w, str(lane)) for lane, (a, w) in enumerate(pairs)]
    terms = [term for term, _ in lanes]
    *tree, last = [carry for _, carry in lanes]
    free = iter(tree)
    while len(terms) > 1:
        couples = zip(terms[::2], terms[1::2], strict=False)
        odd = terms[len(terms) // 2 * 2 :]
        terms = [_add(x, y, next(free)) for x, y in couples] + odd
    return Total(terms[0], last)


def _term(kind: str, m: Module, a: Value, w: Value, name: str) -> tuple[Value, Value]:
    """A lane's term and its deferred carry."""
    if kind == "mac":
        return a * w.as_signed(), NO_CARRY
    if kind == "square":
        t, c = complement(m, a, w, name)
        difference = (t + c)[: len(t)]
        return difference * difference, NO_CARRY
    return term_of(kind)(m, a, w, name)


def _add(x: Value, y: Value, carry: Value) -> Value:
    """x + y + carry, one bit longer than the longer of the two, as one adder with a carry-in: the
    carry is made by a bit below the lowest, where 1 + carry carries out just if carry is 1."""
    signed = x.shape().signed
    x, y = Cat(Const(1, 1), x), Cat(carry, y)
    if not signed:
        return (x + y)[1:]
    return (x.as_signed() + y.as_signed())[1:].as_signed()
