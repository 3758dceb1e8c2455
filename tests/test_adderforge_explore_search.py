"""Searching a space that is too large to look at as a whole."""

from collections import Counter

import pytest

pytest.importorskip("optuna")

from adderforge.exploration import explore as module
from adderforge.exploration.explore import explore
from adderforge.exploration.objectives import checked
from adderforge.exploration.search import search
from adderforge.exploration.space import Space
from adderforge.exploration.store import Store
from adderforge.exploration.workloads import network

GOALS = checked(["area_um2", "cycles"])
SPACE = Space(["rows >= cols"], pe=["complement", "mac"], rows=range(1, 65), cols=range(1, 65))


def run(seed=0, space=SPACE, trials=100, **options):
    """The designs found, and how often each was evaluated, by a formula that has its best at
    complement PEs, 32 rows, 8 columns."""
    seen = Counter()

    def evaluate(designs):
        seen.update(designs)
        return [cost(design.array) for design in designs]

    return search(space, {}, GOALS, evaluate, trials, seed, **options), seen


def cost(array):
    if array.rows == 13:
        return None
    off = abs(array.rows - 32) + 50 * (array.pe == "mac")
    return [float(off), float(off + abs(array.cols - 8))]


def test_a_seed_gives_one_list_of_designs_and_another_seed_another():
    assert run()[0] == run()[0]
    assert run()[0] != run(seed=1)[0]


def test_no_design_is_evaluated_twice_and_all_satisfy_the_constraints():
    designs, seen = run(trials=150)
    assert set(seen.values()) == {1} and set(seen) == set(designs)
    assert len(designs) == 150
    assert all(design.array.rows >= design.array.cols for design in designs)


def test_no_more_designs_are_looked_at_than_asked_for():
    designs, seen = run(trials=1)
    assert len(designs) == 1 and set(seen) == set(designs)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trials": 0}, "trials must be at least 1, not 0"),
        ({"most": 0}, "most must be at least 1, not 0"),
        ({"seed": -1}, "seed must be 0 to 4294967295, not -1"),
        ({"seed": 2**32}, "seed must be 0 to 4294967295, not 4294967296"),
    ],
)
def test_what_no_search_takes_is_refused(options, message):
    with pytest.raises(ValueError) as error:
        explore(SPACE, network("resnet20"), ["cycles"], **options)
    assert str(error.value) == message


@pytest.mark.slow
def test_later_designs_are_better_than_the_first():
    designs, _ = run(trials=400)

    def mean(some):
        costs = [cost(design.array)[1] for design in some if cost(design.array)]
        return sum(costs) / len(costs)

    assert mean(designs[-100:]) < 0.75 * mean(designs[:48])


def test_a_journal_is_left_for_the_dashboard(tmp_path):
    journal = tmp_path / "search.log"
    assert run(trials=20, journal=journal)[0] == run(trials=20)[0]
    assert journal.stat().st_size > 1000


def test_constraints_that_no_draw_satisfies_are_named():
    with pytest.raises(ValueError, match=r"none of [\d,]+ combinations.*'rows > 99'; loosen one"):
        run(space=Space(["rows > 99"], rows=range(1, 50)), trials=10)


@pytest.mark.slow
def test_a_large_space_is_searched_and_the_same_again(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "EXHAUSTIVE", 100)

    def found():
        return explore(
            SPACE, network("resnet20"), ["cycles", "utilization"], store=Store(tmp_path), trials=60
        )

    first = found()
    assert len(first.points) == 60 and first.front == found().front
