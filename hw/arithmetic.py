"""How PEs add: the terms of a cycle to what is there, in that cycle or over several."""

from collections.abc import Callable
from dataclasses import replace

from amaranth import Cat, Const, Module, Value

from . import ice40
from .compressor import FullAdder, full_adder
from .config import ArrayConfig
from .mapping import LOADS, hand_made
from .pipeline import Arithmetic, Total, delay
from .plain_sum import lane_terms, paired_products, plain_sum
from .tree_sum import tree_sum

# How a PE's terms are added up. plain: by the operators + and *, which synthesis maps as it likes
# (carry chains, DSPs), or by the cells of `hw.mapping`. Trees: one tree of full adders over all
# lanes and, in PEs without a pipeline, the accumulator; in `mac` it adds up the rows of a Booth
# multiplier or of an array multiplier. For multiplier blocks: pairs, as plain, the products of two
# lanes by one multiplier; halves, two products in one block of iCE40.
PLAIN, TREE, BOOTH_TREE, ARRAY_TREE = "plain", "tree", "booth-tree", "array-tree"
PAIRS, HALVES = "pairs", "halves"
TREES = (TREE, BOOTH_TREE, ARRAY_TREE)
BLOCK_PRODUCTS = {PAIRS: paired_products, HALVES: ice40.half_products}


def structures(pe: str) -> tuple[str, ...]:
    """The structures that a PE kind can have, of cells that no fabric must have."""
    return (PLAIN, PAIRS, BOOTH_TREE, ARRAY_TREE) if pe == "mac" else (PLAIN, TREE)


def check_structure(config: ArrayConfig, structure: str) -> None:
    """ValueError when PEs of this kind cannot have the structure."""
    halves = (HALVES,) if config.pe == "mac" and config.width <= ice40.HALF_BITS else ()
    allowed = (*structures(config.pe), *halves)
    if structure not in allowed:
        raise ValueError(
            f"structure of a {config.pe} PE must be one of {', '.join(allowed)}, not {structure!r}"
        )


def held_inverted(config: ArrayConfig, structure: str) -> bool:
    """Whether registers hold a PE's sum inverted, as the adders of trees take and give it (see
    `hw.compressor.Columns`): so no gate inverts its bits on their way around."""
    return structure in TREES and config.pipeline == 0


def pe_arithmetic(
    config: ArrayConfig, structure: str = PLAIN, adder: FullAdder = full_adder
) -> Arithmetic:
    """Of PEs of the configuration's kind. adder: how a tree makes its full adders."""
    made = hand_made(config) if structure == PLAIN else None
    return made or kind_arithmetic(config.pe, config, structure, adder)


def kind_arithmetic(kind: str, config: ArrayConfig, structure: str, adder: FullAdder) -> Arithmetic:
    """Of terms of a kind, made without cells of `hw.mapping`: a PE kind, or `plain_sum.ALONE`."""
    if structure not in TREES:
        terms = BLOCK_PRODUCTS.get(structure) or lane_terms(kind)
        return replace(plain_sum(terms), load=LOADS.get(config.target))
    return tree_sum(kind, config.total_width, adder, booth=structure == BOOTH_TREE)


def add_terms(
    m: Module,
    before: Value,
    pairs: list[tuple[Value, Value]],
    config: ArrayConfig,
    arithmetic: Arithmetic,
) -> Value:
    """before + Σ terms of the pairs (a, w), modulo 2**len(before).

    With `pipeline` the pairs are those of one cycle before. With two registers that is so of the
    `low_width` low bits; the high ones, of `before` and of the sum, are one cycle behind.
    """
    if config.pipeline == 0:
        return arithmetic.step(m, before, pairs)
    total = arithmetic.total(m, pairs).cut(config.total_width).later(m, "total")
    return _add_up(m, before, total, config, lambda x, y, half: arithmetic.add(m, x, y, half))


def load_terms(
    m: Module,
    before: Value,
    first: Value,
    early: list[tuple[Value, Value]],
    pairs: list[tuple[Value, Value]],
    config: ArrayConfig,
    arithmetic: Arithmetic,
) -> Value:
    """As `add_terms`, for `pipeline` 3 and 4; without what was `before` where `first`, of whose two
    bits one is for the low half, one for the high one. early: the pairs one cycle before."""
    ahead = arithmetic.ahead or (lambda m, early, pairs: arithmetic.total(m, pairs))
    total = ahead(m, early, pairs).cut(config.total_width).later(m, "total")

    def load(x: Value, y: Total, half: str) -> Value:
        again = first[half != "low"]
        if arithmetic.load:
            return arithmetic.load(m, x, y, again, half)
        return arithmetic.add(m, x & (~again).replicate(len(x)), y, half)

    return _add_up(m, before, total, config, load)


def _add_up(
    m: Module,
    before: Value,
    total: Total,
    config: ArrayConfig,
    add: Callable[[Value, Total, str], Value],
) -> Value:
    """before + total; in halves, the bits from `low_width` on are one cycle later."""
    if not config.in_halves:
        return add(before, total, "sum")
    width = config.low_width
    low = add(Cat(before[:width], Const(0, 1)), total.low(width), "low")
    carry = delay(m, low[width], 1, "carry", config.sum_loaded)
    high = total.high(width).later(m, "high", config.sum_loaded)._replace(carry=carry)
    return Cat(low[:width], add(before[width:], high, "high"))
