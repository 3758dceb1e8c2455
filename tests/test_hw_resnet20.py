"""ResNet-20 compiled: its memories, its cycles, and what its ordinary ends take of them."""

import numpy as np
import pytest

from golden.spec import LayerSpec, Pool, QuantizedLayer, QuantizedModel
from hw.accelerator_config import AcceleratorConfig
from hw.allocation import sized
from hw.config import ArrayConfig
from hw.program import compile_model, memory_map


def residual_layers(kind):
    """The fields of LayerSpec that make ResNet-20 on CIFAR-10, layer after layer."""
    wide = {"kernel": (3, 3), "padding": (1, 1), "kind": kind}
    yield wide | {"name": "conv1", "kind": "mac", "out_channels": 16}
    block_input = "conv1"
    for stage, channels in enumerate((16, 32, 64), 1):
        for block in range(3):
            name, shrinks = f"layer{stage}.{block}", stage > 1 and block == 0
            stride = {"stride": (2, 2) if shrinks else (1, 1)}
            first, second = f"{name}.conv1", f"{name}.conv2"
            common = wide | {"out_channels": channels}
            yield common | stride | {"name": first, "source": block_input}
            added = {} if shrinks else {"residual": block_input}
            last = stage == 3 and block == 2
            mean = {"pool": Pool(kind="mean", kernel=(8, 8), stride=(8, 8))} if last else {}
            yield common | {"name": second, "source": first} | added | mean
            if shrinks:
                down = {
                    "kernel": (1, 1),
                    "padding": (0, 0),
                    "residual": second,
                    "name": f"{name}.down",
                }
                yield common | stride | down | {"source": block_input}
                second = f"{name}.down"
            block_input = second
    yield {"name": "fc", "kind": "mac", "out_channels": 10, "source": block_input, "out_width": 16}


def resnet20(kind):
    """With weights and constants that are all alike."""
    shapes, layers = {"image": (3, 32, 32)}, []
    for fields in residual_layers(kind):
        fields = {"source": "image", "width": 1 if fields["kind"] == "xnor" else 8} | fields
        spec = LayerSpec(in_shape=shapes[fields["source"]], **fields)
        shapes[spec.name] = spec.out_shape
        ones = np.ones(spec.out_channels, np.int64)
        weight = np.zeros(spec.weight_shape, np.int64)
        residual = {"residual_mult": ones} if spec.residual else {}
        layers.append(
            QuantizedLayer(spec=spec, weight=weight, bias=ones, mult=ones, shift=ones, **residual)
        )
    return QuantizedModel(name="resnet20", layers=tuple(layers), input_scale=1.0)


def program_of(kind, pe, lanes=1, depth=2**14, width=8, pipeline=0):
    model = resnet20(kind)
    array = ArrayConfig(
        **{"pe": pe, "width": width, "rows": 16, "cols": 16, "lanes": lanes, "depth": depth},
        dataflow="weight-stationary",
        pipeline=pipeline,
    )
    return compile_model(model, sized(model, AcceleratorConfig(array=array, map_width=8)))


@pytest.mark.parametrize(
    ("kind", "pe", "cycles", "of_the_ends"),
    [
        ("adder", "complement", 187_811, 9 * 3 * 1024 + 561),
        ("mac", "mac", 162_723, 3 * 1024 + 49),
        ("xnor", "complement", 187_811, 9 * 3 * 1024 + 561),
    ],
)
def test_resnet20_on_16_by_16_pes_takes_these_cycles(kind, pe, cycles, of_the_ends):
    program = program_of(kind, pe)
    assert program.interval == cycles
    assert program.layers[0].cycles + program.layers[-1].cycles == of_the_ends


def test_a_pipeline_adds_twelve_cycles_to_each_layer_of_resnet20():
    assert program_of("adder", "complement", pipeline=1).interval == 187_811 + 12 * 21


def test_resnet20_with_binary_pes_takes_most_of_its_cycles_for_its_ends():
    program = program_of("xnor", "xnor", lanes=2, depth=2**22, width=1)
    assert program.interval == 385_379
    assert program.layers[0].cycles == 72 * 3 * 1024


def test_three_maps_of_the_first_stage_are_all_that_resnet20_needs_at_once():
    program = program_of("adder", "complement")
    assert program.config.activation_words == 3 * 1024
    assert memory_map(program).splitlines()[1] == "activation           3072     3072"
