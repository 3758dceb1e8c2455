from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from golden import fast, reference
from golden.certificate import certify
from golden.graph import run, trace
from golden.l2 import L2Conv2d
from golden.layers import AdderConv2d, AdderConvTranspose2d
from golden.networks import Block, Chain, build, lenet5_bn
from golden.quantize import check_products, quantize, quantize_whole
from golden.recipe import Recipe
from golden.residual import ResNet
from golden.spec import signed_digits
from sim.generated_models import generated_model

OTHER_SCALES = [
    pytest.param(changes, marks=pytest.mark.slow)
    for changes in ({"groups": 3}, {"requantize": "shift"})
]
STEP = 1 / 64  # activations and weights are multiples, so that codes hold them exactly


def on_grid(shape, lowest, highest, seed):
    """Random multiples of STEP from lowest to highest steps, both among them."""
    values = np.random.default_rng(seed).integers(lowest, highest + 1, shape)
    values.flat[:2] = lowest, highest
    return STEP * values


def two_blocks(kind, weight, gamma):
    """A chain of two convolutions; the first has `weight` and batch norm with `gamma`."""
    torch.manual_seed(0)
    conv = {"adder": AdderConv2d, "cnn": nn.Conv2d}[kind]
    blocks = {}
    for name, (channels, filters) in (("conv1", (2, 6)), ("conv2", (6, 3))):
        layer = conv(channels, filters, (3, 2), (2, 1), (1, 2), bias=True)
        blocks[name] = Block(layer, nn.BatchNorm2d(filters), pool=2 if name == "conv1" else 1)
    chain = Chain((2, 7, 6), blocks).double()
    first = blocks["conv1"]
    first.layer.weight.data = torch.tensor(weight)
    first.layer.bias.data = torch.randn(6, dtype=torch.float64)
    first.norm.weight.data = torch.tensor(gamma, dtype=torch.float64)
    first.norm.bias.data = torch.randn(6, dtype=torch.float64)
    first.norm.running_mean = torch.randn(6, dtype=torch.float64) - 5.0
    first.norm.running_var = 1 + torch.rand(6, dtype=torch.float64)
    return chain


@pytest.mark.parametrize("kind", ["adder", "cnn"])
@pytest.mark.parametrize("width", [2, 3, 8, 16])
def test_a_folded_layer_is_the_float_layer_to_half_a_code(kind, width):
    zero = 2**width // 3
    images = on_grid((5, 2, 7, 6), -zero, 2**width - 1 - zero, seed=1)
    reach = 3 * 2**width if kind == "adder" else 2 ** (width - 1) - 1
    weight = on_grid((6, 2, 3, 2), -reach, reach, seed=2)
    chain = two_blocks(kind, weight, gamma=[1.0, -1.0, 0.3, -2.0, 0.0, 1e-12])
    model = quantize_whole(chain, images, Recipe(width=width), corrects=False).model
    first = reference.run(model, reference.encode(model, images))[0]
    with torch.no_grad():
        wanted = chain.blocks["conv1"](torch.tensor(images)).numpy()
    wanted = wanted / scale_of(model, chain, images)
    half_steps = 0.5 + 0.5 * np.max(np.abs(first.layer.mult) / 2.0**first.layer.shift)
    relative = 2.0**-15 * 2**width  # of mult
    allowed = half_steps + relative + 0.01
    np.testing.assert_allclose(first.codes_out, wanted.clip(0, 2**width - 1), atol=allowed)
    assert wanted.max() > 2**width - 1.01


def scale_of(model, chain, images):
    """The scale of the first layer's codes, by the code of its largest output before clipping."""
    from golden.calibrate import calibrate

    layers = trace(chain.eval(), chain.in_shape)
    width = model.layers[0].spec.width
    return calibrate(layers, torch.tensor(images), Recipe(width=width))["conv1"][0].scale


def settled(network, images):
    """The network with the running statistics of these images, in evaluation mode."""
    norms = [
        some for some in network.modules() if isinstance(some, nn.BatchNorm1d | nn.BatchNorm2d)
    ]
    for norm in norms:
        norm.momentum = 1.0
        nn.init.uniform_(norm.bias, -1, 1)
    with torch.no_grad():
        network.train()(torch.tensor(images))
    return network.eval()


