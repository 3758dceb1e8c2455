"""PEs made of iCE40 logic cells, and products of its multiplier blocks.

A logic cell is a LUT4 and, beside it, a carry cell that takes the majority of the LUT's inputs I1
and I2 and the carry from below, which is the LUT's I3. I0 is free. Source: Lattice, "iCE40
Programming and Configuration" and Yosys' `ice40/cells_sim.v`.
"""

from amaranth import Cat, Const, Instance, Module, Signal, Value

from .pipeline import Total
from .primitives import bit, tree, truth_table
from .products import Products

HALF_BITS = 8  # of a product's operands in half a multiplier block
_ZERO, _ONE = Const(0, 1), Const(1, 1)

# Functions of a LUT's inputs I0, I1, I2 and, from the chain, I3.
_SUM = truth_table(lambda _, x, y, carry: x ^ y ^ carry, 4)
_TERM = truth_table(lambda above, x, y, carry: 1 ^ above ^ x ^ y ^ carry, 4)
_LOAD = truth_table(lambda first, x, y, carry: y if first else x ^ y ^ carry, 4)
_CARRY = truth_table(lambda _, x, y, carry: carry, 4)
# Rows of a product: x + a where a bit of w, on I0, says so, else x; the carry cell knows nothing of
# it. Inverted for the last row, which is subtracted: x − a = ~(~x + a).
_ROW = truth_table(lambda w, x, a, carry: x ^ w & (a ^ carry), 4)
_ROW_INVERTED = truth_table(lambda w, x, a, carry: 1 ^ x ^ w & (a ^ carry), 4)
_ROW_CARRY = truth_table(lambda w, x, y, carry: w & carry, 4)
_ROW_CARRY_INVERTED = truth_table(lambda w, x, y, carry: 1 ^ w & carry, 4)


class _Chain:
    """Logic cells one above the other; the lowest has carry 0 from below."""

    def __init__(self, m: Module, name: str):
        self._m, self._name, self._length = m, name, 0
        self._carry: Value = _ZERO

    def cell(self, table: Const, i1: Value, i2: Value, i0: Value = _ZERO) -> Signal:
        """The LUT's output in the next cell up."""
        place = f"{self._name}_{self._length}"
        output, carry = Signal(name=f"o_{place}"), Signal(name=f"co_{place}")
        self._m.submodules[f"lut_{place}"] = Instance(
            "SB_LUT4", p_LUT_INIT=table, i_I0=i0, i_I1=i1, i_I2=i2, i_I3=self._carry, o_O=output
        )
        self._m.submodules[f"carry_{place}"] = Instance(
            "SB_CARRY", i_I0=i1, i_I1=i2, i_CI=self._carry, o_CO=carry
        )
        self._carry = carry
        self._length += 1
        return output

    def add(self, x: Value, y: Value, width: int) -> Value:
        """x + y + the carry from below, modulo 2**width."""
        return Cat(self.cell(_SUM, bit(x, index), bit(y, index)) for index in range(width))


def accumulate_distance(m: Module, acc: Value, pairs: list[tuple[Value, Value]]) -> Value:
    """acc + Σ|a − w| where the pairs are (a, ~w): the carry cells take no inverted operand.

    A lane is one unbroken chain of width + 1 cells and then of one of the adders of the sum, whose
    carry-in is the lane's deferred carry.
    """
    total, chain = _distances(m, pairs)
    return chain.add(acc, total, len(acc))


def total_distance(m: Module, pairs: list[tuple[Value, Value]]) -> Total:
    """Σ|a − w| where the pairs are (a, ~w)."""
    total, chain = _distances(m, pairs)
    return Total(total, chain.cell(_CARRY, _ZERO, _ZERO))


def add_total(m: Module, x: Value, total: Total, name: str) -> Value:
    """x + total, modulo 2**len(x), in one chain whose lowest cell takes the carry from outside."""
    chain = _Chain(m, name)
    chain.cell(_CARRY, total.carry, _ONE)
    return chain.add(x, total.bits, len(x))


def load_total(m: Module, x: Value, total: Total, first: Value, name: str) -> Value:
    """total, and x as well unless first, modulo 2**len(x). A carry must be 0 where first."""
    chain = _Chain(m, name)
    if not isinstance(total.carry, Const):
        chain.cell(_CARRY, total.carry, _ONE)
    bits = [chain.cell(_LOAD, y, bit(total.bits, index), first) for index, y in enumerate(x)]
    return Cat(bits)


def ahead_distance(
    m: Module, early: list[tuple[Value, Value]], pairs: list[tuple[Value, Value]]
) -> Total:
    """Σ|a − w| where the pairs are (a, ~w), and it is known one cycle before whether a > w."""
    terms = [
        _known_distance(m, *before, *pair, f"lane_{lane}")
        for lane, (before, pair) in enumerate(zip(early, pairs, strict=True))
    ]
    return Total(tree(terms, _add)[0])


