"""PEs made of ECP5 carry cells.

Half a CCU2C is a LUT4 of A, B, C, D whose output P is XORed with the carry from below to the sum S;
the carry passes up where P = 1, else a LUT2 of A and B, the LUT4's lowest four bits, is taken. So
with C tied to 1, P is any function of A, B, D, and the carry out where P = 0 any of A, B. Source:
Lattice TN-02026 and Yosys' `ecp5/cells_sim.v`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce

from amaranth import Cat, Const, Instance, Module, Signal, Value

from .pipeline import Total
from .primitives import bit, tree, truth_table
from .products import GROUP, Products

_ZERO, _ONE = Const(0, 1), Const(1, 1)


def _half(propagate: Callable[[int, int, int], int]) -> Const:
    """INIT of a half cell from its propagate, a function of A, B, D. The carry out is A where that
    is 0, since then both operands of an adder are equal."""
    return truth_table(lambda a, b, c, d: propagate(a, b, d) if c else a, 4)


_DIFFERENCE = _half(lambda a, w, _: 1 ^ a ^ w)
_SUM = _half(lambda x, y, flip: x ^ y ^ flip)
_PASS = _half(lambda a, b, d: 1)  # gives the inverted carry away as its sum, too
_ROW = _half(lambda x, a, w: x ^ a & w)
_LAST_ROW = _half(lambda x, a, w: 1 ^ x ^ a & w)
# Two AND rows at once, where C, too, is an operand. Where P = 0 the rows' bits are equal, or in the
# last row opposite, and the carry, the function where C = D = 0, is A & B, or its complement.
_TWO_ROWS = truth_table(lambda a, w, b, v: a & w ^ b & v, 4)
_LAST_TWO_ROWS = truth_table(lambda a, w, b, v: 1 ^ a & w ^ b & v, 4)
_LOAD = truth_table(lambda x, y, c, first: (x & (1 ^ first)) ^ y if c else y, 4)
_END = _half(lambda a, b, d: 0)  # gives the carry away as its sum; the next carry is A


class _Chain:
    """Half cells one above the other; the lowest has carry 0 from below, or `carry` from a half
    cell that takes it from outside. `close` makes them."""

    def __init__(self, m: Module, name: str, carry: Value = _ZERO):
        self._m, self._name, self._carry = m, name, carry
        self._halves: list[tuple[Const, tuple[Value, ...], Signal]] = []

    def half(self, init: Const, a: Value, b: Value, d: Value = _ONE, c: Value = _ONE) -> Signal:
        """The sum S of the next half cell up."""
        if not self._halves and not isinstance(self._carry, Const):
            self._append(_END, self._carry, _ZERO, _ONE, _ONE)
        return self._append(init, a, b, c, d)

    def end(self) -> Value:
        """The carry at which the chain ends."""
        if not self._halves:
            return self._carry
        carry = self.half(_END, _ZERO, _ZERO)
        self.close()
        return carry

    def _append(self, init: Const, *inputs: Value) -> Signal:
        output = Signal(name=f"s_{self._name}_{len(self._halves)}")
        self._halves.append((init, inputs, output))
        return output

    def fill(self) -> None:
        """Begin a new CCU2C, lest synthesis take for a loop a cell whose one half waits, through
        logic, for the other."""
        if len(self._halves) % 2:
            self.half(_PASS, _ZERO, _ZERO)

    def close(self) -> None:
        self.fill()
        carry: Value = _ZERO
        for index, halves in enumerate(zip(self._halves[::2], self._halves[1::2], strict=True)):
            ports: dict[str, Value | str] = {}
            for side, (init, inputs, output) in enumerate(halves):
                ports |= {f"p_INIT{side}": init, f"p_INJECT1_{side}": "NO", f"o_S{side}": output}
                ports |= {f"i_{pin}{side}": x for pin, x in zip("ABCD", inputs, strict=True)}
            carry_out = Signal(name=f"co_{self._name}_{index}")
            self._m.submodules[f"{self._name}_{index}"] = Instance(
                "CCU2C", i_CIN=carry, o_COUT=carry_out, **ports
            )
            carry = carry_out


@dataclass(frozen=True)
class _Sum:
    """A sum of distances that lacks one deferred carry, which is the carry of `chain`; all bits are
    still to be inverted if `flip`."""

    bits: Value
    flip: Value
    chain: _Chain

    def plain(self) -> Value:
        return self.bits ^ self.flip.replicate(len(self.bits))

    def add_to(self, x: Value, width: int) -> Value:
        """x + this sum with its carry, modulo 2**width. One half cell a bit, the flip included."""
        total = [
            self.chain.half(_SUM, bit(x, index), bit(self.bits, index), self._flip(index))
            for index in range(width)
        ]
        self.chain.close()
        return Cat(total)

    def alone(self) -> Total:
        """This sum with its carry, at which the chain ends."""
        return Total(self.bits, self.chain.end(), self.flip)

    def _flip(self, index: int) -> Value:
        return self.flip if index < len(self.bits) else _ZERO


def accumulate_distance(m: Module, acc: Value, pairs: list[tuple[Value, Value]]) -> Value:
    """acc + Σ|a − w|. A lane is one unbroken chain of width + 1 half cells and then of one of the
    adders of the sum, whose carry-in is the lane's deferred carry."""
    total = _distances(m, pairs)
    total.chain.fill()
    return total.add_to(acc, len(acc))


