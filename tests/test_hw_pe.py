"""One PE in Amaranth's simulator against plain sums."""

import numpy as np
import pytest
from amaranth.sim import Simulator

from hw.arithmetic import check_structure, structures
from hw.config import ArrayConfig
from hw.pe import ProcessingElement, RowSum

ZEROS = (0, 0, 0, 0)


KINDS = ("complement", "min", "two_adder", "compare_swap", "mac", "xnor", "square")
BUILDS = [(pe, structure) for pe in KINDS for structure in structures(pe)]
every_build = pytest.mark.parametrize(("pe", "structure"), BUILDS)
PIPELINES = [0, *(pytest.param(registers, marks=pytest.mark.slow) for registers in (1, 2, 3, 4))]
every_pipeline = pytest.mark.parametrize("pipeline", PIPELINES)


def configured(pe, **values):
    """The configuration; `xnor` takes one bit whatever the width."""
    return ArrayConfig(**values).twin(pe)


def run(config, cycles, structure="plain"):
    """Give (a, w, last) of one cycle after another; returns the `sum` that includes each cycle's
    operands, signed in `mac`, and what the neighbours saw: (a_out, w_out, last_out)."""
    dut, sums, passed = ProcessingElement(config, structure), [], []
    lasts, late, low = [], (config.low_latency, config.pipeline), 2**config.low_width - 1
    idle = [((0,) * config.lanes, (0,) * config.lanes, 0)] * config.pipeline

    async def bench(ctx):
        for a, w, last in [*cycles, *idle]:
            for lane in range(config.lanes):
                ctx.set(dut.a[lane], int(a[lane]))
                ctx.set(dut.w[lane], int(w[lane]) % 2**config.width)
            ctx.set(dut.last, last)
            sums.append(ctx.get(dut.sum))
            lasts.append(ctx.get(dut.sum_last))
            await ctx.tick()
            outs = [
                [ctx.get(port[i]) for i in range(config.lanes)] for port in (dut.a_out, dut.w_out)
            ]
            passed.append((*outs, ctx.get(dut.last_out)))

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    totals = []
    for cycle, (_, _, last) in enumerate(cycles):
        early, again = (cycle + cycles_late for cycles_late in late)
        assert (lasts[early] & 1, lasts[again] >> 1) == (last, last)
        total = sums[early] & low | sums[again] & ~low
        negative = config.pe == "mac" and total >> (config.pe_acc_width - 1)
        totals.append(total - (negative << config.pe_acc_width))
    return totals, passed[: len(cycles)]


def term(pe, a, w):
    kinds = {"mac": lambda: a * w, "min": lambda: np.minimum(a, w), "square": lambda: (a - w) ** 2}
    a, w = np.asarray(a), np.asarray(w)
    return int(np.sum(kinds.get(pe, lambda: np.abs(a - w))()))


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


def test_hand_worked_distances_of_two_lanes():
    config = ArrayConfig(width=4, lanes=2, depth=8)
    sums, _ = run(config, [((3, 9), (5, 2), 0), ((15, 0), (0, 15), 1), ((7, 7), (7, 6), 1)])
    assert sums == [2 + 7, 9 + 15 + 15, 1]


def test_hand_worked_products_of_two_lanes():
    config = ArrayConfig(pe="mac", width=4, lanes=2, depth=8)
    sums, _ = run(config, [((3, 9), (5, -2), 0), ((15, 15), (-8, -8), 1), ((1, 2), (7, -8), 1)])
    assert sums == [15 - 18, -3 - 120 - 120, 7 - 16]


@pytest.mark.parametrize("structure", structures("min"))
def test_hand_worked_minima_of_two_lanes(structure):
    config = ArrayConfig(pe="min", width=4, lanes=2, depth=8)
    cycles = [((3, 9), (5, 2), 0), ((15, 0), (0, 15), 1), ((7, 7), (7, 6), 1)]
    assert run(config, cycles, structure)[0] == [3 + 2, 3 + 2, 7 + 6]


@pytest.mark.parametrize("structure", structures("square"))
def test_hand_worked_squares_of_two_lanes(structure):
    config = ArrayConfig(pe="square", width=4, lanes=2, depth=8)
    cycles = [((3, 9), (5, 2), 0), ((15, 0), (0, 15), 1), ((7, 7), (7, 6), 1)]
    assert run(config, cycles, structure)[0] == [4 + 49, 4 + 49 + 225 + 225, 1]


@pytest.mark.parametrize("structure", structures("xnor"))
def test_hand_worked_signs_of_four_lanes(structure):
    """Σ of the signs' products is k − 2 · mismatches: here 4 − 2 · 1, then 8 − 2 · 5."""
    config = ArrayConfig(pe="xnor", width=1, lanes=4, depth=8)
    cycles = [((1, 1, 0, 0), (1, 0, 0, 0), 0), ((1, 1, 0, 0), (0, 0, 1, 1), 1)]
    assert run(config, cycles, structure)[0] == [1, 5]