def _known_distance(
    m: Module, early_a: Value, early_w: Value, a: Value, inverted_w: Value, name: str
) -> tuple[Value, _Chain]:
    compare, above = _Chain(m, f"{name}_above"), Signal(name=f"above_{name}", reset_less=True)
    for x, y in zip(early_a, early_w, strict=True):
        compare.cell(_CARRY, x, y)
    m.d.sync += above.eq(compare.cell(_CARRY, _ZERO, _ZERO))
    chain = _Chain(m, name)
    chain.cell(_CARRY, above, _ONE)
    bits = [chain.cell(_TERM, x, y, above) for x, y in zip(a, inverted_w, strict=True)]
    return Cat(bits), _Chain(m, f"{name}_sum")


def _distances(m: Module, pairs: list[tuple[Value, Value]]) -> tuple[Value, _Chain]:
    """Σ|a − w| without one deferred carry, and the chain whose carry that is."""
    return tree([_distance(m, a, w, f"lane_{lane}") for lane, (a, w) in enumerate(pairs)], _add)


def _distance(m: Module, a: Value, inverted_w: Value, name: str) -> tuple[Value, _Chain]:
    """|a − w| as in `hw.distance`; t is s or ~s by way of each LUT's free input."""
    chain, above = _Chain(m, name), Signal(name=f"above_{name}")
    bits = [chain.cell(_TERM, x, y, above) for x, y in zip(a, inverted_w, strict=True)]
    m.d.comb += above.eq(chain.cell(_CARRY, _ZERO, _ONE))
    return Cat(bits), chain


def _add(left: tuple[Value, _Chain], right: tuple[Value, _Chain]) -> tuple[Value, _Chain]:
    """The sum of two terms, one bit longer, on the right one's chain; the left one's is left."""
    (x, chain), (y, used) = left, right
    return used.add(x, y, max(len(x), len(y)) + 1), chain


def _product(m: Module, a: Value, w: Value, name: str) -> Value:
    """a · w, of twice a's bits: gates are the first row."""
    low, *high = a & w[0].replicate(len(a))
    partial = Cat(*high, _ZERO)
    return Cat(low, _add_rows(m, ~partial if len(w) == 2 else partial, a, w[1:], name))


def _add_product(m: Module, x: Value, a: Value, w: Value, width: int, name: str) -> Value:
    """x + a · w, modulo 2**width, x at least twice as long as a."""
    low = _add_rows(m, x[: len(a)], a, w, name)
    chain = _Chain(m, f"{name}_high")
    high = chain.add(x[len(a) :], low[len(a) :].as_signed(), width - len(a))
    return Cat(low[: len(a)], high)


def _add_rows(m: Module, partial: Value, a: Value, rows: Value, name: str) -> Value:
    """partial + Σ 2**j · a · rows[j], the last one subtracted, signed; partial is as long as a, and
    inverted if there is but one row. A row's lowest bit is ready, the others and its carry go on to
    the next; the row before the last gives them inverted."""
    ready = []
    for left, digit in zip(range(len(rows), 0, -1), rows, strict=True):
        chain = _Chain(m, f"{name}_row_{len(ready)}")
        inverted = _ROW_INVERTED if left <= 2 else _ROW
        tables = [_ROW if left == 2 else inverted, *[inverted] * (len(a) - 1)]
        low, *bits = (
            chain.cell(table, x, y, digit) for table, x, y in zip(tables, partial, a, strict=True)
        )
        carry = chain.cell(_ROW_CARRY_INVERTED if left == 2 else _ROW_CARRY, _ZERO, _ZERO, digit)
        ready.append(low)
        partial = [*bits, carry]
    return Cat(*ready, *partial)


PRODUCTS = Products(alone=_product, add=_add_product)


def half_products(m: Module, pairs: list[tuple[Value, Value]]) -> list[tuple[Value, Value]]:
    """a · w of each lane, of at most HALF_BITS bits each, two in a multiplier block.
    Source: Lattice FPGA-TN-02007, DSP Function Usage Guide, on two 8 × 8 multipliers."""
    found = []
    for number in range(0, len(pairs), 2):
        lanes = pairs[number : number + 2]
        products = Signal(4 * HALF_BITS, name=f"products_{number}")
        m.submodules[f"block_{number}"] = Instance(
            "SB_MAC16",
            p_MODE_8x8=1,
            p_TOPOUTPUT_SELECT=Const(2, 2),  # the product, without adder and register
            p_BOTOUTPUT_SELECT=Const(2, 2),
            p_B_SIGNED=1,
            i_A=Cat(_extended(a) for a, _ in lanes),
            i_B=Cat(_extended(w.as_signed()) for _, w in lanes),
            o_O=products,
        )
        for place, (a, _) in enumerate(lanes):
            product = products.word_select(place, 2 * HALF_BITS)[: 2 * len(a)]
            found.append((product.as_signed(), _ZERO))
    return found


def _extended(value: Value) -> Value:
    return Cat(bit(value, index) for index in range(HALF_BITS))
