"""Reduced ResNet-18, ResNet-50 and VGG-small, end to end with maps and weights in an external
memory: every code, class and cycle."""

import numpy as np
import pytest

from golden import reference
from golden.spec import QuantizedModel
from hw.accelerator_config import AcceleratorConfig
from hw.allocation import sized
from hw.config import ArrayConfig
from hw.program import compile_model
from hw.shell.self_test import StoredImages
from sim.accelerator_check import compare
from sim.external_run import build_hardware, run_streamed
from sim.generated_models import generated_codes
from sim.network_models import reduced_model
from sim.network_run import run_network


def config_of(model: QuantizedModel, words: int) -> AcceleratorConfig:
    array = ArrayConfig(
        rows=2, cols=2, lanes=8, depth=2**17, positions=256, dataflow="weight-stationary"
    )
    return sized(model, AcceleratorConfig(array=array, external="maps", activation_words=words))


@pytest.mark.slow
def test_resnet_50_and_resnet_18_give_every_code_in_the_predicted_cycles(tmp_path):
    """One after the other on the hardware of the first, which has more layers."""
    models = [reduced_model("resnet50", 4, 64), reduced_model("resnet18", 8, 64)]
    config = config_of(models[0], 1024)
    programs = [compile_model(model, config) for model in models]
    hardware = build_hardware(programs[0], tmp_path)
    for model, program in zip(models, programs, strict=True):
        assert len(program.layers) > len(model.layers)  # bands
        codes = generated_codes(model, 2)
        done = run_streamed(program, codes, tmp_path, latency=50, hardware=hardware)
        comparison = compare(model, codes, done.run)
        assert comparison.passed, comparison


@pytest.mark.slow
def test_vgg_small_leaves_every_code_in_cocotbext_axis_memory(tmp_path):
    model = reduced_model("vgg-small", 8, 16)
    program, codes = compile_model(model, config_of(model, 256)), generated_codes(model, 1)
    assert len(program.layers) > len(model.layers)  # bands
    records = reference.run(model, codes)
    classes = records[-1].codes_out.reshape(1, -1).argmax(1)
    found, maps = run_network(program, StoredImages(codes=codes, classes=classes), tmp_path)
    assert list(found.values()) == ["passed"]
    for record in records[:-1]:
        np.testing.assert_array_equal(maps[record.layer.spec.name], record.codes_out[0])
