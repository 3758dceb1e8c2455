"""IP blocks whose programs stream from an external memory, under cocotbext-axi's memory."""

import re
from dataclasses import replace

import pytest

from golden import reference
from golden.spec import Pool
from hw.accelerator_config import AcceleratorConfig
from hw.allocation import sized
from hw.config import ArrayConfig
from hw.program import compile_model
from hw.shell.self_test import StoredImages
from hw.tools import ToolError
from sim.accelerator_check import compare
from sim.external_run import Hardware, run_streamed
from sim.generated_models import generated_codes, generated_model
from sim.shell_run import run_shell

LAYERS = [
    {
        **{"out_channels": 5, "kernel": (3, 2), "padding": (1, 1)},
        "pool": Pool(kind="max", kernel=(3, 3), stride=(2, 2), padding=(1, 1)),
    },
    {"out_channels": 11, "flatten": True},
]


def images_of(model):
    codes = generated_codes(model, 3)
    classes = reference.run(model, codes)[-1].codes_out.reshape(3, -1).argmax(1)
    return StoredImages(codes=codes, classes=classes)


def played(folder, external_width, external="weights", lanes=2):
    """What each scenario found, of a program that another of its shapes, and a smaller one with
    other images, take the place of."""
    models = [
        generated_model("adder", (1, 7, 5), LAYERS, width=6),
        generated_model("adder", (1, 7, 5), LAYERS, width=6, seed=3),
        generated_model("adder", (1, 4, 5), [LAYERS[0], {"out_channels": 4, "flatten": True}], 6),
    ]
    array = ArrayConfig(
        pe="complement", width=6, rows=2, cols=2, lanes=lanes, dataflow="weight-stationary"
    )
    bus = {"external": external, "external_width": external_width}
    config = sized(models[0], AcceleratorConfig(array=array, activation_words=40, **bus))
    programs = [(compile_model(model, config), images_of(model)) for model in models]
    return run_shell(*programs[0], folder, seed=5, others=programs[1:])


@pytest.mark.slow
def test_every_scenario_passes_with_a_memory_that_pauses(tmp_path):
    found = played(tmp_path, 128)
    assert len(found) == 20 and set(found.values()) == {"passed"}, found


@pytest.mark.slow
@pytest.mark.parametrize("lanes", [2, 4])
def test_every_scenario_passes_with_maps_in_a_memory_that_pauses(lanes, tmp_path):
    """In words of one beat, and of two."""
    found = played(tmp_path, 32, "maps", lanes)
    assert len(found) == 20 and set(found.values()) == {"passed"}, found


def test_a_run_that_stops_before_the_last_answer_is_an_error(tmp_path):
    """As at the limit of its cycles; here two images were to be answered."""
    model = generated_model("adder", (1, 2, 2), [{"out_channels": 3, "flatten": True}])
    array = ArrayConfig(rows=2, cols=2, lanes=2, dataflow="weight-stationary")
    config = AcceleratorConfig(array=array, activation_words=40, external="weights")
    program = compile_model(model, sized(model, config))
    simulator = tmp_path / "bench"
    simulator.write_text("#!/bin/sh\nhead -c 16 /dev/zero > images.answers\n")
    simulator.chmod(0o755)
    hardware = Hardware(program=program, simulator=simulator)
    reason = f"it printed nothing; see {tmp_path / 'images.log'}"
    message = f"^the accelerator gave too few answers: {re.escape(reason)}$"
    with pytest.raises(ToolError, match=message):
        run_streamed(program, generated_codes(model, 2), tmp_path, hardware=hardware)


RESIDUAL = [
    {"kind": "mac", "out_channels": 5, "kernel": (3, 3), "padding": (1, 1)},
    {"out_channels": 5, "kernel": (3, 3), "padding": (1, 1)},
    {"out_channels": 5, "kernel": (3, 3), "padding": (1, 1), "residual": "layer0"},
    {"out_channels": 9, "kernel": (3, 3), "padding": (1, 1), "stride": (2, 2)},
    {**{"out_channels": 9, "source": "layer2", "stride": (2, 2)}, **{"residual": "layer3"}},
    {"kind": "mac", "out_channels": 3, "flatten": True},
]


def residual_run(folder, latency, share, **values):
    model = generated_model("adder", (3, 6, 4), RESIDUAL)
    array = ArrayConfig(rows=2, cols=2, lanes=4, depth=2**22, dataflow="weight-stationary")
    config = sized(model, AcceleratorConfig(array=array, **values))
    program = compile_model(model, replace(config, weight_words=32))
    codes = generated_codes(model, 3)
    done = run_streamed(program, codes, folder, latency, share)
    return program, compare(model, codes, done.run), done.starved


@pytest.mark.slow
@pytest.mark.parametrize(("latency", "share"), [(3, 256), (60, 256), (30, 40)])
def test_a_residual_network_gives_every_code_in_the_predicted_cycles_and_those_of_waiting(
    latency, share, tmp_path
):
    _, comparison, starved = residual_run(tmp_path, latency, share, external="weights")
    assert comparison.passed, comparison
    assert (starved[-1] > 0) == (latency > 3)


@pytest.mark.slow
@pytest.mark.parametrize(("latency", "share"), [(3, 256), (30, 100)])
def test_a_residual_network_in_bands_of_rows_gives_every_code(latency, share, tmp_path):
    values = {"external": "maps", "activation_words": 1}
    program, comparison, _ = residual_run(tmp_path, latency, share, **values)
    assert len(program.layers) > len(RESIDUAL) + 4
    assert comparison.wrong_codes == comparison.wrong_classes == 0, comparison
