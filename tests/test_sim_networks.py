"""Reduced ResNet-18, ResNet-50 and VGG-small, end to end with maps and weights in an external
memory: every code, class and cycle."""

import numpy as np
import pytest

from golden import reference
from golden.spec import QuantizedModel
from hw.accelerator_config import AcceleratorConfig
from hw.allocation import sized
from hw.config import ArrayConfig
from hw.program import Program, compile_model
from hw.shell.self_test import StoredImages
from sim.accelerator_check import compare
from sim.external_run import run_streamed
from sim.generated_models import generated_codes
from sim.network_models import reduced_model
from sim.network_run import run_network


def program_of(model: QuantizedModel, words: int, **array: int) -> Program:
    sizes = {"rows": 2, "cols": 2, "lanes": 8, "depth": 2**17, "positions": 256} | array
    config = AcceleratorConfig(
        array=ArrayConfig(**sizes, dataflow="weight-stationary"),
        external="maps",
        activation_words=words,
    )
    return compile_model(model, sized(model, config))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "width", "side"), [("resnet18", 8, 64), ("resnet50", 4, 32)])
def test_a_residual_network_gives_every_code_in_the_predicted_cycles(name, width, side, tmp_path):
    model = reduced_model(name, width, side)
    program, codes = program_of(model, 1024), generated_codes(model, 2)
    assert len(program.layers) > len(model.layers)  # bands
    comparison = compare(model, codes, run_streamed(program, codes, tmp_path, latency=50).run)
    assert comparison.passed, comparison


@pytest.mark.slow
def test_vgg_small_leaves_every_code_in_cocotbext_axis_memory(tmp_path):
    model = reduced_model("vgg-small", 8, 16)
    program, codes = program_of(model, 256), generated_codes(model, 1)
    assert len(program.layers) > len(model.layers)  # bands
    records = reference.run(model, codes)
    classes = records[-1].codes_out.reshape(1, -1).argmax(1)
    found, maps = run_network(program, StoredImages(codes=codes, classes=classes), tmp_path)
    assert list(found.values()) == ["passed"]
    for record in records[:-1]:
        np.testing.assert_array_equal(maps[record.layer.spec.name], record.codes_out[0])
