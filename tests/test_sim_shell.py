"""The accelerator's IP block under cocotbext-axi: packets, registers, resets, its self-test."""

import json
import re

import pytest

import sim.shell_run
from golden import reference
from hw.accelerator_config import AcceleratorConfig
from hw.config import ArrayConfig
from hw.program import compile_model
from hw.shell.self_test import StoredImages
from hw.tools import ToolError
from sim.generated_models import generated_codes, generated_model
from sim.job import RESULTS
from sim.shell_run import run_shell

LAYERS = [
    {"out_channels": 5, "kernel": (3, 2), "padding": (1, 1), "pool": (2, 2)},
    {"out_channels": 11, "flatten": True},
]


def played(folder, moved=0):
    """What each scenario found, for classes that are `moved` off the reference's."""
    model = generated_model("adder", (1, 7, 5), LAYERS, width=6)  # words of 24 bits, no power of 2
    array = ArrayConfig(
        pe="complement", width=6, rows=2, cols=2, lanes=2, dataflow="weight-stationary"
    )
    sizes = {"activation_words": 128, "weight_words": 512}
    program = compile_model(model, AcceleratorConfig(array=array, **sizes))
    codes = generated_codes(model, 3)
    classes = reference.run(model, codes)[-1].codes_out.reshape(3, -1).argmax(1)
    images = StoredImages(codes=codes, classes=(classes + moved) % 11)
    return run_shell(program, images, folder, seed=5)


@pytest.mark.slow
def test_every_scenario_passes(tmp_path):
    found = played(tmp_path)
    assert len(found) == 12 and set(found.values()) == {"passed"}, found


@pytest.mark.slow
def test_wrong_classes_fail_where_they_are_looked_at(tmp_path):
    found = played(tmp_path, moved=1)
    passed = [name for name, words in found.items() if words == "passed"]
    assert passed == [
        "registers_say_what_the_hardware_is",
        "registers_count_images_and_the_cycles_of_each_layer",
    ]


def test_scenarios_without_an_end_are_named(monkeypatch, tmp_path):
    def stops(benches, top, job, *_):
        cases = "".join(f'<testcase name="{name}"/>' for name in ("first", "second", "third"))
        text = f"<testsuites><testsuite>{cases}</testsuite></testsuites>"
        (job.parent / "results.xml").write_text(text)
        (job.parent / RESULTS).write_text(json.dumps({"first": "passed"}))
        (job.parent / "simulation.log").write_text("$finish called\n")

    monkeypatch.setattr(sim.shell_run, "run_bench", stops)
    monkeypatch.setattr(sim.shell_run, "check_simulator", lambda simulator: None)
    message = f"$finish called; see {tmp_path / 'simulation.log'}"
    message = f"verilator gave no results of second, third: {message}"
    with pytest.raises(ToolError, match=f"^{re.escape(message)}$"):
        played(tmp_path)
