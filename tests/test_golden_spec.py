import json
import zipfile

import numpy as np
import pytest

from golden import spec
from golden.spec import LayerSpec, QuantizedLayer, QuantizedModel


def layer_spec(**changes):
    values = {"name": "conv", "kind": "adder", "in_shape": (3, 9, 8), "out_channels": 5}
    values |= {"kernel": (3, 2), "stride": (2, 1), "padding": (1, 0), "in_zero_point": 7}
    return LayerSpec(**values | changes)


def quantized(layer, seed=0):
    rng = np.random.default_rng(seed)
    lowest = 0 if layer.kind == "adder" else -(2 ** (layer.width - 1))
    count = layer.out_channels
    return QuantizedLayer(
        spec=layer,
        weight=rng.integers(lowest, lowest + 2**layer.width, layer.weight_shape),
        bias=rng.integers(-(2**40), 2**40, count),
        mult=rng.integers(-(2**15), 2**15, count),
        shift=rng.integers(0, 45, count),
    )


def model(**metadata):
    first = layer_spec(out_width=6, out_zero_point=9, pool=2)
    shape = (int(np.prod(first.out_shape)), 1, 1)
    second = LayerSpec(
        name="fc", kind="mac", in_shape=shape, out_channels=2, width=6, in_zero_point=9
    )
    layers = (quantized(first), quantized(second, seed=1))
    return QuantizedModel(name="m", layers=layers, input_scale=0.005, metadata=metadata)


def assert_same(got, wanted):
    assert [layer.spec for layer in got.layers] == [layer.spec for layer in wanted.layers]
    assert (got.name, got.input_scale) == (wanted.name, wanted.input_scale)
    assert got.metadata == wanted.metadata
    for layer, other in zip(got.layers, wanted.layers, strict=True):
        for name in spec.ARRAYS:
            value = getattr(layer, name)
            assert value.dtype == np.int64 and not value.flags.writeable
            np.testing.assert_array_equal(value, getattr(other, name))


def test_shapes_follow_from_the_spec():
    layer = layer_spec(pool=2)
    assert layer.map_shape == (5, 7)
    assert layer.out_shape == (5, 2, 3)
    assert layer.matrix_shape(images=4) == (4 * 35, 18, 5)


def test_the_accumulator_limit_is_reached_by_the_extreme_codes():
    assert layer_spec(width=2, in_zero_point=0).accumulator_limit == 18 * 3
    assert layer_spec(kind="mac", width=2, in_zero_point=0).accumulator_limit == 18 * 3 * 2


def test_a_saved_model_comes_back_whole(tmp_path):
    spec.save(model(seed=3), tmp_path / "a.npz")
    assert_same(spec.load(tmp_path / "a.npz"), model(seed=3))


def test_equal_models_make_identical_files_and_leave_no_temporary_file(tmp_path):
    spec.save(model(), tmp_path / "a.npz")
    spec.save(spec.load(tmp_path / "a.npz"), tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        assert {entry.date_time[0] for entry in archive.infolist()} == {1980}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npz", "b.npz"]


@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 0.9999])
def test_a_truncated_file_is_refused(tmp_path, share):
    path = tmp_path / "a.npz"
    spec.save(model(), path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ValueError, match="truncated or not an"):
        spec.load(path)


def test_a_file_with_any_byte_changed_is_refused_or_reads_the_same(tmp_path):
    path = tmp_path / "a.npz"
    spec.save(model(), path)
    whole = path.read_bytes()
    for position in range(0, len(whole), 7):
        damaged = bytearray(whole)
        damaged[position] ^= 0x55
        path.write_bytes(damaged)
        try:
            loaded = spec.load(path)
        except ValueError:
            continue
        assert_same(loaded, model())


def rewrite_header(path, **changes):
    members = spec.load_arrays(path)
    header = json.loads(bytes(members["header"])) | changes
    members["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    spec.save_arrays(members, path)


def test_another_version_is_refused_with_the_remedy(tmp_path):
    spec.save(model(), tmp_path / "a.npz")
    rewrite_header(tmp_path / "a.npz", version=99)
    with pytest.raises(ValueError, match="version must be 1, not 99; quantize the network again"):
        spec.load(tmp_path / "a.npz")


def test_a_header_that_does_not_fit_the_arrays_is_refused(tmp_path):
    spec.save(model(), tmp_path / "a.npz")
    rewrite_header(tmp_path / "a.npz", layers=[])
    with pytest.raises(ValueError, match="not a consistent quantized model"):
        spec.load(tmp_path / "a.npz")


def test_another_npz_is_no_model(tmp_path):
    np.savez(tmp_path / "a.npz", weight=np.zeros(3))
    with pytest.raises(ValueError, match="not a quantized model of AdderForge"):
        spec.load(tmp_path / "a.npz")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file"):
        spec.load(tmp_path / "nowhere.npz")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "cnn"}, "kind must be one of"),
        ({"width": 1}, "width must be 2 to 16 bits, not 1"),
        ({"width": 17}, "width must be 2 to 16 bits, not 17"),
        ({"in_zero_point": 256}, "in_zero_point must be a 8-bit code, not 256"),
        ({"stride": (0, 1)}, "stride must be 2 integers of at least 1"),
        ({"kernel": (12, 2)}, "does not fit"),
        ({"pool": 8}, "does not fit"),
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


def test_layers_that_do_not_fit_each_other_are_refused():
    first, second = model().layers
    with pytest.raises(ValueError, match="takes"):
        QuantizedModel(name="m", layers=(second, first), input_scale=1.0)
