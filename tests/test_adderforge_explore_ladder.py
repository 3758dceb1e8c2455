"""Exploring: level by level, what can still win goes up, and nothing is measured twice. What
measures here is a formula."""

import errno
import random
from concurrent.futures import Executor, Future
from pathlib import Path

import pytest

import adderforge
from adderforge.exploration import measuring
from adderforge.exploration.effort import ACCURACY, CLOCK, SYNTHESIS, Effort
from adderforge.exploration.explore import explore
from adderforge.exploration.space import Space
from adderforge.exploration.store import Measurement, Store
from adderforge.exploration.workloads import network
from hw.schedule import cycles

LENET = network("lenet5-bn")


class Here(Executor):
    """Runs what is submitted at once."""

    def submit(self, function, *values):
        future = Future()
        try:
            future.set_result(function(*values))
        except Exception as error:
            future.set_exception(error)
        return future


def area(design):
    array = design.array
    each = array.width * (3 * array.width if array.pe == "mac" else 20)
    return 50.0 + array.rows * array.cols * each


FORMULAS = {
    SYNTHESIS: lambda design: {"area_um2": area(design)},
    CLOCK: lambda design: {"fmax_mhz": 100.0 + design.array.rows},
    ACCURACY: lambda design: {"accuracy": 1 - 2.0**-design.array.width},
}


@pytest.fixture
def made(monkeypatch):
    """(level, design) of the measurements that were made; those of 3 rows fail at synthesis."""
    calls = []

    def measure(task):
        calls.append((task.level, task.design))
        failed = task.level == SYNTHESIS and task.design.array.rows == 3
        result = {"reason": "three"} if failed else {"figures": FORMULAS[task.level](task.design)}
        return Measurement(subject=task.subject, design=task.design.values, **result)

    monkeypatch.setattr(measuring, "measure", measure)
    monkeypatch.setattr("adderforge.exploration.calibration.shipped", lambda: [])
    return calls


def run(space, *goals, fidelity=1, **options):
    return explore(space, LENET, goals, fidelity, Here(), **options)


def rows(points):
    return sorted(point.design.array.rows for point in points)


def test_cycles_and_utilization_are_those_of_the_schedule():
    found = run(Space(rows=[2, 4], lanes=[1, 4]), "cycles", "utilization", fidelity=0)
    for point in found.points:
        expected = sum(cycles(layer.shape, point.design.array) for layer in LENET.layers)
        assert point.figures["cycles"] == expected
        products = point.design.array.rows * 8 * point.design.array.lanes
        assert point.figures["utilization"] == LENET.operations / (products * expected)
    assert found.front[0].figures["cycles"] == min(p.figures["cycles"] for p in found.points)


@pytest.mark.slow
def test_what_is_guessed_to_lose_is_not_measured(made, tmp_path):
    store = Store(tmp_path)
    small = Space(pe=["complement", "mac"], width=[4, 6, 8], rows=[1, 2, 4], cols=[1, 2])
    run(small, "area_um2", store=store, most=999)
    assert len(made) == 36
    made.clear()
    large = Space(pe=["complement", "mac"], width=[4, 8], rows=range(4, 16), cols=range(4, 16))
    found = run(large, "area_um2", "cycles", store=store, most=999)
    assert len(made) < len(found.points) / 5
    thorough = run(large, "area_um2", "cycles", effort=Effort(liberty=Path(__file__)), most=999)
    assert found.front == thorough.front and len(made) > len(found.points)


def test_an_error_that_is_stated_is_allowed_for(made, tmp_path, monkeypatch):
    def rough(design):
        factor = 1 + 0.1 * (random.Random(str(design.values)).random() - 0.5)
        return {"area_um2": area(design) * factor}

    monkeypatch.setitem(FORMULAS, SYNTHESIS, rough)
    store = Store(tmp_path)
    small = Space(width=[4, 6, 8], rows=[1, 2, 4, 5], cols=[1, 2, 3, 4])
    run(small, "area_um2", store=store, most=999)
    large = Space(width=8, rows=range(4, 16), cols=range(4, 16))
    found = run(large, "area_um2", "cycles", store=store, most=999)
    made.clear()
    thorough = run(large, "area_um2", "cycles", most=999)
    assert found.front == thorough.front and len(made) == len(large.designs())


def test_points_are_compared_only_where_unknown_objectives_must_be_equal(made):
    space = Space(width=[4, 8, 16], rows=[2, 4])
    models = {"adder": Path(__file__)}
    workload = adderforge.Workload(name="some", layers=LENET.layers, models=models, data="digits")
    found = explore(space, workload, ["accuracy", "area_um2"], ACCURACY, Here())
    assert [p.design.array.width for p in found.front] == [16, 8, 4]
    assert sum(level == ACCURACY for level, _ in made) == 3
    assert {p.design.array.rows for p in found.front} == {2}
    assert all(point.level == ACCURACY for point in found.points)


