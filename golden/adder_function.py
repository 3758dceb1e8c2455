"""Arithmetic of the adder layer and of its gradients."""

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import fold, pad
from torch.nn.grad import conv2d_weight

from . import kernels

GRADIENTS = ("full", "sign", "derivative")
CHUNK = 2**19  # elements of the unfolded input held at once; the fastest of 2**15 to 2**19


@dataclass(frozen=True, kw_only=True)
class Window:
    """How filters move over a map: (rows, columns) each, as in `nn.Conv2d`."""

    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int = 1

    def map_shape(self, input_shape: torch.Size, weight_shape: torch.Size) -> tuple[int, int]:
        rows, cols = (
            (size + 2 * padding - (kernel - 1) * dilation - 1) // stride + 1
            for size, kernel, stride, padding, dilation in zip(
                *(input_shape[2:], weight_shape[2:], self.stride, self.padding, self.dilation),
                strict=True,
            )
        )
        return rows, cols


def adder_conv2d(
    input: Tensor,
    weight: Tensor,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int] = (0, 0),
    gradient: str = "full",
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
) -> Tensor:
    """Y = -Σ|X - F| over each receptive field (Eq. 2); a padded zero contributes |0 - F|.

    input: (images, channels, height, width). weight: (filters, channels / groups, kernel height,
    kernel width). Result: (images, filters, out height, out width), in the input's memory format.

    The gradients are the paper's, not the derivatives: of the filters X - F (Eq. 5), or
    sgn(X - F) (Eq. 4) for gradient "sign"; of the input HT(F - X), clipped to -1 … 1 (Eq. 6, 7).
    For gradient "derivative" both are what automatic differentiation of Eq. 2 gives: sgn(X - F)
    and sgn(F - X).

    float32 runs in compiled kernels where they can be built, see `golden.kernels`; on the CPU sums
    are then right to 1e-6 of Σ|X| + Σ|F|. Everything else runs in plain PyTorch. The full gradient
    holds a convolution, which rounds on a GPU as `torch.backends.cudnn.allow_tf32` says.

    A NaN shows in the output; the clipped gradient of the input may hide it.

    Raises ValueError when input and weight do not fit each other, and in PyTorch's older ONNX
    exporter, which would write constants.
    """
    if torch.onnx.is_in_onnx_export() and torch.jit.is_tracing():
        raise ValueError(
            "adder layers must not be exported by torch.onnx with dynamo=False; take "
            "'adderforge export --onnx' for a quantized network, or torch.export"
        )
    channels = weight.shape[1] * groups
    if input.dim() != 4 or input.shape[1] != channels or 0 in input.shape[2:]:
        raise ValueError(
            f"input must be (images, {channels}, height, width), not {tuple(input.shape)}"
        )
    if len(weight) % groups:
        raise ValueError(f"groups must divide the {len(weight)} filters, not be {groups}")
    window = Window(stride=stride, padding=padding, dilation=dilation, groups=groups)
    if min(window.map_shape(input.shape, weight.shape)) < 1:
        raise ValueError(
            f"a kernel of {tuple(weight.shape[2:])} must not exceed the padded input, "
            f"but the input is {tuple(input.shape[2:])} with padding {padding}"
        )
    output = AdderFunction.apply(input, weight, window, gradient)
    return output.contiguous(memory_format=_memory_format(input))


def _memory_format(input: Tensor) -> torch.memory_format:
    """As `nn.Conv2d` takes it: channels last where that is not the usual order as well."""
    last = input.is_contiguous(memory_format=torch.channels_last) and not input.is_contiguous()
    return torch.channels_last if last else torch.contiguous_format


class AdderFunction(torch.autograd.Function):
    """See `adder_conv2d`."""

    @staticmethod
    def forward(ctx, input, weight, window, gradient):
        ctx.save_for_backward(input, weight)
        ctx.window, ctx.gradient = window, gradient
        kernel = kernels.suited(input, weight)
        if kernel is not None:
            return kernel.forward(_kernel_shape(input, weight, window), input, weight)
        return _by_groups(_forward, window, input, weight)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad_output):
        with _in_own_types(grad_output.device.type):
            return AdderFunction._gradients(ctx, grad_output)

    @staticmethod
    def _gradients(ctx, grad_output):
        input, weight = ctx.saved_tensors
        window, sign = ctx.window, ctx.gradient == "derivative"
        grad_input = grad_weight = None
        if ctx.needs_input_grad[0]:
            kernel = kernels.suited(input, weight)
            if kernel is not None:
                shape = _kernel_shape(input, weight, window)
                grad_input = kernel.input_gradient(shape, input, weight, grad_output, sign)
            else:
                by_group = partial(_input_gradient, sign)
                grad_input = _by_groups(by_group, window, input, weight, grad_output)
        if ctx.needs_input_grad[1]:
            gradient = _full_gradient if ctx.gradient == "full" else _sign_gradient
            grad_weight = gradient(window, input, weight, grad_output)
        return grad_input, grad_weight, None, None


def _in_own_types(device: str) -> AbstractContextManager:
    """No autocast; some devices, such as "meta", have none."""
    available = torch.amp.is_autocast_available(device)
    return torch.autocast(device, enabled=False) if available else nullcontext()


