"""Matrix forms of a small hand-made model against plain loops over positions and kernels."""

import itertools

import numpy as np
import pytest

from golden.spec import LayerSpec, Pool, QuantizedLayer, QuantizedModel
from hw.config import ArrayConfig
from hw.schedule import Schedule
from sim.job import FormResult, read_job, read_results, write_job, write_results
from sim.workload import check_fit, for_array, generated_forms, matrix_forms

PLAIN = {"stride": (1, 1), "padding": (0, 0)}
STRIDED = {"stride": (2, 1), "padding": (1, 2)}


def layer(rng, **values):
    spec = LayerSpec(width=4, in_width=4, out_width=4, **values)
    lowest = 0 if spec.kind == "adder" else -8
    count = spec.out_channels
    return QuantizedLayer(
        spec=spec,
        weight=rng.integers(lowest, lowest + 16, spec.weight_shape),
        bias=rng.integers(40, 60, count),
        mult=np.full(count, 3),
        shift=np.full(count, 3),
    )


def model_of(kind, geometry):
    """A convolution of 2 × 5 × 4 activations, pooled, and a fully connected layer behind it."""
    rng = np.random.default_rng(7)
    conv = layer(
        rng,
        name="conv",
        kind=kind,
        in_shape=(2, 5, 4),
        out_channels=3,
        kernel=(3, 2),
        in_zero_point=5,
        out_zero_point=2,
        pool=Pool(kind="max", kernel=(2, 2), stride=(2, 2)),
        **geometry,
    )
    features = int(np.prod(conv.spec.out_shape))
    full = layer(
        rng,
        name="full",
        kind="mac",
        source="conv",
        in_shape=(features, 1, 1),
        out_channels=4,
        in_zero_point=2,
    )
    return QuantizedModel(
        name="tiny", layers=(conv, full), input_scale=1.0, input_width=4, input_zero_point=5
    )


def codes_of(images=2):
    return np.random.default_rng(8).integers(0, 16, (images, 2, 5, 4))


def receptive_field(image, spec, row, col):
    """Codes under the kernel, in (channel, kernel row, kernel column) order."""
    channels, height, width = spec.in_shape
    field = []
    for channel, i, j in itertools.product(range(channels), *map(range, spec.kernel)):
        y = row * spec.stride[0] + i - spec.padding[0]
        x = col * spec.stride[1] + j - spec.padding[1]
        inside = 0 <= y < height and 0 <= x < width
        field.append(int(image[channel, y, x]) if inside else spec.in_zero_point)
    return field


def plain_sums(kind, fields, filters):
    term = {
        "adder": lambda x, f: abs(x - f),
        "mac": lambda x, f: x * f,
        "min": lambda x, f: abs(x - f) - f,
        "square": lambda x, f: (x - f) * (x - f),
        "xnor": lambda x, f: x ^ f,
    }[kind]
    return [
        [sum(map(term, field, filter.ravel().tolist())) for filter in filters] for field in fields
    ]


@pytest.mark.parametrize("kind", ["adder", "mac"])
@pytest.mark.parametrize("geometry", [PLAIN, STRIDED], ids=["plain", "strided"])
def test_a_convolution_is_the_plain_loops_matrix_form(kind, geometry):
    model, codes = model_of(kind, geometry), codes_of()
    form, _ = matrix_forms(model, codes)
    spec = model.layers[0].spec
    positions = itertools.product(codes, *map(range, spec.map_shape))
    fields = [receptive_field(image, spec, row, col) for image, row, col in positions]
    assert (form.name, form.shape) == ("conv", spec.matrix_shape(images=2))
    np.testing.assert_array_equal(form.activations, fields)
    np.testing.assert_array_equal(form.sums, plain_sums(kind, fields, model.layers[0].weight))


def test_a_fully_connected_layer_takes_what_the_layer_before_gave():
    """Requantization and pooling of the first layer by hand-written loops."""
    model, codes = model_of("adder", STRIDED), codes_of()
    conv, form = matrix_forms(model, codes)
    first, spec = model.layers[0], model.layers[0].spec
    codes_out = [
        [
            min(max(((b - total) * 3 + 4 >> 3) + 2, 0), 15)
            for b, total in zip(first.bias.tolist(), row, strict=True)
        ]
        for row in conv.sums.tolist()
    ]
    maps = np.reshape(codes_out, (2, *spec.map_shape, 3))
    channels, rows, cols = spec.out_shape
    pooled = [
        [
            maps[image, 2 * r : 2 * r + 2, 2 * c : 2 * c + 2, channel].max()
            for channel, r, c in itertools.product(range(channels), range(rows), range(cols))
        ]
        for image in range(2)
    ]
    assert (form.name, form.shape) == ("full", (2, channels * rows * cols, 4))
    assert len(np.unique(pooled)) > 3
    np.testing.assert_array_equal(form.activations, pooled)
    wanted = plain_sums("mac", form.activations.tolist(), model.layers[1].weight)
    np.testing.assert_array_equal(form.sums, wanted)


