"""Adder, ℓ2 and binary layers in the place of PyTorch's: arguments, errors, types, hooks."""

import copy
import io

import numpy as np
import pytest
import torch
from torch import nn

from golden import kernels
from golden.binary import BinaryConv2d
from golden.l2 import L2Conv2d
from golden.layers import AdderConv2d, AdderConvTranspose2d, AdderLinear

CONVOLUTIONS = [AdderConv2d, L2Conv2d, BinaryConv2d]


def outputs_of(layer, input, upstream=None):
    """Output and both gradients."""
    input = input.detach().requires_grad_()
    layer.weight.grad = None
    output = layer(input)
    output.backward(torch.ones_like(output) if upstream is None else upstream)
    return output.detach(), input.grad, layer.weight.grad


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("layer", CONVOLUTIONS)
def test_weights_travel_to_and_from_the_ordinary_layer(layer, groups):
    ours = layer(4, 6, (3, 2), groups=groups, bias=True)
    theirs = nn.Conv2d(4, 6, (3, 2), groups=groups)
    ours.load_state_dict(theirs.state_dict())
    assert torch.equal(ours.weight, theirs.weight)
    assert layer(4, 6, 3).state_dict().keys() == {"weight"}
    assert AdderConvTranspose2d(4, 6, 3, groups=2).weight.shape == (4, 3, 3, 3)


def test_padding_by_name_is_torchs():
    image = torch.zeros(1, 2, 8, 9)
    for arguments in ({"padding": "same", "dilation": 2}, {"padding": "valid"}):
        twin = nn.Conv2d(2, 3, (3, 5), **arguments)
        assert AdderConv2d(2, 3, (3, 5), **arguments)(image).shape == twin(image).shape


def test_filters_start_from_the_standard_normal_distribution():
    torch.manual_seed(0)
    weight = AdderConv2d(20, 50, 5).weight
    assert abs(weight.mean().item()) < 0.02 and abs(weight.std().item() - 1) < 0.02


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 1, 1), "in_channels must be an integer of at least 1, not 0"),
        ((1, 1, (3, 0)), "kernel_size must be an integer of at least 1, not 0"),
        ((1, 1, None), "kernel_size must be an integer of at least 1, not None"),
        ((1, 1, 3.0), r"kernel_size must be an integer of at least 1, not 3\.0"),
        ((1, 1, (3, 3, 3)), "kernel_size must be one integer or two"),
        ((1, 1, 3, 0), "stride must be an integer of at least 1, not 0"),
        ((1, 1, 3, 1, -1), "padding must be an integer of at least 0, not -1"),
        ((1, 1, 3, 2, "same"), "padding 'same' must have stride 1"),
        ((1, 1, 3, 1, 0, 0), "dilation must be an integer of at least 1, not 0"),
        ((4, 6, 3, 1, 0, 1, 4), "groups must divide in_channels and out_channels, not 4 with 4"),
        ((1, 1, 3, 1, 0, 1, 1, False, "half"), "gradient must be one of"),
    ],
)
def test_a_layer_that_cannot_be_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        AdderConv2d(*arguments)


@pytest.mark.parametrize("layer", CONVOLUTIONS)
@pytest.mark.parametrize("size", [(0, 3), (3, 0)])
def test_an_image_without_pixels_is_refused(layer, size):
    with pytest.raises(ValueError, match=r"input must be \(images, 1, height, width\), not"):
        layer(1, 1, 1, stride=2, padding=1)(torch.zeros(1, 1, *size))


def test_a_padding_that_leaves_no_output_is_refused():
    layer = AdderConvTranspose2d(1, 1, 1, padding=2)
    with pytest.raises(ValueError, match=r"padding must leave an output, .* gives \(-1, 0\) with"):
        layer(torch.zeros(1, 1, 3, 4))
    assert layer(torch.zeros(1, 1, 5, 5)).shape == (1, 1, 1, 1)


@pytest.mark.filterwarnings("ignore")  # PyTorch deprecates it, and warns of traced shapes
def test_the_older_onnx_exporter_is_refused():
    with pytest.raises(ValueError, match=r"must not be exported by torch.onnx with dynamo=False"):
        torch.onnx.export(
            AdderConv2d(1, 1, 1), (torch.zeros(1, 1, 2, 2),), io.BytesIO(), dynamo=False
        )


@pytest.mark.parametrize("layer", CONVOLUTIONS)
def test_a_pass_without_numbers_has_shapes(layer):
    input = torch.zeros(2, 2, 5, 5, device="meta")
    output, *gradients = outputs_of(layer(2, 3, 3, device="meta"), input)
    assert output.shape == (2, 3, 3, 3)
    assert [gradient.shape for gradient in gradients] == [(2, 2, 5, 5), (3, 2, 3, 3)]


