"""Columns of bits in Amaranth's simulator against plain sums, and the count of full adders."""

import numpy as np
import pytest
from amaranth import Cat, Const, Fragment, Module, Signal
from amaranth.sim import Simulator

from hw.compressor import Columns, FullAdderCell, full_adder, ripple


def evaluate(m, inputs, outputs, stimuli):
    """The outputs' values for one row of inputs after another."""
    found = []

    async def bench(ctx):
        for values in stimuli:
            for signal, value in zip(inputs, values, strict=True):
                ctx.set(signal, int(value))
            found.append([ctx.get(output) for output in outputs])

    simulator = Simulator(m)
    simulator.add_testbench(bench)
    simulator.run()
    return found


def numbers(count, width, seed=0):
    return np.random.default_rng(seed).integers(0, 2**width, (20, count)).tolist()


@pytest.mark.parametrize(("count", "width"), [(1, 3), (2, 5), (3, 4), (7, 6), (20, 3)])
def test_two_numbers_and_their_total_have_the_sum_of_all(count, width):
    m, inputs, columns = Module(), [Signal(width) for _ in range(count)], Columns(9)
    for number in inputs:
        columns.add(number)
    x, y = columns.compress(m)
    rows = numbers(count, width)
    for row, (first, second) in zip(rows, evaluate(m, inputs, (x, y), rows), strict=True):
        assert (first + second) % 2**9 == sum(row) % 2**9
    m, columns = Module(), Columns(9)
    for number in inputs:
        columns.add(number)
    totals = evaluate(m, inputs, (columns.total(m),), rows)
    assert [total for [total] in totals] == [sum(row) % 2**9 for row in rows]


def test_weights_constants_and_bits_beyond_the_width_are_taken_modulo_it():
    m, a, b, columns = Module(), Signal(4), Signal(2), Columns(6)
    columns.add(a, 3)
    columns.add(b)
    columns.add_constant(13)
    columns.add_constant(-3)
    found = evaluate(m, (a, b), (columns.total(m),), [(15, 3), (0, 0), (6, 1)])
    assert found == [[(15 * 8 + 3 + 10) % 64], [10], [(48 + 1 + 10) % 64]]


def counted(adders):
    def adder(m, a, b, c, name):
        adders.append(name)
        return full_adder(m, a, b, c, name)

    return adder


@pytest.mark.parametrize(("count", "width"), [(2, 4), (16, 8), (9, 5)])
def test_a_tree_has_a_full_adder_for_each_bit_that_goes_and_no_more(count, width):
    """Bits in, less bits out of the sum: one full adder takes one away, nothing else does."""
    adders, bits_out = [], (count * (2**width - 1)).bit_length()
    columns = Columns(bits_out, counted(adders))
    for _ in range(count):
        columns.add(Signal(width))
    m = Module()
    columns.total(m)
    Fragment.get(m, platform=None)
    assert len(adders) <= count * width - bits_out + 1


def test_a_constant_bit_takes_no_full_adder():
    adders, m = [], Module()
    ripple(m, Signal(4), [Const(1, 1), *Signal(3)], Const(0, 1), "x", counted(adders))
    Fragment.get(m, platform=None)
    assert len(adders) == 3


def test_a_ripple_adds_two_numbers_and_a_carry():
    m, x, y, carry = Module(), Signal(4), Signal(4), Signal()
    total, carry_out = ripple(m, x, y, carry, "x", full_adder)
    rows = [(a, b, c) for a in (0, 7, 15) for b in (0, 8, 15) for c in (0, 1)]
    found = evaluate(m, (x, y, carry), (Cat(total, carry_out),), rows)
    assert [total for [total] in found] == [sum(row) for row in rows]


def test_a_full_adder_cell_counts_three_bits():
    dut = FullAdderCell()
    rows = list(np.ndindex(2, 2, 2))
    found = evaluate(dut, (dut.a, dut.b, dut.c), (dut.sum, dut.carry), rows)
    assert [total + 2 * carry for total, carry in found] == [sum(row) for row in rows]