@pytest.mark.parametrize(
    ("pe", "kind"),
    [
        *[(pe, "adder") for pe in ("complement", "two_adder", "compare_swap")],
        *[(pe, pe) for pe in ("mac", "min", "xnor", "square")],
    ],
)
@pytest.mark.parametrize(("rows", "cols", "lanes", "depth"), [(1, 1, 1, 1), (3, 2, 4, 9)])
def test_generated_forms_fit_the_array_and_their_sums_are_plain_sums(
    pe, kind, rows, cols, lanes, depth
):
    config = ArrayConfig(width=5, rows=rows, cols=cols, lanes=lanes, depth=depth).twin(pe)
    low, count = -16 if pe == "mac" else 0, 2**config.width
    forms = list(generated_forms(config))
    for form in forms:
        Schedule(shape=form.shape, config=config)
        assert form.activations.min() >= 0 and form.activations.max() < count
        assert form.weights.min() >= low and form.weights.max() < low + count
        sums = plain_sums(kind, form.activations.tolist(), form.weights)
        np.testing.assert_array_equal(form.sums, sums)
    assert max(form.shape[1] for form in forms) == depth
    assert any(min(Schedule(shape=f.shape, config=config).tiles) > 1 for f in forms)


@pytest.mark.parametrize(
    ("pe", "first", "second"),
    [("complement", 150, 150), ("mac", -1200, 0), ("min", 150, 0), ("square", 2250, 2250)],
)
def test_generated_forms_start_with_the_largest_sums(pe, first, second):
    config = ArrayConfig(pe=pe, width=4, depth=10)
    highest, lowest, *_ = (form.sums.tolist() for form in generated_forms(config))
    assert (highest, lowest) == ([[first]], [[second]])


def test_a_layers_sums_on_a_min_array_are_less_by_the_filters_weights():
    model, codes = model_of("adder", PLAIN), codes_of()
    form, _ = matrix_forms(model, codes)
    [on_adders] = for_array([form], ArrayConfig(width=4))
    [on_minima] = for_array([form], ArrayConfig(pe="min", width=4))
    np.testing.assert_array_equal(on_adders.sums, form.sums)
    wanted = plain_sums("min", form.activations.tolist(), model.layers[0].weight)
    np.testing.assert_array_equal(on_minima.sums, wanted)


def test_kinds_that_no_layer_has_run_no_model():
    with pytest.raises(ValueError, match=r"^tiny cannot run on pe 'square'"):
        check_fit(model_of("adder", PLAIN), ArrayConfig(pe="square", width=4, depth=64))


def signs_of(padding):
    """A binary layer on 1 × 4 × 4 activations."""
    shape = {"in_shape": (1, 4, 4), "out_channels": 3, "kernel": (3, 3), "padding": padding}
    spec = LayerSpec(
        name="signs", kind="xnor", width=1, in_width=4, in_zero_point=5, out_width=8, **shape
    )
    ones = np.ones(3, int)
    weight = np.random.default_rng(2).integers(0, 2, spec.weight_shape)
    made = QuantizedLayer(spec=spec, weight=weight, bias=ones, mult=ones, shift=ones)
    return QuantizedModel(
        name="binary", layers=(made,), input_scale=1.0, input_width=4, input_zero_point=5
    )


def test_a_binary_layer_gives_an_xnor_array_signs_and_mismatches():
    model, codes = signs_of((0, 0)), np.random.default_rng(3).integers(0, 16, (2, 1, 4, 4))
    config = ArrayConfig(pe="xnor", width=1, depth=9)
    check_fit(model, config)
    [form] = for_array(matrix_forms(model, codes), config)
    assert set(form.activations.flatten()) == {0, 1}
    wanted = plain_sums("xnor", form.activations.tolist(), model.layers[0].weight)
    np.testing.assert_array_equal(form.sums, wanted)


def test_a_padded_binary_layer_does_not_fit_an_xnor_array():
    with pytest.raises(ValueError, match=r"^layer 'signs' of binary must have no padding for pe"):
        check_fit(signs_of((1, 0)), ArrayConfig(pe="xnor", width=1, depth=9))


def test_generated_forms_are_the_same_for_the_same_seed():
    config = ArrayConfig(width=4, rows=2, cols=2, depth=6)
    first, same, other = (list(generated_forms(config, seed))[-1] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.activations, same.activations)
    assert not np.array_equal(first.activations, other.activations)


def test_a_job_is_read_as_it_was_written(tmp_path):
    config = ArrayConfig(pe="mac", width=3, rows=2, cols=2, depth=5)
    forms = list(generated_forms(config))
    write_job(tmp_path / "job.npz", config, forms)
    read_config, read_forms = read_job(tmp_path / "job.npz")
    assert read_config == config
    for form, read in zip(forms, read_forms, strict=True):
        assert (read.name, read.shape) == (form.name, form.shape)
        for field in ("activations", "weights", "sums"):
            np.testing.assert_array_equal(getattr(read, field), getattr(form, field))


@pytest.mark.parametrize("first", [None, (3, 1, 20, 21)])
def test_results_are_read_as_they_were_written(tmp_path, first):
    figures = {"compared": 6, "mismatches": 0, "cycles": 5, "predicted_cycles": 5}
    result = FormResult(name="x", shape=(3, 1, 2), first_mismatch=first, leftover_rows=0, **figures)
    write_results(tmp_path, [result, result])
    assert read_results(tmp_path) == [result, result]


@pytest.mark.parametrize("wrong", [{"mismatches": 1}, {"cycles": 6}, {"leftover_rows": -1}])
def test_a_form_passes_only_if_sums_cycles_and_rows_are_right(wrong):
    right = dict.fromkeys(("compared", "mismatches", "leftover_rows"), 0)
    right |= {"name": "x", "shape": (1, 1, 1), "first_mismatch": None}
    right |= {"cycles": 5, "predicted_cycles": 5}
    assert FormResult(**right).passed
    assert not FormResult(**right | wrong).passed
