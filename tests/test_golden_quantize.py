import numpy as np
import pytest
import torch
from torch import nn

from golden import reference
from golden.l2 import L2Conv2d
from golden.layers import AdderConv2d
from golden.networks import Block, Chain, lenet5_bn
from golden.quantize import clip_exactly, code_range, quantize, requantizer, signed_codes
from golden.spec import LayerSpec

STEP = 1 / 64  # activations and weights are multiples, so that codes hold them exactly


def spec(kind="adder", out_width=8):
    return LayerSpec(
        name="fc", kind=kind, in_shape=(30, 1, 1), out_channels=4, width=8, out_width=out_width
    )


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
    model = quantize(chain, images, width)
    first = reference.run(model, reference.encode(model, images))[0]
    with torch.no_grad():
        wanted = chain.blocks["conv1"](torch.tensor(images)).numpy()
    wanted = wanted / (wanted.max() / (2**width - 1))
    half_steps = 0.5 + 0.5 * np.max(first.layer.mult / 2.0**first.layer.shift)
    relative = 2.0**-15 * 2**width  # of mult
    assert wanted.max() > 2**width - 1.01
    np.testing.assert_allclose(first.codes_out, wanted, atol=half_steps + relative + 0.01)


def test_clipping_loses_no_distance():
    rng = np.random.default_rng(0)
    weight = rng.integers(-90, 90, (50, 4, 3, 3)).astype(float)
    clipped, lost = clip_exactly(weight, (-7.0, 20.0))
    assert clipped.min() == -7 and clipped.max() == 20 and np.all(lost > 0)
    for x in (*rng.integers(-7, 21, (5, 4, 3, 3)), np.full((4, 3, 3), -7), np.full((4, 3, 3), 20)):
        before = np.abs(x - weight).sum((1, 2, 3))
        after = np.abs(x - clipped).sum((1, 2, 3))
        np.testing.assert_array_equal(before, after + lost)


@pytest.mark.parametrize("width", [2, 8, 16])
def test_signed_codes_are_no_worse_than_the_scale_of_the_largest_weight(width):
    weight = np.random.default_rng(0).laplace(size=(4, 5, 3, 3))
    codes, scale = signed_codes(weight, width)
    plain = np.abs(weight).max() / (2 ** (width - 1) - 1)
    error = np.square(codes * scale - weight).sum()
    assert np.abs(codes).max() <= 2 ** (width - 1) - 1
    assert error <= np.square(np.rint(weight / plain) * plain - weight).sum()
    assert width > 2 or error < 0.6 * np.square(weight).sum()


@pytest.mark.parametrize("width", [2, 8, 16])
def test_zero_is_a_code_and_every_value_has_one_within_half_a_step(width):
    for lowest, highest in (
        (-0.1, 1.175),
        (-0.7, 1.1),
        (0.0, 3.0),
        (1.0, 3.0),
        (-3.0, -1.0),
        (0.0, 0.0),
    ):
        codes = code_range(lowest, highest, width)
        assert 0 <= codes.zero_point < 2**width
        assert codes.limits[0] <= min(lowest, 0) + 0.501 * codes.scale
        assert codes.limits[1] >= max(highest, 0) - 0.501 * codes.scale


def test_digits_gray_levels_are_codes():
    codes = code_range(-0.1, 1.175, 8)
    assert codes.zero_point == 20 and codes.scale == pytest.approx(0.005)


@pytest.mark.parametrize("kind", ["adder", "mac"])
@pytest.mark.parametrize("out_width", [2, 8, 16])
def test_every_slope_and_offset_fits_the_requantizer(kind, out_width):
    slopes = [0.0, 1e-300, 1e-12, 1e-6, 2e-5, 1e-3, 0.1, 0.5, 1.0, 77.0, 3e4]
    slopes = np.array([*slopes, *(-slope for slope in slopes)])
    layer = spec(kind, out_width)
    sign = -1 if kind == "adder" else 1
    for offset in (0.0, 0.3, 5.72, -200.0, 1e4, -1e5, 1e9, -1e300):
        bias, mult, shift = requantizer(slopes, np.full_like(slopes, offset), layer)
        assert np.abs(mult).max() < 2**15 and shift.min() >= 0 and shift.max() <= 44
        assert np.abs(bias).max() < 2 ** (out_width + 3) * layer.accumulator_limit
        for acc in np.linspace(0, sign * layer.accumulator_limit, 9).astype(np.int64):
            got = reference.round_half_up((bias + acc) * mult, shift)
            wanted = slopes * acc + offset
            error = 0.75 + 0.5 * np.abs(slopes) + 2.0 ** (out_width - 15)
            highest = 2**out_width - 1
            assert np.all(np.abs(got.clip(0, highest) - wanted.clip(0, highest)) <= error)


