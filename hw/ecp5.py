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

from .primitives import bit, tree, truth_table

_ZERO, _ONE = Const(0, 1), Const(1, 1)
GROUP = 4  # lanes that are added one after the other before a tree: smallest at little more delay


def _half(propagate: Callable[[int, int, int], int]) -> Const:
    """INIT of a half cell from its propagate, a function of A, B, D. The carry out is A where that
    is 0, since then both operands of an adder are equal."""
    return truth_table(lambda a, b, c, d: propagate(a, b, d) if c else a, 4)


_DIFFERENCE = _half(lambda a, w, _: 1 ^ a ^ w)
_SUM = _half(lambda x, y, flip: x ^ y ^ flip)
_PASS = _half(lambda a, b, d: 1)  # gives the inverted carry away as its sum, too


class _Chain:
    """Half cells one above the other; the lowest has carry 0 from below. `close` makes them."""

    def __init__(self, m: Module, name: str):
        self._m, self._name = m, name
        self._halves: list[tuple[Const, Value, Value, Value, Signal]] = []

    def half(self, init: Const, a: Value, b: Value, d: Value = _ONE) -> Signal:
        """The sum S of the next half cell up."""
        output = Signal(name=f"s_{self._name}_{len(self._halves)}")
        self._halves.append((init, a, b, d, output))
        return output

    def close(self) -> None:
        if len(self._halves) % 2:
            self.half(_PASS, _ZERO, _ZERO)
        carry: Value = _ZERO
        for index, halves in enumerate(zip(self._halves[::2], self._halves[1::2], strict=True)):
            ports: dict[str, Value | str] = {}
            for side, (init, a, b, d, output) in enumerate(halves):
                ports |= {f"p_INIT{side}": init, f"p_INJECT1_{side}": "NO"}
                ports |= {f"i_A{side}": a, f"i_B{side}": b, f"i_C{side}": _ONE}
                ports |= {f"i_D{side}": d, f"o_S{side}": output}
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

    def _flip(self, index: int) -> Value:
        return self.flip if index < len(self.bits) else _ZERO


def accumulate_distance(m: Module, acc: Signal, pairs: list[tuple[Value, Value]]) -> Value:
    """acc + Σ|a − w|. A lane is one unbroken chain of width + 1 half cells and then of one of the
    adders of the sum, whose carry-in is the lane's deferred carry."""
    terms = [_distance(m, a, w, f"lane_{lane}") for lane, (a, w) in enumerate(pairs)]
    groups = [reduce(_add, terms[start : start + GROUP]) for start in range(0, len(terms), GROUP)]
    return tree(groups, _add).add_to(acc, len(acc))


def _distance(m: Module, a: Value, w: Value, name: str) -> _Sum:
    """|a − w| without the deferred carry, as in `hw.pe.distance`."""
    chain = _Chain(m, name)
    bits = [chain.half(_DIFFERENCE, x, y) for x, y in zip(a, w, strict=True)]
    return _Sum(Cat(bits), chain.half(_PASS, _ZERO, _ZERO), chain)


def _add(left: _Sum, right: _Sum) -> _Sum:
    """The sum, one bit longer, on the right one's chain; the left one's is left."""
    x, width = left.plain(), max(len(left.bits), len(right.bits)) + 1
    return _Sum(right.add_to(x, width), _ZERO, left.chain)
