import json
import zipfile

import numpy as np
import pytest

from golden import archive, model_file, spec
from golden.spec import LayerSpec, Pool, QuantizedLayer, QuantizedModel


def layer_spec(**changes):
    values = {"name": "conv", "kind": "adder", "in_shape": (3, 9, 8), "out_channels": 5}
    values |= {"kernel": (3, 2), "stride": (2, 1), "padding": (1, 0), "in_zero_point": 7}
    return LayerSpec(**values | changes)


def pool(side, kind="max"):
    return Pool(kind=kind, kernel=(side, side), stride=(side, side))


def quantized(layer, seed=0):
    rng = np.random.default_rng(seed)
    lowest, highest = layer.weight_limits
    count = layer.out_channels
    return QuantizedLayer(
        spec=layer,
        weight=rng.integers(lowest, highest + 1, layer.weight_shape),
        bias=rng.integers(-(2**40), 2**40, count),
        mult=rng.integers(-(2**15), 2**15, count),
        shift=rng.integers(0, 45, count),
        residual_mult=rng.integers(-9, 9, count) if layer.residual else None,
    )


def following(before, **changes):
    """A spec that takes the map of `before`, flattened."""
    values = {"name": "fc", "kind": "mac", "out_channels": 2, "source": before.name}
    values |= {"in_shape": (int(np.prod(before.out_shape)), 1, 1)}
    values |= {"in_width": before.out_width, "in_zero_point": before.out_zero_point}
    return LayerSpec(**values | changes)


def model(**metadata):
    """A convolution, one of the same size whose map is added to the first's, a linear layer."""
    first = layer_spec(out_width=6, out_zero_point=8, padding=(1, 1), stride=(1, 1), kernel=(3, 3))
    second = layer_spec(
        **{"name": "conv2", "source": "conv", "in_shape": (5, 9, 8), "in_width": 6},
        **{"in_zero_point": 8, "drop": (2,), "width": 4, "padding": (1, 1), "stride": (1, 1)},
        **{"kernel": (3, 3), "residual": "conv", "residual_zero_point": 8, "pool": pool(4, "mean")},
    )
    layers = (first, second, following(second, width=8))
    return QuantizedModel(
        name="m",
        layers=tuple(map(quantized, layers, range(3))),
        input_scale=0.005,
        input_zero_point=7,
        metadata=metadata,
    )


def assert_same(got, wanted):
    assert [layer.spec for layer in got.layers] == [layer.spec for layer in wanted.layers]
    values, others = vars(got) | {"layers": 0}, vars(wanted) | {"layers": 0}
    assert values == others
    for layer, other in zip(got.layers, wanted.layers, strict=True):
        for name in spec.ARRAYS:
            value = getattr(layer, name)
            assert value.dtype == np.int64 and not value.flags.writeable
            np.testing.assert_array_equal(value, getattr(other, name))


def test_shapes_follow_from_the_spec():
    layer = layer_spec(pool=pool(2))
    assert layer.map_shape == (5, 7)
    assert layer.out_shape == (5, 2, 3)
    assert layer.matrix_shape(images=4) == (4 * 35, 18, 5)


def test_the_accumulator_limit_is_reached_by_the_extreme_codes():
    assert layer_spec(width=2, in_zero_point=0).accumulator_limit == 18 * 3
    assert layer_spec(kind="mac", width=2, in_zero_point=0).accumulator_limit == 18 * 3 * 2


def test_a_saved_model_comes_back_whole(tmp_path):
    model_file.save(model(seed=3), tmp_path / "a.npz")
    assert_same(model_file.load(tmp_path / "a.npz"), model(seed=3))


def test_equal_models_make_identical_files_and_leave_no_temporary_file(tmp_path):
    model_file.save(model(), tmp_path / "a.npz")
    model_file.save(model_file.load(tmp_path / "a.npz"), tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        assert {entry.date_time[0] for entry in archive.infolist()} == {1980}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npz", "b.npz"]


@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 0.9999])
def test_a_truncated_file_is_refused(tmp_path, share):
    path = tmp_path / "a.npz"
    model_file.save(model(), path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ValueError, match="truncated or not an"):
        model_file.load(path)


@pytest.mark.slow
def test_a_file_with_any_byte_changed_is_refused_or_reads_the_same(tmp_path):
    path = tmp_path / "a.npz"
    model_file.save(model(), path)
    whole = path.read_bytes()
    for position in range(0, len(whole), 7):
        damaged = bytearray(whole)
        damaged[position] ^= 0x55
        path.write_bytes(damaged)
        try:
            loaded = model_file.load(path)
        except ValueError:
            continue
        assert_same(loaded, model())


