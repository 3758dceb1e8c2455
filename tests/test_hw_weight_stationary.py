"""The weight-stationary array against its Python twin in Amaranth's simulator: sums, order and
cycle count."""

import numpy as np
import pytest
from amaranth import ResetInserter, Signal, Value
from amaranth.sim import Simulator

from hw.arithmetic import PLAIN, structures
from hw.config import ArrayConfig
from hw.schedule import unpack, words
from hw.weight_pe import WeightStationaryPE
from hw.weight_schedule import WeightSchedule
from hw.weight_stationary import WeightStationaryArray

KINDS = ("complement", "min", "two_adder", "compare_swap", "mac", "xnor", "square")
PIPELINES = [0, *(pytest.param(registers, marks=pytest.mark.slow) for registers in (1, 2))]


def config_of(pe="complement", **values):
    return ArrayConfig(dataflow="weight-stationary", **values).twin(pe)


def matrix_form(a, w, pe):
    """(m, n) sums that the array must give."""
    if pe == "mac":
        return a @ w.T
    distances = np.abs(a[:, None, :] - w[None, :, :])
    if pe == "min":
        return distances.sum(axis=2) - w.sum(axis=1)
    return (distances**2 if pe == "square" else distances).sum(axis=2)


def random_operands(config, shape, seed=0):
    (m, k, n), top = shape, 2**config.width
    low = -(top // 2) if config.weight_signed else 0
    rng = np.random.default_rng(seed)
    return rng.integers(0, top, (m, k)), rng.integers(low, low + top, (n, k))


def simulate(config, streams, rows, reset_at=(), structure=PLAIN):
    """Feed words, one a cycle and port; returns packed sums and the cycles until `rows` came.
    The array is reset in the cycles `reset_at`."""
    dut = WeightStationaryArray(config, lambda config: WeightStationaryPE(config, structure))
    reset, sums = Signal(), []
    count = 0

    async def bench(ctx):
        nonlocal count
        while len(sums) < rows:
            for name, stream in streams.items():
                port = Value.cast(getattr(dut, name))
                ctx.set(port, stream[count] if count < len(stream) else 0)
            ctx.set(reset, count in reset_at)
            if ctx.get(dut.valid):
                sums.append(ctx.get(dut.sums.as_value()))
            await ctx.tick()
            count += 1
            assert count < 10_000

    simulator = Simulator(ResetInserter(reset)(dut))
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return sums, count


def check(config, shape, operands=None, structure=PLAIN):
    a, w = operands or random_operands(config, shape)
    schedule = WeightSchedule(shape=shape, config=config)
    streams = words(schedule.operands(a, w), config.width)
    rows, counted = simulate(config, streams, schedule.rows_out, structure=structure)
    sums = unpack(rows, config.cols, config.acc_width, config.acc_signed)
    np.testing.assert_array_equal(schedule.results(sums), matrix_form(a, w, config.pe))
    assert counted == schedule.cycles


@pytest.mark.parametrize("pe", KINDS)
def test_extremes_overflow_neither_a_tiles_sums_nor_the_memorys(pe):
    config = config_of(pe, width=8, rows=4, cols=2, lanes=2, depth=37)
    top = 2**config.width - 1
    low, high = (-128, 127) if pe == "mac" else (0, top)
    a = np.array([[top] * 37, [0] * 37])
    w = np.array([[low] * 37, [high] * 37])
    check(config, (2, 37, 2), (a, w))


@pytest.mark.parametrize("pe", KINDS)
@pytest.mark.parametrize(
    ("sizes", "shape"),
    [
        ({"width": 8, "rows": 1, "cols": 1}, (1, 1, 1)),
        ({"width": 2, "rows": 3, "cols": 2}, (7, 5, 3)),
        ({"width": 5, "rows": 2, "cols": 3, "lanes": 3}, (5, 10, 4)),
        ({"width": 4, "rows": 1, "cols": 4, "positions": 4}, (9, 3, 9)),
        ({"width": 7, "rows": 5, "cols": 1, "lanes": 2, "positions": 3}, (6, 23, 2)),
        ({"width": 4, "rows": 2, "cols": 1, "positions": 1}, (3, 5, 2)),
    ],
)
@pytest.mark.parametrize("pipeline", PIPELINES)
def test_odd_sizes_give_the_sums_and_the_predicted_cycles(pe, sizes, shape, pipeline):
    check(config_of(pe, depth=shape[1], pipeline=pipeline, **sizes), shape)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("pe", "structure"),
    [(pe, structure) for pe in KINDS for structure in structures(pe) if structure != PLAIN],
)
@pytest.mark.parametrize("pipeline", [0, 1, 2])
def test_pes_made_of_trees_give_the_same_sums(pe, structure, pipeline):
    config = config_of(pe, width=4, rows=3, cols=2, lanes=2, depth=11, pipeline=pipeline)
    check(config, (4, 11, 3), structure=structure)


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 6])
def test_passes_as_short_as_can_be_follow_one_another_without_a_gap(rows):
    config = config_of(width=4, rows=rows, cols=3, depth=4 * rows)
    check(config, (max(rows, 4), 4 * rows, 7))


@pytest.mark.slow
@pytest.mark.parametrize("pe", ["complement", "mac"])
@pytest.mark.parametrize("pipeline", [0, 1, 2])
def test_random_sizes_give_the_sums_and_the_predicted_cycles(pe, pipeline):
    rng = np.random.default_rng(3)
    for _ in range(6):
        rows, cols, lanes, positions = (int(x) for x in rng.integers(1, 6, 4))
        shape = tuple(int(x) for x in rng.integers(1, 12, 3))
        sizes = {"rows": rows, "cols": cols, "lanes": lanes, "positions": positions}
        sizes["pipeline"] = pipeline
        check(config_of(pe, width=3, depth=shape[1], **sizes), shape)


def test_words_of_weights_may_come_with_pauses_between_them():
    config = config_of(width=4, rows=3, cols=2, depth=3)
    schedule = WeightSchedule(shape=(2, 3, 2), config=config)
    a, w = random_operands(config, (2, 3, 2))
    streams = words(schedule.operands(a, w), 4)
    for stream in streams.values():
        stream[2:2] = [0] * 4
        stream[1:1] = [0] * 2
    rows, _ = simulate(config, streams, 2)
    sums = unpack(rows, 2, config.acc_width, signed=False)
    np.testing.assert_array_equal(schedule.results(sums), matrix_form(a, w, "complement"))


@pytest.mark.parametrize("cycle", range(3, 13))
@pytest.mark.parametrize("pipeline", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_a_reset_of_one_cycle_at_any_time_leaves_nothing_behind(cycle, pipeline):
    """Cut off after `cycle` cycles; the same form follows at once."""
    config = config_of(width=4, rows=3, cols=2, depth=6, positions=4, pipeline=pipeline)
    schedule = WeightSchedule(shape=(4, 6, 2), config=config)
    a, w = random_operands(config, (4, 6, 2))
    streams = words(schedule.operands(a, w), 4)
    again = {name: [*stream[:cycle], 0, *stream] for name, stream in streams.items()}
    rows, counted = simulate(config, again, schedule.rows_out, reset_at={cycle})
    sums = unpack(rows, 2, config.acc_width, signed=False)
    np.testing.assert_array_equal(schedule.results(sums), matrix_form(a, w, "complement"))
    assert counted == cycle + 1 + schedule.cycles
