"""Tiles, operands and cycle counts by hand and by plain loops; tests/test_hw_systolic.py holds
the same counts equal to simulation."""

import math
import re

import numpy as np
import pytest

from hw.config import ArrayConfig
from hw.schedule import Schedule, back_to_back, cycles, pack, plan, unpack


def schedule_of(shape, depth=64, **sizes):
    return Schedule(shape=shape, config=ArrayConfig(depth=depth, **sizes))


def rows_of_sums(schedule, a, w):
    """What an array without skew gives: plain sums of the operands, a tile's rows at its end."""
    config, rows = schedule.config, []
    acc = np.zeros((config.rows, config.cols), int)
    for a_step, w_step, last in zip(*schedule.operands(a, w).values(), strict=True):
        for r, c in np.ndindex(acc.shape):
            acc[r, c] += sum(abs(x - f) for x, f in zip(a_step[r], w_step[c], strict=True))
        if last:
            rows.extend(acc.copy())
            acc[:] = 0
    return np.array(rows)


ODD = [
    ({"rows": 1, "cols": 1}, (1, 1, 1)),
    ({"rows": 2, "cols": 3, "lanes": 2}, (5, 7, 4)),
    ({"rows": 3, "cols": 2, "lanes": 4}, (3, 5, 2)),
    ({"rows": 4, "cols": 3, "lanes": 1}, (9, 2, 7)),
]


def test_one_product_on_one_pe_takes_two_cycles():
    schedule = schedule_of((1, 1, 1), rows=1, cols=1)
    assert (schedule.steps, schedule.period, schedule.tiles) == (1, 1, (1, 1))
    assert (schedule.cycles, schedule.rows_out, schedule.rows_unused) == (2, 1, 0)
    assert schedule.utilization == 1 / 2


def test_tiles_and_cycles_of_a_long_reduction():
    schedule = schedule_of((5, 7, 4), rows=2, cols=3, lanes=2)
    assert (schedule.steps, schedule.period, schedule.tiles) == (4, 4, (3, 2))
    assert schedule.cycles == 5 * 4 + 4 + 3 + 0
    assert (schedule.rows_out, schedule.rows_unused) == (11, 1)
    assert schedule.utilization == (5 * 7 * 4 / 2) / (2 * 3 * 27)


def test_a_short_reduction_waits_until_the_rows_before_have_left():
    schedule = schedule_of((11, 2, 1), rows=4, cols=2)
    assert (schedule.steps, schedule.period, schedule.tiles) == (2, 4, (3, 1))
    assert schedule.cycles == 2 * 4 + 2 + 2 + 2
    assert (schedule.rows_out, schedule.rows_unused) == (11, 1)


def test_more_rows_than_one_group_of_the_bus_take_one_more_cycle():
    four, five = (schedule_of((rows, 9, 2), rows=rows, cols=2) for rows in (4, 5))
    assert (four.cycles, five.cycles) == (9 + 2 + 3, 9 + 2 + 4 + 1)
    of_cells = schedule_of((4, 9, 2), rows=4, cols=2, target="ecp5")
    assert of_cells.cycles == four.cycles + 1


@pytest.mark.parametrize(
    ("target", "rows", "stages"),
    [("generic", 16, 2), ("generic", 17, 3), ("ecp5", 2, 1), ("ecp5", 8, 2), ("ecp5", 16, 3)],
)
def test_a_bus_has_a_register_for_each_level_of_its_tree(target, rows, stages):
    assert ArrayConfig(target=target, rows=rows).drain_stages == stages


@pytest.mark.parametrize(
    ("dataflow", "pipeline"),
    [
        *[("output-stationary", pipeline) for pipeline in (1, 2, 3, 4)],
        *[("weight-stationary", pipeline) for pipeline in (1, 2)],
    ],
)
def test_a_pipeline_adds_its_registers_to_the_cycles(dataflow, pipeline):
    for sizes, shape in ODD:
        config = ArrayConfig(depth=64, dataflow=dataflow, **sizes)
        later = ArrayConfig(**config.model_dump() | {"pipeline": pipeline})
        assert cycles(shape, later) == cycles(shape, config) + pipeline
        assert plan(shape, later).empty_cycles == plan(shape, config).empty_cycles + pipeline


@pytest.mark.parametrize(("sizes", "shape"), ODD)
def test_cycles_and_utilization_agree_with_the_schedule(sizes, shape):
    schedule = schedule_of(shape, **sizes)
    assert cycles(shape, schedule.config) == schedule.cycles
    assert 0 < schedule.utilization < 1


def test_utilization_nears_one_for_a_form_that_fills_the_array():
    assert schedule_of((400, 64, 4), rows=4, cols=4).utilization > 0.99


RESNET20 = [  # (m, k, n) of ResNet-20's adder layers on a CIFAR image: 3 × 3, then the shortcuts
    *[(1024, 144, 16)] * 6,
    *[(256, 144, 32), *[(256, 288, 32)] * 5],
    *[(64, 288, 64), *[(64, 576, 64)] * 5],
]
SHORTCUTS = [(256, 16, 32), (64, 32, 64)]


def test_resnet20s_layers_of_3_by_3_keep_99_of_100_pes_busy():
    schedules = [schedule_of(shape, depth=576, rows=16, cols=16) for shape in RESNET20]
    assert len(schedules) == 18 and min(s.utilization for s in schedules) > 0.99


