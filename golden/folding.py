"""A float layer as arithmetic: its weights, its window, and its batch norm as slope and offset."""

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from .adder_function import adder_conv2d
from .codes import Operands
from .graph import FloatLayer


def as_map(layer: FloatLayer, values: Tensor) -> Tensor:
    """A map (N, channels, rows, columns) as the layer takes it: flattened for a linear one."""
    return values.reshape(len(values), -1, 1, 1) if layer.is_linear else values


def weight_of(layer: FloatLayer) -> Tensor:
    """(filters, channels, rows, columns), of a linear layer too."""
    weight = layer.layer.weight.detach()
    return weight[:, :, None, None] if layer.is_linear else weight


def window_of(layer: FloatLayer) -> dict[str, tuple[int, int]]:
    """stride and padding, of a linear layer too."""
    if layer.is_linear:
        return {"stride": (1, 1), "padding": (0, 0)}
    return {name: _pair(getattr(layer.layer, name)) for name in ("stride", "padding")}


def response(layer: FloatLayer, activations: Tensor, weight: Tensor) -> Tensor:
    """The layer's outputs without its own bias, for other activations and weights."""
    if layer.kind == "adder":
        return adder_conv2d(activations, weight, **window_of(layer))
    return conv2d(activations, weight, **window_of(layer))


def slope_of(layer: FloatLayer) -> tuple[Tensor, Tensor]:
    """(slope, offset) of each filter, float64: norm(layer(x)) = slope · y + offset, where y is
    the layer's output without its own bias."""
    count = len(layer.layer.weight)
    bias = layer.layer.bias
    bias = torch.zeros(count).double() if bias is None else bias.detach().double()
    if layer.norm is None:
        return torch.ones(count).double(), bias
    gamma, beta, mean, variance = (
        value.detach().double()
        for value in (
            layer.norm.weight,
            layer.norm.bias,
            layer.norm.running_mean,
            layer.norm.running_var,
        )
    )
    slope = gamma / torch.sqrt(variance + layer.norm.eps)
    return slope, slope * (bias - mean) + beta


def adder_weight(operands: Operands, weight: Tensor) -> tuple[Tensor, Tensor]:
    """The reals that an adder layer's codes stand for, and the distance lost by clipping."""
    clipped, lost = operands.clip_exactly(weight)
    return operands.real(operands.code(clipped)), lost


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else tuple(value)
