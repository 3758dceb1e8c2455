"""The array against its Python twin in Amaranth's simulator: sums, order and cycle count."""

import math

import numpy as np
import pytest
from amaranth import ResetInserter, Signal, Value
from amaranth.sim import Simulator

from hw.config import ArrayConfig
from hw.schedule import Schedule, back_to_back, unpack, words
from hw.systolic import SystolicArray

KINDS = ("complement", "min", "two_adder", "compare_swap", "mac", "xnor", "square")
PIPELINES = [0, *(pytest.param(registers, marks=pytest.mark.slow) for registers in (1, 2, 3, 4))]


def matrix_form(a, w, pe):
    """(m, n) sums that the array must give."""
    if pe == "mac":
        return a @ w.T
    distances = np.abs(a[:, None, :] - w[None, :, :])
    sums = (distances**2 if pe == "square" else distances).sum(axis=2)
    return sums - w.sum(axis=1) if pe == "min" else sums


def simulate(config, streams, rows):
    """Feed words, one a cycle and port; returns `rows` packed sums and the cycles taken."""
    dut, sums = SystolicArray(config), []
    count = 0

    async def bench(ctx):
        nonlocal count
        while len(sums) < rows:
            for name, stream in streams.items():
                port = Value.cast(getattr(dut, name))
                ctx.set(port, stream[count] if count < len(stream) else 0)
            if ctx.get(dut.valid):
                sums.append(ctx.get(dut.sums.as_value()))
            await ctx.tick()
            count += 1
            assert count < 100_000

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return sums, count


