"""The whole flow once, end to end, as a user runs it."""

import json

import pytest
from click.testing import CliRunner

from adderforge.cli import main

STAGES = ("train", "quantize", "verilog", "simulate", "synthesize", "energy", "report")


@pytest.mark.slow
def test_the_demo_runs_every_stage_and_leaves_a_whole_report(tmp_path):
    folder = tmp_path / "run"
    words = ["demo", "--epochs", "6", "--images", "2", "--rows", "2", "--cols", "3", "--lanes", "2"]
    result = CliRunner().invoke(main, [*words, "--json", "--out", str(folder)])
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    lines = result.stderr.splitlines()
    for number, (name, line) in enumerate(zip(STAGES, lines, strict=False), 1):
        assert line.startswith(f"[{number}/{len(STAGES)}] {name} … ")
    assert lines[-1] == str(folder)
    assert report == json.loads((folder / "report.json").read_text())
    for pe, twin in report["twins"].items():
        assert twin["accuracy"]["float"] > 0.9
        assert abs(twin["accuracy"]["integer"] - twin["accuracy"]["float"]) < 0.02
        layers = twin["simulation"]["layers"]
        assert [layer["name"] for layer in layers] == ["conv1", "conv2", "fc1", "fc2", "fc3"]
        assert all(layer["mismatches"] == 0 and layer["compared"] > 0 for layer in layers)
        assert all(layer["cycles"] == layer["predicted_cycles"] for layer in layers)
        assert twin["netlist_check"]["mismatches"] == 0 < twin["netlist_check"]["compared"]
        assert twin["energy"]["activity"] == "zero-delay" and twin["energy"]["pj_per_op"] > 0
        assert twin["energy"]["multiplier"] in ("none", "booth-tree", "array-tree")
        assert (folder / "verilog" / f"{pe}_array.v").stat().st_size > 0
    sizes = {
        (figures["target"], pe): figures["area_um2"] or figures["luts"]
        for pe, twin in report["twins"].items()
        for figures in twin["synthesis"]
        if figures["multiplier"] != "dsp"
    }
    fpgas = [made for made in report["twins"]["mac"]["synthesis"] if made["target"] != "asic"]
    assert {made["multiplier"] for made in fpgas} == {"none", "dsp"}  # made by hand, and of blocks
    for target in ("ice40", "ecp5", "asic"):
        assert sizes[target, "complement"] < sizes[target, "mac"]
    for name in ("configuration.json", "tools.json", "report.md", "report.png", "train/adder.csv"):
        assert (folder / name).stat().st_size > 0