def rewrite_header(path, **changes):
    members = archive.load_arrays(path)
    header = json.loads(bytes(members["header"])) | changes
    members["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    archive.save_arrays(members, path)


def test_another_version_is_refused_with_the_remedy(tmp_path):
    model_file.save(model(), tmp_path / "a.npz")
    rewrite_header(tmp_path / "a.npz", version=99)
    with pytest.raises(ValueError, match="version must be 2, not 99; quantize the network again"):
        model_file.load(tmp_path / "a.npz")


def test_a_header_that_does_not_fit_the_arrays_is_refused(tmp_path):
    model_file.save(model(), tmp_path / "a.npz")
    rewrite_header(tmp_path / "a.npz", layers=[])
    with pytest.raises(ValueError, match="not a consistent quantized model"):
        model_file.load(tmp_path / "a.npz")


def test_another_npz_is_no_model(tmp_path):
    np.savez(tmp_path / "a.npz", weight=np.zeros(3))
    with pytest.raises(ValueError, match="not a quantized model of AdderForge"):
        model_file.load(tmp_path / "a.npz")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file"):
        model_file.load(tmp_path / "nowhere.npz")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "cnn"}, "kind must be one of"),
        ({"width": 1}, "width must be 2 to 16 bits, not 1"),
        ({"width": 17}, "width must be 2 to 16 bits, not 17"),
        ({"in_zero_point": 256}, "in_zero_point must be a 8-bit code, not 256"),
        ({"stride": (0, 1)}, "stride must be 2 integers of at least 1"),
        ({"kernel": (12, 2)}, "does not fit"),
        ({"pool": pool(8)}, "does not fit"),
        ({"in_shape": (3, 9)}, "in_shape must be 3 integers of at least 1"),
        ({"drop": (1, 2)}, "drop must be one number of bits, or one for each of 3 channels, not 2"),
        ({"drop": (1,)}, "in_zero_point must be a multiple of"),
        ({"kind": "xnor"}, "width must be 1 to 1 bits, not 8"),
        ({"kind": "xnor", "width": 1, "drop": (1,)}, "xnor takes signs, so drop must be 0"),
    ],
)
def test_a_layer_that_cannot_be_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        layer_spec(**changes)


@pytest.mark.parametrize(("kind", "code"), [("adder", -1), ("adder", 256), ("mac", 128)])
def test_a_weight_outside_its_width_is_refused(kind, code):
    layer = layer_spec(kind=kind)
    weight = np.full(layer.weight_shape, code)
    ones = np.ones(layer.out_channels, np.int64)
    with pytest.raises(ValueError, match="weights must be from"):
        QuantizedLayer(spec=layer, weight=weight, bias=ones, mult=ones, shift=ones)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "min"}, "pool must be one of"),
        ({"kernel": (0, 2)}, "kernel must be 2 integers of at least 1"),
        ({"padding": (1, 2)}, "padding must be at most half the kernel"),
        ({"kind": "mean", "padding": (1, 1)}, "a mean must have no padding"),
    ],
)
def test_a_pooling_that_cannot_be_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        Pool(**{"kind": "max", "kernel": (2, 2), "stride": (2, 2)} | changes)


def test_a_mean_divides_by_the_next_power_of_two():
    seven = pool(7, "mean")
    assert (seven.shift, seven.gain) == (6, 49 / 64)
    assert (pool(4, "mean").shift, pool(4, "mean").gain) == (4, 1.0)
    assert (pool(3).shift, pool(3).gain) == (0, 1.0)


def test_channels_weigh_by_what_they_drop():
    layer = layer_spec(in_zero_point=0, drop=(1, 3, 2), width=4)
    assert layer.weigh == (0, 2, 1)
    assert layer.accumulator_limit == 6 * (1 + 4 + 2) * 15


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "conv"}, "must have a name of its own"),
        ({"source": "nowhere"}, "takes 'nowhere', which no layer before it gives"),
        ({"residual": "fc"}, "takes 'fc', which no layer before it gives"),
        ({"in_shape": (9, 1, 1)}, r"takes \(9, 1, 1\), but 'conv' gives \(5, 5, 7\)"),
        ({"in_width": 7}, "takes 7-bit codes with zero point 0, but 'conv' gives 8 and 0"),
        ({"residual": "conv"}, r"adds \(2, 1, 1\) with zero point 0, but 'conv' gives \(5, 5, 7\)"),
    ],
)
def test_layers_that_do_not_fit_each_other_are_refused(changes, message):
    first = layer_spec(in_zero_point=0)
    layers = (quantized(first), quantized(following(first, **changes)))
    with pytest.raises(ValueError, match=message):
        QuantizedModel(name="m", layers=layers, input_scale=1.0)


def test_a_model_by_shifts_holds_sums_of_two_powers():
    first = layer_spec(in_zero_point=0)
    arrays = {name: np.zeros(5, int) for name in ("bias", "shift")}
    weight = np.zeros(first.weight_shape, int)
    for mult, fits in (([0, 1, 3, 7, -96], True), ([0, 1, 3, 11, -96], False)):
        layer = QuantizedLayer(spec=first, weight=weight, mult=np.array(mult), **arrays)
        try:
            QuantizedModel(name="m", layers=(layer,), input_scale=1.0, requantize="shift")
        except ValueError as error:
            assert not fits and "mult must be sums of two signed powers of two" in str(error)
        else:
            assert fits


def test_signed_digits_are_the_least_number_of_powers():
    powers = [0, *(sign * 2**a for a in range(9) for sign in (1, -1))]
    pairs = {a + b for a in powers for b in powers}
    got = spec.signed_digits(np.arange(-200, 201))
    for value, digits in zip(range(-200, 201), got, strict=True):
        least = 0 if value == 0 else 1 if value in powers else 2 if value in pairs else 3
        assert min(digits, 3) == least
