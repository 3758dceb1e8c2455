"""Exported networks, run by onnxruntime, against the reference: equal, code for code."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from click.testing import CliRunner
from onnx import inliner

from adderforge.cli import main
from golden import model_file, reference
from golden.onnx_export import onnx_model, save_onnx
from golden.spec import LayerSpec, Pool, QuantizedLayer, QuantizedModel

FIXTURES = Path(__file__).parent.parent / "fixtures"
ADDER = FIXTURES / "lenet5-bn-digits-adder.npz"


def session_of(proto):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    content = proto.SerializeToString()
    return onnxruntime.InferenceSession(content, options, ["CPUExecutionProvider"])


def assert_equal(model, codes):
    """Every layer's map is the reference's."""
    session = session_of(onnx_model(model, codes=True, all_layers=True))
    got = session.run(None, {"image": codes})
    names = [output.name for output in session.get_outputs()]
    assert names == [layer.spec.name for layer in model.layers]
    for record, values in zip(reference.run(model, codes), got, strict=True):
        assert values.dtype == np.int64
        np.testing.assert_array_equal(values, record.codes_out)


def one_layer(kind="adder", width=8, drop=(0,), seed=0, **changes):
    """A layer with random integers, extreme weights among them, whose codes do not all clamp."""
    rng = np.random.default_rng(seed)
    in_width = 1 if kind == "xnor" else min(16, width + max(drop))
    values = {"kernel": (3, 2), "stride": (2, 1), "padding": (1, 2), "in_width": in_width}
    values |= {"in_zero_point": 2 ** max(drop) if in_width > max(drop) else 0}
    values |= {"in_shape": (3, 8, 7), "out_channels": 5, "out_zero_point": 100, "drop": drop}
    values |= {"width": 1 if kind == "xnor" else width} | changes
    shape = LayerSpec(**{"name": "l", "kind": kind} | values)
    low, high = shape.weight_limits
    weight = rng.integers(low, high + 1, shape.weight_shape)
    weight[0], weight[1] = low, high
    filters = shape.out_channels
    shift = shape.accumulator_limit.bit_length() + rng.integers(-2, 4, filters)
    bias = rng.integers(-shape.accumulator_limit, shape.accumulator_limit + 1, filters)
    arrays = {"bias": bias, "mult": rng.integers(-999, 1000, filters), "shift": shift}
    if shape.residual:
        arrays["residual_mult"] = rng.integers(1, 2 ** shift.min(), filters)
    return QuantizedLayer(spec=shape, weight=weight, **arrays)


def model_of(*layers, **changes):
    first = layers[0].spec
    values = {"input_width": first.in_width, "input_zero_point": first.in_zero_point}
    return QuantizedModel(**{"name": "m", "layers": layers, "input_scale": 0.1} | values | changes)


def codes_of(model, images=3, seed=1):
    """Random codes, with images of the extremes."""
    highest = 2**model.input_width - 1
    codes = np.random.default_rng(seed).integers(0, highest + 1, (images, *model.in_shape))
    codes[1:2], codes[2:3] = 0, highest
    return codes


@pytest.mark.parametrize("kind", ["adder", "mac", "xnor"])
@pytest.mark.parametrize(
    ("width", "drop"), [(2, (0,)), (8, (0,)), (8, (0, 2, 1)), (13, (3,)), (16, (0,))]
)
def test_a_layer_of_every_kind_and_width_is_the_references(kind, width, drop):
    model = model_of(one_layer(kind, width, (0,) if kind == "xnor" else drop))
    assert_equal(model, codes_of(model, 9))


@pytest.mark.parametrize("images", [0, 1, 3])
@pytest.mark.parametrize("kind", ["adder", "mac", "xnor"])
def test_any_number_of_images_is_run(kind, images):
    for pool in (Pool(kind="max", kernel=(2, 2), stride=(2, 2)), None):
        model = model_of(one_layer(kind, pool=pool))
        assert_equal(model, codes_of(model, images))


def test_operands_saturate_where_codes_have_more_bits():
    model = model_of(one_layer(width=4, in_width=7, drop=(1, 2, 0), in_zero_point=4))
    assert_equal(model, codes_of(model, 9))


@pytest.mark.parametrize(
    "pool",
    [
        Pool(kind="max", kernel=(3, 2), stride=(2, 1), padding=(1, 1)),
        Pool(kind="max", kernel=(2, 3), stride=(1, 2)),
        Pool(kind="mean", kernel=(3, 3), stride=(1, 2)),
        Pool(kind="mean", kernel=(2, 2), stride=(2, 2)),
        Pool(kind="mean", kernel=(1, 1), stride=(1, 1)),
    ],
)
@pytest.mark.parametrize("out_zero_point", [0, 128, 255])
def test_pools_are_the_references(pool, out_zero_point):
    model = model_of(one_layer(pool=pool, out_zero_point=out_zero_point))
    assert_equal(model, codes_of(model, 9))


@pytest.mark.parametrize("shift", [0, 1, 2, 40])
def test_halves_of_negative_numbers_round_upward(shift):
    weight = np.array([[1], [-1]]).reshape(2, 1, 1, 1)
    shape = {"in_shape": (1, 1, 1), "out_channels": 2, "out_zero_point": 128}
    each = np.ones(2, np.int64)
    layer = QuantizedLayer(
        spec=LayerSpec(name="l", kind="mac", **shape),
        weight=weight, bias=0 * each, mult=each << max(shift - 2, 0), shift=shift * each,
    )  # fmt: skip
    assert_equal(model_of(layer), np.arange(256).reshape(-1, 1, 1, 1))


@pytest.mark.parametrize("kind", ["adder", "mac"])
@pytest.mark.parametrize("factor", [1, 2**8, 2**26])
@pytest.mark.parametrize("width", [1, 8, 16])
def test_numbers_far_outside_the_codes_are_clamped(kind, factor, width):
    layer = one_layer(kind, 16, out_width=width, out_zero_point=1)
    mult = factor * np.array([1, -1, 3, -1, 1])
    shift = np.array([0, 0, 1, 3, 8])
    sums = reference.accumulate(layer, codes_of(model_of(layer), 9))
    bias = np.median(sums, (0, 2, 3)).astype(np.int64) * (1 if kind == "adder" else -1)
    model = model_of(replace(layer, mult=mult, shift=shift, bias=bias))
    assert_equal(model, codes_of(model, 9))


def whole_network(requantize="multiply", seed=0):
    """Every kind, both pools, a residual of the image and of another map, one-bit codes, 16-bit
    ones, and a map taken as vectors twice."""
    same = {"kernel": (3, 3), "padding": (1, 1), "stride": (1, 1)}
    whole = {"kernel": (2, 2), "padding": (0, 0), "stride": (1, 1)}
    wide = {"out_width": 16, "out_zero_point": 2**15}
    vector = {"kernel": (1, 1), "padding": (0, 0), "stride": (1, 1), "in_shape": (10, 1, 1)}
    vector |= {"in_width": 16, "in_zero_point": 2**15, "source": "signs", "out_channels": 4}
    overlapping = Pool(kind="max", kernel=(3, 3), stride=(2, 2), padding=(1, 1))
    layers = (
        one_layer(
            "mac", 7, (1, 0, 2), seed, **same, name="stem", in_shape=(3, 7, 6), out_channels=3,
            in_width=9, in_zero_point=8, residual="image", residual_zero_point=8, out_zero_point=17,
        ),
        one_layer(
            "adder", 8, (0,), seed + 1, **same, name="block.1", source="stem", in_shape=(3, 7, 6),
            in_zero_point=17, out_channels=3, residual="stem", residual_zero_point=17,
            out_zero_point=9, pool=overlapping,
        ),
        one_layer(
            "adder", 16, (0,), seed + 2, **whole, name="to signs", source="block.1", in_width=8,
            in_zero_point=9, in_shape=(3, 4, 3), out_channels=4, out_width=1, out_zero_point=1,
        ),
        one_layer(
            "xnor", 1, (0,), seed + 3, **same, **wide, name="signs", source="to signs",
            in_zero_point=1, in_shape=(4, 3, 2), out_channels=5,
            pool=Pool(kind="mean", kernel=(3, 1), stride=(1, 1)),
        ),
        one_layer("adder", 16, (0,), seed + 4, **vector, **wide, name="first fc"),
        one_layer("mac", 16, (0,), seed + 5, **vector, **wide, name="second fc"),
    )  # fmt: skip
    if requantize == "shift":
        rng = np.random.default_rng(seed)
        layers = tuple(replace(layer, **_powers(layer, rng)) for layer in layers)
    return model_of(*layers, requantize=requantize)


def _powers(layer, rng):
    """Multipliers that are sums of two signed powers of two."""
    high, low = rng.integers(4, 9, 2), rng.integers(0, 4, 2)
    mult = rng.choice([-1, 1], len(layer.mult)) * (2 ** high[0] - 2 ** low[0])
    residual = (layer.residual_mult > 0) * (2 ** high[1] + 2 ** low[1])
    return {"mult": mult, "residual_mult": residual}


@pytest.mark.parametrize("requantize", ["multiply", "shift"])
@pytest.mark.parametrize("seed", range(4))
def test_a_network_of_every_feature_is_the_references(requantize, seed):
    model = whole_network(requantize, seed)
    assert_equal(model, codes_of(model, 7, seed))


@pytest.mark.parametrize("k", [65793, 65794, 80000])
def test_sums_beyond_float32_are_exact(k):
    """The code is the sum's lowest bits."""
    shape = LayerSpec(name="l", kind="adder", in_shape=(k, 1, 1), out_channels=1)
    one, weight = np.ones(1, np.int64), np.zeros(shape.weight_shape, np.int64)
    bias = one * (255 * k + 3)
    layer = QuantizedLayer(spec=shape, weight=weight, bias=bias, mult=one, shift=0 * one)
    codes = np.full((1, k, 1, 1), 255)
    codes[0, 0] = 254
    assert reference.run(model_of(layer), codes)[0].codes_out.item() == 4
    assert_equal(model_of(layer), codes)


