"""Programs: what they hold, what is refused, and that the twin that runs them gives the integer
reference's maps."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from golden import reference
from golden.model_file import load
from golden.spec import Pool
from hw.accelerator_config import AcceleratorConfig
from hw.allocation import needed_words, sized
from hw.config import ArrayConfig
from hw.descriptor import Transfer
from hw.interpreter import interpret
from hw.loops import steps, walk
from hw.program import compile_model, memory_map
from sim.generated_models import generated_codes, generated_model

FIXTURES = Path(__file__).parent.parent / "fixtures"

PE = {"adder": "complement", "mac": "mac"}
ENDS = {"kind": "mac"}
NETWORKS = {
    "one layer": ((3, 2, 2), [{"flatten": True, "out_channels": 3}]),
    "stride, padding, pooling": (
        (1, 7, 5),
        [
            {"out_channels": 5, "kernel": (3, 2), "padding": (1, 1), "pool": (2, 2)},
            {"out_channels": 3, "kernel": (2, 3), "padding": (0, 2), "stride": (2, 3)},
            {"out_channels": 11, "flatten": True},
        ],
    ),
    "groups of channels": (
        (9, 4, 3),
        [
            {"out_channels": 10, "kernel": (2, 2), "padding": (1, 1), "stride": (2, 1)},
            {"out_channels": 7, "kernel": (3, 3), "pool": (1, 2), "padding": (1, 1)},
            {"out_channels": 2, "flatten": True},
        ],
    ),
    "windows that share rows and columns": (
        (2, 9, 8),
        [
            {
                **{"out_channels": 5, "kernel": (3, 3), "padding": (1, 1)},
                "pool": Pool(kind="max", kernel=(3, 3), stride=(2, 2), padding=(1, 1)),
            },
            {
                **{"out_channels": 5, "residual": "layer0"},
                "pool": Pool(kind="mean", kernel=(2, 2), stride=(1, 1)),
            },
            {"out_channels": 11, "flatten": True},
        ],
    ),
    "an image for two layers": (
        (2, 5, 4),
        [
            {"out_channels": 2, "kernel": (5, 4)},
            {"out_channels": 3, "kernel": (3, 3), "pool": (3, 2), "source": "image"},
            {"out_channels": 4, "flatten": True},
        ],
    ),
    "added maps and means": (
        (5, 4, 6),
        [
            {"out_channels": 5, "kernel": (3, 3), "padding": (1, 1), "residual": "image"},
            {"out_channels": 9, "kernel": (1, 2), "stride": (2, 2)},
            {
                **{"source": "layer0", "out_channels": 9, "kernel": (3, 3), "padding": (1, 1)},
                **{"stride": (2, 2), "residual": "layer1", "mean": (2, 3)},
            },
            {"out_channels": 9, "residual": "layer2"},
            {"out_channels": 3},
        ],
    ),
    "ordinary ends": (
        (3, 6, 4),
        [
            ENDS | {"out_channels": 5, "kernel": (3, 3), "padding": (1, 1)},
            {"out_channels": 5, "kernel": (3, 3), "padding": (1, 1)},
            {"out_channels": 5, "kernel": (3, 3), "padding": (1, 1), "residual": "layer0"},
            {"out_channels": 9, "kernel": (3, 3), "padding": (1, 1), "stride": (2, 2)},
            {
                **{"out_channels": 9, "source": "layer2", "stride": (2, 2)},
                **{"residual": "layer3", "mean": (3, 2)},
            },
            ENDS | {"out_channels": 9, "residual": "layer4"},
            ENDS | {"out_channels": 3},
        ],
    ),
    "fewer bits than are stored": (
        (3, 3, 2),
        [
            {"out_channels": 5, "kernel": (3, 3), "padding": (1, 1), "out_zero_point": 48},
            {
                **{"out_channels": 5, "kernel": (3, 3), "padding": (1, 1), "residual": "layer0"},
                **{"width": 4, "drop": (4,), "out_zero_point": 32},
            },
            {"out_channels": 9, "width": 4, "drop": (4,), "out_width": 4, "out_zero_point": 5},
            {"out_channels": 3, "width": 3, "in_width": 4, "flatten": True},
        ],
    ),
    "fully connected": (
        (5, 1, 1),
        [{"out_channels": 9}, {"out_channels": 17}, {"out_channels": 6}],
    ),
}


def config_of(kind="adder", rows=2, cols=2, lanes=2, requantize="multiply", depth=2**14, **sizes):
    array = ArrayConfig(
        **{"pe": PE.get(kind, kind), "width": 1 if kind == "xnor" else 8},
        **{"rows": rows, "cols": cols, "lanes": lanes, "depth": depth},
        dataflow="weight-stationary",
    )
    return AcceleratorConfig(array=array, requantize=requantize, **sizes)


def network(name, kind="adder", **changes):
    shape, layers = NETWORKS[name]
    return generated_model(kind, shape, layers, **changes)


def check_twin(model, config, count=2):
    codes = generated_codes(model, count)
    program, records = compile_model(model, sized(model, config)), reference.run(model, codes)
    for index in range(count):
        answer, maps = interpret(program, codes[index])
        for record in records:
            wanted = record.codes_out[index]
            np.testing.assert_array_equal(maps[record.layer.spec.name], wanted)
        assert answer == records[-1].codes_out[index].argmax()


def test_a_walk_goes_by_its_steps():
    counts, strides, value = (3, 1, 2, 4), (2, 50, 7, -30), 11
    added, values = steps(counts, strides), []
    turns = [0] * 4
    for _ in range(24):
        values.append(value)
        level = next((i for i in range(4) if turns[i] < counts[i] - 1), 0)
        turns[level] += 1
        turns[:level] = [0] * level
        value += added[level]
    assert walk(counts, strides, 11).tolist() == values


@pytest.mark.parametrize("kind", PE)
@pytest.mark.parametrize("sizes", [(2, 2, 2), (1, 1, 4), (3, 3, 1), (4, 4, 4)])
@pytest.mark.parametrize("name", NETWORKS)
def test_the_twin_gives_every_map_of_the_reference(name, sizes, kind):
    rows, cols, lanes = sizes
    check_twin(network(name, kind), config_of(kind, rows, cols, lanes))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["complement", "mac", "xnor"])
@pytest.mark.parametrize(
    "name", ["groups of channels", "stride, padding, pooling", "ordinary ends"]
)
def test_the_twin_runs_binary_layers(name, kind):
    lanes = 4 if kind == "xnor" else 2
    config = config_of(kind, lanes=lanes, depth=2**22, map_width=8)
    check_twin(network(name, "xnor"), config)


def test_narrow_arrays_run_layers_with_ordinary_ends_whose_maps_have_more_bits():
    layers = [
        {"kind": "mac", "out_channels": 4, "width": 4, "drop": (4,), "out_zero_point": 64},
        {"out_channels": 4, "width": 4, "drop": (4,), "residual": "layer0", "out_zero_point": 16},
        {"kind": "mac", "out_channels": 4, "width": 3, "drop": (4,)},
    ]
    model = generated_model("adder", (3, 1, 1), layers, seed=zero_multiple(16))
    array = ArrayConfig(width=4, rows=2, cols=2, depth=2**10, dataflow="weight-stationary")
    check_twin(model, AcceleratorConfig(array=array, map_width=8), count=9)


@pytest.mark.parametrize(
    ("kind", "pe", "width"),
    [("adder", "adder", 4), ("mac", "adder", 4), ("mac", "mac", 4), ("mac", "xnor", 1)],
)
def test_a_zero_point_that_no_operand_can_be_adds_nothing_where_channels_fill_up_a_word(
    kind, pe, width
):
    layers = [{"kind": kind, "out_channels": 3, "width": 4, "drop": (2,)}]
    model = generated_model(kind, (3, 1, 1), layers, zero_point=200)
    config = config_of(pe, depth=2**20, map_width=8)
    array = config.array.model_copy(update={"width": width, "lanes": 4})
    check_twin(model, replace(config, array=array), count=9)


def zero_multiple(of):
    """A seed whose image has such a zero point."""
    zeros = (np.random.default_rng(seed).integers(0, 256) for seed in range(1000))
    return next(seed for seed, zero in enumerate(zeros) if zero % of == 0)


@pytest.mark.parametrize("kind", PE)
@pytest.mark.parametrize("name", ["groups of channels", "added maps and means"])
def test_the_twin_runs_models_for_a_requantizer_that_only_shifts(name, kind):
    model = network(name, kind, requantize="shift")
    check_twin(model, config_of(kind, requantize="shift"))


@pytest.mark.parametrize("kind", ["adder", "cnn"])
@pytest.mark.parametrize("sizes", [(4, 4, 4), (16, 16, 1)])
def test_the_twin_runs_lenet(kind, sizes):
    model = load(FIXTURES / f"lenet5-bn-digits-{kind}.npz")
    rows, cols, lanes = sizes
    config = config_of("mac" if kind == "cnn" else kind, rows, cols, lanes)
    check_twin(model, config, count=1)


def test_an_image_is_unfolded_along_its_rows_when_a_row_of_the_kernel_fits_a_word():
    model = network("stride, padding, pooling")
    program = compile_model(model, config_of())
    codes, zero = np.arange(35).reshape(1, 7, 5), model.input_zero_point
    words = program.image_words(codes)
    assert program.image.shape == (2, 7, 6)
    assert words[:2].tolist() == [[zero, 0, zero, zero], [0, 1, zero, zero]]
    assert words[-1].tolist() == [34, zero, zero, zero]
    assert [layer.folds for layer in program.layers][:2] == [3, 2 * 2 * 3]


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (np.zeros((1, 5, 7), int), r"an image must be codes of \(1, 7, 5\), not \(1, 5, 7\)"),
        (np.zeros((2, 1, 7, 5), int), r"an image must be codes of \(1, 7, 5\), not \(2, 1, 7, 5\)"),
        (np.full((1, 7, 5), 256), "an image's codes must be from 0 to 255, not from 256 to 256"),
        (np.full((1, 7, 5), -1), "an image's codes must be from 0 to 255, not from -1 to -1"),
    ],
)
def test_an_image_of_another_shape_or_range_is_refused(codes, message):
    program = compile_model(network("stride, padding, pooling"), config_of())
    with pytest.raises(ValueError, match=message):
        program.image_words(codes)


def test_maps_take_words_that_are_free_again():
    program = compile_model(network("fully connected"), config_of())
    places = [program.image, *(layer.target for layer in program.layers if layer.target)]
    assert [(place.base, place.words) for place in places] == [(0, 2), (2, 3), (5, 5)]


def test_the_map_of_the_memories():
    text = memory_map(compile_model(network("fully connected"), config_of()))
    assert text.splitlines() == [
        "memory               used    words",
        "activation             10     2048",
        "weight                104     8192",
        "constant               17      256",
        "",
        "map                       shape           words",
        "image                 5 × 1 × 1           0 – 1",
        "layer0                9 × 1 × 1           2 – 4",
        "layer1               17 × 1 × 1           5 – 9",
        "",
        "layer            takes             tiles × folds         weights       constants",
        "layer0           image                     5 × 2          0 – 19           0 – 4",
        "layer1           layer0                    9 × 3         20 – 73          5 – 13",
        "layer2           layer1                    3 × 5        74 – 103         14 – 16",
    ]


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        (
            {"activation_words": 9},
            "generated adder needs 10 activation_words, but the accelerator has 9; set "
            "activation_words to at least 10",
        ),
        (
            {"weight_words": 103},
            "generated adder needs 104 weight_words, but the accelerator has 103; set "
            "weight_words to at least 104",
        ),
        (
            {"constant_words": 16},
            "generated adder needs 17 constant_words, but the accelerator has 16; set "
            "constant_words to at least 17",
        ),
        (
            {"requantize": "shift"},
            "generated adder has multipliers for requantize 'multiply', but the accelerator can "
            "only shift; quantize the model with requantize 'shift'",
        ),
    ],
)
def test_what_does_not_fit_is_refused_with_the_numbers(sizes, message):
    with pytest.raises(ValueError) as error:
        compile_model(network("fully connected"), config_of(**sizes))
    assert str(error.value) == message


WHERE = "layer 'layer0' of generated adder"


@pytest.mark.parametrize(
    ("array", "message"),
    [
        ({"pe": "mac"}, f"{WHERE} must be of kind 'mac' or 'xnor' for pe 'mac', not 'adder'"),
        (
            {"width": 7},
            f"{WHERE} needs width 8, but the array has width 7; set width to at least 8",
        ),
        (
            {"pe": "xnor", "width": 1, "lanes": 4},
            f"{WHERE} must be of kind 'xnor' or 'mac' for pe 'xnor', not 'adder'",
        ),
        (
            {"depth": 5},
            f"{WHERE} needs reduction 6, but the array has depth 5; set depth to at least 6",
        ),
        (
            {"positions": 35},
            f"{WHERE} needs positions 36, but the array has positions 35; set positions to at "
            "least 36",
        ),
    ],
)
def test_what_the_array_cannot_run_is_refused_with_the_numbers(array, message):
    values = {"rows": 2, "cols": 2, "lanes": 2, "dataflow": "weight-stationary"}
    config = AcceleratorConfig(array=ArrayConfig(**values | array))
    with pytest.raises(ValueError) as error:
        compile_model(network("stride, padding, pooling"), config)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("layer", "rule"),
    [
        ({"out_channels": 2, "kernel": (1, 1)}, "must give a 1 × 1 map without pooling"),
        (
            {"out_channels": 2, "kernel": (3, 3), "width": 6, "drop": (1, 2)},
            "must drop as many bits of all channels, not 1 to 2",
        ),
        (
            {"out_channels": 2, "pool": Pool(kind="max", kernel=(3, 3), stride=(1, 1))},
            r"must pool with a kernel of at most its stride \+ 1, and then with padding below the "
            r"stride, not \(3, 3\), stride \(1, 1\), padding \(0, 0\)",
        ),
        (
            {
                "out_channels": 2,
                "pool": Pool(kind="max", kernel=(2, 2), stride=(1, 1), padding=(1, 1)),
            },
            "must pool with a kernel of at most its stride",
        ),
        (
            {"kind": "mac", "out_channels": 2, "kernel": (3, 3)},
            "needs sums of 20 bits, but the array's have 18 for depth 1000; set depth to at least "
            "2049",
        ),
    ],
)
def test_layers_that_are_not_supported_yet_are_refused(layer, rule):
    model = generated_model("adder", (2, 3, 3), [layer], seed=zero_multiple(4))
    with pytest.raises(ValueError, match=rule):
        compile_model(model, config_of(depth=1000))


def test_a_last_layer_that_adds_the_image_is_refused_unless_the_image_lies_elsewhere():
    layers = [{"out_channels": 2}, {"out_channels": 2, "residual": "image"}]
    model = generated_model("adder", (2, 1, 1), layers)
    with pytest.raises(ValueError) as error:
        compile_model(model, config_of())
    assert str(error.value) == (
        "layer 'layer1' of generated adder is the last and must not add the image, which the next "
        "one takes the place of by then; add it in a layer before"
    )
    check_twin(model, config_of(external="maps"))


def test_the_depth_that_is_asked_for_is_enough_for_every_layer():
    layers = [{"out_channels": 20, "kernel": (3, 3)}, {"out_channels": 2, "flatten": True}]
    layers = [layer | {"kind": "mac"} for layer in layers]
    model = generated_model("adder", (2, 5, 5), layers)
    with pytest.raises(ValueError, match=r"'layer1' .* needs sums of 24 bits") as refusal:
        compile_model(model, config_of(depth=1000))
    compile_model(model, config_of(depth=int(str(refusal.value).rsplit(" ", 1)[1])))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"cols": 3}, "the channels of a word, 4, must be a multiple of cols, 3"),
        (
            {"pe": "xnor", "width": 1, "lanes": 3},
            "lanes must be even for pe 'xnor', two for each channel, not 3",
        ),
        (
            {"dataflow": "output-stationary"},
            "dataflow of an accelerator's array must be 'weight-stationary', not "
            "'output-stationary'",
        ),
        (
            {"pe": "square"},
            "pe of an accelerator must be one of complement, two_adder, compare_swap, mac, xnor, "
            "not 'square'",
        ),
    ],
)
def test_arrays_that_make_no_accelerator_are_refused(values, message):
    array = {"rows": 2, "cols": 2, "lanes": 2, "dataflow": "weight-stationary"} | values
    with pytest.raises(ValueError) as error:
        AcceleratorConfig(array=ArrayConfig(**array))
    assert str(error.value) == message


def test_sizes_of_an_accelerator_are_checked():
    with pytest.raises(ValueError, match="weight_words must be at least 1, not 0"):
        config_of(weight_words=0)
    with pytest.raises(ValueError, match="constant_words must be at most 67108864, not 1000000000"):
        config_of(constant_words=10**9)
    with pytest.raises(ValueError, match="map_width must be 8 to 16 bits, not 7"):
        config_of(map_width=7)
    with pytest.raises(ValueError, match="requantize must be 'multiply' or 'shift', not 'divide'"):
        config_of(requantize="divide")


@pytest.mark.parametrize("kind", PE)
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("more", [0, 7, 1000])
def test_the_twin_gives_every_map_from_bands_of_rows_too(name, kind, more):
    model = network(name, kind)
    config = config_of(kind, external="maps", activation_words=1)
    config = replace(config, activation_words=sized(model, config).activation_words + more)
    codes = generated_codes(model, 1)
    program, records = compile_model(model, config), reference.run(model, codes)
    assert needed_words(program.layers)["activation_words"] <= config.activation_words
    _, maps = interpret(program, codes[0])
    for record in records:
        np.testing.assert_array_equal(maps[record.layer.spec.name], record.codes_out[0])


def test_a_memory_for_less_than_a_row_of_maps_is_refused():
    model = network("groups of channels")
    with pytest.raises(ValueError) as error:
        compile_model(model, config_of(external="maps", activation_words=20))
    assert str(error.value) == (
        "layer 'layer0' needs 52 activation_words for a row of its maps, but the accelerator has "
        "20; set activation_words to at least 52"
    )


def test_bands_are_as_few_and_as_equal_as_the_memory_allows():
    model = network("stride, padding, pooling")
    config = config_of(external="maps", activation_words=45)
    first, second, *_ = compile_model(model, config).layers
    assert first.size == (4, 6) and second.size == (2, 6)  # windows of 2 rows
    assert first.fetch == Transfer(at=0, place=0, words=30)  # rows −1 to 4, of 6 words
    assert second.fetch == Transfer(at=18, place=0, words=24)  # rows 3 to 6
    assert second.store == Transfer(at=42, place=30, words=12)
    array = config.array.model_copy(update={"positions": 35})
    layers = compile_model(model, config_of(external="maps", activation_words=60)).layers
    fewer = replace(config, array=array, activation_words=60)
    assert (len(layers), len(compile_model(model, fewer).layers)) == (3, 4)
