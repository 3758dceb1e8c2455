"""Scenarios: on an array as its docstring has it, on simulators, and on injected faults."""

import json
import re
import shutil
from dataclasses import asdict, replace
from itertools import pairwise
from xml.etree import ElementTree

import numpy as np
import pytest
from click.testing import CliRunner

from adderforge.cli import main
from hw.config import ArrayConfig
from hw.schedule import pack, unpack
from hw.tools import ToolError
from hw.verilog import array_verilog
from sim import runner, scenarios
from sim.checker import check
from sim.job import (
    read_scenario_job,
    read_scenario_results,
    write_results,
    write_scenario_job,
)
from sim.runner import run_scenarios
from sim.workload import array_sums

FASTEST = "icarus" if shutil.which("iverilog") else "verilator"
SMALL = ArrayConfig(width=4, rows=2, cols=2, depth=5)
EXTREMES, SHAPES, BACK_TO_BACK, GAPS, RESETS = NAMES = (
    "extremes_are_exact",
    "shapes_that_fill_no_tile_are_exact",
    "tiles_back_to_back_are_exact",
    "idle_cycles_anywhere_change_no_sum",
    "after_a_reset_in_the_middle_of_a_tile_all_is_exact",
)
MAKERS = (
    scenarios.extremes,
    scenarios.odd_shapes,
    scenarios.back_to_back,
    scenarios.gaps,
    scenarios.resets,
)


def simulated(config, scenario):
    """Rows by cycle of an output-stationary array, as its docstring says: row r of a tile that
    ends in cycle t comes in cycle t + cols + r, later by a longer bus, unless a reset comes."""
    total, rows = np.zeros((config.rows, config.cols), int), {}
    for cycle, inputs in enumerate(scenario.inputs):
        a = unpack([inputs["a"]], config.rows * config.lanes, config.width, False)
        w = unpack([inputs["w"]], config.cols * config.lanes, config.width, config.weight_signed)
        total += array_sums(config, a.reshape(config.rows, -1), w.reshape(config.cols, -1))
        if inputs["last"]:
            first = cycle + config.cols + config.drain_stages - 1
            rows |= {first + r: pack(row[None], config.acc_width)[0] for r, row in enumerate(total)}
            total[:] = 0
        if inputs["rst"]:
            total[:] = 0
            rows = {due: word for due, word in rows.items() if due <= cycle}
    return rows


@pytest.mark.parametrize("make", MAKERS, ids=NAMES)
@pytest.mark.parametrize("pe", ["complement", "min", "mac", "xnor"])
@pytest.mark.parametrize("rows", [1, 3, 5])
def test_an_array_as_its_docstring_has_it_is_right(make, pe, rows):
    config = ArrayConfig(width=4, rows=rows, cols=2, lanes=3, depth=20).twin(pe)
    scenario = make(config, 1)
    result = check("any", config, scenario, simulated(config, scenario))
    assert result.passed, result
    assert result.compared >= rows * config.cols and result.rows == len(scenario.rows)


@pytest.mark.parametrize("make", MAKERS, ids=NAMES)
def test_a_seed_says_all_of_a_scenario(make):
    assert make(SMALL, 3) == make(SMALL, 3)
    if make is not scenarios.extremes:
        assert make(SMALL, 3) != make(SMALL, 4)


def operand_cycles(scenario):
    """The inputs from the end of the first reset to the last `last`."""
    flags = [(inputs["rst"], inputs["last"]) for inputs in scenario.inputs]
    resets, ends = ([cycle for cycle, x in enumerate(flags) if x[i]] for i in (0, 1))
    return scenario.inputs[resets[SMALL.rows + SMALL.cols - 1] + 1 : ends[-1] + 1]


def test_extremes_come_first_and_differ_in_every_bit():
    tiles = [row.sums for row in scenarios.extremes(SMALL, 0).rows]
    assert tiles == [(0, 0)] * 4 + [(75, 75)] * 4 + [(0, 75), (75, 0)]
    weights = {x["w"] for x in operand_cycles(scenarios.extremes(SMALL, 0))[-SMALL.depth :]}
    assert weights == {0x0F, 0xF0}


