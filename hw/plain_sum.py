"""Sums by the operators + and *, which synthesis maps as it likes."""

from collections.abc import Callable
from functools import partial

from amaranth import Cat, Const, Module, Value

from .distance import NO_CARRY, complement, term_of
from .pipeline import Arithmetic, Total

# Terms of a cycle's pairs (a, w), each with a deferred carry.
Terms = Callable[[Module, list[tuple[Value, Value]]], list[tuple[Value, Value]]]


def plain_sum(terms: Terms) -> Arithmetic:
    """Of these terms."""
    total = partial(_total, terms)
    return Arithmetic(
        step=lambda m, before, pairs: add_total(m, before, total(m, pairs)),
        total=total,
        add=add_total,
    )


def add_total(m: Module, x: Value, total: Total, name: str = "") -> Value:
    """x + total, modulo 2**len(x), as one adder."""
    x = x.as_signed() if total.bits.shape().signed else x
    return _add(x, total.bits, total.carry)[: len(x)]


def _total(terms_of: Terms, m: Module, pairs: list[tuple[Value, Value]]) -> Total:
    """A tree of one adder less than there are terms. Each term's deferred carry but the last one's
    enters one of the adders as its carry-in."""
    found = terms_of(m, pairs)
    terms = [term for term, _ in found]
    *tree, last = [carry for _, carry in found]
    free = iter(tree)
    while len(terms) > 1:
        couples = zip(terms[::2], terms[1::2], strict=False)
        odd = terms[len(terms) // 2 * 2 :]
        terms = [_add(x, y, next(free)) for x, y in couples] + odd
    return Total(terms[0], last)


def lane_terms(kind: str) -> Terms:
    """One of each lane. kind: of PEs, or `hw.distance.ALONE`."""
    return lambda m, pairs: [_term(kind, m, a, w, str(lane)) for lane, (a, w) in enumerate(pairs)]


def paired_products(m: Module, pairs: list[tuple[Value, Value]]) -> list[tuple[Value, Value]]:
    """Two lanes' Σ a · w each, and where their number is odd the last one's product."""
    couples = zip(pairs[::2], pairs[1::2], strict=False)
    odd = pairs[len(pairs) // 2 * 2 :]
    return [product_pair(*couple) for couple in couples] + lane_terms("mac")(m, odd)


def pair_bits(width: int) -> int:
    """Bits of each operand, signed, of the multiplier of `product_pair`."""
    return pair_field(width) + width + 1


def pair_field(width: int) -> int:
    """Bits of a field of `product_pair`: of the sum of two products."""
    return 2 * width + 1


def product_pair(first: tuple[Value, Value], second: tuple[Value, Value]) -> tuple[Value, Value]:
    """Σ a · w of two lanes, a and signed w of n bits, by one product, and its deferred carry.

    With k = 2 n + 1, `pair_field`, (a₁ + a₂ · 2ᵏ) · (w₂ + w₁ · 2ᵏ) = a₁ · w₂
    + (a₁ · w₁ + a₂ · w₂) · 2ᵏ + a₂ · w₁ · 2²ᵏ. What is wanted is the second of three fields of k
    bits, but for the borrow of the first, a₁ · w₂: 1 where that is negative, which its highest bit
    says.
    """
    (a1, w1), (a2, w2) = first, second
    n, k = len(a1), pair_field(len(a1))
    x = Cat(a1, Const(0, k - n), a2)
    high = (w1.as_signed() - w2[-1])[: n + 1]
    y = Cat(w2, w2[-1].replicate(k - n), high).as_signed()
    product = x * y
    return product[k : 2 * k].as_signed(), product[k - 1]


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
