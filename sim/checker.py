"""Compares what an array gave with what a scenario says must come out of it."""

from hw.config import ArrayConfig
from hw.schedule import unpack

from .job import ScenarioResult
from .scenarios import Scenario


def check(
    name: str, config: ArrayConfig, scenario: Scenario, seen: dict[int, int]
) -> ScenarioResult:
    """seen: cycle -> word of sums, for each cycle in which `valid` was high."""
    cycles = list(seen)
    table = unpack(list(seen.values()), config.cols, config.acc_width, config.acc_signed)
    actual = dict(zip(cycles, table.tolist(), strict=True))
    differences: list[tuple[int, str]] = []
    compared = mismatches = missing = 0
    for row in scenario.rows:
        where = f"tile {row.tile}, row {row.row}"
        sums = actual.pop(row.cycle, None)
        if sums is None:
            missing += 1
            differences.append((row.cycle, f"{where}: due in cycle {row.cycle}, did not come"))
            continue
        for col, (expected, got) in enumerate(zip(row.sums, sums, strict=True)):
            compared += expected is not None
            if expected is not None and expected != got:
                mismatches += 1
                text = f"{where}, column {col}: expected {expected}, got {got}, cycle {row.cycle}"
                differences.append((row.cycle, text))
    for cycle in actual:
        differences.append((cycle, f"a row came in cycle {cycle}, when none was due"))
    return ScenarioResult(
        name=name,
        seed=scenario.seed,
        cycles=len(scenario.inputs),
        rows=len(scenario.rows),
        compared=compared,
        mismatches=mismatches,
        missing=missing,
        unexpected=len(actual),
        first=min(differences, default=(0, None), key=lambda difference: difference[0])[1],
    )