def check(config, m, k, n, a=None, w=None, seed=0):
    rng = np.random.default_rng(seed)
    top = 2**config.width
    low = -(top // 2) if config.weight_signed else 0
    a = rng.integers(0, top, (m, k)) if a is None else a
    w = rng.integers(low, low + top, (n, k)) if w is None else w
    schedule = Schedule(shape=(m, k, n), config=config)
    streams = words(schedule.operands(a, w), config.width)
    rows, counted = simulate(config, streams, schedule.rows_out)
    sums = unpack(rows, config.cols, config.acc_width, config.acc_signed)
    np.testing.assert_array_equal(schedule.results(sums), matrix_form(a, w, config.pe))
    assert counted == schedule.cycles


@pytest.mark.parametrize("pe", KINDS)
def test_extremes_do_not_overflow_the_accumulator(pe):
    config = ArrayConfig(width=8, rows=2, cols=1, depth=37).twin(pe)
    top = 2**config.width - 1
    low, high = (-128, 127) if pe == "mac" else (0, top)
    a = np.array([[top] * 37, [0] * 37])
    w = np.array([[low] * 37, [high] * 37])
    check(config, 2, 37, 2, a, w)


@pytest.mark.parametrize("pe", KINDS)
@pytest.mark.parametrize(
    ("width", "rows", "cols", "lanes", "shape"),
    [
        (8, 1, 1, 1, (1, 1, 1)),
        (2, 3, 2, 1, (7, 5, 3)),
        (5, 2, 3, 3, (5, 10, 4)),
        (8, 4, 2, 1, (9, 2, 5)),
        (16, 1, 4, 2, (3, 9, 9)),
        (7, 5, 1, 4, (6, 3, 2)),
        (3, 9, 2, 1, (19, 9, 3)),
    ],
)
@pytest.mark.parametrize("pipeline", PIPELINES)
def test_odd_sizes_give_the_sums_and_the_predicted_cycles(
    pe, width, rows, cols, lanes, shape, pipeline
):
    values = {"width": width, "rows": rows, "cols": cols, "lanes": lanes, "depth": shape[1]}
    config = ArrayConfig(**values, pipeline=pipeline).twin(pe)
    check(config, *shape)


@pytest.mark.slow
@pytest.mark.parametrize("pe", ["complement", "min", "mac"])
@pytest.mark.parametrize(
    ("rows", "cols"), [(1, 1), (1, 3), (2, 1), (4, 3), (5, 2), (8, 1), (17, 1)]
)
def test_tiles_as_long_as_there_are_rows_follow_one_another_without_a_gap(pe, rows, cols):
    config = ArrayConfig(pe=pe, width=4, rows=rows, cols=cols, depth=rows)
    check(config, 3 * rows, rows, 2 * cols)


@pytest.mark.slow
@pytest.mark.parametrize("pipeline", [1, 2, 3, 4])
@pytest.mark.parametrize("pe", ["complement", "min", "mac"])
def test_pipelined_arrays_of_random_sizes_give_the_sums_and_the_predicted_cycles(pe, pipeline):
    rng = np.random.default_rng(pipeline)
    for _ in range(6):
        rows, cols, lanes = (int(x) for x in rng.integers(1, 7, 3))
        m, k, n = (int(x) for x in rng.integers(1, 14, 3))
        sizes = {"rows": rows, "cols": cols, "lanes": lanes, "width": 3, "depth": k}
        check(ArrayConfig(pe=pe, pipeline=pipeline, **sizes), m, k, n)


@pytest.mark.parametrize("pipeline", PIPELINES)
@pytest.mark.parametrize("pe", ["complement", "min", "mac"])
def test_forms_follow_one_another_as_soon_as_their_sums_can_leave(pe, pipeline):
    """Long and short ones, full tiles and not; sooner, two rows of sums would meet."""
    config = ArrayConfig(pe=pe, width=4, rows=3, cols=2, lanes=2, depth=16, pipeline=pipeline)
    shapes = [(5, 9, 3), (1, 1, 1), (4, 2, 2), (6, 16, 4), (2, 3, 1)]
    rng, (starts, cycles) = np.random.default_rng(pipeline), back_to_back(shapes, config)
    low = -8 if pe == "mac" else 0
    given = [
        (rng.integers(0, 16, (m, k)), rng.integers(low, low + 16, (n, k))) for m, k, n in shapes
    ]
    forms = [Schedule(shape=shape, config=config) for shape in shapes]
    streams = {name: [0] * cycles for name in Schedule.ports}
    for start, form, operands in zip(starts, forms, given, strict=True):
        for name, stream in words(form.operands(*operands), config.width).items():
            streams[name][start : start + len(stream)] = stream
    count = [math.prod(form.tiles) * config.rows for form in forms]
    rows, counted = simulate(config, streams, sum(count) - forms[-1].rows_unused)
    assert counted == cycles
    sums = unpack(rows, config.cols, config.acc_width, config.acc_signed)
    parts = np.split(sums, np.cumsum(count)[:-1])
    for part, form, (a, w) in zip(parts, forms, given, strict=True):
        useful = part[: form.rows_out]
        np.testing.assert_array_equal(form.results(useful), matrix_form(a, w, pe))


def test_every_pair_of_operands_gives_its_distance():
    config = ArrayConfig(width=3, rows=8, cols=8, depth=1)
    values = np.arange(8).reshape(8, 1)
    check(config, 8, 1, 8, values, values)


@pytest.mark.parametrize("pe", ["complement", "min"])
@pytest.mark.parametrize("pipeline", PIPELINES)
@pytest.mark.parametrize("before", [4, 6])
def test_a_reset_in_or_behind_a_tile_leaves_nothing_behind(pe, pipeline, before):
    config = ArrayConfig(pe=pe, width=4, rows=2, cols=3, depth=6, pipeline=pipeline)
    rng = np.random.default_rng(5)
    a, w = rng.integers(0, 16, (2, 6)), rng.integers(0, 16, (3, 6))
    schedule = Schedule(shape=(2, 6, 3), config=config)
    streams = words(schedule.operands(a, w), 4)
    dut, reset, rows = SystolicArray(config), Signal(), []
    ports = {name: Value.cast(getattr(dut, name)) for name in streams}

    async def give(ctx, steps, cycles):
        for cycle in range(cycles):
            for name, port in ports.items():
                ctx.set(port, streams[name][cycle] if cycle < steps else 0)
            if ctx.get(dut.valid):
                rows.append(ctx.get(dut.sums.as_value()))
            await ctx.tick()

    async def bench(ctx):
        await give(ctx, before, before)
        ctx.set(reset, 1)
        await give(ctx, 0, config.rows + config.cols)
        ctx.set(reset, 0)
        rows.clear()
        await give(ctx, 6, 20 + pipeline)

    simulator = Simulator(ResetInserter(reset)(dut))
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    sums = unpack(rows, 3, config.acc_width, config.acc_signed)
    np.testing.assert_array_equal(schedule.results(sums), matrix_form(a, w, pe))
