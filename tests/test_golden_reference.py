from dataclasses import replace

import numpy as np
import pytest
import torch

from golden import reference
from golden.layers import AdderConv2d
from golden.spec import LayerSpec, Pool, QuantizedLayer, QuantizedModel


def layer(weight, bias=0, mult=1, shift=0, **changes):
    weight = np.asarray(weight, np.int64)
    count = len(weight)
    values = {"name": "conv", "kind": "adder", "out_channels": count, "kernel": weight.shape[2:]}
    constants = {"bias": bias, "mult": mult, "shift": shift}
    arrays = {name: np.broadcast_to(value, count) for name, value in constants.items()}
    return QuantizedLayer(spec=LayerSpec(**values | changes), weight=weight, **arrays)


def random_layer(kind, seed=0, **changes):
    rng = np.random.default_rng(seed)
    lowest = 0 if kind == "adder" else -128
    weight = rng.integers(lowest, lowest + 256, (5, 3, 3, 2))
    values = {"in_shape": (3, 8, 7), "stride": (2, 1), "padding": (1, 2), "in_zero_point": 9}
    return layer(weight, kind=kind, **values | changes)


@pytest.mark.parametrize(
    ("value", "shift", "wanted"),
    [
        *[(5, 0, 5), (-5, 0, -5), (5, 1, 3), (-5, 1, -2), (-6, 2, -1), (-7, 2, -2), (6, 2, 2)],
        *[(2**61, 44, 2**17), (-(2**61), 44, -(2**17)), (-1, 44, 0)],
    ],
)
def test_halves_round_upward(value, shift, wanted):
    assert reference.round_half_up(np.array(value), np.array(shift)) == wanted


def test_a_hand_worked_adder_layer():
    one = layer([[[[1, 250]]]], bias=300, mult=3, shift=2, in_shape=(1, 1, 3), out_zero_point=10)
    codes = np.array([[[[0, 255, 249]]]])
    sad = [[1 + 5, 254 + 1]]
    assert reference.accumulate(one, codes).tolist() == [[sad]]
    # (300 - 6) 3 / 4 = 220.5 and (300 - 255) 3 / 4 = 33.75
    assert reference.requantize(one, np.array([[sad]])).tolist() == [[[[221 + 10, 34 + 10]]]]


def test_a_hand_worked_mac_layer():
    one = layer([[[[-128, 127]]]], bias=4, mult=-1, shift=1, kind="mac", in_shape=(1, 1, 3))
    codes = np.array([[[[255, 255, 0]]]])
    dot = [[-255, -32640]]
    assert reference.accumulate(one, codes).tolist() == [[dot]]
    assert reference.requantize(one, np.array([[dot]])).tolist() == [[[[126, 255]]]]


def test_codes_saturate_at_both_ends():
    one = layer([[[[0]]]], bias=100, in_shape=(1, 1, 1), out_width=4, out_zero_point=3)
    sads = np.array([0, 87, 88, 89, 103, 104, 10**6]).reshape(-1, 1, 1, 1)
    assert reference.requantize(one, sads).ravel().tolist() == [15, 15, 15, 14, 0, 0, 0]


def test_padding_has_the_code_of_zero():
    spec = layer([[[[0] * 3]]], in_shape=(1, 1, 2), padding=(0, 1), in_zero_point=7).spec
    rows = reference.unfold(np.array([[[[1, 2]]]]), spec)
    assert rows.tolist() == [[7, 1, 2], [1, 2, 7]]


def test_the_matrix_form_is_in_channel_row_column_order():
    spec = layer(np.zeros((1, 2, 2, 2)), in_shape=(2, 2, 3)).spec
    rows = reference.unfold(np.arange(12).reshape(1, 2, 2, 3), spec)
    assert rows.tolist() == [[0, 1, 3, 4, 6, 7, 9, 10], [1, 2, 4, 5, 7, 8, 10, 11]]


def window(side, kind="max", **changes):
    return Pool(**{"kind": kind, "kernel": (side, side), "stride": (side, side)} | changes)


def pooled(codes, pool, zero=0):
    values = {
        "kind": "adder",
        "in_shape": codes.shape[1:],
        "out_channels": 1,
        "out_zero_point": zero,
    }
    return reference.pool(codes, LayerSpec(name="l", pool=pool, **values)).tolist()


def test_pooling_takes_the_maximum_and_drops_the_incomplete_edge():
    codes = np.arange(15).reshape(1, 1, 3, 5)
    assert pooled(codes, window(2)) == [[[[6, 8]]]]
    assert pooled(codes, None) == codes.tolist()
    overlapping = window(3, stride=(2, 2), padding=(1, 1))
    assert pooled(codes, overlapping) == [[[[6, 8, 9], [11, 13, 14]]]]


def test_a_mean_is_rounded_half_up_after_division_by_a_power_of_two():
    codes = np.array([[[[1, 2, 3], [4, 0, 9], [8, 7, 7]]]])
    assert pooled(codes, window(2, "mean")) == [[[[2]]]]  # 7 / 4
    assert pooled(codes, window(3, "mean")) == [[[[3]]]]  # 41 / 16
    assert pooled(codes, window(3, "mean"), zero=6) == [[[[5]]]]  # (41 - 54) / 16 + 6
    assert pooled(codes, window(1, "mean"), zero=6) == codes.tolist()


def test_low_bits_are_rounded_off_by_channel_and_count_again_in_the_sum():
    weight = np.array([[[[3]], [[1]]]])
    one = layer(weight, in_shape=(2, 1, 1), width=2, in_width=4, drop=(1, 2))
    codes = np.array([[[[7]], [[5]]], [[[15]], [[15]]], [[[0]], [[0]]]])
    operands = [[3, 1], [3, 3], [0, 0]]  # 7/2 and 15/2, 15/4 saturate at 3
    assert reference.unfold(codes, one.spec).tolist() == operands
    assert reference.accumulate(one, codes).ravel().tolist() == [0, 4, 3 + 2]


