"""The quality report: shares and ratios that can be worked out by hand."""

import json
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from torch import nn

from golden import quality
from golden.networks import Block, Chain, lenet5_bn
from golden.quantize import quantize_whole
from golden.recipe import Recipe


@cache
def small_lenet(kind, width=4):
    torch.manual_seed(0)
    images = np.random.default_rng(0).uniform(-0.1, 1.175, (20, 1, 32, 32)).astype(np.float32)
    network = lenet5_bn(kind)
    for block in network.blocks.values():
        block.norm.momentum = 1.0
        nn.init.uniform_(block.norm.bias, -1, 1)
    with torch.no_grad():
        network.train()(torch.tensor(images))
    return network.eval(), quantize_whole(network, images, Recipe(width=width)), images


def one_layer(weight):
    """ReLU(weight · x), by way of batch norm that changes nothing."""
    layer = nn.Conv2d(1, 1, 1, bias=False)
    layer.weight.data = torch.full((1, 1, 1, 1), float(weight))
    return Chain((1, 1, 4), {"only": Block(layer, nn.BatchNorm2d(1, eps=0.0))}).eval()


def read_as(made, **changes):
    """The same integers with another reading of the map's codes."""
    format = replace(made.formats["only"][0], **changes)
    return replace(made, formats=made.formats | {"only": (format, format)})


def test_the_ratio_is_that_of_the_map_to_its_error():
    network = one_layer(2)
    images = np.array([[[[0.0, 1.0, 2.0, 3.0]]]], np.float32)
    made = quantize_whole(network, images, Recipe(width=8))
    (exact,) = quality.measure(network, made, images)
    assert exact.snr_db is None or exact.snr_db > 80
    format = made.formats["only"][0]
    (tenth,) = quality.measure(network, read_as(made, scale=1.1 * format.scale), images)
    assert tenth.snr_db == pytest.approx(20, abs=0.05)  # an error of a tenth everywhere


def test_activations_beyond_the_codes_count_as_clipped_but_for_what_relu_cuts():
    network = one_layer(2)
    images = np.array([[[[-1.0, 1.0, 2.0, 3.0]]]], np.float32)
    made = quantize_whole(network, images, Recipe(width=8))
    (layer,) = quality.measure(
        network, read_as(made, scale=1.0, width=2, zero_point=0), images
    )  # holds 0 … 3
    assert layer.clipped == 0.5
    assert layer.weights_clipped == 0


def test_the_range_is_from_the_least_to_the_greatest_code():
    network = one_layer(1)
    calibration = np.array([[[[0.0, 1.0, 2.0, 4.0]]]], np.float32)
    made = quantize_whole(network, calibration, Recipe(width=8))
    scale = made.formats["only"][0].scale
    shown = np.array([[[[1.0, 2.0, 2.0, 2.0]]]], np.float32)
    (layer,) = quality.measure(network, made, shown)
    assert layer.range_used == pytest.approx(1 / scale / 2**16, rel=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["adder", "cnn", "bnn"])
def test_more_bits_give_a_better_ratio_in_every_layer(kind):
    coarse, fine = (quality.measure(*small_lenet(kind, width)) for width in (3, 8))
    for few, many in zip(coarse, fine, strict=True):
        assert 0 <= many.clipped < 0.2 and 0 < many.range_used <= 1
        assert many.bits >= few.bits
        if few.snr_db is not None and many.snr_db is not None:
            assert many.snr_db > few.snr_db - 0.5
    assert fine[0].snr_db is None or fine[0].snr_db > coarse[0].snr_db + 3


def test_an_adders_clipped_weights_are_those_beyond_the_activations():
    network, made, images = small_lenet("adder", 8)
    low, high = made.formats["image"][1].limits
    weight = network.blocks["conv1"].layer.weight
    share = float(((weight < low) | (weight > high)).double().mean())
    first, *_ = quality.measure(network, made, images)
    assert first.weights_clipped == pytest.approx(share, abs=0.02) and share > 0.3


def test_batches_do_not_change_the_figures(monkeypatch):
    network, made, images = small_lenet("adder")
    whole = quality.measure(network, made, images)
    monkeypatch.setattr(quality, "BATCH", 7)
    for one, other in zip(whole, quality.measure(network, made, images), strict=True):
        assert replace(one, snr_db=0.0) == replace(other, snr_db=0.0)
        assert one.snr_db == pytest.approx(other.snr_db, abs=1e-3)


def test_the_report_is_markdown_and_json(tmp_path):
    network, made, images = small_lenet("bnn")
    qualities = quality.measure(network, made, images)
    quality.save(qualities, made, len(images), tmp_path)
    content = json.loads((tmp_path / "lenet5-bn.quality.json").read_text())
    assert [layer["layer"] for layer in content["layers"]] == [
        "conv1",
        "conv2",
        "fc1",
        "fc2",
        "fc3",
    ]
    assert content["images"] == 20 and content["layers"][1]["bits"] == 1
    lines = (tmp_path / "lenet5-bn.quality.md").read_text().splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == 7 and len({len(line) for line in table}) == 1
    assert {line.count("|") for line in table} == {11}


def test_no_images_are_refused():
    network, made, images = small_lenet("adder")
    with pytest.raises(ValueError, match="images to measure quality on must be at least 1, not 0"):
        quality.measure(network, made, images[:0])