@every_build
@every_pipeline
@pytest.mark.parametrize(("width", "lanes"), [(2, 1), (6, 1), (3, 3)])
def test_sums_one_behind_the_other_need_no_idle_cycle(pe, structure, pipeline, width, lanes):
    config = configured(pe, width=width, lanes=lanes, depth=5 * lanes, pipeline=pipeline)
    a, w = operands(config, seed=2, count=18)
    ends = {0, 1, 6, 11, 12, 17}
    sums, _ = run(config, [(a[i], w[i], i in ends) for i in range(18)], structure)
    acc = 0
    for index, total in enumerate(sums):
        acc += term(pe, a[index], w[index])
        assert total == acc
        acc = 0 if index in ends else acc


@pytest.mark.parametrize("pe", KINDS)
@every_pipeline
def test_wide_operands_of_many_lanes_are_summed(pe, pipeline):
    config = configured(pe, width=16, lanes=9, depth=9 * 4, pipeline=pipeline)
    a, w = operands(config, seed=6, count=4)
    sums, _ = run(config, [(a[i], w[i], i == 3) for i in range(4)])
    assert sums == np.cumsum([term(pe, a[i], w[i]) for i in range(4)]).tolist()


@every_build
@every_pipeline
@pytest.mark.parametrize("lanes", [1, 4])
def test_idle_cycles_add_nothing(pe, structure, pipeline, lanes):
    config = configured(pe, width=3, lanes=lanes, depth=4 * lanes, pipeline=pipeline)
    a, w = operands(config, seed=3, count=4)
    idle = (ZEROS, ZEROS, 0)
    busy = [(a[i], w[i], i == 3) for i in range(4)]
    sums, _ = run(config, [idle, busy[0], idle, idle, *busy[1:], idle, idle], structure)
    totals = np.cumsum([term(pe, a[i], w[i]) for i in range(4)]).tolist()
    assert sums == [0, totals[0], totals[0], *totals, 0, 0]


@every_build
@every_pipeline
def test_a_sum_as_long_as_the_depth_fits_the_accumulator(pe, structure, pipeline):
    config = configured(pe, width=4, lanes=3, depth=33, pipeline=pipeline)
    top = 2**config.width - 1
    weight = {"mac": -8, "min": top}.get(pe, 0)
    cycles = [((top,) * 3, (weight,) * 3, i == 10) for i in range(11)]
    assert run(config, cycles, structure)[0][-1] == 33 * term(pe, top, weight)


@pytest.mark.parametrize("pe", KINDS)
def test_the_neighbours_see_the_operands_one_cycle_later(pe):
    config = configured(pe, width=5, lanes=2, depth=8)
    a, w = operands(config, seed=4, count=6)
    _, passed = run(config, [(a[i], w[i], i % 2) for i in range(6)])
    top = 2**config.width
    assert passed == [(a[i].tolist(), (w[i] % top).tolist(), i % 2) for i in range(6)]


@pytest.mark.parametrize("structure", structures("min"))
@every_pipeline
def test_a_rows_sum_is_that_of_its_activations(structure, pipeline):
    config = ArrayConfig(pe="min", width=3, lanes=2, depth=6, pipeline=pipeline)
    dut, sums = RowSum(config, structure), []

    async def bench(ctx):
        cycles = [((7, 6), 0), ((7, 7), 0), ((7, 7), 1), ((1, 0), 0)]
        for a, last in cycles + [((0, 0), 0)] * pipeline:
            ctx.set(dut.a.as_value(), a[0] + 8 * a[1])
            ctx.set(dut.last, last)
            sums.append(ctx.get(dut.sum))
            await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    low, late = 2**config.low_width - 1, config.low_latency
    halves = zip(sums[late:], sums[pipeline:], strict=False)
    assert [x & low | y & ~low for x, y in halves] == [13, 27, 41, 1]


@every_build
@every_pipeline
def test_a_sum_of_one_term_at_most_fits_one_or_two_bits(pe, structure, pipeline):
    """The narrowest accumulators there are, of which the high half may have no bit."""
    config = configured(pe, width=2, depth=1, pipeline=pipeline)
    sums, _ = run(config, [((1,), (0,), 1), ((1,), (1,), 1), ((0,), (1,), 1)], structure)
    assert sums == [term(config.pe, *pair) for pair in [(1, 0), (1, 1), (0, 1)]]


def test_a_structure_that_a_kind_does_not_have_is_refused():
    message = "structure of a min PE must be one of plain, tree, not 'booth-tree'"
    with pytest.raises(ValueError, match=f"^{message}$"):
        check_structure(ArrayConfig(pe="min"), "booth-tree")