def small_lenet(kind):
    torch.manual_seed(0)
    images = np.random.default_rng(0).uniform(-0.1, 1.175, (24, 1, 32, 32)).astype(np.float32)
    return settled(lenet5_bn(kind), images), images


def small_resnet(kind):
    """Stem with max pooling, a block that keeps the shape, one that changes it, mean, linear."""
    from golden.kinds import layers_of

    torch.manual_seed(0)
    steps = [[(4, 3, 1), (4, 3, 1)]], [[(6, 3, 2), (6, 3, 1)]]
    stem, fc = nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.Linear(6, 5)
    network = ResNet(layers_of(kind), (3, 13, 12), stem, list(steps), fc, pool=True)
    images = np.random.default_rng(0).normal(size=(40, 3, 13, 12)).astype(np.float32)
    return settled(network, images), images


def logits_of(model, images):
    """Of the integer network, up to a scale."""
    codes = reference.run(model, reference.encode(model, images))[-1].codes_out
    return codes.reshape(len(images), -1) - 2.0**15


def correlation(model, network, images):
    with torch.no_grad():
        wanted = network(torch.tensor(images)).numpy()
    return np.corrcoef(logits_of(model, images).ravel(), wanted.ravel())[0, 1]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["adder", "cnn", "bnn"])
@pytest.mark.parametrize("width", [2, 16])
def test_a_whole_network_is_quantized_at_the_extreme_widths(kind, width):
    network, images = small_lenet(kind)
    model = quantize(network, images, width, metadata={"seed": 0})
    assert [layer.spec.name for layer in model.layers] == ["conv1", "conv2", "fc1", "fc2", "fc3"]
    kinds = {"adder": ["adder"] * 5, "cnn": ["mac"] * 5, "bnn": ["mac", *["xnor"] * 3, "mac"]}
    assert [layer.spec.kind for layer in model.layers] == kinds[kind]
    assert model.metadata == {"seed": 0}
    assert correlation(model, network, images) > (0.999 if width == 16 else 0.2)


@pytest.mark.parametrize("kind", ["adder", "cnn", "bnn"])
@pytest.mark.parametrize("changes", [{}, *OTHER_SCALES])
def test_a_residual_network_keeps_its_answers(kind, changes):
    network, images = small_resnet(kind)
    eight, four = (
        correlation(
            quantize(network, images, recipe=Recipe(width=width, **changes)), network, images
        )
        for width in (8, 4)
    )
    assert eight > (0.995 if "requantize" not in changes and kind != "bnn" else 0.9)
    assert four > 0.6


def test_maps_that_are_added_keep_more_bits_than_the_layers_that_read_them():
    network, images = small_resnet("adder")
    model = quantize(network, images, recipe=Recipe(width=4))
    specs = {layer.spec.name: layer.spec for layer in model.layers}
    inner = specs["layer1.0.conv1"]
    assert (inner.in_width, inner.drop, inner.width) == (8, (4,), 4)
    assert specs["layer1.0.conv2"].residual == "conv1"
    assert specs["layer2.0.downsample.0"].residual == "layer2.0.conv2"
    assert specs["layer2.0.conv2"].in_width == 4


def test_a_binary_layer_between_binary_layers_takes_single_bits_and_is_exact():
    network, images = small_lenet("bnn")
    model = quantize(network, images, 8)
    assert [layer.spec.in_width for layer in model.layers] == [8, 1, 1, 1, 8]
    record = fast.run(model, reference.encode(model, images))[2]
    signs = torch.tensor(2.0 * record.codes_in - 1).float()
    with torch.no_grad():
        block = network.blocks["fc1"]
        wanted = block.norm(block.layer(signs.flatten(1))) >= 0
    np.testing.assert_array_equal(record.codes_out.reshape(wanted.shape), wanted)


@pytest.mark.slow
def test_channels_of_small_range_get_finer_steps():
    network, images = small_lenet("adder")
    norm = network.blocks["conv1"].norm
    with torch.no_grad():
        norm.weight[:3] *= 0.1
        norm.bias[:3] *= 0.1
    model = quantize(network, images, recipe=Recipe(width=4, groups=4))
    spec = model.layers[1].spec
    assert spec.in_width == 8 and spec.drop[:3] == (1, 1, 1) and max(spec.drop[3:]) == 4
    assert certify(model)[1].highest <= spec.accumulator_limit