def test_an_xnor_layer_counts_matches_minus_mismatches_and_padding_adds_nothing():
    weight = np.array([[[[1, 0, 1]]]])
    one = layer(weight, kind="xnor", width=1, in_shape=(1, 1, 2), padding=(0, 1), in_zero_point=100)
    codes = np.array([[[[100, 99]]]])  # signs + -
    assert reference.accumulate(one, codes).ravel().tolist() == [-1 - 1, 1 + 1]


def test_an_added_map_is_scaled_and_counts_from_its_zero_point():
    one = layer([[[[0]]]], bias=20, mult=3, shift=1, in_shape=(1, 1, 1), residual_zero_point=5)
    spec = replace(one.spec, residual="image")
    added = replace(one, spec=spec, residual_mult=np.array([4]))
    # ((20 - 6) 3 + (9 - 5) 4) / 2 = 29
    got = reference.requantize(added, np.array([[[[6]]]]), np.array([[[[9]]]]))
    assert got.tolist() == [[[[29]]]]


def test_an_adder_layer_is_the_float_layer_on_codes():
    one = random_layer("adder")
    codes = np.random.default_rng(1).integers(0, 256, (4, 3, 8, 7))
    conv = AdderConv2d(3, 5, (3, 2), (2, 1), (1, 2)).double()
    conv.weight.data = torch.from_numpy(one.weight - 9.0)
    wanted = -conv(torch.from_numpy(codes - 9.0)).detach().numpy()
    np.testing.assert_array_equal(reference.accumulate(one, codes), wanted)


def test_a_mac_layer_is_a_convolution_of_codes_with_padding():
    one = random_layer("mac")
    codes = np.random.default_rng(1).integers(0, 256, (4, 3, 8, 7))
    padded = np.pad(codes, ((0, 0), (0, 0), (1, 1), (2, 2)), constant_values=9)
    wanted = torch.nn.functional.conv2d(
        torch.tensor(padded).double(), torch.tensor(one.weight).double(), stride=(2, 1)
    )
    np.testing.assert_array_equal(reference.accumulate(one, codes), wanted.numpy())


@pytest.mark.parametrize("kind", ["adder", "mac"])
@pytest.mark.parametrize("width", [2, 16])
def test_extreme_codes_reach_the_accumulator_limit(kind, width):
    weight = (
        np.zeros((1, 2, 2, 2)) if kind == "adder" else np.full((1, 2, 2, 2), -(2 ** (width - 1)))
    )
    one = layer(weight, kind=kind, in_shape=(2, 2, 2), width=width)
    codes = np.full((1, 2, 2, 2), 2**width - 1)
    assert abs(reference.accumulate(one, codes)) == one.spec.accumulator_limit


def small_model(kind="adder"):
    rng = np.random.default_rng(0)
    low, high = (0, 256) if kind == "adder" else (-128, 128)
    first = random_layer(kind, bias=3000, mult=77, shift=13, out_zero_point=4, pool=window(2))
    wide = np.prod(first.spec.out_shape)
    last = layer(
        rng.integers(low, high, (10, wide, 1, 1)),
        kind=kind,
        in_shape=(int(wide), 1, 1),
        shift=8,
        source="conv",
        name="fc",
        in_zero_point=4,
        out_width=16,
        out_zero_point=2**15,
    )
    return QuantizedModel(name="m", layers=(first, last), input_scale=0.01, input_zero_point=9)


def test_records_fit_each_other():
    codes = np.random.default_rng(2).integers(0, 256, (3, 3, 8, 7))
    first, last = reference.run(small_model(), codes)
    np.testing.assert_array_equal(first.codes_in, codes)
    np.testing.assert_array_equal(last.codes_in.ravel(), first.codes_out.ravel())
    assert first.accumulators.shape == (3, 5, *first.layer.spec.map_shape)
    assert last.codes_out.shape == (3, 10, 1, 1)


def test_encoding_rounds_half_up_and_saturates():
    model = small_model()
    values = np.array([-100, -0.09, 0, 0.005, 0.0149, 2.46, 9]) + 1e-12
    images = np.zeros((1, 3, 8, 7))
    images.flat[:7] = values
    assert reference.encode(model, images).flat[:7].tolist() == [0, 0, 9, 10, 10, 255, 255]


def test_images_are_classified_the_same_in_any_batches(monkeypatch):
    images = np.random.default_rng(3).normal(0.5, 1, (7, 3, 8, 7))
    whole = reference.classify(small_model("mac"), images)
    monkeypatch.setattr(reference, "BATCH", 3)
    np.testing.assert_array_equal(reference.classify(small_model("mac"), images), whole)
    assert whole.shape == (7,) and len(set(whole)) > 1


def test_an_empty_batch_has_no_classes():
    assert reference.classify(small_model(), np.zeros((0, 3, 8, 7))).shape == (0,)


def test_bad_images_and_codes_are_refused():
    model = small_model()
    with pytest.raises(ValueError, match="images must be finite numbers"):
        reference.classify(model, np.full((1, 3, 8, 7), np.nan))
    with pytest.raises(ValueError, match="codes must be from 0 to 255, not from 89 to 256"):
        reference.run(model, np.arange(168).reshape(1, 3, 8, 7) + 89)
    with pytest.raises(ValueError, match=r"codes must be integers of shape \(N, 3, 8, 7\)"):
        reference.run(model, np.zeros((1, 3, 7, 8), np.int64))
    with pytest.raises(ValueError, match=r"codes must be integers"):
        reference.run(model, np.zeros((1, 3, 8, 7)))