def _kernel_shape(input: Tensor, weight: Tensor, window: Window) -> kernels.Shape:
    map_shape = window.map_shape(input.shape, weight.shape)
    moves = (*window.stride, *window.padding, *window.dilation)
    filters, _, *kernel = weight.shape
    return kernels.Shape(*input.shape, filters, *kernel, *moves, window.groups, *map_shape)


def _split(window: Window, input, weight, *grad_output) -> Iterator[tuple[Tensor, ...]]:
    """The tensors of each group."""
    maps = [tensor.chunk(window.groups, 1) for tensor in (input, *grad_output)]
    return zip(maps[0], weight.chunk(window.groups), *maps[1:], strict=True)


def _by_groups(function, window: Window, *tensors: Tensor) -> Tensor:
    """`function` of each group, along the channels."""
    return torch.cat([function(window, *group) for group in _split(window, *tensors)], 1)


def _unfold(window: Window, input: Tensor, weight: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Slices of the images, each with its matrix form (images · positions, reduction).

    CHUNK elements at a time, so memory stays bounded."""
    reduction = math.prod(weight.shape[1:])
    positions = math.prod(window.map_shape(input.shape, weight.shape))
    step = max(1, CHUNK // (reduction * positions))
    (pad_rows, pad_cols), (step_rows, step_cols) = window.padding, window.dilation
    span_rows = (weight.shape[2] - 1) * step_rows + 1
    span_cols = (weight.shape[3] - 1) * step_cols + 1
    for start in range(0, len(input), step):
        images = slice(start, start + step)
        padded = pad(input[images], (pad_cols, pad_cols, pad_rows, pad_rows))
        spans = padded.unfold(2, span_rows, window.stride[0]).unfold(3, span_cols, window.stride[1])
        taps = spans[..., ::step_rows, ::step_cols]
        yield images, taps.permute(0, 2, 3, 1, 4, 5).reshape(-1, reduction)


def _forward(window: Window, input: Tensor, weight: Tensor) -> Tensor:
    rows, cols = window.map_shape(input.shape, weight.shape)
    output = input.new_empty(len(input), len(weight), rows, cols)
    filters = weight.flatten(1)
    for images, columns in _unfold(window, input, weight):
        sad = torch.cdist(columns, filters, p=1)
        output[images] = sad.view(-1, rows, cols, len(weight)).permute(0, 3, 1, 2).neg()
    return output


def _input_gradient(
    sign: bool, window: Window, input: Tensor, weight: Tensor, grad_output: Tensor
) -> Tensor:
    """Σ g HT(F - X) over the filters and positions (Eq. 6, 7), or with `sign` Σ g sgn(F - X)."""
    gradient = torch.empty_like(input)
    for images, columns in _unfold(window, input, weight):
        grad_columns, slope = torch.zeros_like(columns), torch.empty_like(columns)
        for weights, upstream in zip(weight.flatten(1), _matrix(grad_output[images]), strict=True):
            torch.sub(weights, columns, out=slope)
            slope.sign_() if sign else slope.clamp_(-1, 1)
            grad_columns.addcmul_(slope, upstream[:, None])
        gradient[images] = fold(
            grad_columns.view(-1, grad_output[0, 0].numel(), columns.shape[1]).mT,
            output_size=input.shape[2:],
            kernel_size=weight.shape[2:],
            stride=window.stride,
            padding=window.padding,
            dilation=window.dilation,
        )
    return gradient


def _full_gradient(window: Window, input: Tensor, weight: Tensor, grad_output: Tensor) -> Tensor:
    """Σ g (X - F) = XᵀG - F · Σg (Eq. 5): a convolution's gradient and a rank-one term."""
    unpadded = window.padding == (0, 0)
    if unpadded and input.shape[1:] == weight.shape[1:] and grad_output.shape[2:] == (1, 1):
        product = (grad_output.flatten(1).mT @ input.flatten(1)).view_as(weight)  # 3 times faster
    else:
        moves = (window.stride, window.padding, window.dilation, window.groups)
        product = conv2d_weight(input, weight.shape, grad_output, *moves)
    return product - weight * grad_output.sum((0, 2, 3))[:, None, None, None]


def _sign_gradient(window: Window, input: Tensor, weight: Tensor, grad_output: Tensor) -> Tensor:
    """Σ g sgn(X - F) (Eq. 4)."""
    kernel = kernels.suited(input, weight)
    if kernel is not None:
        shape = _kernel_shape(input, weight, window)
        return kernel.sign_gradient(shape, input, weight, grad_output)
    groups = _split(window, input, weight, grad_output)
    return torch.cat([_sign_gradient_of_group(window, *group) for group in groups])


def _sign_gradient_of_group(window: Window, input, weight, grad_output) -> Tensor:
    gradient = torch.zeros_like(weight)
    for images, columns in _unfold(window, input, weight):
        upstreams = _matrix(grad_output[images])
        for index, weights in enumerate(weight):
            signs = (columns - weights.flatten()).sign_()
            gradient[index] += (upstreams[index] @ signs).view_as(weights)
    return gradient


def _matrix(grad_output: Tensor) -> Tensor:
    """(filters, images · positions)."""
    return grad_output.transpose(0, 1).flatten(1)