def test_products_fit_62_bits_at_the_widest():
    layer = LayerSpec(
        name="fc", kind="mac", in_shape=(512, 1, 1), out_channels=1, width=16, out_width=16
    )
    for slope in (0.0, 1e-9, 1e-3, 1.0, 30.0):
        bias, mult, _ = requantizer(np.array([slope]), np.array([6e4]), layer)
        product = (abs(int(bias[0])) + layer.accumulator_limit) * abs(int(mult[0]))
        assert product < 2**62


def small_lenet(kind):
    torch.manual_seed(0)
    network = lenet5_bn(kind)
    images = np.random.default_rng(0).uniform(-0.1, 1.175, (24, 1, 32, 32)).astype(np.float32)
    for block in network.blocks.values():
        block.norm.momentum = 1.0  # the running statistics are those of these images
    with torch.no_grad():
        network(torch.tensor(images))
    return network.eval(), images


@pytest.mark.parametrize("kind", ["adder", "cnn"])
@pytest.mark.parametrize("width", [2, 16])
def test_a_whole_network_is_quantized_at_the_extreme_widths(kind, width):
    network, images = small_lenet(kind)
    model = quantize(network, images, width, metadata={"seed": 0})
    records = reference.run(model, reference.encode(model, images))
    assert [layer.spec.name for layer in model.layers] == ["conv1", "conv2", "fc1", "fc2", "fc3"]
    assert {layer.spec.kind for layer in model.layers} == {"adder" if kind == "adder" else "mac"}
    assert model.metadata == {"seed": 0}
    if width == 16:
        with torch.no_grad():
            logits = network(torch.tensor(images)).numpy()
        codes = records[-1].codes_out.reshape(logits.shape) - 2.0**15
        scale = 2 * np.abs(logits).max() / 2**15
        np.testing.assert_allclose(codes * scale, logits, atol=0.02)


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
        (nn.ConvTranspose2d(1, 2, 3), nn.BatchNorm2d(2), "must be a convolution or linear layer"),
        (nn.Conv2d(2, 2, 3, groups=2), nn.BatchNorm2d(2), "must have no groups"),
        (nn.Conv2d(2, 2, 3, dilation=2), nn.BatchNorm2d(2), "must have no groups"),
        (AdderConv2d(2, 2, 3, groups=2), nn.BatchNorm2d(2), "must have no groups"),
        (L2Conv2d(2, 2, 3), nn.BatchNorm2d(2), "must be a convolution or linear layer"),
        (nn.Conv2d(2, 2, 3, padding_mode="reflect"), nn.BatchNorm2d(2), "must have no groups"),
        (nn.Conv2d(2, 2, 3, padding="same"), nn.BatchNorm2d(2), "must have no groups"),
        (AdderConv2d(2, 2, 3), nn.Identity(), "must be followed by a batch norm"),
        (AdderConv2d(2, 2, 3), nn.BatchNorm2d(2, affine=False), "must be followed by a batch norm"),
    ],
)
def test_a_layer_without_integer_form_is_refused_by_name(layer, norm, message):
    chain = Chain((2, 8, 8), {"odd": Block(layer, norm)})
    with pytest.raises(ValueError, match=f"layer 'odd': {message}"):
        quantize(chain, np.zeros((1, 2, 8, 8), np.float32))


def test_weights_that_are_not_finite_are_refused():
    network = lenet5_bn()
    network.blocks["fc1"].norm.running_var[0] = np.nan
    with pytest.raises(ValueError, match="layer 'fc1': weights and batch norm must be finite"):
        quantize(network, np.zeros((1, 1, 32, 32), np.float32))


@pytest.mark.parametrize("activation", [nn.PReLU, nn.Hardtanh])
def test_an_activation_without_integer_form_is_refused_by_name(activation):
    chain = Chain((2, 8, 8), {"odd": Block(AdderConv2d(2, 2, 3), nn.BatchNorm2d(2), activation)})
    message = f"layer 'odd': its activation must be ReLU or none, not {activation.__name__}"
    with pytest.raises(ValueError, match=message):
        quantize(chain, np.zeros((1, 2, 8, 8), np.float32))
