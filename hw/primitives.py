"""What the PEs that are made by hand share: LUT contents, bits of a sum, a tree of adders."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from amaranth import Const, Value

Sum = TypeVar("Sum")


def truth_table(function: Callable[..., int], inputs: int) -> Const:
    """Contents of a LUT: bit i is `function` of i's bits, lowest first."""
    rows = range(2**inputs)
    ones = [function(*(row >> place & 1 for place in range(inputs))) for row in rows]
    return Const(sum(bool(one) << row for row, one in enumerate(ones)), len(rows))


def majority(x: int, y: int, z: int) -> int:
    return x & y | y & z | x & z


def bit(value: Value, index: int) -> Value:
    """Bit `index` of a value of any length, 0 or the sign behind its end."""
    if index < len(value):
        return value[index]
    return value[-1] if value.shape().signed else Const(0, 1)


def tree(sums: Sequence[Sum], add: Callable[[Sum, Sum], Sum]) -> Sum:
    """All sums added in pairs, pairs of pairs, and so on."""
    while len(sums) > 1:
        pairs = zip(sums[::2], sums[1::2], strict=False)
        sums = [add(x, y) for x, y in pairs] + list(sums[len(sums) // 2 * 2 :])
    return sums[0]