def test_single_layers_may_have_other_widths():
    network, images = small_lenet("adder")
    model = quantize(network, images, recipe=Recipe(width=4, widths={"conv1": 8, "fc2": 6}))
    assert [layer.spec.width for layer in model.layers] == [8, 4, 4, 6, 4]
    with pytest.raises(ValueError, match=r"widths must name layers, not \['fc9'\]; they are conv1"):
        quantize(network, images, recipe=Recipe(widths={"fc9": 8}))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["adder", "cnn", "bnn"])
def test_shift_only_networks_hold_no_other_multipliers(kind):
    network, images = small_resnet(kind)
    model = quantize(network, images, recipe=Recipe(width=8, requantize="shift"))
    assert model.requantize == "shift"
    for layer in model.layers:
        assert signed_digits(layer.mult).max() <= 2
        assert signed_digits(layer.residual_mult).max() <= 2


@pytest.mark.parametrize("kind", ["adder", "cnn"])
def test_every_map_keeps_its_mean_behind_the_activation_function(kind):
    network, images = small_lenet(kind)
    made = quantize_whole(network, images, Recipe(width=3))
    records = fast.run(made.model, reference.encode(made.model, images))
    layers = trace(network, network.in_shape)
    with torch.no_grad():
        floats = run(layers, torch.tensor(images))
        for record, (layer, total, _) in zip(records, floats, strict=True):
            wanted = total.clamp(*layer.limits).reshape(24, -1, *record.accumulators.shape[2:])
            codes = reference.requantize(record.layer, record.accumulators)
            format = made.formats[layer.name][0]
            got = (codes - format.zero_point).mean((0, 2, 3)) * format.scale
            np.testing.assert_allclose(got, wanted.mean((0, 2, 3)), atol=0.06 * format.limits[1])


@pytest.mark.parametrize("kind", ["adder", "cnn"])
def test_the_mean_error_of_every_filter_is_removed(kind):
    network, images = small_lenet(kind)
    model = quantize(network, images, 3)
    last = reference.run(model, reference.encode(model, images))[-1].codes_out - 2.0**15
    with torch.no_grad():
        wanted = network(torch.tensor(images)).numpy()
    scale = 2 * np.abs(wanted).max() / 2**15
    np.testing.assert_allclose(
        last.reshape(wanted.shape).mean(0) * scale, wanted.mean(0), atol=0.02
    )


def test_the_last_layers_codes_neither_tie_nor_saturate():
    network, images = small_lenet("adder")
    model = quantize(network, images[:12], width=8)
    codes = reference.run(model, reference.encode(model, images))[-1].codes_out
    top = np.sort(codes.reshape(24, 10), axis=1)
    assert model.layers[-1].spec.out_zero_point == 2**15
    assert codes.min() > 0 and codes.max() < 2**16 - 1 and np.all(top[:, -1] > top[:, -2])


@pytest.mark.parametrize("width", [1, 17, 8.0])
def test_a_width_outside_2_to_16_is_refused(width):
    with pytest.raises(ValueError, match=f"width must be 2 to 16 bits, not {width}"):
        quantize(lenet5_bn(), np.zeros((1, 1, 32, 32), np.float32), width)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"widths": {"conv1": 1}}, "width of layer 'conv1' must be 2 to 16 bits, not 1"),
        ({"groups": 5}, "groups must be 1 to 4, not 5"),
        ({"requantize": "add"}, "requantize must be one of"),
        ({"mult_width": 17}, "mult_width must be 4 to 16 bits, not 17"),
        ({"width": 15, "groups": 3}, r"width \+ groups - 1 must be at most 16"),
        ({"storage": 20}, "storage must be 2 to 16 bits, not 20"),
    ],
)
def test_a_recipe_that_cannot_be_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        Recipe(**changes)


