"""Layers of binary neural networks: Hubara et al., "Binarized neural networks", NeurIPS 2016, to
which the paper's BNN columns compare."""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, hardtanh, linear

from .windowed import FeatureLayer, WindowLayer


class BinaryConv2d(WindowLayer):
    """Y = Σ sign(X) · sign(F) + bias: one XNOR and one addition for each pair.

    sign is -1 or 1, and 1 at 0; a padded zero contributes nothing. Gradients by the
    straight-through estimator: the activations' passes where |X| ≤ 1, the filters' everywhere, and
    `AdderSGD` keeps filters within -1 … 1. There is no scale: a batch norm is to follow. A batch
    norm or `nn.Hardtanh` is to precede, for after a ReLU every sign is 1.
    Arguments, shapes and errors: see `WindowLayer`.
    """

    def reset_parameters(self) -> None:
        """As `nn.Conv2d` without its bias: uniform within 1/√(terms of a sum)."""
        _reset(self)

    def respond(self, input: Tensor) -> Tensor:
        window = (self.stride, self.padding, self.dilation, self.groups)
        return conv2d(sign(input), _straight_sign(self.weight), None, *window)


class BinaryLinear(FeatureLayer):
    """Y = Σ sign(X) · sign(F) + bias; as `BinaryConv2d`, with `FeatureLayer`'s shapes."""

    def reset_parameters(self) -> None:
        """As in `BinaryConv2d`."""
        _reset(self)

    def respond(self, input: Tensor) -> Tensor:
        return linear(sign(input), _straight_sign(self.weight))


def sign(values: Tensor) -> Tensor:
    """-1 below 0, else 1; the gradient passes where |values| ≤ 1."""
    limit = 1 + torch.finfo(values.dtype).eps  # at its limits themselves hardtanh passes nothing
    return _straight_sign(hardtanh(values, -limit, limit))


def _straight_sign(values: Tensor) -> Tensor:
    return StraightSign.apply(values)


class StraightSign(torch.autograd.Function):
    """-1 below 0, else 1; the gradient passes everywhere."""

    @staticmethod
    def forward(ctx, values: Tensor) -> Tensor:
        return values.sign().add_(0.5).sign_()  # a third of the time that `where` takes

    @staticmethod
    def backward(ctx, upstream: Tensor) -> Tensor:
        return upstream


def _reset(layer: nn.Module) -> None:
    nn.init.kaiming_uniform_(layer.weight, a=math.sqrt(5))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
