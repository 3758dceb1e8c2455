"""One PE in Amaranth's simulator against plain sums."""

import numpy as np
import pytest
from amaranth import Module, Signal
from amaranth.sim import Simulator

from hw.config import ArrayConfig
from hw.pe import ProcessingElement, distance

ZEROS = (0, 0, 0, 0)


def run(config, cycles):
    """Give (a, w, last) of one cycle after another; returns `sum` in each cycle, signed in
    `mac`, and what the neighbours saw: (a_out, w_out, last_out)."""
    dut, sums, passed = ProcessingElement(config), [], []

    async def bench(ctx):
        for a, w, last in cycles:
            for lane in range(config.lanes):
                ctx.set(dut.a[lane], int(a[lane]))
                ctx.set(dut.w[lane], int(w[lane]) % 2**config.width)
            ctx.set(dut.last, last)
            total = ctx.get(dut.sum)
            negative = config.acc_signed and total >> (config.acc_width - 1)
            sums.append(total - (negative << config.acc_width))
            await ctx.tick()
            outs = [
                [ctx.get(port[i]) for i in range(config.lanes)] for port in (dut.a_out, dut.w_out)
            ]
            passed.append((*outs, ctx.get(dut.last_out)))

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return sums, passed


def term(pe, a, w):
    return int(np.sum(np.asarray(a) * w if pe == "mac" else np.abs(np.asarray(a) - w)))


def operands(config, seed, count):
    """Extremes of both operands first, then random ones."""
    top = 2**config.width - 1
    low = -(2 ** (config.width - 1)) if config.weight_signed else 0
    corners = [(a, w) for a in (0, top) for w in (low, low + top)]
    rng = np.random.default_rng(seed)
    a = rng.integers(0, top + 1, (count, config.lanes))
    w = rng.integers(low, low + top + 1, (count, config.lanes))
    for index, (x, f) in enumerate(corners[:count]):
        a[index], w[index] = x, f
    return a, w


def test_distance_is_exact_for_every_pair_of_4_bit_operands():
    m, a, w, y = Module(), Signal(4), Signal(4), Signal(5)
    t, c = distance(m, a, w, "0")
    m.d.comb += y.eq(t + c)

    async def bench(ctx):
        for x, f in np.ndindex(16, 16):
            ctx.set(a, x)
            ctx.set(w, f)
            assert ctx.get(y) == abs(x - f)
            assert ctx.get(c) == (x > f)

    simulator = Simulator(m)
    simulator.add_testbench(bench)
    simulator.run()


def test_hand_worked_distances_of_two_lanes():
    config = ArrayConfig(width=4, lanes=2, depth=8)
    sums, _ = run(config, [((3, 9), (5, 2), 0), ((15, 0), (0, 15), 1), ((7, 7), (7, 6), 1)])
    assert sums == [2 + 7, 9 + 15 + 15, 1]


def test_hand_worked_products_of_two_lanes():
    config = ArrayConfig(pe="mac", width=4, lanes=2, depth=8)
    sums, _ = run(config, [((3, 9), (5, -2), 0), ((15, 15), (-8, -8), 1), ((1, 2), (7, -8), 1)])
    assert sums == [15 - 18, -3 - 120 - 120, 7 - 16]


@pytest.mark.parametrize("pe", ["complement", "mac"])
@pytest.mark.parametrize(("width", "lanes"), [(2, 1), (8, 1), (5, 3), (16, 4)])
def test_sums_one_behind_the_other_need_no_idle_cycle(pe, width, lanes):
    config = ArrayConfig(pe=pe, width=width, lanes=lanes, depth=5 * lanes)
    a, w = operands(config, seed=2, count=18)
    ends = {0, 1, 6, 11, 12, 17}
    sums, _ = run(config, [(a[i], w[i], i in ends) for i in range(18)])
    acc = 0
    for index, total in enumerate(sums):
        acc += term(pe, a[index], w[index])
        assert total == acc
        acc = 0 if index in ends else acc


@pytest.mark.parametrize("pe", ["complement", "mac"])
@pytest.mark.parametrize("lanes", [1, 4])
def test_idle_cycles_add_nothing(pe, lanes):
    config = ArrayConfig(pe=pe, width=6, lanes=lanes, depth=4 * lanes)
    a, w = operands(config, seed=3, count=4)
    idle = (ZEROS, ZEROS, 0)
    busy = [(a[i], w[i], i == 3) for i in range(4)]
    sums, _ = run(config, [idle, busy[0], idle, idle, *busy[1:], idle, idle])
    totals = np.cumsum([term(pe, a[i], w[i]) for i in range(4)]).tolist()
    assert sums == [0, totals[0], totals[0], *totals, 0, 0]


@pytest.mark.parametrize("pe", ["complement", "mac"])
def test_a_sum_as_long_as_the_depth_fits_the_accumulator(pe):
    config = ArrayConfig(pe=pe, width=8, lanes=3, depth=33)
    weight = -128 if pe == "mac" else 0
    cycles = [((255,) * 3, (weight,) * 3, i == 10) for i in range(11)]
    assert run(config, cycles)[0][-1] == 33 * term(pe, 255, weight)


@pytest.mark.parametrize("pe", ["complement", "mac"])
def test_the_neighbours_see_the_operands_one_cycle_later(pe):
    config = ArrayConfig(pe=pe, width=5, lanes=2, depth=8)
    a, w = operands(config, seed=4, count=6)
    _, passed = run(config, [(a[i], w[i], i % 2) for i in range(6)])
    assert passed == [(a[i].tolist(), (w[i] % 32).tolist(), i % 2) for i in range(6)]