def test_resnet20_waits_32_cycles_a_layer_and_back_to_back_once():
    shapes = RESNET20 + SHORTCUTS
    schedules = [schedule_of(shape, depth=576, rows=16, cols=16) for shape in shapes]
    busy = [math.prod(s.tiles) * s.period for s in schedules]
    assert [s.cycles for s in schedules] == [cycles + 32 for cycles in busy]
    assert busy[-2:] == [512, 512]
    assert (sum(busy), sum(s.cycles for s in schedules)) == (157_696, 158_336)
    assert sum(map(math.prod, shapes)) == 157_696 * 16 * 16
    config = ArrayConfig(rows=16, cols=16, depth=576)
    starts, cycles = back_to_back(shapes, config)
    assert cycles == 157_728 and np.diff(starts).tolist() == busy[:-1]


def test_forms_back_to_back_are_of_arrays_whose_sums_stay():
    for config, shapes in (
        (ArrayConfig(), []),
        (ArrayConfig(dataflow="weight-stationary"), [(1, 1, 1)]),
    ):
        with pytest.raises(ValueError, match="dataflow must be output-stationary, with at least"):
            back_to_back(shapes, config)


@pytest.mark.parametrize("shape", [(0, 1, 1), (1, 0, 1), (1, 1, -3)])
def test_sizes_that_are_not_positive_are_refused(shape):
    message = re.escape(f"shape (m, k, n) must be positive, not {shape}")
    with pytest.raises(ValueError, match=f"^{message}$"):
        schedule_of(shape)


def test_a_reduction_longer_than_the_accumulator_was_sized_for_is_refused():
    message = (
        "a reduction of 65 terms is longer than depth 64, for which the accumulator was sized; "
        "set depth to at least 65"
    )
    schedule_of((1, 64, 1))
    with pytest.raises(ValueError, match=f"^{message}$"):
        schedule_of((1, 65, 1))


def test_operands_of_another_shape_are_refused():
    message = re.escape("operands must be (2, 3) and (4, 3), not (2, 3), (3, 4)")
    with pytest.raises(ValueError, match=f"^{message}$"):
        schedule_of((2, 3, 4)).operands(np.zeros((2, 3)), np.zeros((3, 4)))


@pytest.mark.parametrize(("sizes", "shape"), ODD)
def test_plain_sums_of_the_operands_are_the_matrix(sizes, shape):
    (m, k, n), schedule = shape, schedule_of(shape, **sizes)
    rng = np.random.default_rng(1)
    a, w = rng.integers(0, 256, (m, k)), rng.integers(0, 256, (n, k))
    sums = rows_of_sums(schedule, a, w)
    matrix = [[sum(abs(x - f) for x, f in zip(p, q, strict=True)) for q in w] for p in a]
    np.testing.assert_array_equal(schedule.results(sums), matrix)
    np.testing.assert_array_equal(schedule.results(sums[: schedule.rows_out]), matrix)
    assert len(sums) == schedule.rows_out + schedule.rows_unused


@pytest.mark.parametrize(("sizes", "shape"), ODD)
def test_filling_is_zero_and_every_operand_enters_once_a_tile(sizes, shape):
    (m, k, n), schedule = shape, schedule_of(shape, **sizes)
    (tiles_m, tiles_n), config = schedule.tiles, schedule.config
    streams = schedule.operands(np.ones((m, k), int), np.ones((n, k), int))
    a, w, last = streams.values()
    assert (a.sum(), w.sum()) == (m * k * tiles_n, n * k * tiles_m)
    assert a.shape == (len(last), config.rows, config.lanes)
    assert w.shape == (len(last), config.cols, config.lanes)


@pytest.mark.parametrize(("sizes", "shape"), ODD)
def test_ends_of_tiles_are_a_period_apart_and_the_last_cycle_is_one(sizes, shape):
    schedule = schedule_of(shape, **sizes)
    ends = np.flatnonzero(schedule.operands(np.ones(shape[:2]), np.ones(shape[:0:-1]))["last"])
    starts = np.arange(np.prod(schedule.tiles)) * schedule.period
    np.testing.assert_array_equal(ends, starts + schedule.steps - 1)
    assert len(ends) == 1 or np.diff(ends).min() >= schedule.config.rows


def test_the_first_operand_is_packed_in_the_lowest_bits():
    assert pack(np.array([[1, -1], [7, -8]]), 4) == [0xF1, 0x87]
    assert pack(np.array([[[1, 2], [3, 4]]]), 8) == [0x04030201]


def test_words_are_unpacked_with_and_without_a_sign():
    assert unpack([0xF1, 0x87], 2, 4, signed=True).tolist() == [[1, -1], [7, -8]]
    assert unpack([0xF1, 0x87], 2, 4, signed=False).tolist() == [[1, 15], [7, 8]]


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("width", [2, 7, 16, 36, 52])
@pytest.mark.parametrize("count", [1, 3, 67])
def test_packed_extremes_come_back_from_ports_of_any_width(signed, width, count):
    low = -(2 ** (width - 1)) if signed else 0
    high = low + 2**width - 1
    rng = np.random.default_rng(width)
    rows = [np.full(count, low), np.full(count, high), np.resize([low, high], count)]
    values = np.array([*rows, *rng.integers(low, high + 1, (4, count))])
    words = pack(values, width)
    assert max(words).bit_length() <= count * width
    np.testing.assert_array_equal(unpack(words, count, width, signed), values)
