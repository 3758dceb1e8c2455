"""The accelerator's Verilog on Verilator against the integer reference."""

from pathlib import Path

import numpy as np
import pytest

from golden import reference
from golden.model_file import load
from hw.accelerator_config import AcceleratorConfig
from hw.config import ArrayConfig
from hw.program import compile_model
from sim.accelerator_run import run_images
from sim.generated_models import generated_codes, generated_model

FIXTURES = Path(__file__).parent.parent / "fixtures"

PE = {"adder": "complement", "mac": "mac"}


def program_of(model, kind, rows, cols, lanes, **sizes):
    array = ArrayConfig(
        pe=PE[kind], rows=rows, cols=cols, lanes=lanes, dataflow="weight-stationary"
    )
    return compile_model(model, AcceleratorConfig(array=array, **sizes))


def check(model, program, codes, folder):
    answers = run_images(program, codes, folder)
    scores = reference.run(model, codes)[-1].codes_out.reshape(len(codes), -1)
    assert [answer.image_class for answer in answers] == scores.argmax(1).tolist()
    wanted = program.cycles + program.interval * np.arange(len(codes))
    assert [answer.cycle for answer in answers] == wanted.tolist()


@pytest.mark.slow
@pytest.mark.parametrize("kind", PE)
def test_a_small_networks_verilog_gives_the_answers_in_the_predicted_cycles(kind, tmp_path):
    layers = [
        {"out_channels": 5, "kernel": (3, 2), "padding": (1, 1), "pool": (2, 2)},
        {"out_channels": 5, "kernel": (3, 3), "padding": (1, 1), "residual": "layer0"},
        {"out_channels": 11, "flatten": True},
    ]
    model = generated_model(kind, (1, 7, 5), layers)
    program = program_of(model, kind, 2, 2, 2, activation_words=128, weight_words=512)
    check(model, program, generated_codes(model, 5), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "name"), [("adder", "adder"), ("mac", "cnn")])
def test_lenets_verilog_gives_the_answers_in_the_predicted_cycles(kind, name, tmp_path):
    model = load(FIXTURES / f"lenet5-bn-digits-{name}.npz")
    images = np.load(FIXTURES / "digits-vectors.npz")["images"]
    program = program_of(model, kind, 4, 4, 4)
    check(model, program, reference.encode(model, images), tmp_path)
