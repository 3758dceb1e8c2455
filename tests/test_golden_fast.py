"""The fast path and the certificates against the reference, on layers of every kind."""

from dataclasses import replace

import numpy as np
import pytest

from golden import fast, reference
from golden.certificate import certify
from golden.spec import LayerSpec, QuantizedLayer, QuantizedModel


def one_layer(kind="adder", width=8, drop=(0,), seed=0, **changes):
    """A model of one layer with random weights, the extremes among them."""
    rng = np.random.default_rng(seed)
    in_width = 1 if kind == "xnor" else min(16, width + max(drop))
    values = {"kernel": (3, 2), "stride": (2, 1), "padding": (1, 2), "in_width": in_width}
    values |= {"in_zero_point": 2 ** max(drop) if in_width > max(drop) else 0}
    spec = LayerSpec(
        **{"name": "l", "kind": kind, "in_shape": (3, 8, 7), "out_channels": 5, "drop": drop},
        **{"width": 1 if kind == "xnor" else width} | values | changes,
    )
    low, high = spec.weight_limits
    weight = rng.integers(low, high + 1, spec.weight_shape)
    weight[0], weight[1] = low, high
    ones = np.ones(5, np.int64)
    layer = QuantizedLayer(spec=spec, weight=weight, bias=ones, mult=ones, shift=ones)
    return QuantizedModel(
        name="m", layers=(layer,), input_scale=1.0, input_width=spec.in_width,
        input_zero_point=spec.in_zero_point,
    )  # fmt: skip


def codes_of(model, images=3, seed=1):
    """Random codes, and images of the extremes."""
    highest = 2**model.input_width - 1
    codes = np.random.default_rng(seed).integers(0, highest + 1, (images, *model.in_shape))
    codes[0], codes[1] = 0, highest
    return codes


@pytest.mark.parametrize("kind", ["adder", "mac", "xnor"])
@pytest.mark.parametrize("width", [2, 8, 13, 16])
@pytest.mark.parametrize("drop", [(0,), (2,), (0, 2, 1)])
def test_the_fast_sums_are_the_references(kind, width, drop):
    if kind == "xnor":
        drop = (0,)
    if width == 16:
        drop = (0,) * len(drop)
    model = one_layer(kind, width, drop)
    codes = codes_of(model)
    wanted = reference.run(model, codes)[0]
    got = fast.run(model, codes)[0]
    np.testing.assert_array_equal(got.accumulators, wanted.accumulators)
    np.testing.assert_array_equal(got.codes_out, wanted.codes_out)


@pytest.mark.parametrize("k", [32896, 32897, 40000])
def test_sums_beyond_float32_are_exact_too(k):
    spec = LayerSpec(name="l", kind="adder", in_shape=(k, 1, 1), out_channels=1)
    one = np.ones(1, np.int64)
    weight = np.zeros(spec.weight_shape, np.int64)
    layer = QuantizedLayer(spec=spec, weight=weight, bias=one, mult=one, shift=one)
    codes = np.full((1, k, 1, 1), 255)
    codes[0, 0] = 254
    assert fast.accumulate(layer, codes).item() == 255 * k - 1


def test_an_empty_batch_has_no_sums():
    model = one_layer()
    codes = np.zeros((0, 3, 8, 7), np.int64)
    assert fast.accumulate(model.layers[0], codes).shape == (0, 5, 4, 10)


@pytest.mark.parametrize("kind", ["adder", "mac", "xnor"])
@pytest.mark.parametrize("drop", [(0,), (0, 2, 1)])
def test_the_certified_extremes_are_reached_and_not_exceeded(kind, drop):
    drop = (0,) if kind == "xnor" else drop
    model = one_layer(kind, 4, drop, kernel=(8, 7), padding=(0, 0), stride=(1, 1))
    (proof,) = certify(model)
    spec, weight = model.layers[0].spec, model.layers[0].weight
    top = 2**spec.in_width - 1
    worst = {
        "adder": [np.where(weight >= 8, 0, top)],
        "mac": [np.where(weight < 0, top, 0), np.where(weight > 0, top, 0)],
        "xnor": [1 - weight, weight],
    }[kind]
    codes = np.concatenate([*worst, codes_of(model, 200)])
    sums = reference.run(model, codes, certificates=[proof])[0].accumulators
    assert sums.max() == proof.highest
    assert sums.min() == proof.lowest or kind == "adder"
    assert proof.bits <= proof.by_shape_bits
    held = (
        (-(2 ** (proof.bits - 1)), 2 ** (proof.bits - 1) - 1)
        if proof.signed
        else (0, 2**proof.bits - 1)
    )
    assert held[0] <= proof.lowest and proof.highest <= held[1]
    assert not held[1] // 2 >= proof.highest or not held[0] // 2 <= proof.lowest


def test_a_sum_outside_its_certificate_is_an_overflow():
    model = one_layer()
    (proof,) = certify(model)
    small = replace(proof, highest=proof.lowest + 1)
    with pytest.raises(OverflowError, match="layer 'l': sums must be from 0 to 1, not from"):
        reference.run(model, codes_of(model), certificates=[small])


@pytest.mark.parametrize("kind", ["adder", "mac", "xnor"])
def test_the_requantizers_products_stay_within_their_bits(kind):
    rng = np.random.default_rng(0)
    model = one_layer(kind, 4)
    spec = replace(model.layers[0].spec, residual="image", residual_zero_point=1)
    spec = replace(spec, kernel=(1, 1), padding=(0, 0), stride=(1, 1), in_shape=(5, 8, 7))
    arrays = {name: rng.integers(-999, 1000, 5) for name in ("bias", "mult", "residual_mult")}
    low, high = spec.weight_limits
    weight = rng.integers(low, high + 1, spec.weight_shape)
    layer = QuantizedLayer(spec=spec, weight=weight, shift=rng.integers(0, 9, 5), **arrays)
    model = replace(model, layers=(layer,), input_zero_point=1)
    (proof,) = certify(model)
    record = reference.run(model, codes_of(model, 50))[0]
    signed = -record.accumulators if kind == "adder" else record.accumulators
    column = {name: getattr(layer, name).reshape(-1, 1, 1) for name in (*arrays, "shift")}
    total = (column["bias"] + signed) * column["mult"]
    total = total + (record.codes_in - 1) * column["residual_mult"]
    total = total + np.where(column["shift"] > 0, 2 ** np.maximum(column["shift"] - 1, 0), 0)
    assert np.abs(total).max() < 2 ** (proof.product_bits - 1)
    assert np.abs(total).max() > 2 ** (proof.product_bits - 4)