def up_to_two_to_the_53(drop):
    """An adder layer whose codes are the lowest bits of sums that may reach 65535 (1 + 2**drop)."""
    shape = LayerSpec(
        name="l", kind="adder", in_shape=(2, 1, 1), out_channels=1, width=16, in_width=16,
        drop=(0, drop),
    )  # fmt: skip
    weight, one = np.array([1, 65535]).reshape(shape.weight_shape), np.ones(1, np.int64)
    bias = one * (65535 * 2**drop + 10)
    layer = QuantizedLayer(spec=shape, weight=weight, bias=bias, mult=one, shift=0 * one)
    return model_of(layer)


@pytest.mark.parametrize("drop", [9, 20, 37])
def test_sums_up_to_the_largest_float64_are_exact(drop):
    model, codes = up_to_two_to_the_53(drop), np.arange(8).repeat(2).reshape(8, 2, 1, 1)
    assert reference.run(model, codes)[0].codes_out.ravel()[:3].tolist() == [9, 10, 9]
    assert_equal(model, codes)


def test_larger_sums_are_refused():
    with pytest.raises(
        ValueError, match="layer 'l': sums must be below 2\\*\\*53, but may reach 18"
    ):
        onnx_model(up_to_two_to_the_53(38))


@pytest.mark.parametrize("scale", [0.1, 1 / 3, 2.0**-7])
def test_images_are_encoded_as_in_the_reference(scale):
    model = model_of(one_layer(), input_scale=scale)
    shape = (9, *model.in_shape)
    images = scale * np.random.default_rng(0).integers(-20, 600, shape) / 2
    images = images.astype(np.float32)
    images[0, 0, 0, :3] = 1e30, -1e30, -0.0
    session = session_of(onnx_model(model))
    wanted = reference.run(model, reference.encode(model, images))[-1].codes_out
    np.testing.assert_array_equal(session.run(["l"], {"image": images})[0], wanted)