def test_tiles_back_to_back_have_no_idle_cycle_between_them():
    cycles = operand_cycles(scenarios.back_to_back(SMALL, 0))
    assert sum(x["last"] for x in cycles) == 8
    assert all(x["a"] and x["w"] for x in cycles)


def test_ends_of_tiles_are_never_closer_than_rows():
    config = ArrayConfig(width=4, rows=5, cols=1, depth=2)
    for make in MAKERS:
        ends = [cycle for cycle, x in enumerate(make(config, 0).inputs) if x["last"]]
        assert min(np.diff(ends)) >= 5


def test_idle_cycles_come_inside_of_tiles():
    cycles = operand_cycles(scenarios.gaps(SMALL, 0))
    idle = [not (x["a"] or x["w"] or x["last"]) for x in cycles]
    assert any(x["a"] and not x["last"] and idle[n] for n, x in enumerate(cycles[:-1], 1))


def test_resets_come_between_operands_and_keep_rows_from_coming():
    scenario = scenarios.resets(SMALL, 0)
    cycles = operand_cycles(scenario)
    cut = [before["a"] and not before["last"] and here["rst"] for before, here in pairwise(cycles)]
    assert any(cut)
    assert len(scenario.rows) < SMALL.rows * sum(x["last"] for x in cycles)


def checked(change):
    """The result of a right run of `back_to_back` after `change` to its rows by cycle."""
    scenario = scenarios.back_to_back(SMALL, 0)
    seen = simulated(SMALL, scenario)
    change(seen, scenario.rows[3])
    return scenario.rows[3], check("any", SMALL, scenario, seen)


def test_a_wrong_sum_is_named_with_its_place():
    row, result = checked(lambda seen, row: seen.update({row.cycle: seen[row.cycle] ^ 1 << 7}))
    got = row.sums[1] ^ 1
    where = f"tile {row.tile}, row {row.row}, column 1"
    assert result.first == f"{where}: expected {row.sums[1]}, got {got}, cycle {row.cycle}"
    assert (row.tile, row.row) == (1, 1)
    assert (result.mismatches, result.missing, result.unexpected, result.passed) == (1, 0, 0, False)


def test_a_row_that_comes_late_is_missing_and_unexpected():
    row, result = checked(lambda seen, row: seen.update({row.cycle + 99: seen.pop(row.cycle)}))
    assert result.first == f"tile 1, row 1: due in cycle {row.cycle}, did not come"
    assert (result.mismatches, result.missing, result.unexpected, result.passed) == (0, 1, 1, False)


def test_a_row_that_is_left_over_fails():
    row, result = checked(lambda seen, row: seen.update({row.cycle + 99: 0}))
    assert result.first == f"a row came in cycle {row.cycle + 99}, when none was due"
    assert (result.mismatches, result.missing, result.unexpected, result.passed) == (0, 0, 1, False)


def test_jobs_and_results_are_read_as_they_were_written(tmp_path):
    write_scenario_job(tmp_path / "job.json", SMALL, 5)
    assert read_scenario_job(tmp_path / "job.json") == (SMALL, 5)
    _, result = checked(lambda seen, row: None)
    results = [result, replace(result, first="something")]
    write_results(tmp_path, results)
    assert read_scenario_results(tmp_path) == results


def called(monkeypatch, tmp_path, results, *words):
    """`adderforge simulate` with these results of the scenarios, and the seed they were given."""
    seeds = []

    def run(config, folder, simulator, seed, waves):
        seeds.append(seed)
        return results

    monkeypatch.setattr(runner, "check_simulator", lambda simulator: None)
    monkeypatch.setattr(runner, "run_scenarios", run)
    call = ["simulate", "--out", str(tmp_path / "run"), *words]
    return CliRunner().invoke(main, call), seeds


