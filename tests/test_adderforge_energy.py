"""adderforge energy: figures that fit together, one line for bad input."""

import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from adderforge.cli import main
from adderforge.up5k_energy import Up5kEnergy
from hw.choices import BUILT_IN_LIBRARY
from hw.liberty_text import read_text
from hw.synth import SynthReport
from hw.up5k import LogicEnergy

FIXTURES = Path(__file__).parent.parent / "fixtures"
ADDER = FIXTURES / "lenet5-bn-digits-adder.npz"
CNN = FIXTURES / "lenet5-bn-digits-cnn.npz"
ARRAY = ("--rows", 2, "--cols", 3, "--depth", 400)
WORK = ("--vectors", FIXTURES / "digits-vectors.npz", "--layer", "conv2", "--images", 1)
needs_compiler = pytest.mark.skipif(not shutil.which("g++"), reason="needs g++")


@pytest.fixture(autouse=True)
def in_a_new_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def call(*words):
    return CliRunner().invoke(main, ["energy", *(str(word) for word in words)])


def refused(*words):
    result = call(*words)
    assert result.exit_code == 1, result.output
    [line] = result.stderr.splitlines()
    assert not Path("runs").exists()
    return line.removeprefix("adderforge: error: ")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--layer", "conv9"), "layer must be one of conv1, conv2, fc1, fc2, fc3, not 'conv9'"),
        (("--activity", "vector-less"), "activity must be one of gate-delay, zero-delay, not "),
        (("--clock-mhz", 0), "clock_mhz must be positive, not 0.0"),
        (("--cycles", 0), "cycles must be positive, not 0"),
        (("--batches", 0), "batches must be at least 1, not 0"),
        (("--batches", 99), "99 batches of 1 images need 99, but there are 16; give fewer"),
        (("--pe", "mac"), "must be of kind 'mac' for pe 'mac', not 'adder'"),
        (("--dataflow", "weight-stationary"), "positions must be at most 160 for a gate-level run"),
        (("--clock-mhz", -1), "clock_mhz must be positive, not -1.0"),
        (("--wire-load", "huge"), "wire_load must be one of library adderforge130's, which has "),
        (("--wire-ff-per-fanout", -1), "wire_ff_per_fanout must be finite, at least 0, not -1.0"),
        (("--wire-ff-per-fanout", "inf"), "wire_ff_per_fanout must be finite, at least 0, not inf"),
        (("--accelerator", "--board", "foo"), "board must be one of icebreaker, not 'foo'"),
        (("--liberty", "my.toml"), "my.toml: a Liberty file must be readable text"),
        (("--liberty", FIXTURES / "README.md"), "README.md, line 1: expected a statement or a "),
        (("--multiplier", "booth"), "multiplier of a complement PE on asic must be one of none"),
    ],
)
def test_bad_input_is_refused_in_one_line_and_leaves_no_file(words, message):
    assert message in refused("--model", ADDER, *ARRAY, *WORK, *words)


@pytest.mark.parametrize(
    ("sizes", "luts", "warning"),
    [
        (("--rows", 1, "--cols", 1, "--lanes", 8), 900, ""),
        (
            ("--rows", 1, "--cols", 1, "--lanes", 8),
            5300,
            "warning: this accelerator may not fit the iCE40UP5K: luts must be at most 5280, but "
            "are 5300, with products for which 'adderforge build' may take multipliers; take fewer",
        ),
        (
            ("--rows", 4, "--cols", 4, "--lanes", 1),
            900,
            "warning: this accelerator does not fit the iCE40UP5K: block_rams must be at most 30",
        ),
    ],
)
def test_an_accelerator_that_does_not_fit_its_board_gets_a_warning(
    monkeypatch, sizes, luts, warning
):
    def simulated(program, codes, effort, **how):
        report = SynthReport(
            **{"target": "ice40", "pe": "complement", "multiplier": "none", "luts": luts},
            **{"flip_flops": 700, "cells": {}, "tools": {}},
        )
        recording = SimpleNamespace(activity=SimpleNamespace(cycles=100), compared=9, mismatches=0)
        mapped = SimpleNamespace(synthesis=report)
        return Up5kEnergy(
            design=SimpleNamespace(program=program, mapped=mapped),
            logic=LogicEnergy(transitions=80.0, clock=20.0),
            zero_delay=LogicEnergy(transitions=80.0, clock=20.0),
            **{"batches": [1.0], "memories": {"weights": 1.0}, "recording": recording},
        )

    monkeypatch.setattr("adderforge.up5k_energy.measure_up5k", simulated)
    words = ("--accelerator", "--board", "icebreaker", "--model", ADDER, *sizes, "--depth", 400)
    result = call(*words, "--activity", "zero-delay", "--out", "run")
    assert result.exit_code == 0, result.stderr
    assert warning in result.stderr and ("warning" in result.stderr) == bool(warning)
    taken = json.loads(Path("run/energy.json").read_text())["taken"]
    assert taken["luts"] == [luts, 5280]
    assert (taken["block_rams"][0] > 30) == ("block_rams" in warning)
    assert "µJ per image of the core of an iCE40UP5K\n" in result.stdout  # no glitches


def measured(*words):
    result = call(*ARRAY, *WORK, "--cycles", 320, "--json", *words)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.mark.slow
