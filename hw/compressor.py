"""Addition made of full adders: two numbers by a ripple of them, many by columns of bits."""

import heapq
from collections.abc import Callable, Iterable
from itertools import count

from amaranth import Cat, Const, Module, Signal, Value
from amaranth.lib.wiring import Component, In, Out

# Makes the sum bit and the carry of three bits: (m, a, b, c, name) -> (sum, carry).
FullAdder = Callable[[Module, Value, Value, Value, str], tuple[Value, Value]]


def full_adder(m: Module, a: Value, b: Value, c: Value, name: str) -> tuple[Value, Value]:
    """The sum bit and the carry of three bits, as plain logic."""
    total, carry = Signal(name=f"sum_{name}"), Signal(name=f"carry_{name}")
    m.d.comb += [total.eq(a ^ b ^ c), carry.eq(a & b | c & (a ^ b))]
    return total, carry


class FullAdderCell(Component):
    """sum + 2 · carry = a + b + c, one bit each, as cell libraries have it."""

    def __init__(self) -> None:
        super().__init__({"a": In(1), "b": In(1), "c": In(1), "sum": Out(1), "carry": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        total, carry = full_adder(m, self.a, self.b, self.c, "abc")
        m.d.comb += [self.sum.eq(total), self.carry.eq(carry)]
        return m


def ripple(
    m: Module, x: Iterable[Value], y: Iterable[Value], carry: Value, name: str, adder: FullAdder
) -> tuple[Value, Value]:
    """x + y + carry as (sum, carry) by a full adder a bit. A bit that is constant gets plain
    logic instead, which synthesis makes smaller than any cell for three bits."""
    bits = []
    for place, (a, b) in enumerate(zip(x, y, strict=True)):
        total, carry = _add(m, a, b, carry, f"{name}_{place}", adder)
        bits.append(total)
    return Cat(bits), carry


class Columns:
    """Bits to be added up, by weight, modulo 2**width: what would go beyond is left out.

    Constants are gathered in one number, which enters the columns where it has ones. The adders
    work on the bits' complements and give those of the sum: a full adder is its own dual, and the
    cheapest gates that make products and minima, NAND and OR-AND-INVERT, give complements.
    """

    def __init__(self, width: int, adder: FullAdder = full_adder):
        self.width = width
        self._adder = adder
        self._bits: list[list[Value]] = [[] for _ in range(width)]
        self._constant = 0

    def add(self, bits: Value | Iterable[Value], weight: int = 0) -> None:
        """Add an unsigned number whose lowest bit has the value 2**weight."""
        for place, bit in enumerate(bits, weight):
            if place < self.width:
                self._bits[place].append(bit)

    def add_constant(self, value: int) -> None:
        self._constant = (self._constant + value) % 2**self.width

    def compress(self, m: Module) -> tuple[Value, Value]:
        """Two numbers of `width` bits with the same sum modulo 2**width."""
        columns = self._compress(m)
        return ~Cat(column[0] for column in columns), ~Cat(column[1] for column in columns)

    def total(self, m: Module) -> Value:
        """The sum modulo 2**width: the two numbers of `compress` in a ripple-carry adder."""
        x, y = zip(*self._compress(m), strict=True)
        return ~ripple(m, x, y, Const(1, 1), "ripple", self._adder)[0]

    def _compress(self, m: Module) -> list[list[Value]]:
        """The complements of the two bits that are left in each column.

        From the lowest column up, full adders (3:2 counters) take the three bits that are there
        first until two are left. Each takes one bit out of the sum, so no tree needs fewer;
        half adders, which take none, are left to the final addition.
        """
        order = count()  # breaks ties, so that bits are never compared
        columns = [[(0, next(order), ~bit) for bit in column] for column in self._bits]
        for place, column in enumerate(columns):
            if self._constant >> place & 1:
                column.append((0, next(order), Const(0, 1)))
            heapq.heapify(column)
            while len(column) > 2:
                arrivals, _, bits = zip(*(heapq.heappop(column) for _ in range(3)), strict=True)
                total, carry = _add(m, *bits, f"{place}_{next(order)}", self._adder)
                heapq.heappush(column, (arrivals[-1] + 1, next(order), total))
                if place + 1 < self.width:
                    columns[place + 1].append((arrivals[-1] + 1, next(order), carry))
        return [([bit for *_, bit in column] + [Const(1, 1)] * 2)[:2] for column in columns]


def _add(
    m: Module, a: Value, b: Value, c: Value, name: str, adder: FullAdder
) -> tuple[Value, Value]:
    constant = any(isinstance(bit, Const) for bit in (a, b, c))
    return (full_adder if constant else adder)(m, a, b, c, name)
