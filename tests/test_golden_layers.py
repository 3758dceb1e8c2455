"""Adder, ℓ2 and binary layers against a literal transcription of the equations, in float64."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from golden import binary
from golden.adder_function import GRADIENTS
from golden.binary import BinaryConv2d, BinaryLinear
from golden.l2 import L2Conv2d, L2Linear
from golden.layers import AdderConv2d, AdderConvTranspose2d, AdderLinear

SHAPES = [
    # images, channels, height, width, filters, kernel, stride, padding, dilation, groups
    (1, 1, 1, 1, 1, 1, 1, 0, 1, 1),
    (2, 3, 7, 5, 4, 3, 1, 0, 1, 1),
    (2, 3, 7, 5, 4, 3, 2, 1, 1, 1),
    (1, 2, 8, 6, 3, (3, 2), (2, 3), (0, 2), 1, 1),
    (3, 2, 6, 9, 2, (1, 5), (2, 1), (1, 0), 1, 1),
    (2, 4, 7, 6, 6, (3, 2), 2, 1, 1, 2),
    (1, 3, 5, 5, 3, 3, 1, 1, 1, 3),
    (2, 2, 9, 8, 3, (2, 3), (1, 2), (0, 1), (3, 2), 1),
    (1, 4, 7, 7, 2, 3, 2, 2, 2, 2),
    (2, 3, 3, 3, 4, 3, 3, 1, 1, 1),  # one position, of a window that is not the input
    (2, 3, 3, 3, 4, 3, 1, 1, 2, 1),
    (2, 3, 3, 3, 4, 3, 1, 0, 1, 1),
]
CONVOLUTIONS = [AdderConv2d, L2Conv2d, BinaryConv2d]


def windows(input, layer):
    """Places in output and weight of every pair, and the input's value and place (None: zero)."""
    shape, (kernel_rows, kernel_cols) = input.shape, layer.kernel_size
    rows, cols = layer(torch.from_numpy(input)).shape[2:]
    depth, share = shape[1] // layer.groups, layer.out_channels // layer.groups
    sizes = len(input), layer.out_channels, rows, cols, kernel_rows, kernel_cols, depth
    for n, t, r, c, i, j, k in itertools.product(*map(range, sizes)):
        row = r * layer.stride[0] + i * layer.dilation[0] - layer.padding[0]
        col = c * layer.stride[1] + j * layer.dilation[1] - layer.padding[1]
        inside = 0 <= row < shape[2] and 0 <= col < shape[3]
        place = (n, t // share * depth + k, row, col) if inside else None
        yield (n, t, r, c), (t, k, i, j), input[place] if inside else 0.0, place


def hardtanh(value):
    return min(max(value, -1.0), 1.0)


def sign(value):
    return -1.0 if value < 0 else 1.0


EQUATIONS = {  # of one pair (x, f): its term of Y, ∂Y/∂F, ∂Y/∂X
    "full": (lambda x, f: -abs(x - f), lambda x, f: x - f, lambda x, f: hardtanh(f - x)),
    "sign": (lambda x, f: -abs(x - f), lambda x, f: np.sign(x - f), lambda x, f: hardtanh(f - x)),
    "derivative": (
        lambda x, f: -abs(x - f),
        lambda x, f: np.sign(x - f),
        lambda x, f: np.sign(f - x),
    ),
    "l2": (lambda x, f: -((x - f) ** 2), lambda x, f: 2 * (x - f), lambda x, f: 2 * (f - x)),
    "bnn": (
        lambda x, f: sign(x) * sign(f),
        lambda x, f: sign(x),
        lambda x, f: sign(f) * (abs(x) <= 1),
    ),
}


def transcription(input, layer, upstream, equations):
    output, grad_input = np.zeros(upstream.shape), np.zeros_like(input)
    weight = layer.weight.detach().numpy()
    grad_weight = np.zeros_like(weight)
    term, by_filter, by_input = equations
    for out, tap, x, place in windows(input, layer):
        if place is None and isinstance(layer, BinaryConv2d):
            continue  # a padded zero has no sign
        output[out] += term(x, weight[tap])
        grad_weight[tap] += upstream[out] * by_filter(x, weight[tap])
        if place is not None:
            grad_input[place] += upstream[out] * by_input(x, weight[tap])
    return output, grad_input, grad_weight


def close(got, wanted):
    scale = np.abs(wanted).max() if wanted.size else 0.0
    np.testing.assert_allclose(got.detach().numpy(), wanted, rtol=1e-6, atol=1e-9 * scale)


def layer_of(name, channels, filters, *window):
    if name in GRADIENTS:
        return AdderConv2d(channels, filters, *window, gradient=name).double()
    return {"l2": L2Conv2d, "bnn": BinaryConv2d}[name](channels, filters, *window).double()


def layer_and_input(shape, name="full"):
    torch.manual_seed(0)
    images, channels, height, width, filters, *window = shape
    input = 2 * torch.randn(images, channels, height, width, dtype=torch.float64)
    return layer_of(name, channels, filters, *window), input.requires_grad_()


def outputs_of(layer, input, upstream=None):
    """Output and both gradients."""
    input = input.detach().requires_grad_()
    layer.weight.grad = None
    output = layer(input)
    output.backward(torch.ones_like(output) if upstream is None else upstream)
    return output.detach(), input.grad, layer.weight.grad


@pytest.mark.parametrize("name", EQUATIONS)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_convolution_is_the_equations(shape, name):
    layer, input = layer_and_input(shape, name)
    upstream = torch.randn_like(layer(input))
    wanted = transcription(input.detach().numpy(), layer, upstream.numpy(), EQUATIONS[name])
    for got, value in zip(outputs_of(layer, input, upstream), wanted, strict=True):
        close(got, value)


@pytest.mark.parametrize(
    ("conv", "linear"),
    [(AdderConv2d, AdderLinear), (L2Conv2d, L2Linear), (BinaryConv2d, BinaryLinear)],
)
def test_a_linear_layer_is_a_convolution_of_one_pixel(conv, linear):
    torch.manual_seed(0)
    linear, conv = linear(6, 4, bias=True), conv(6, 4, 1, bias=True)
    conv.weight.data = linear.weight.data[:, :, None, None]
    conv.bias.data = linear.bias.data = torch.randn(4)
    input = torch.randn(2, 3, 6)
    pixels = input.reshape(6, 6, 1, 1)
    torch.testing.assert_close(linear(input).reshape(6, 4), conv(pixels).flatten(1))


@pytest.mark.parametrize("layer", CONVOLUTIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_channels_last_gives_the_same_values(layer, dtype):
    torch.manual_seed(0)
    layer, input = layer(4, 6, 3, 2, 1, groups=2, dtype=dtype), torch.randn(3, 4, 7, 6, dtype=dtype)
    upstream = torch.randn(3, 6, 4, 3, dtype=dtype)
    last = {"memory_format": torch.channels_last}
    plain = outputs_of(layer, input, upstream)
    other = outputs_of(layer.to(**last), input.to(**last), upstream.to(**last))
    for got, wanted in zip(other, plain, strict=True):
        torch.testing.assert_close(got, wanted)
        assert got.dtype == dtype
    assert other[0].is_contiguous(**last) and plain[0].is_contiguous()


@pytest.mark.parametrize("layer", [*CONVOLUTIONS, AdderConvTranspose2d])
def test_an_empty_batch_gives_empty_output_and_zero_gradient(layer):
    layer = layer(2, 4, 3, 2, groups=2)
    output = layer(torch.zeros(0, 2, 7, 7, requires_grad=True))
    output.sum().backward()
    assert output.shape == (0, 4, *layer(torch.zeros(1, 2, 7, 7)).shape[2:])
    assert not layer.weight.grad.any()


@pytest.mark.parametrize("layer", CONVOLUTIONS)
def test_one_image_needs_no_batch(layer):
    layer, image = layer(2, 3, 3), torch.randn(2, 5, 6)
    assert torch.equal(layer(image), layer(image[None])[0])


@pytest.mark.parametrize(
    "arguments",
    [
        {"stride": 2, "padding": 1, "output_padding": 1},
        {"stride": (3, 2), "padding": (0, 1), "output_padding": (2, 0), "groups": 2},
        {"padding": 2, "dilation": (2, 1), "groups": 2},
        {"padding": 3},  # cuts rows off
    ],
)
def test_a_transposed_layer_is_its_definition(arguments):
    torch.manual_seed(0)
    layer = AdderConvTranspose2d(4, 6, (3, 2), **arguments).double()
    twin = nn.ConvTranspose2d(4, 6, (3, 2), **arguments).double()
    input = torch.randn(2, 4, 5, 6, dtype=torch.float64)
    wanted = stretched_distances(input.numpy(), layer, twin(input).shape)
    close(layer(input), wanted)
    close(layer(input[0]), wanted[0])


def stretched_distances(input, layer, out_shape):
    """-Σ |Z(m + dilation·i, n + dilation·j, k) - F(k, t, d - 1 - i, d - 1 - j)|, Z read from X."""
    output, weight = np.zeros(out_shape), layer.weight.detach().numpy()
    depth, share = weight.shape[0] // layer.groups, weight.shape[1]
    kernel = weight.shape[2:]
    sizes = *out_shape, depth, *kernel
    for n, t, r, c, k, i, j in itertools.product(*map(range, sizes)):
        place, value = [], 0.0
        for axis, (at, tap) in enumerate([(r, i), (c, j)]):
            before = layer.dilation[axis] * (kernel[axis] - 1) - layer.padding[axis]
            place.append(divmod(at + layer.dilation[axis] * tap - before, layer.stride[axis]))
        (row, row_rest), (col, col_rest) = place
        channel = t // share * depth + k
        if row_rest == col_rest == 0 and 0 <= row < input.shape[2] and 0 <= col < input.shape[3]:
            value = input[n, channel, row, col]
        output[n, t, r, c] -= abs(value - weight[channel, t % share, -1 - i, -1 - j])
    return output


def test_a_transposed_layer_has_the_adder_layers_gradients():
    layer = AdderConvTranspose2d(1, 1, 1, stride=2)
    layer.weight.data.fill_(3.0)
    input = torch.tensor([[[[1.0, 2.5]]]], requires_grad=True)
    output = layer(input)
    output.sum().backward()
    assert output.flatten().tolist() == [-2.0, -3.0, -0.5]  # the zero between counts
    assert input.grad.flatten().tolist() == [1.0, 0.5]
    assert layer.weight.grad.item() == (1 - 3) + (0 - 3) + (2.5 - 3)


def test_many_chunks_give_what_one_gives(monkeypatch):
    layer, input = layer_and_input((5, 3, 7, 6, 4, 3, 2, 1))
    whole = outputs_of(layer, input)
    monkeypatch.setattr("golden.adder_function.CHUNK", 1)
    for got, wanted in zip(outputs_of(layer, input), whole, strict=True):
        torch.testing.assert_close(got, wanted)


def test_a_hand_worked_distance():
    layer = AdderLinear(2, 1)
    layer.weight.data = torch.tensor([[1.0, -2.0]])
    input = torch.tensor([[3.0, -1.5]], requires_grad=True)
    output = layer(input)
    (10 * output).backward(torch.ones(1, 1))
    assert output.item() == -2.5  # -(|3 - 1| + |-1.5 + 2|)
    assert layer.weight.grad.tolist() == [[20.0, 5.0]]  # 10 (x - f)
    assert input.grad.tolist() == [[-10.0, -5.0]]  # 10 clamp(f - x, -1, 1)


def test_a_padded_zero_contributes_the_filter_itself():
    layer = AdderConv2d(1, 1, 3, padding=1)
    layer.weight.data = torch.arange(9.0).reshape(1, 1, 3, 3)
    assert layer(torch.full((1, 1, 1, 1), 4.0)).item() == -(36 - 4)


def test_the_binary_estimator_passes_up_to_1_and_a_zero_counts_as_1():
    layer = BinaryLinear(4, 1)
    layer.weight.data = torch.tensor([[0.5, 0.0, -2.0, -0.1]])
    input = torch.tensor([[0.0, 1.0, -1.5, -1.0]], requires_grad=True)
    output = layer(input)
    output.backward()
    assert output.item() == 1 + 1 + 1 + 1
    assert input.grad.tolist() == [[1.0, 1.0, 0.0, -1.0]]
    assert layer.weight.grad.tolist() == [[1.0, 1.0, -1.0, -1.0]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_binary_estimator_passes_nothing_just_beyond_1(dtype):
    one = torch.ones((), dtype=dtype)
    values = torch.stack([one, -one, one.nextafter(2 * one), (-one).nextafter(-2 * one)])
    values.requires_grad_()
    binary.sign(torch.cat([values, -0.0 * one[None]])).backward(torch.ones(5, dtype=dtype))
    assert values.grad.tolist() == [1.0, 1.0, 0.0, 0.0]
    assert binary.sign(-0.0 * one).item() == 1
