"""PEs made of 7-series LUT6s and CARRY4s.

At each place of a carry chain a LUT gives the propagate S, and either its second output O5 or a
wire from elsewhere the DI that becomes the carry where S = 0. O6 and O5 are two functions of the
same five inputs. Source: AMD UG474 and Yosys' `xilinx/cells_sim.v`.
"""

from collections.abc import Callable

from amaranth import Cat, Const, Instance, Module, Signal, Value

from .pipeline import Total
from .primitives import bit, majority, tree, truth_table

_ZERO, _ONE = Const(0, 1), Const(1, 1)
GROUP = 4  # lanes that are added one after the other before a tree: smallest at little more delay


class _Chain:
    """Places one above the other, four to a CARRY4, which `close` makes."""

    def __init__(self, m: Module, name: str, carry: Value):
        self._m, self._name, self._carry_in = m, name, carry
        self._propagate: list[Value] = []
        self._data: list[Value] = []

    def place(self, propagate: Value, data: Value) -> None:
        self._propagate.append(propagate)
        self._data.append(data)

    def close(self) -> tuple[Value, Value]:
        """The sums, and the carry out of the highest place."""
        length, sums, carries = len(self._propagate), [], []
        for start in range(0, length, 4):
            o, co = (Signal(4, name=f"{kind}_{self._name}_{start}") for kind in ("o", "co"))
            self._m.submodules[f"{self._name}_{start}"] = Instance(
                "CARRY4",
                i_CI=carries[-1] if start else _ZERO,
                i_CYINIT=_ZERO if start else self._carry_in,
                i_S=_four(self._propagate[start:]),
                i_DI=_four(self._data[start:]),
                o_O=o,
                o_CO=co,
            )
            sums.extend(o)
            carries.extend(co)
        return Cat(sums[:length]), carries[length - 1]


def _four(bits: list[Value]) -> Value:
    return Cat(*bits, Const(0, 4))[:4]


def _lut(
    m: Module, name: str, o6: Callable[..., int], o5: Callable[..., int], inputs: list[Value]
) -> tuple[Signal, Signal]:
    """O6 and O5 of one LUT6_2, functions of the same at most five inputs."""
    count = len(inputs)
    ports = {f"i_I{place}": _ZERO for place in range(5)}
    ports |= {f"i_I{place}": value for place, value in enumerate(inputs)}
    init = Cat(truth_table(lambda *bits, made=made: made(*bits[:count]), 5) for made in (o5, o6))
    first, second = Signal(name=f"o6_{name}"), Signal(name=f"o5_{name}")
    m.submodules[f"lut_{name}"] = Instance(
        "LUT6_2", p_INIT=Const.cast(init), i_I5=_ONE, o_O6=first, o_O5=second, **ports
    )
    return first, second


def accumulate_distance(m: Module, acc: Signal, pairs: list[tuple[Value, Value]]) -> Value:
    """acc + Σ|a − w|, a lane in one LUT a bit of the sum and half a LUT a bit of the operands."""
    if len(pairs) == 1:
        return _add_distance(m, acc, *pairs[0], len(acc), "lane_0")
    return _add_up(m, [*_in_groups(m, pairs, _group), acc], len(acc))


def total_distance(m: Module, pairs: list[tuple[Value, Value]]) -> Total:
    """Σ|a − w|."""
    width = len(pairs[0][0]) + (len(pairs) - 1).bit_length()
    return Total(_add_up(m, _in_groups(m, pairs, _group), width))


def _in_groups(
    m: Module, pairs: list[tuple[Value, Value]], group: Callable[..., Value]
) -> list[Value]:
    numbered = [(a, w, f"lane_{lane}") for lane, (a, w) in enumerate(pairs)]
    return [group(m, numbered[start : start + GROUP]) for start in range(0, len(pairs), GROUP)]


def _add_up(m: Module, numbers: list[Value], width: int) -> Value:
    """The sum modulo 2**width, three numbers to a chain."""
    while len(numbers) > 1:
        now, rest = numbers[:3], numbers[3:]
        longest = max(map(len, now)) + len(now) - 1
        total = _add_three(m, now, min(longest, width), f"three_{len(rest)}")
        numbers = [*rest[:-1], total, *rest[-1:]]  # the last one is the accumulator: longest
    return numbers[0]


def _group(m: Module, lanes: list[tuple[Value, Value, str]]) -> Value:
    width = len(lanes[0][0])
    total: Value = _ZERO
    for count, (a, w, name) in enumerate(lanes, start=1):
        bits = width + (count - 1).bit_length()
        total = _add_distance(m, total, a, w, bits, name)
    return total


def _add_distance(m: Module, x: Value, a: Value, w: Value, width: int, name: str) -> Value:
    """x + |a − w|, modulo 2**width, as x + max(a, w) + ~min(a, w) + 1.

    A bit's three operands are one LUT's: their sum's low bit is the propagate with the high bit
    that the LUT below gives, which is the other operand of the chain.
    """
    above = _above(m, a, w, name)
    places = [[bit(x, i), bit(a, i), bit(w, i), above] for i in range(width)]
    return _three_to_one(m, places, _low, _high, _ONE, f"sum_{name}")


def _low(x: int, a: int, w: int, _: int, high: int) -> int:
    return 1 ^ x ^ a ^ w ^ high