def test_the_command_shows_each_scenario_and_what_differed_first(monkeypatch, tmp_path):
    _, right = checked(lambda seen, row: None)
    _, wrong = checked(lambda seen, row: seen.update({row.cycle: seen[row.cycle] ^ 1}))
    done, seeds = called(monkeypatch, tmp_path, [right, wrong], "--seed", "7")
    first, second, *_ = done.stdout.splitlines()
    assert (done.exit_code, seeds) == (1, [7])
    assert first == "passed any: 32 sums, 0 wrong; 16 rows, 0 missing, 0 unexpected; 44 cycles"
    assert second.startswith("FAILED any: seed 0: tile 1, row 1, column 0: expected ")


def test_the_command_succeeds_when_all_scenarios_pass(monkeypatch, tmp_path):
    _, right = checked(lambda seen, row: None)
    done, _ = called(monkeypatch, tmp_path, [right], "--json")
    assert (done.exit_code, json.loads(done.stdout)) == (0, [asdict(right)])


def test_a_negative_seed_is_refused(monkeypatch, tmp_path):
    done, _ = called(monkeypatch, tmp_path, [], "--seed", "-1")
    assert done.exit_code == 1 and "seed must be at least 0, not -1" in done.stderr
    assert not (tmp_path / "run").exists()


KINDS = ("complement", "min", "two_adder", "compare_swap", "mac", "xnor", "square")
CONFIGS = [ArrayConfig(width=5, rows=3, cols=2, lanes=3, depth=11).twin(pe) for pe in KINDS] + [
    ArrayConfig(
        width=5, rows=2, cols=5, lanes=3, depth=17, positions=4, dataflow="weight-stationary"
    ).twin(pe)
    for pe in KINDS
    if pe != "min"
]
SINGLE = [
    ArrayConfig(width=2, rows=1, cols=1, depth=3, positions=1, dataflow=dataflow)
    for dataflow in ("output-stationary", "weight-stationary")
]


def assert_all_passed(results):
    assert [result.name for result in results] == list(NAMES)
    assert all(result.passed and result.compared for result in results), results


@pytest.mark.slow
@pytest.mark.parametrize("config", CONFIGS + SINGLE, ids=lambda c: f"{c.pe} {c.dataflow} {c.rows}")
def test_every_kind_and_dataflow_is_right(config, tmp_path):
    assert_all_passed(run_scenarios(config, tmp_path, FASTEST))


@pytest.mark.slow
@pytest.mark.parametrize("config", [CONFIGS[0], CONFIGS[-2]], ids=lambda c: f"{c.pe} {c.dataflow}")
def test_other_seeds_are_right_on_verilator(config, tmp_path):
    assert_all_passed(run_scenarios(config, tmp_path, seed=12))


# Inputs are x until they are driven, on a simulator that knows it, and only resets end that.
X_TOO = {EXTREMES} if FASTEST == "icarus" else set()
# In the Verilog of SMALL _08_ is what `valid` takes, _10_ what the sum takes but for resets.
LATE = r"""\1late\3
  reg late = 0;
  always @(posedge clk) late <= \2;"""
TIRED = r"""reg idle = 0;
  always @(posedge clk) idle <= ~|{ a, w };
  assign _10_ = last | idle & ~|{ a, w } \1"""