@needs_compiler
def test_the_figures_of_an_adder_fit_together():
    figures = measured("--model", ADDER, "--memory-pj-per-bit", 0.25, "--out", "run")
    assert figures == json.loads(Path("run/energy.json").read_text())
    assert figures["activity"] == "gate-delay" and figures["layers"] == ["conv2"]
    assert figures["compared"] > 0 and figures["mismatches"] == 0
    assert figures["cycles"] >= 320 and len(figures["batches"]) == 4
    assert sum(figures["parts"].values()) == pytest.approx(figures["pj_per_op"])
    assert sum(figures["blocks"].values()) == pytest.approx(figures["pj_per_op"])
    assert min(figures["batches"]) <= figures["pj_per_op"] <= max(figures["batches"])
    assert 0 < figures["standard_error"] < figures["pj_per_op"] / 4
    assert 0 < figures["zero_delay_pj_per_op"] < figures["pj_per_op"]
    assert figures["operations_per_inference"] == 100 * 150 * 16
    per_inference = figures["pj_per_op"] * figures["operations_per_inference"]
    assert figures["pj_per_inference"] == pytest.approx(per_inference)
    per_cycle = figures["pj_per_op"] * figures["operations"] / figures["cycles"]
    assert figures["power_mw"] == pytest.approx(per_cycle * 100 * 1e-3)
    assert figures["area_um2"] > 6 * figures["pe_area_um2"]
    memory = figures["memory"]
    assert memory["pj_per_op"] == pytest.approx(memory["bits_per_op"] * 0.25) and memory["source"]


@pytest.mark.slow
@needs_compiler
def test_wires_and_more_cycles_cost_what_they_should(monkeypatch):
    bare = measured("--model", ADDER)
    again = measured("--model", ADDER)
    assert again == bare
    wired = measured("--model", ADDER, "--wire-ff-per-fanout", 3)
    assert wired["switching"] > 1.5 * bare["switching"]
    assert wired["longest_path_ns"] > bare["longest_path_ns"]
    still = measured("--model", ADDER, "--activity", "zero-delay")
    assert still["pj_per_op"] == pytest.approx(bare["zero_delay_pj_per_op"])
    assert still["glitch_share"] is None and 0 < bare["glitch_share"] < 0.5


@pytest.mark.slow
@needs_compiler
def test_an_array_mapped_for_a_clock_is_measured_at_it():
    bare = measured("--model", ADDER)
    timed = measured("--model", ADDER, "--clock-mhz", 200)
    assert (bare["clock_mhz"], bare["clock_met"], timed["clock_mhz"]) == (100, None, 200)
    assert timed["clock_met"] is True and timed["longest_path_ns"] <= 5 < bare["longest_path_ns"]
    per_cycle = timed["pj_per_op"] * timed["operations"] / timed["cycles"]
    assert timed["power_mw"] == pytest.approx(per_cycle * 200 * 1e-3)


@pytest.mark.slow
@needs_compiler
def test_an_array_whose_weights_stay_is_measured_with_its_fold_memory():
    figures = measured("--model", ADDER, "--dataflow", "weight-stationary", "--positions", 8)
    assert figures["compared"] > 0 == figures["mismatches"]
    assert 0 < figures["blocks"]["fold memory"] < figures["pj_per_op"]
    assert figures["memory"]["bits_per_op"] > 0


@pytest.mark.slow
@needs_compiler
def test_glitches_cost_a_multiplier_more_than_an_adder():
    adder = measured("--model", ADDER)
    mac = measured("--model", CNN, "--pe", "mac", "--multiplier", "booth-tree")
    assert mac["multiplier"] == "booth-tree" and mac["mismatches"] == 0
    assert mac["glitch_share"] > adder["glitch_share"]
    assert mac["pj_per_op"] > adder["pj_per_op"]


@pytest.mark.slow
@needs_compiler
def test_a_saved_activity_is_priced_again_and_one_of_another_netlist_refused():
    simulated = measured("--model", ADDER, "--save-activity", "--out", "run")
    priced = measured("--model", ADDER, "--from-activity", "run/activity.npz")
    for name in ("pj_per_op", "glitch_share", "operations", "cycles", "compared", "mismatches"):
        assert priced[name] == pytest.approx(simulated[name], rel=1e-4), name
    assert priced["standard_error"] is None
    words = (*ARRAY, *WORK, "--model", ADDER, "--from-activity")
    wider = call(*words, "run/activity.npz", "--width", 9)
    assert wider.exit_code == 1
    assert "run/activity.npz: activity of another netlist than this" in wider.stderr
    damaged = call(*words, FIXTURES / "digits-vectors.npz")
    assert "activity must be a file that --save-activity wrote" in damaged.stderr


@pytest.mark.slow
def test_a_library_without_power_tables_gives_the_area_and_says_why_no_energy():
    group = re.compile(r"internal_power \(\) \{(?:[^{}]|\{[^{}]*\})*\}")
    Path("mute.lib").write_text(group.sub("", read_text(BUILT_IN_LIBRARY)))
    result = call("--model", ADDER, *ARRAY, *WORK, "--liberty", "mute.lib", "--json")
    assert result.exit_code == 1
    figures = json.loads(result.stdout)
    assert figures["pj_per_op"] is None and figures["area_um2"] > 5000
    line = result.stderr.splitlines()[-1]
    assert "must have internal_power tables for an energy, but cell" in line
    assert line.endswith("the area is 12,345 µm²".replace("12,345", f"{figures['area_um2']:,.0f}"))