def _high(x: int, a: int, w: int, above: int, _: int) -> int:
    return majority(x, a if above else w, 1 ^ (w if above else a))


def _add_three(m: Module, numbers: list[Value], width: int, name: str) -> Value:
    """The sum of two or three numbers, modulo 2**width, as one LUT a bit."""
    places = [[bit(number, i) for number in (*numbers, _ZERO)[:3]] for i in range(width)]
    return _three_to_one(m, places, _sum_low, _sum_high, _ZERO, name)


def _sum_low(x: int, y: int, z: int, high: int) -> int:
    return x ^ y ^ z ^ high


def _sum_high(x: int, y: int, z: int, _: int) -> int:
    return majority(x, y, z)


def _three_to_one(
    m: Module,
    places: list[list[Value]],
    low: Callable[..., int],
    high: Callable[..., int],
    carry: Value,
    name: str,
) -> Value:
    """The sum of three operands, of which `places` has what each LUT takes beside the high bit of
    the sum of the three in the place below; low, high: of `_lut`. The carry from outside takes
    the place of that bit in the lowest one, since synthesis makes an inverter of a chain's 1."""
    chain, above = _Chain(m, name, _ZERO), carry
    for index, inputs in enumerate(places):
        propagate, next_high = _lut(m, f"{name}_{index}", low, high, [*inputs, above])
        chain.place(propagate, above)
        above = next_high
    return chain.close()[0]


def _above(m: Module, a: Value, w: Value, name: str) -> Value:
    """Whether a > w, two bits a LUT: equal ones pass the carry on, unequal ones decide."""
    chain = _Chain(m, f"above_{name}", _ZERO)
    for low in range(0, len(a), 2):
        inputs = [bit(a, low), bit(a, low + 1), bit(w, low), bit(w, low + 1)]
        chain.place(*_lut(m, f"above_{name}_{low}", _equal, _greater, inputs))
    return chain.close()[1]


def _equal(a0: int, a1: int, w0: int, w1: int) -> int:
    return (a1, a0) == (w1, w0)


def _greater(a0: int, a1: int, w0: int, w1: int) -> int:
    return (a1, a0) > (w1, w0)


def accumulate_product(m: Module, acc: Signal, pairs: list[tuple[Value, Value]]) -> Value:
    """acc + Σ a · w, a unsigned, w signed: radix-4 Booth rows, digit and adder in one LUT a bit."""
    if len(pairs) == 1:
        return _add_product(m, acc.as_signed(), *pairs[0], "lane_0")[: len(acc)]
    return (acc.as_signed() + total_product(m, pairs).bits)[: len(acc)]


def total_product(m: Module, pairs: list[tuple[Value, Value]]) -> Total:
    """Σ a · w, a unsigned, w signed."""
    return Total(tree(_in_groups(m, pairs, _products), lambda x, y: x + y))


def _products(m: Module, lanes: list[tuple[Value, Value, str]]) -> Value:
    """The lanes' Σ a · w, signed; each product begins from the sum of those before."""
    width = len(lanes[0][0])
    total: Value = _ZERO.replicate(2 * width).as_signed()
    for count, (a, w, name) in enumerate(lanes, start=1):
        bits = 2 * width + (count - 1).bit_length()
        total = _add_product(m, total, a, w, name)[:bits].as_signed()
    return total


def _add_product(m: Module, x: Value, a: Value, w: Value, name: str) -> Value:
    """x + a · w, one bit longer than x, which is signed and at least twice as long as a.

    Each row adds a digit of w, −2 … 2 times a, to x's low bits; its two lowest bits are ready, the
    others go on to the next row, and the last row's are added to x's high bits. A row's sums lie
    in ±4 · 2**len(a).
    """
    width, rows = len(a), (len(w) + 1) // 2
    digits = Cat(_ZERO, w, w[-1])  # Booth: each digit is three bits, the lowest of them shared
    partial: Value = Cat(x[: 2 * rows], _ZERO).as_signed()
    ready = []
    for row in range(rows):
        digit = list(digits[2 * row : 2 * row + 3])
        chain = _Chain(m, f"{name}_row_{row}", digit[-1])
        for place in range(width + 3):
            p = partial[min(place, len(partial) - 1)]
            operand = [bit(a, place), bit(a, place - 1) if place else _ZERO]
            chain.place(_lut6(m, f"{name}_{row}_{place}", _booth, [p, *operand, *digit]), p)
        total = chain.close()[0]
        ready.extend(total[:2])
        partial = total[2:].as_signed()
    return Cat(*ready, x[2 * rows :].as_signed() + partial)


def _booth(p: int, a: int, below: int, d0: int, d1: int, d2: int) -> int:
    """p + digit · a without the carry; the digit is d0 + d1 − 2·d2."""
    return p ^ d2 ^ (a if d0 ^ d1 else below if d1 ^ d2 else 0)


def _lut6(m: Module, name: str, function: Callable[..., int], inputs: list[Value]) -> Signal:
    output = Signal(name=f"o_{name}")
    ports = {f"i_I{place}": value for place, value in enumerate(inputs)}
    m.submodules[f"lut_{name}"] = Instance(
        "LUT6", p_INIT=truth_table(function, 6), o_O=output, **ports
    )
    return output