def total_distance(m: Module, pairs: list[tuple[Value, Value]]) -> Total:
    """Σ|a − w|. A single lane's bits are inverted where they are added."""
    return _distances(m, pairs).alone()


def add_total(m: Module, x: Value, total: Total, name: str) -> Value:
    """x + total, modulo 2**len(x), in one chain whose lowest half takes the carry from outside."""
    return _Sum(total.bits, total.flip, _Chain(m, name, total.carry)).add_to(x, len(x))


def load_total(m: Module, x: Value, total: Total, first: Value, name: str) -> Value:
    """total, and x as well unless first, modulo 2**len(x), where total is not to be flipped."""
    chain = _Chain(m, name, total.carry)
    bits = [chain.half(_LOAD, y, bit(total.bits, index), first) for index, y in enumerate(x)]
    chain.close()
    return Cat(bits)


def ahead_distance(
    m: Module, early: list[tuple[Value, Value]], pairs: list[tuple[Value, Value]]
) -> Total:
    """Σ|a − w| by the lanes' differences of one cycle before, which LUTs invert: they can be placed
    anywhere between two chains, and take the long way between them in two steps."""
    total = _gather([_held_distance(m, *pair, f"lane_{n}") for n, pair in enumerate(early)])
    return Total(total.bits, total.chain.end())


def _held_distance(m: Module, a: Value, w: Value, name: str) -> _Sum:
    chain = _Chain(m, name)
    difference = Cat(chain.half(_DIFFERENCE, x, y) for x, y in zip(a, w, strict=True))
    bits = Signal(len(a), init=-1, name=f"{name}_bits", reset_less=True)  # at first as of 0 and 0
    above = Signal(name=f"{name}_above", reset_less=True)
    m.d.sync += [bits.eq(difference), above.eq(chain.end())]
    return _Sum(bits ^ (~above).replicate(len(bits)), _ZERO, _Chain(m, f"{name}_sum", above))


def _distances(m: Module, pairs: list[tuple[Value, Value]]) -> _Sum:
    return _gather([_distance(m, a, w, f"lane_{lane}") for lane, (a, w) in enumerate(pairs)])


def _gather(terms: list[_Sum]) -> _Sum:
    groups = [reduce(_add, terms[start : start + GROUP]) for start in range(0, len(terms), GROUP)]
    return tree(groups, _add)


def _distance(m: Module, a: Value, w: Value, name: str) -> _Sum:
    """|a − w| without the deferred carry, as in `hw.distance`."""
    chain = _Chain(m, name)
    bits = [chain.half(_DIFFERENCE, x, y) for x, y in zip(a, w, strict=True)]
    below = chain.half(_PASS, _ZERO, _ZERO)
    return _Sum(Cat(bits), below, chain)


def _add(left: _Sum, right: _Sum) -> _Sum:
    """The sum, one bit longer, on the right one's chain; the left one's is left."""
    right.chain.fill()
    x, width = left.plain(), max(len(left.bits), len(right.bits)) + 1
    return _Sum(right.add_to(x, width), _ZERO, left.chain)


def _product(m: Module, a: Value, w: Value, name: str) -> Value:
    """a · w, of twice a's bits: `_add_product` to zero, whose first two rows are one."""
    last = len(w) == 2
    chain, init = _Chain(m, f"{name}_rows"), _LAST_TWO_ROWS if last else _TWO_ROWS
    if last:
        chain.half(_END, _ONE, _ZERO)
    above = [*a[1:], _ZERO]
    bits = [chain.half(init, y, w[1], w[0], x) for x, y in zip(above, a, strict=True)]
    return Cat(a[0] & w[0], *_add_rows(m, chain, bits, a, w[2:]))


def _add_product(m: Module, x: Value, a: Value, w: Value, width: int, name: str) -> Value:
    """x + a · w, modulo 2**width, x at least as long and twice as long as a."""
    chain, low = _Chain(m, f"{name}_rows"), x[: len(a)]
    bits = [chain.half(_ROW, p, y, w[0]) for p, y in zip(low, a, strict=True)]
    ready = _add_rows(m, chain, bits, a, w[1:])
    high = Cat(*ready[len(w) :], ready[-1].replicate(width - 2 * len(a)))
    above = _Sum(high, _ZERO, _Chain(m, f"{name}_high")).add_to(x[len(a) :], width - len(a))
    return Cat(*ready[: len(w)], above)


def _add_rows(m: Module, chain: _Chain, bits: list[Value], a: Value, rows: Value) -> list[Value]:
    """The bits of a row that stands in the chain but for its carry, and, from the next bit on, of
    the rows a · rows[j] and, subtracted, of the last one: Σ 2**j · a · rows[j], signed.

    A row's lowest bit is ready, the others and its carry go on to the next. All rows are one chain,
    where the half cell that takes a row's carry away makes the next row's carry-in.
    """
    ready = []
    for left, digit in zip(range(len(rows), 0, -1), rows, strict=True):
        carry = chain.half(_END, Const(left == 1, 1), _ZERO)
        ready.append(bits[0])
        init, partial = _LAST_ROW if left == 1 else _ROW, [*bits[1:], carry]
        bits = [chain.half(init, p, y, digit) for p, y in zip(partial, a, strict=True)]
    sign = chain.half(_PASS, _ZERO, _ZERO)
    chain.close()
    return [*ready, *bits, sign]


PRODUCTS = Products(alone=_product, add=_add_product)