@pytest.mark.parametrize("kind", ["adder", "cnn"])
def test_the_fixtures_are_the_references(kind):
    model = model_file.load(FIXTURES / f"lenet5-bn-digits-{kind}.npz")
    images = np.load(FIXTURES / "digits-vectors.npz")["images"]
    codes = reference.encode(model, images)
    assert_equal(model, codes)
    (logits,) = session_of(onnx_model(model)).run(None, {"image": images})
    np.testing.assert_array_equal(
        logits.reshape(16, 10).argmax(1), reference.classify(model, images)
    )


def test_the_file_says_what_it_is():
    model = replace(whole_network(), name="net", metadata={"seed": 3, "data": "mnist"})
    proto = onnx_model(model)
    properties = {entry.key: entry.value for entry in proto.metadata_props}
    assert (proto.producer_name, proto.graph.name) == ("adderforge", "net")
    assert properties["name"] == "net" and properties["format_version"] == "2"
    assert json.loads(properties["metadata"]) == model.metadata
    assert float(properties["input_scale"]) == model.input_scale
    assert [output.name for output in proto.graph.output] == ["second fc"]
    assert proto.graph.output[0].doc_string == "16-bit codes, zero point 32768"
    layers = {node.name.split("/")[0] for node in proto.graph.node}
    assert layers == {"image", *(layer.spec.name for layer in model.layers)}


