"""Arithmetic of the adder layer and of its gradients, in plain PyTorch."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.functional import fold, pad

GRADIENTS = ("full", "sign")
CHUNK = 2**19  # elements of the unfolded input held at once; the fastest of 2**15 to 2**19


def adder_conv2d(
    input: Tensor,
    weight: Tensor,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int] = (0, 0),
    gradient: str = "full",
) -> Tensor:
    """Y = -Σ|X - F| over each receptive field (Eq. 2); a padded zero contributes |0 - F|.

    input: (images, channels, height, width). weight: (filters, channels, kernel height, kernel
    width). Result: (images, filters, out height, out width).

    The gradients are the paper's, not the derivatives: of the filters X - F (Eq. 5), or
    sgn(X - F) (Eq. 4) for gradient "sign"; of the input HT(F - X), clipped to -1 … 1 (Eq. 6, 7).

    Raises ValueError when input and weight do not fit each other.
    """
    if input.dim() != 4 or input.shape[1] != weight.shape[1]:
        raise ValueError(
            f"input must be (images, {weight.shape[1]}, height, width), not {tuple(input.shape)}"
        )
    if min(_map_shape(input.shape, weight.shape, stride, padding)) < 1:
        raise ValueError(
            f"a kernel of {tuple(weight.shape[2:])} must not exceed the padded input, "
            f"but the input is {tuple(input.shape[2:])} with padding {padding}"
        )
    return AdderFunction.apply(input, weight, stride, padding, gradient)


class AdderFunction(torch.autograd.Function):
    """See `adder_conv2d`. Works on CHUNK elements at a time, so memory stays bounded."""

    @staticmethod
    def forward(ctx, input, weight, stride, padding, gradient):
        ctx.save_for_backward(input, weight)
        ctx.stride, ctx.padding, ctx.gradient = stride, padding, gradient
        rows, cols = _map_shape(input.shape, weight.shape, stride, padding)
        output = input.new_empty(len(input), len(weight), rows, cols)
        filters = weight.flatten(1)
        for images, columns in _unfold(input, weight.shape, stride, padding):
            sad = torch.cdist(columns, filters, p=1)
            output[images] = sad.view(-1, rows, cols, len(weight)).permute(0, 3, 1, 2).neg()
        return output

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad_output):
        input, weight = ctx.saved_tensors
        filters = weight.flatten(1)
        grad_input = torch.empty_like(input) if ctx.needs_input_grad[0] else None
        grad_filters = torch.zeros_like(filters) if ctx.needs_input_grad[1] else None
        filter_gradient = {"full": _full_gradient, "sign": _sign_gradient}[ctx.gradient]
        for images, columns in _unfold(input, weight.shape, ctx.stride, ctx.padding):
            upstream = grad_output[images].permute(0, 2, 3, 1).reshape(-1, len(weight))
            if grad_filters is not None:
                grad_filters += filter_gradient(columns, filters, upstream)
            if grad_input is not None:
                grad_columns = _input_gradient(columns, filters, upstream)
                grad_input[images] = fold(
                    grad_columns.view(-1, grad_output[0, 0].numel(), filters.shape[1]).mT,
                    output_size=input.shape[2:],
                    kernel_size=weight.shape[2:],
                    stride=ctx.stride,
                    padding=ctx.padding,
                )
        grad_weight = None if grad_filters is None else grad_filters.view_as(weight)
        return grad_input, grad_weight, None, None, None


def _map_shape(input_shape, weight_shape, stride, padding) -> tuple[int, int]:
    rows, cols = (
        (input_shape[axis] + 2 * padding[axis - 2] - weight_shape[axis]) // stride[axis - 2] + 1
        for axis in (2, 3)
    )
    return rows, cols


def _unfold(input, weight_shape, stride, padding) -> Iterator[tuple[slice, Tensor]]:
    """Slices of the images, each with its matrix form (images · positions, reduction)."""
    reduction = math.prod(weight_shape[1:])
    positions = math.prod(_map_shape(input.shape, weight_shape, stride, padding))
    step = max(1, CHUNK // (reduction * positions))
    for start in range(0, len(input), step):
        images = slice(start, start + step)
        padded = pad(input[images], (padding[1], padding[1], padding[0], padding[0]))
        windows = padded.unfold(2, weight_shape[2], stride[0]).unfold(3, weight_shape[3], stride[1])
        yield images, windows.permute(0, 2, 3, 1, 4, 5).reshape(-1, reduction)


def _full_gradient(columns: Tensor, filters: Tensor, upstream: Tensor) -> Tensor:
    """Σ g (X - F) = gᵀX - F · Σg (Eq. 5): a matrix product and a rank-one term."""
    return upstream.mT @ columns - filters * upstream.sum(0)[:, None]


def _sign_gradient(columns: Tensor, filters: Tensor, upstream: Tensor) -> Tensor:
    """Σ g sgn(X - F) (Eq. 4)."""
    gradient = torch.empty_like(filters)
    for index, weights in enumerate(filters):
        gradient[index] = upstream[:, index] @ (columns - weights).sign_()
    return gradient


def _input_gradient(columns: Tensor, filters: Tensor, upstream: Tensor) -> Tensor:
    """Σ g HT(F - X) over the filters (Eq. 6, 7), per element of the matrix form."""
    gradient = torch.zeros_like(columns)
    clipped = torch.empty_like(columns)
    for index, weights in enumerate(filters):
        torch.sub(weights, columns, out=clipped).clamp_(-1, 1)
        gradient.addcmul_(clipped, upstream[:, index, None])
    return gradient