FAULTS = {
    "a bit too few in the sums": (
        r"(assign sums = )\{ (\w+), (\w+) \}",
        r"\1{ \2 & 7'h3f, \3 & 7'h3f }",
        {EXTREMES},
    ),
    "last comes late in one PE": (
        r"(adderforge_pe pe_1_1 \([^;]*\.last\()(\\last\$\d+ )(\)[^;]*;)",
        LATE,
        {EXTREMES, SHAPES, BACK_TO_BACK, GAPS, RESETS},
    ),
    "one PE inverts its activations": (
        r"(adderforge_pe pe_1_1 \([^;]*\.a\()(\\a\$\d+ )",
        r"\1~\2",
        {EXTREMES, SHAPES, BACK_TO_BACK, GAPS, RESETS},
    ),
    "two idle cycles clear the sum": (r"assign _10_ = last (.*;)", TIRED, {GAPS}),
    "a reset leaves the sum": (r"= rst \? 7'h00 :", "= 1'h0 ? 7'h00 :", {RESETS} | X_TOO),
    "a reset leaves valid": (r"(_08_ = )rst \?", r"\1 1'h0 ?", {RESETS} | X_TOO),
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_by_the_scenarios_that_are_there_for_it(fault, tmp_path):
    pattern, replacement, found_by = FAULTS[fault]
    verilog, count = re.subn(pattern, replacement, array_verilog(SMALL))
    assert count == 1
    results = run_scenarios(SMALL, tmp_path, FASTEST, verilog=verilog)
    assert {result.name for result in results if not result.passed} == found_by
    cases = ElementTree.parse(tmp_path / "results.xml").getroot().findall("testsuite/testcase")
    failures = {case.get("name"): case.find("failure") for case in cases}
    for result in results:
        failure = failures[result.name]
        assert (failure is None) == result.passed
        if failure is not None:
            assert f"{result.name}, seed 0: {result.first}; " in ElementTree.tostring(
                failure, encoding="unicode"
            ).replace("&#10;", "\n")


@pytest.mark.slow
def test_a_scenario_that_cannot_be_played_to_its_end_fails_and_the_others_are_there(tmp_path):
    """In the Verilog of SMALL, by what a reset leaves, `valid` is x."""
    if FASTEST != "icarus":
        pytest.skip("Verilator knows no x: install Icarus Verilog")
    verilog, count = re.subn(r"(_08_ = )rst \? 1'h0", r"\1 rst ? 1'hx", array_verilog(SMALL))
    assert count == 1
    results = run_scenarios(SMALL, tmp_path, FASTEST, verilog=verilog)
    assert [result.name for result in results] == list(NAMES)
    for result in results:
        assert not result.passed and "Error: " in result.summary, result


@pytest.mark.slow
def test_scenarios_that_a_simulator_did_not_come_to_are_named(tmp_path):
    stop = "  integer cycle = 0;\n  always @(posedge clk) begin\n    cycle = cycle + 1;\n"
    stop += "    if (cycle == 100) $finish;\n  end\nendmodule\n"
    head, tail = array_verilog(SMALL).rsplit("endmodule", 1)
    with pytest.raises(ToolError) as caught:
        run_scenarios(SMALL, tmp_path, FASTEST, verilog=head + stop + tail)
    message = str(caught.value)
    assert message.startswith(f"{FASTEST} gave no results of ")
    assert RESETS in message and EXTREMES not in message
    assert message.endswith(f"; see {tmp_path / 'simulation.log'}")


def test_a_simulator_that_dies_after_some_scenarios_is_an_error(monkeypatch, tmp_path):
    """Then cocotb has not written JUnit's file."""
    _, right = checked(lambda seen, row: None)

    class Dying:
        def build(self, **_):
            pass

        def test(self, test_dir, log_file, **_):
            write_results(test_dir, [right])
            log_file.write_text("Fatal error: killed\n")
            raise SystemExit(137)

    monkeypatch.setattr(runner, "check_simulator", lambda simulator: None)
    monkeypatch.setattr(runner, "get_runner", lambda simulator: Dying())
    reason = f"Fatal error: killed; see {tmp_path / 'simulation.log'}"
    with pytest.raises(ToolError, match=f"^icarus stopped before the end: {re.escape(reason)}$"):
        run_scenarios(SMALL, tmp_path, "icarus")


@pytest.mark.slow
def test_the_place_of_a_fault_is_in_the_message(tmp_path):
    pattern, replacement, _ = FAULTS["one PE inverts its activations"]
    verilog = re.sub(pattern, replacement, array_verilog(SMALL))
    for result in run_scenarios(SMALL, tmp_path, FASTEST, verilog=verilog):
        assert result.passed or ", row 1, column 1: expected" in result.first