def test_equal_models_give_equal_bytes(tmp_path):
    for name in ("one.onnx", "two.onnx"):
        save_onnx(whole_network(), tmp_path / name)
    content = (tmp_path / "one.onnx").read_bytes()
    assert content == (tmp_path / "two.onnx").read_bytes()
    assert content != onnx_model(whole_network(seed=1)).SerializeToString(deterministic=True)


def test_functions_consist_of_standard_operators():
    proto = inliner.inline_local_functions(onnx_model(whole_network()))
    onnx.checker.check_model(proto, full_check=True)
    assert {node.domain for node in proto.graph.node} == {""} and not proto.functions


@pytest.mark.parametrize("name", ["a/b", ""])
def test_a_name_that_onnx_does_not_take_is_refused(name):
    with pytest.raises(ValueError, match=f"layer '{name}': an ONNX name must not be empty or have"):
        onnx_model(model_of(one_layer(name=name)))


@pytest.mark.parametrize(("extra", "bits"), [(0, 63), (1, 64)])
def test_products_that_int64_does_not_hold_are_refused(extra, bits):
    layer = one_layer()
    spread = {"mult": 0 * layer.mult + 1, "shift": 0 * layer.shift}
    layer = replace(layer, bias=0 * layer.bias + 2**61, **spread)
    model = model_of(replace(layer, mult=layer.mult << extra))
    if bits == 63:
        return assert_equal(model, codes_of(model))
    with pytest.raises(ValueError, match=f"layer 'l': products must fit 63 bits, but need {bits}"):
        onnx_model(model)


def call(*words):
    return CliRunner().invoke(main, ["export", *map(str, words)])


def test_the_command_writes_a_file_that_runs(tmp_path):
    out = tmp_path / "adder.onnx"
    result = call(ADDER, "--onnx", out, "--codes", "--all-layers", "--json")
    figures = json.loads(result.stdout)
    assert figures["bytes"] == out.stat().st_size and figures["opset"] == 18
    assert figures["outputs"] == ["conv1", "conv2", "fc1", "fc2", "fc3"]
    assert figures["nodes"] == len(onnx.load(out).graph.node)
    codes = np.zeros((2, 1, 32, 32), np.int64)
    assert session_of(onnx.load(out)).run(None, {"image": codes})[0].shape == (2, 6, 14, 14)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no.npz: no such file"),
        (b"PK", "no.npz: truncated or not an .npz file"),
        ((FIXTURES / "digits-vectors.npz").read_bytes(), "no.npz: not a quantized model of Adder"),
    ],
)
def test_a_bad_model_is_refused_in_one_line(tmp_path, monkeypatch, content, message):
    monkeypatch.chdir(tmp_path)
    if content:
        Path("no.npz").write_bytes(content)
    result = call("no.npz", "--onnx", "out.onnx")
    assert result.exit_code == 1 and not Path("out.onnx").exists()
    assert result.stderr.startswith(f"adderforge: error: {message}")
    assert result.stderr.count("\n") == 1


def test_a_missing_package_is_named_with_the_remedy(tmp_path):
    code = (
        "import sys; sys.modules['onnx'] = None; from adderforge.cli import main; "
        f"main(['export', {str(ADDER)!r}, '--onnx', {str(tmp_path / 'out.onnx')!r}])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    remedy = "onnx is not installed; run 'pip install adderforge[all]'"
    assert (done.returncode, done.stderr) == (1, f"adderforge: error: {remedy}\n")
    assert list(tmp_path.iterdir()) == []


def test_exporting_needs_no_pytorch():
    code = "import sys, golden.onnx_export; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
