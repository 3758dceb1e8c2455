"""Adder layers: drop-in replacements of `nn.Conv2d` and `nn.Linear`."""

import torch
from torch import Tensor, nn

from .adder_function import GRADIENTS, adder_conv2d


class AdderConv2d(nn.Module):
    """Y = -Σ|X - F| + bias in place of cross-correlation (Eq. 2); arguments as in `nn.Conv2d`.

    weight: (out_channels, in_channels, kernel height, kernel width), drawn from N(0, 1) as in the
    authors' code, so that filters are of the magnitude of normalized activations. gradient: of
    the filters, "full" (Eq. 5) or "sign" (Eq. 4). Raises ValueError on sizes that are no sizes.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        bias: bool = False,
        gradient: str = "full",
    ) -> None:
        super().__init__()
        self.in_channels = _at_least(1, "in_channels", in_channels)
        self.out_channels = _at_least(1, "out_channels", out_channels)
        self.kernel_size = _pair(1, "kernel_size", kernel_size)
        self.stride = _pair(1, "stride", stride)
        self.padding = _pair(0, "padding", padding)
        self.gradient = _known_gradient(gradient)
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, *self.kernel_size))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None

    def forward(self, input: Tensor) -> Tensor:
        output = adder_conv2d(input, self.weight, self.stride, self.padding, self.gradient)
        return output if self.bias is None else output + self.bias[:, None, None]

    def extra_repr(self) -> str:
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, "
            f"stride={self.stride}, padding={self.padding}, bias={self.bias is not None}"
        )


class AdderLinear(nn.Module):
    """Y = -Σ|X - F| + bias in place of a matrix product (Eq. 2 with d = 1); arguments as in
    `nn.Linear`. weight: (out_features, in_features), drawn from N(0, 1). gradient: as in
    `AdderConv2d`."""

    def __init__(
        self, in_features: int, out_features: int, bias: bool = False, gradient: str = "full"
    ) -> None:
        super().__init__()
        self.in_features = _at_least(1, "in_features", in_features)
        self.out_features = _at_least(1, "out_features", out_features)
        self.gradient = _known_gradient(gradient)
        self.weight = nn.Parameter(torch.randn(out_features, in_features))
        self.bias = nn.Parameter(torch.zeros(out_features)) if bias else None

    def forward(self, input: Tensor) -> Tensor:
        if input.shape[-1] != self.in_features:
            raise ValueError(
                f"input must end in {self.in_features} features, not be {tuple(input.shape)}"
            )
        pixels = input.reshape(-1, self.in_features, 1, 1)
        output = adder_conv2d(pixels, self.weight[:, :, None, None], gradient=self.gradient)
        output = output.reshape(*input.shape[:-1], self.out_features)
        return output if self.bias is None else output + self.bias

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.out_features}, bias={self.bias is not None}"


def _at_least(least: int, name: str, value: int) -> int:
    if not isinstance(value, int) or value < least:
        raise ValueError(f"{name} must be an integer of at least {least}, not {value!r}")
    return value


def _pair(least: int, name: str, value: int | tuple[int, int]) -> tuple[int, int]:
    pair = (value, value) if isinstance(value, int) else tuple(value)
    if len(pair) != 2:
        raise ValueError(f"{name} must be one integer or two, not {value!r}")
    return _at_least(least, name, pair[0]), _at_least(least, name, pair[1])


def _known_gradient(gradient: str) -> str:
    if gradient not in GRADIENTS:
        raise ValueError(f"gradient must be one of {GRADIENTS}, not {gradient!r}")
    return gradient