def test_bad_calibration_images_are_refused():
    images = np.zeros((2, 1, 32, 32), np.float32)
    images[1, 0, 3, 3] = np.nan
    with pytest.raises(ValueError, match="calibration images must be finite numbers"):
        quantize(lenet5_bn(), images)
    for shape in ((0, 1, 32, 32), (2, 1, 28, 28)):
        with pytest.raises(ValueError, match=r"calibration images must be \(N, 1, 32, 32\)"):
            quantize(lenet5_bn(), np.zeros(shape, np.float32))


@pytest.mark.parametrize(
    ("layer", "norm", "message"),
    [
        (nn.ConvTranspose2d(2, 2, 3), nn.BatchNorm2d(2), "ConvTranspose2d has no integer form"),
        (AdderConvTranspose2d(2, 2, 3), nn.BatchNorm2d(2), "has no integer form"),
        (L2Conv2d(2, 2, 3), nn.BatchNorm2d(2), "L2Conv2d has no integer form; use adder"),
        (nn.Conv2d(2, 2, 3, groups=2), nn.BatchNorm2d(2), "groups must be 1, not 2"),
        (nn.Conv2d(2, 2, 3, dilation=2), nn.BatchNorm2d(2), r"dilation must be \(1, 1\)"),
        (AdderConv2d(2, 2, 3, groups=2), nn.BatchNorm2d(2), "groups must be 1, not 2"),
        (
            nn.Conv2d(2, 2, 3, padding_mode="reflect"),
            nn.BatchNorm2d(2),
            "padding_mode must be zeros, not 'reflect'",
        ),
        (nn.Conv2d(2, 2, 3, padding="same"), nn.BatchNorm2d(2), "padding must be a number"),
        (AdderConv2d(2, 2, 3), nn.GroupNorm(1, 2), "GroupNorm has no integer form"),
        (AdderConv2d(2, 2, 3), nn.BatchNorm2d(2, affine=False), "must have weight, bias and"),
    ],
)
def test_a_layer_without_integer_form_is_refused_by_name(layer, norm, message):
    chain = Chain((2, 8, 8), {"odd": Block(layer, norm)})
    with pytest.raises(ValueError, match=f"odd.*{message}"):
        quantize(chain, np.zeros((1, 2, 8, 8), np.float32))


def test_outputs_that_are_not_finite_are_refused():
    network = lenet5_bn()
    with torch.no_grad():
        network.blocks["conv2"].norm.weight.fill_(1e38)
        network.blocks["conv2"].norm.running_var.fill_(1e-20)
    with pytest.raises(ValueError, match="layer 'conv2': its outputs on the calibration images"):
        quantize(network, np.ones((1, 1, 32, 32), np.float32))


@pytest.mark.parametrize(("bias", "mult", "bits"), [(2**40, 2**30, 72), (2**31, 2**31, None)])
def test_products_that_overflow_64_bits_are_refused_by_layer(bias, mult, bits):
    model = generated_model("adder", (1, 4, 3), [{"out_channels": 3, "kernel": (2, 2)}])
    layer = replace(model.layers[0], bias=np.full(3, bias), mult=np.full(3, mult))
    model = replace(model, layers=(layer,))
    if bits is None:
        check_products(model)
        return
    with pytest.raises(ValueError, match=f"'layer0'.* must fit 64 bits, not {bits}; give it fewer"):
        check_products(model)


def test_weights_that_are_not_finite_are_refused():
    network = lenet5_bn()
    network.blocks["fc1"].norm.running_var[0] = np.nan
    with pytest.raises(ValueError, match="layer 'fc1': weights and batch norm must be finite"):
        quantize(network, np.zeros((1, 1, 32, 32), np.float32))


@pytest.mark.slow
def test_resnet20_is_quantized_whole():
    torch.manual_seed(0)
    images = np.random.default_rng(0).normal(size=(8, 3, 32, 32)).astype(np.float32)
    network = settled(build("resnet20"), images)
    model = quantize(network, images)
    assert len(model.layers) == 22 and correlation(model, network, images) > 0.97


def test_an_activation_without_integer_form_is_refused_by_name():
    chain = Chain((2, 8, 8), {"odd": Block(AdderConv2d(2, 2, 3), nn.BatchNorm2d(2), nn.PReLU)})
    with pytest.raises(ValueError, match=r"odd.activation': PReLU has no integer form; use"):
        quantize(chain, np.zeros((1, 2, 8, 8), np.float32))
