"""Adder layers against a literal transcription of the paper's equations, in float64."""

import itertools

import numpy as np
import pytest
import torch

from golden.layers import AdderConv2d, AdderLinear

SHAPES = [
    # images, channels, height, width, filters, kernel, stride, padding
    (1, 1, 1, 1, 1, 1, 1, 0),
    (2, 3, 7, 5, 4, 3, 1, 0),
    (2, 3, 7, 5, 4, 3, 2, 1),
    (1, 2, 8, 6, 3, (3, 2), (2, 3), (0, 2)),
    (3, 2, 6, 9, 2, (1, 5), (2, 1), (1, 0)),
]


def windows(input, layer):
    """(image, filter, row, column, kernel row, kernel column, channel) and the input's place."""
    (kernel_rows, kernel_cols), (rows, cols) = layer.kernel_size, layer.padding
    _, channels, height, width = input.shape
    map_rows = (height + 2 * rows - kernel_rows) // layer.stride[0] + 1
    map_cols = (width + 2 * cols - kernel_cols) // layer.stride[1] + 1
    sizes = len(input), layer.out_channels, map_rows, map_cols, kernel_rows, kernel_cols, channels
    for n, t, r, c, i, j, k in itertools.product(*map(range, sizes)):
        row, col = r * layer.stride[0] + i - rows, c * layer.stride[1] + j - cols
        yield (n, t, r, c), (t, k, i, j), (n, k, row, col)


def inside(place, shape):
    return 0 <= place[2] < shape[2] and 0 <= place[3] < shape[3]


def equation_2(input, weight, layer, out_shape):
    output = np.zeros(out_shape)
    for out, tap, place in windows(input, layer):
        x = input[place] if inside(place, input.shape) else 0.0
        output[out] -= abs(x - weight[tap])
    return output


def equations_4_to_7(input, weight, layer, upstream):
    grad_input, grad_weight = np.zeros_like(input), np.zeros_like(weight)
    for out, tap, place in windows(input, layer):
        x = input[place] if inside(place, input.shape) else 0.0
        difference = x - weight[tap]
        step = difference if layer.gradient == "full" else np.sign(difference)
        grad_weight[tap] += upstream[out] * step
        if inside(place, input.shape):
            grad_input[place] += upstream[out] * min(max(-difference, -1.0), 1.0)
    return grad_input, grad_weight


def close(got, wanted):
    scale = np.abs(wanted).max() if wanted.size else 0.0
    np.testing.assert_allclose(got.detach().numpy(), wanted, rtol=1e-6, atol=1e-9 * scale)


def layer_and_input(shape, gradient="full"):
    torch.manual_seed(0)
    images, channels, height, width, filters, *window = shape
    layer = AdderConv2d(channels, filters, *window, gradient=gradient).double()
    input = 2 * torch.randn(images, channels, height, width, dtype=torch.float64)
    return layer, input.requires_grad_()


@pytest.mark.parametrize("gradient", ["full", "sign"])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_convolution_is_the_papers_equations(shape, gradient):
    layer, input = layer_and_input(shape, gradient)
    output = layer(input)
    upstream = torch.randn_like(output)
    output.backward(upstream)
    x, f = input.detach().numpy(), layer.weight.detach().numpy()
    grad_input, grad_weight = equations_4_to_7(x, f, layer, upstream.numpy())
    close(output, equation_2(x, f, layer, output.shape))
    close(input.grad, grad_input)
    close(layer.weight.grad, grad_weight)


def test_many_chunks_give_what_one_gives(monkeypatch):
    layer, input = layer_and_input((5, 3, 7, 6, 4, 3, 2, 1))
    whole = layer(input)
    whole.sum().backward()
    gradients = [input.grad.clone(), layer.weight.grad.clone()]
    input.grad = layer.weight.grad = None
    monkeypatch.setattr("golden.adder_function.CHUNK", 1)
    output = layer(input)
    output.sum().backward()
    for got, wanted in zip(
        [output, input.grad, layer.weight.grad], [whole, *gradients], strict=True
    ):
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


def test_a_linear_layer_is_a_convolution_of_one_pixel():
    torch.manual_seed(0)
    linear, conv = AdderLinear(6, 4, bias=True), AdderConv2d(6, 4, 1, bias=True)
    conv.weight.data = linear.weight.data[:, :, None, None]
    conv.bias.data = linear.bias.data = torch.randn(4)
    input = torch.randn(2, 3, 6)
    pixels = input.reshape(6, 6, 1, 1)
    torch.testing.assert_close(linear(input).reshape(6, 4), conv(pixels).flatten(1))


def test_an_empty_batch_gives_empty_output_and_zero_gradient():
    layer = AdderConv2d(2, 3, 3, stride=2)
    output = layer(torch.zeros(0, 2, 7, 7, requires_grad=True))
    output.sum().backward()
    assert output.shape == (0, 3, 3, 3)
    assert not layer.weight.grad.any()


def test_filters_start_from_the_standard_normal_distribution():
    torch.manual_seed(0)
    weight = AdderConv2d(20, 50, 5).weight
    assert abs(weight.mean().item()) < 0.02 and abs(weight.std().item() - 1) < 0.02


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 1, 1), "in_channels must be an integer of at least 1, not 0"),
        ((1, 1, (3, 0)), "kernel_size must be an integer of at least 1, not 0"),
        ((1, 1, (3, 3, 3)), "kernel_size must be one integer or two"),
        ((1, 1, 3, 0), "stride must be an integer of at least 1, not 0"),
        ((1, 1, 3, 1, -1), "padding must be an integer of at least 0, not -1"),
        ((1, 1, 3, 1, 0, False, "half"), "gradient must be one of"),
    ],
)
def test_a_layer_that_cannot_be_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        AdderConv2d(*arguments)


def test_an_input_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"input must be \(images, 2, height, width\)"):
        AdderConv2d(2, 1, 3)(torch.zeros(1, 3, 5, 5))
    with pytest.raises(ValueError, match="must not exceed the padded input"):
        AdderConv2d(2, 1, 3)(torch.zeros(1, 2, 2, 5))
    with pytest.raises(ValueError, match="input must end in 3 features"):
        AdderLinear(3, 1)(torch.zeros(1, 4))
