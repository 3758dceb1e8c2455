"""The cocotb bench that a user runs on an array of his own: a test for each scenario, started
inside the simulator by `sim.runner`.

An array has no flow control, so there is no sink: the source gives every cycle's inputs, the
monitor takes every row that is valid, and the checker holds both against each other.
"""

import os
from collections.abc import Callable
from pathlib import Path

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

from hw.config import ArrayConfig

from . import scenarios
from .checker import check
from .job import JOB_VARIABLE, ScenarioResult, read_scenario_job, write_results
from .scenarios import Scenario

_results: list[ScenarioResult] = []


async def play(dut: object, scenario: Scenario) -> dict[int, int]:
    """Source and monitor: what came out, as `check` takes it. Drives after the falling edge, so
    that what is read at the next one is the settled value after the rising edge between them."""
    Clock(dut.clk, 10, "ns").start()
    seen = {}
    await FallingEdge(dut.clk)
    for cycle, inputs in enumerate(scenario.inputs):
        for name, value in inputs.items():
            getattr(dut, name).value = value
        await FallingEdge(dut.clk)
        if dut.valid.value:
            seen[cycle + 1] = dut.sums.value.to_unsigned()
    return seen


async def run(dut: object, make: Callable[[ArrayConfig, int], Scenario], name: str) -> None:
    """Play the scenario, keep the result, fail with what differed first."""
    path = Path(os.environ[JOB_VARIABLE])
    config, seed = read_scenario_job(path)
    reason = None
    try:
        scenario = make(config, seed)
        result = check(name, config, scenario, await play(dut, scenario))
    except Exception as error:
        result, reason = _ended(name, seed, error), error
    _results.append(result)
    write_results(path.parent, _results)
    if not result.passed:
        raise AssertionError(f"{name}, {result.summary}") from reason


def _ended(name: str, seed: int, error: Exception) -> ScenarioResult:
    """Of a scenario that could not be played to its end, so that nothing was compared."""
    counts = ("cycles", "rows", "compared", "mismatches", "missing", "unexpected")
    first = f"{type(error).__name__}: {error}"
    return ScenarioResult(name=name, seed=seed, first=first, **dict.fromkeys(counts, 0))


@cocotb.test()
async def extremes_are_exact(dut: object) -> None:
    await run(dut, scenarios.extremes, "extremes_are_exact")


@cocotb.test()
async def shapes_that_fill_no_tile_are_exact(dut: object) -> None:
    await run(dut, scenarios.odd_shapes, "shapes_that_fill_no_tile_are_exact")


@cocotb.test()
async def tiles_back_to_back_are_exact(dut: object) -> None:
    await run(dut, scenarios.back_to_back, "tiles_back_to_back_are_exact")


@cocotb.test()
async def idle_cycles_anywhere_change_no_sum(dut: object) -> None:
    await run(dut, scenarios.gaps, "idle_cycles_anywhere_change_no_sum")


@cocotb.test()
async def after_a_reset_in_the_middle_of_a_tile_all_is_exact(dut: object) -> None:
    await run(dut, scenarios.resets, "after_a_reset_in_the_middle_of_a_tile_all_is_exact")
