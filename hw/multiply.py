"""Products and squares as bits that are still to be added up, for one tree over a PE's lanes."""

from amaranth import Cat, Const, Module, Signal, Value

from .compressor import Columns


def add_booth(m: Module, columns: Columns, a: Value, w: Value, name: str) -> None:
    """Add a · w, a unsigned, w signed, by radix-4 Booth digits of w.

    The digit d = −2 · w[2j+1] + w[2j] + w[2j−1] takes the row d · a · 4**j: |d| · a, its bits
    inverted and 1 added if d is negative. The row's sign, −neg · 2**(n+1), is
    (~neg − 1) · 2**(n+1), a bit and a constant. The 1 that is added and the lowest bit x of
    |d| · a make neg + (neg ^ x) = x + 2 · (neg & ~x), which is one bit in either column.
    """
    width = len(a)
    digits = Cat(Const(0, 1), w, w[-1])
    for weight in range(0, len(w), 2):
        low, middle, neg = (digits[weight + place] for place in range(3))
        one, two = Signal(name=f"one_{name}_{weight}"), Signal(name=f"two_{name}_{weight}")
        size = Signal(width + 1, name=f"size_{name}_{weight}")
        m.d.comb += [
            one.eq(low ^ middle),
            two.eq((middle ^ neg) & ~one),
            size.eq((a & one.replicate(width)) | (Cat(Const(0, 1), a & two.replicate(width)))),
        ]
        columns.add([size[0]], weight)
        columns.add([neg & ~size[0]], weight + 1)
        columns.add(size[1:] ^ neg.replicate(width), weight + 1)
        columns.add([~neg], weight + width + 1)
        columns.add_constant(-(2 ** (weight + width + 1)))


def add_array(m: Module, columns: Columns, a: Value, w: Value, name: str) -> None:
    """Add a · w, a unsigned, w signed, by an AND row for each bit of w (Baugh and Wooley).

    The row of the sign bit s is negative: −Σ a[i] · s · 2**i = Σ ~(a[i] · s) · 2**i − (2**n − 1).
    """
    width, sign = len(a), len(w) - 1
    for weight in range(sign):
        columns.add(a & w[weight].replicate(width), weight)
    columns.add(~(a & w[sign].replicate(width)), sign)
    columns.add_constant(-((2**width - 1) << sign))


def add_square(columns: Columns, d: Value) -> None:
    """Add d², d unsigned: d[i] · d[i] is d[i], and every other product stands for two that are
    equal, so that n · (n + 1) / 2 bits do in place of n²."""
    for i in range(len(d)):
        columns.add([d[i]], 2 * i)
        for j in range(i):
            columns.add([d[i] & d[j]], i + j + 1)
