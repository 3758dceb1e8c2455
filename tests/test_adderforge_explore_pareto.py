"""Pareto sets against the definition, by brute force."""

import numpy as np
import pytest

from adderforge.exploration.pareto import pareto_set, possible_winners, ranks, spread


def beats(a, b):
    return np.all(a <= b) and np.any(a < b)


def points(seed, objectives):
    return np.random.default_rng(seed).integers(0, 6, (60, objectives)).astype(float)


@pytest.mark.parametrize("objectives", [1, 2, 3])
def test_the_pareto_set_is_what_nothing_beats(objectives):
    costs = points(objectives, objectives)
    expected = [not any(beats(other, one) for other in costs) for one in costs]
    assert pareto_set(costs).tolist() == expected


def test_equal_points_stand_together():
    assert pareto_set(np.array([[1.0, 2], [1, 2], [1, 3]])).tolist() == [True, True, False]


def test_a_point_may_win_unless_another_beats_it_at_any_rate():
    costs = points(7, 2)
    least, most = costs - 1, costs + 1
    expected = [not any(beats(other, one) for other in most) for one in least]
    assert possible_winners(least, most).tolist() == expected
    assert possible_winners(costs, costs).tolist() == pareto_set(costs).tolist()


def test_ranks_peel_set_after_set():
    costs = np.array([[1.0, 1], [2, 2], [1, 3], [3, 3]])
    assert ranks(costs).tolist() == [0, 1, 1, 2]


def test_a_choice_takes_low_ranks_and_spreads_over_the_last():
    line = np.array([[x, 10.0 - x] for x in range(11)])
    costs = np.vstack([line, line + 5])
    assert spread(costs, 3).tolist() == [0, 5, 10]
    assert set(spread(costs, 13)) > set(range(11))
    assert spread(costs, 99).tolist() == list(range(22))
    assert spread(costs, 0).tolist() == []
