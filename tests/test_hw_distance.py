"""Every pair of 4-bit operands."""

import numpy as np
import pytest
from amaranth import Const, Module, Signal
from amaranth.sim import Simulator

from hw.compressor import Columns, full_adder, ripple
from hw.distance import DISTANCES, PLAIN_WAYS, Ways, ripple_less
from hw.multiply import add_array, add_booth, add_square

WIDTH = 4


def ripple_add(m, x, y, carry, name):
    return ripple(m, x, y, carry, name, full_adder)


def table(make):
    """The output for every pair of 4-bit operands, (16, 16); make: (m, a, w) -> output."""
    m, a, w, y = Module(), Signal(WIDTH), Signal(WIDTH), Signal(3 * WIDTH)
    m.d.comb += y.eq(make(m, a, w))
    values = np.zeros((16, 16), int)

    async def bench(ctx):
        for x, f in np.ndindex(16, 16):
            ctx.set(a, x)
            ctx.set(w, f)
            values[x, f] = ctx.get(y)

    simulator = Simulator(m)
    simulator.add_testbench(bench)
    simulator.run()
    return values


A, W = np.indices((16, 16))
SIGNED = np.where(W < 8, W, W - 16)
EXPECTED = dict.fromkeys(("complement", "two_adder", "compare_swap"), np.abs(A - W))
EXPECTED |= {"min": np.minimum(A, W), "xnor": A ^ W}


@pytest.mark.parametrize("how", [PLAIN_WAYS, Ways(ripple_add, ripple_less)])
@pytest.mark.parametrize("kind", DISTANCES)
def test_a_term_and_its_carry_are_exact(kind, how):
    def make(m, a, w):
        term, carry = DISTANCES[kind](m, a, w, "0", how)
        return term + carry

    np.testing.assert_array_equal(table(make), EXPECTED[kind])


@pytest.mark.parametrize("add_product", [add_booth, add_array])
@pytest.mark.parametrize("width", [8, 9, 12])
def test_products_are_exact_modulo_any_width(add_product, width):
    def make(m, a, w):
        columns = Columns(width)
        add_product(m, columns, a, w, "0")
        return columns.total(m)

    np.testing.assert_array_equal(table(make), (A * SIGNED) % 2**width)


@pytest.mark.parametrize("bits", [1, 2, 3])
def test_products_with_weights_of_fewer_bits_than_activations_are_exact(bits):
    def make(m, a, w):
        columns = Columns(WIDTH + bits)
        add_booth(m, columns, a, w[:bits], "0")
        return columns.total(m)

    low = W % 2**bits
    weights = np.where(low < 2 ** (bits - 1), low, low - 2**bits)
    np.testing.assert_array_equal(table(make), (A * weights) % 2 ** (WIDTH + bits))


def test_squares_are_exact():
    def make(m, a, w):
        columns = Columns(2 * WIDTH)
        add_square(columns, a)
        columns.add(Const(0, 1))
        return columns.total(m)

    np.testing.assert_array_equal(table(make), A**2)