def test_a_failed_point_is_data_and_another_takes_its_place(made):
    found = run(Space(rows=[1, 2, 3]), "cycles")
    assert [point.failures for point in found.points] == [{}, {}, {1: "three"}]
    assert [design.array.rows for _, design in made] == [3, 2]
    assert rows(found.front) == [2] and rows(found.failed) == [3]


def test_a_second_run_measures_nothing_and_finds_the_same(made, tmp_path):
    space = Space(rows=range(1, 9), cols=range(1, 5))
    first = run(space, "area_um2", "cycles", store=Store(tmp_path))
    count = len(made)
    again = run(space, "area_um2", "cycles", store=Store(tmp_path))
    assert len(made) == count > 0
    assert again.front == first.front and again.points == first.points


def test_failures_are_measured_again_only_when_asked(made, tmp_path):
    for retry, count in ((False, 1), (False, 1), (True, 2)):
        run(Space(rows=3), "cycles", store=Store(tmp_path), retry=retry)
        assert len(made) == count


def test_levels_that_no_objective_needs_are_left_out(made):
    run(Space(rows=2), "area_um2", "cycles", fidelity=CLOCK)
    assert [level for level, _ in made] == [SYNTHESIS, CLOCK]
    made.clear()
    run(Space(rows=4), "cycles", fidelity=CLOCK)
    assert [level for level, _ in made] == [CLOCK]


def test_no_more_points_climb_than_asked_for(made):
    found = run(Space(rows=range(4, 24)), "area_um2", "cycles", most=5)
    assert len(made) == 5 and found.left_out > 0


def test_a_sweep_measures_every_design(made):
    found = run(Space(rows=range(4, 10)), "cycles", fidelity=CLOCK, sweep=True, most=1)
    assert len(made) == 6 and all(point.level == CLOCK for point in found.points)


def test_an_objective_may_be_any_function_of_figures_and_parameters(made):
    def area_delay(area_um2, cycles, width):
        return area_um2 * cycles / width

    found = run(Space(rows=[2, 4]), area_delay)
    assert found.objectives[0].name == "area_delay" and len(found.front) == 1


@pytest.mark.parametrize(
    ("goals", "fidelity", "message"),
    [
        (["speed"], 0, "objective must be one of cycles, utilization"),
        ([], 0, "objectives must be one or several different ones, not none"),
        (["cycles", "cycles"], 0, "objectives must be one or several different ones"),
        ([lambda speed: speed], 0, "objective '<lambda>': unknown figure 'speed'; there are"),
        (["cycles"], 5, "fidelity must be 0 to 4, not 5"),
        (["accuracy"], 1, "objective 'accuracy' is measured at fidelity 4, and not guessed"),
        (["luts"], 0, "objective 'luts' needs luts, which no design has on target 'asic'; give"),
        (["accuracy"], 4, "lenet5-bn has no adder network for pe 'complement'; give its"),
    ],
)
def test_what_cannot_be_wanted_is_refused(made, goals, fidelity, message):
    with pytest.raises(ValueError) as error:
        run(Space(rows=2), *goals, fidelity=fidelity)
    assert str(error.value).startswith(message) and not made


def test_areas_are_not_wanted_of_an_fpga(made):
    def density(cycles, area_um2):
        return cycles / area_um2

    with pytest.raises(ValueError, match="objective 'density' needs area_um2, which no design has"):
        run(Space(rows=2), density, fidelity=1, effort=Effort(target="ice40"))
    assert not made


def test_an_objective_that_cannot_be_guessed_needs_measuring(made):
    with pytest.raises(ValueError, match="objective 'fmax_mhz' is unknown of all 1 designs for"):
        run(Space(rows=2), "fmax_mhz", fidelity=0, effort=Effort(target="gowin"))


@pytest.mark.parametrize(
    ("target", "fidelity", "message"),
    [
        ("xilinx7", 2, "there is no place and route for xilinx7, so fidelity must be at most 1"),
        ("ecp5", 3, "energy is of cell libraries, and of accelerators in an iCE40 UltraPlus"),
    ],
)
def test_a_level_that_a_target_lacks_is_refused(made, target, fidelity, message):
    with pytest.raises(ValueError, match=message):
        run(Space(rows=2), "cycles", fidelity=fidelity, effort=Effort(target=target))


def test_a_full_disk_ends_the_run_and_keeps_what_was_made(made, tmp_path, monkeypatch):
    store, put = Store(tmp_path), Store.put

    def full(self, measurement):
        if len(made) > 2:
            raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path))
        put(self, measurement)

    monkeypatch.setattr(Store, "put", full)
    with pytest.raises(OSError, match="No space left"):
        run(Space(rows=range(4, 9)), "area_um2", "cycles", store=store)


def test_steps_tell_how_far_it_is_and_what_leads(made):
    steps = []
    run(Space(rows=[4, 5, 6]), "area_um2", "cycles", watch=steps.append)
    assert [(step.done, step.count) for step in steps] == [(1, 3), (2, 3), (3, 3)]
    assert len(steps[-1].front()) == 3
