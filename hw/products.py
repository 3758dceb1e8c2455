"""Sums of products over lanes, from what a fabric makes of one product."""

from collections.abc import Callable
from dataclasses import dataclass

from amaranth import Cat, Module, Signal, Value

from .pipeline import Total
from .primitives import tree

GROUP = 4  # lanes that are added one after the other before a tree: smallest at little more delay


@dataclass(frozen=True)
class Products:
    """How a fabric's cells make products of a, unsigned, and w, signed, both n bits.

    alone : (m, a, w, name) -> a · w, of 2 n bits
    add : (m, x, a, w, width, name) -> x + a · w, modulo 2**width; x has at least 2 n bits
    """

    alone: Callable[[Module, Value, Value, str], Value]
    add: Callable[[Module, Value, Value, Value, int, str], Value]

    def accumulate(self, m: Module, acc: Signal, pairs: list[tuple[Value, Value]]) -> Value:
        """acc + Σ a · w, modulo 2**len(acc)."""
        if len(pairs) == 1:
            return self.add(m, acc, *pairs[0], len(acc), "lane_0")
        return (acc.as_signed() + self.total(m, pairs).bits)[: len(acc)]

    def total(self, m: Module, pairs: list[tuple[Value, Value]]) -> Total:
        """Σ a · w, signed."""
        lanes = [(a, w, f"lane_{lane}") for lane, (a, w) in enumerate(pairs)]
        starts = range(0, len(lanes), GROUP)
        groups = [self._group(m, lanes[start : start + GROUP]) for start in starts]
        return Total(tree(groups, lambda x, y: x + y))

    def _group(self, m: Module, lanes: list[tuple[Value, Value, str]]) -> Value:
        """The lanes' Σ a · w, signed; each product but the first begins from the sum before it."""
        first, *others = lanes
        total = self.alone(m, *first)
        for count, (a, w, name) in enumerate(others, start=2):
            width = 2 * len(a) + (count - 1).bit_length()
            total = Cat(total, total[-1].replicate(width - len(total)))
            total = self.add(m, total, a, w, width, name)
        return total.as_signed()