def test_sizes_may_be_numpys_integers():
    layer = AdderConv2d(np.int64(2), np.int64(3), np.int32(3), padding=np.int64(1))
    assert layer(torch.randn(1, 2, 4, 4)).shape == (1, 3, 4, 4)


@pytest.mark.parametrize("size", [(13, 6), (15, 7), (2, 4, 14, 7)])
def test_an_output_size_is_torchs(size):
    sizes = {"stride": (3, 2), "padding": (1, 0), "dilation": (2, 1)}
    ours, theirs = (some(3, 4, 2, **sizes) for some in (AdderConvTranspose2d, nn.ConvTranspose2d))
    input = torch.randn(2, 3, 5, 3)
    assert ours(input, size).shape == theirs(input, size).shape == (2, 4, *size[-2:])
    assert ours(input[0], size[-2:]).shape == (4, *size[-2:])
    for wrong in ((12, 6), (16, 6), (13, 8), (13,)):
        message = r"output_size must be from \(13, 6\) to \(15, 7\) for an input of \(5, 3\), not"
        with pytest.raises(ValueError, match=message):
            ours(input, wrong)


def test_output_padding_as_large_as_the_stride_is_refused():
    with pytest.raises(ValueError, match="output_padding must be smaller than stride or dilation"):
        AdderConvTranspose2d(1, 1, 3, stride=2, output_padding=2)


@pytest.mark.parametrize("layer", CONVOLUTIONS)
def test_an_input_that_does_not_fit_is_refused(layer):
    for input, message in [
        (torch.zeros(1, 3, 5, 5), r"input must be \(images, 2, height, width\)"),
        (torch.zeros(2, 5), r"input must be \(images, 2, height, width\)"),
        (torch.zeros(1, 2, 4, 9), "must not exceed the padded input"),
        (torch.zeros(1, 2, 9, 9, dtype=torch.float64), "input must be torch.float32"),
    ]:
        with pytest.raises(ValueError, match=message):
            layer(2, 1, 3, dilation=2)(input)


def test_a_linear_input_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="input must end in 3 features"):
        AdderLinear(3, 1)(torch.zeros(1, 4))


@pytest.mark.parametrize("layer", [*CONVOLUTIONS, AdderConvTranspose2d])
def test_autocast_changes_nothing(layer):
    torch.manual_seed(0)
    layer, input = layer(2, 3, 3), torch.randn(2, 2, 6, 6)
    wanted = layer(input)
    with torch.autocast("cpu", torch.bfloat16):
        got = layer(input)
    assert torch.equal(got, wanted) and got.dtype == torch.float32


@pytest.mark.parametrize("layer", [AdderConv2d(4, 3, 3), AdderLinear(4, 3)])
def test_a_backward_pass_under_autocast_is_the_same(layer, monkeypatch):
    monkeypatch.setattr(kernels, "load", lambda: None)
    torch.manual_seed(0)
    input = torch.randn(2, 4, 3, 3) if isinstance(layer, AdderConv2d) else torch.randn(2, 4)
    _, *wanted = outputs_of(layer, input)
    with torch.autocast("cpu", torch.bfloat16):
        _, *got = outputs_of(layer, input)
    assert all(map(torch.equal, got, wanted))


@pytest.mark.parametrize("layer", [AdderConv2d(2, 3, 3), AdderConvTranspose2d(2, 3, 3)])
def test_hooks_run_once(layer):
    called = []
    layer.register_forward_pre_hook(lambda *_: called.append("before"))
    layer.register_forward_hook(lambda *_: called.append("after"))
    layer(torch.randn(2, 5, 5))
    with torch.autocast("cpu", torch.bfloat16):
        layer(torch.randn(1, 2, 5, 5))
    assert called == ["before", "after"] * 2


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_types_are_summed_in_single_precision(dtype):
    torch.manual_seed(0)
    layer, input = AdderConv2d(8, 3, 3, 2).to(dtype), torch.randn(2, 8, 7, 7, dtype=dtype)
    upstream = torch.randn(2, 3, 3, 3, dtype=dtype)
    halves = outputs_of(layer, input, upstream)
    wholes = outputs_of(copy.deepcopy(layer).float(), input.float(), upstream.float())
    for got, wanted in zip(halves, wholes, strict=True):
        assert got.dtype == dtype and torch.equal(got, wanted.to(dtype))


def test_a_linear_layer_of_half_type_works_under_autocast_too():
    layer = AdderLinear(4, 2, dtype=torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(torch.randn(3, 4)).dtype == torch.bfloat16
