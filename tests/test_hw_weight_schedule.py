"""Passes, operands and cycle counts by hand; tests/test_hw_weight_stationary.py holds the same
counts equal to simulation."""

import math
import re

import numpy as np
import pytest

from hw.config import ArrayConfig
from hw.schedule import Schedule, cycles, plan
from hw.weight_schedule import TURNAROUND, WeightSchedule


def schedule_of(shape, depth=64, **sizes):
    config = ArrayConfig(depth=depth, dataflow="weight-stationary", **sizes)
    return WeightSchedule(shape=shape, config=config)


ODD = [
    ({"rows": 1, "cols": 1}, (1, 1, 1)),
    ({"rows": 2, "cols": 3, "lanes": 2}, (5, 7, 4)),
    ({"rows": 5, "cols": 2, "positions": 4}, (9, 11, 3)),
    ({"rows": 4, "cols": 3, "positions": 3}, (9, 2, 7)),
]


def test_one_product_takes_a_word_a_swap_and_four_cycles():
    schedule = schedule_of((1, 1, 1), rows=1, cols=1)
    assert (schedule.tiles, schedule.rows_out, schedule.cycles) == ((1, 1), 1, 6)
    assert schedule.utilization == 1 / 6


def test_lanes_take_their_share_of_a_reduction():
    assert schedule_of((5, 7, 4), rows=2, cols=3, lanes=2).tiles == (2, 2)
    assert schedule_of((5, 9, 3), rows=2, cols=3, lanes=2).tiles == (3, 1)


def test_passes_go_through_folds_then_blocks_then_filters():
    schedule = schedule_of((7, 4, 4), rows=2, cols=3, positions=5)
    passes = [(p.start, p.filters, p.block.start, p.block.stop, p.fold) for p in schedule.passes()]
    assert passes[:4] == [(3, 0, 0, 5, 0), (8, 0, 0, 5, 1), (13, 0, 5, 7, 0), (17, 0, 5, 7, 1)]
    assert passes[4:] == [(21, 1, 0, 5, 0), (26, 1, 0, 5, 1), (31, 1, 5, 7, 0), (35, 1, 5, 7, 1)]
    assert (schedule.cycles, schedule.rows_out) == (35 + 2 + 2 + 3, 14)


@pytest.mark.parametrize(("m", "rows", "period"), [(1, 2, TURNAROUND), (2, 5, 5), (9, 5, 9)])
def test_a_pass_is_as_long_as_outputs_rows_or_the_memory_need(m, rows, period):
    first, second = schedule_of((m, 2 * rows, 1), rows=rows, cols=1).passes()
    assert second.start - first.start == period


@pytest.mark.parametrize(("sizes", "shape"), ODD)
def test_the_cycle_count_is_that_of_the_last_pass(sizes, shape):
    schedule = schedule_of(shape, **sizes)
    *_, last = schedule.passes()
    after = max(schedule.config.rows + schedule.config.cols, 3)
    assert cycles(shape, schedule.config) == schedule.cycles == last.start + last.size + after


@pytest.mark.parametrize(("sizes", "shape"), ODD)
def test_every_operand_enters_once_a_pass_and_filling_is_zero(sizes, shape):
    (m, k, n), schedule = shape, schedule_of(shape, **sizes)
    streams = schedule.operands(np.ones((m, k), int), np.ones((n, k), int))
    blocks = math.ceil(m / schedule.config.positions)
    folds, tiles_n = schedule.tiles
    assert tuple(streams) == schedule.ports
    assert (streams["a"].sum(), streams["w"].sum()) == (m * k * tiles_n, n * k * blocks)
    assert streams["load"].sum() == schedule.config.rows * folds * tiles_n * blocks
    assert streams["swap"].sum() == folds * tiles_n * blocks
    assert streams["active"].sum() == m * folds * tiles_n
    assert streams["first"].sum() == streams["last"].sum() == schedule.rows_out == m * tiles_n


def test_the_last_word_of_a_tile_is_the_top_rows():
    schedule = schedule_of((1, 3, 1), rows=3, cols=1)
    streams = schedule.operands(np.zeros((1, 3), int), np.array([[7, 8, 9]]))
    assert streams["w"].ravel().tolist() == [9, 8, 7, 0, 0]
    assert streams["load"].tolist() == [True, True, True, False, False]
    assert streams["swap"].tolist() == [False, False, False, True, False]


@pytest.mark.parametrize(("sizes", "shape"), ODD)
def test_rows_of_sums_make_the_matrix_also_when_some_are_missing(sizes, shape):
    (m, _, n), schedule = shape, schedule_of(shape, **sizes)
    matrix = np.arange(1, m * n + 1).reshape(m, n)
    tiles_n, cols = schedule.tiles[1], schedule.config.cols
    padded = np.pad(matrix, ((0, 0), (0, tiles_n * cols - n)))
    rows = np.concatenate([padded[:, t * cols : (t + 1) * cols] for t in range(tiles_n)])
    np.testing.assert_array_equal(schedule.results(rows), matrix)
    assert schedule.results(rows[:-1])[-1, -1] == 0


def test_the_plan_is_that_of_the_dataflow():
    staying = ArrayConfig(dataflow="weight-stationary")
    assert type(plan((1, 1, 1), staying)) is WeightSchedule
    assert type(plan((1, 1, 1), ArrayConfig())) is Schedule


def test_resnet20s_layers_are_used_to_98_of_100_pes():
    """The same layers as of `tests/test_hw_schedule.py`; a layer waits 49 cycles."""
    shapes = [(1024, 144, 16), (256, 144, 32), (256, 288, 32), (64, 288, 64), (64, 576, 64)]
    schedules = [schedule_of(shape, depth=576, rows=16, cols=16) for shape in shapes]
    busy = [9216, 4608, 9216, 4608, 9216]
    assert [schedule.cycles for schedule in schedules] == [cycles + 49 for cycles in busy]
    assert min(schedule.utilization for schedule in schedules) > 0.98


def test_shapes_and_operands_that_do_not_fit_are_refused():
    message = re.escape("operands must be (2, 3) and (4, 3), not (2, 3), (3, 4)")
    with pytest.raises(ValueError, match=f"^{message}$"):
        schedule_of((2, 3, 4)).operands(np.zeros((2, 3)), np.zeros((3, 4)))
    with pytest.raises(ValueError, match=r"^a reduction of 65 terms is longer"):
        schedule_of((1, 65, 1))
