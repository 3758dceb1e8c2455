"""Adder layers: drop-in replacements of `nn.Conv2d`, `nn.Linear` and `nn.ConvTranspose2d`."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from .adder_function import GRADIENTS, adder_conv2d
from .arguments import Size, at_least, check_images, check_type, divisor, one_of, pair
from .windowed import (
    FeatureLayer,
    WindowLayer,
    add_parameters,
    autocasts,
    in_own_type,
    reset,
)


class AdderConv2d(WindowLayer):
    """Y = -Σ|X - F| + bias in place of cross-correlation (Eq. 2); a padded zero contributes |F|.

    gradient: "full" (Eq. 5) or "sign" (Eq. 4) of the filters, with Eq. 6, 7 of the input; or
    "derivative", the signs that automatic differentiation gives of both.
    Arguments, shapes and errors: see `WindowLayer`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size | str = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = False,
        gradient: str = "full",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        window = (kernel_size, stride, padding, dilation, groups)
        super().__init__(in_channels, out_channels, *window, bias, device, dtype)
        self.gradient = one_of("gradient", gradient, GRADIENTS)

    def respond(self, input: Tensor) -> Tensor:
        window = (self.stride, self.padding, self.gradient, self.dilation, self.groups)
        return _adder(input, self.weight, *window)


class AdderLinear(FeatureLayer):
    """Y = -Σ|X - F| + bias in place of a matrix product (Eq. 2 with d = 1).

    gradient: as in `AdderConv2d`. Arguments, shapes and errors: see `FeatureLayer`.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = False,
        gradient: str = "full",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(in_features, out_features, bias, device, dtype)
        self.gradient = one_of("gradient", gradient, GRADIENTS)

    def respond(self, input: Tensor) -> Tensor:
        pixels, filters = input[:, :, None, None], self.weight[:, :, None, None]
        return _adder(pixels, filters, (1, 1), (0, 0), self.gradient)


class AdderConvTranspose2d(nn.Module):
    """The adder layer (Eq. 2) on a stretched input, in the shapes of `nn.ConvTranspose2d`.

    The paper defines none. As a transposed convolution is the convolution of its stretched input
    with turned filters, so here

        Y(m, n, t) = -Σ |Z(m + dilation·i, n + dilation·j, k) - F(k, t, d - 1 - i, d - 1 - j)|

    where Z is X with stride - 1 zeros between neighbors, output_padding further rows of zeros
    below (columns to the right), and then dilation · (d - 1) - padding zeros on each side, or as
    many rows cut off where that is negative. Every zero of Z contributes |0 - F|, as padding does
    in `AdderConv2d`; so every output is a sum of as many terms.

    weight: (in_channels, out_channels / groups, kernel height, kernel width). Input: (images,
    in_channels, height, width) or one image; output height: (height - 1) · stride - 2 · padding +
    dilation · (d - 1) + output_padding + 1. Gradients as in `AdderConv2d`.

    Raises ValueError as `WindowLayer` does, and when output_padding is not smaller than stride or
    dilation.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size = 0,
        output_padding: Size = 0,
        groups: int = 1,
        bias: bool = False,
        dilation: Size = 1,
        gradient: str = "full",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.in_channels = at_least(1, "in_channels", in_channels)
        self.out_channels = at_least(1, "out_channels", out_channels)
        self.kernel_size = pair(1, "kernel_size", kernel_size)
        self.stride = pair(1, "stride", stride)
        self.padding = pair(0, "padding", padding)
        self.output_padding = pair(0, "output_padding", output_padding)
        self.dilation = pair(1, "dilation", dilation)
        self.groups = divisor(groups, in_channels, out_channels)
        self.gradient = one_of("gradient", gradient, GRADIENTS)
        limits = tuple(map(max, self.stride, self.dilation))
        if not all(extra < limit for extra, limit in zip(self.output_padding, limits, strict=True)):
            raise ValueError(
                f"output_padding must be smaller than stride or dilation, not "
                f"{self.output_padding} with {self.stride} and {self.dilation}"
            )
        shape = (in_channels, out_channels // groups, *self.kernel_size)
        add_parameters(self, shape, out_channels, bias, device, dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Filters from N(0, 1), a bias of 0, as in `AdderConv2d`."""
        reset(self)

    def forward(self, input: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        """output_size: (height, width), perhaps behind images and channels, in place of
        output_padding."""
        if autocasts(input):
            return in_own_type(self, input, output_size)
        if input.dim() == 3:
            return self.forward(input[None], output_size)[0]
        check_images(input, self.in_channels, (1, 1), (0, 0), (1, 1))
        check_type(input, self.weight)
        extra = self.output_padding
        if output_size is not None:
            extra = self._extra(input.shape[2:], tuple(output_size))
        least = self._least(input.shape[2:])
        if min(map(sum, zip(least, extra, strict=True))) < 1:
            raise ValueError(
                f"padding must leave an output, but an input of {tuple(input.shape[2:])} gives "
                f"{tuple(least)} with padding {self.padding}"
            )
        stretched, filters = self._stretched(input, extra), self._turned()
        check_images(stretched, self.in_channels, self.kernel_size, (0, 0), self.dilation)
        window = ((1, 1), (0, 0), self.gradient, self.dilation, self.groups)
        output = _adder(stretched, filters, *window)
        return output if self.bias is None else output + self.bias[:, None, None]

    def extra_repr(self) -> str:
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, "
            f"stride={self.stride}, padding={self.padding}, output_padding={self.output_padding}, "
            f"dilation={self.dilation}, groups={self.groups}, bias={self.bias is not None}"
        )

    def _extra(self, size: torch.Size, wanted: tuple[int, ...]) -> tuple[int, int]:
        """The output_padding that gives maps of the wanted size."""
        least = self._least(size)
        extra = tuple(many - few for many, few in zip(wanted[-2:], least, strict=False))
        fits = len(wanted) >= 2 and all(0 <= e < s for e, s in zip(extra, self.stride, strict=True))
        if not fits:
            most = [few + step - 1 for few, step in zip(least, self.stride, strict=True)]
            raise ValueError(
                f"output_size must be from {tuple(least)} to {tuple(most)} for an input of "
                f"{tuple(size)}, not {wanted}"
            )
        return extra

    def _least(self, size: torch.Size) -> list[int]:
        """Of maps, without output_padding."""
        axes = zip(size, self.stride, self.padding, self.dilation, self.kernel_size, strict=True)
        return [(n - 1) * s - 2 * p + d * (k - 1) + 1 for n, s, p, d, k in axes]

    def _stretched(self, input: Tensor, extra: tuple[int, int]) -> Tensor:
        """Z of the definition, with `extra` for output_padding."""
        rows, cols = ((input.shape[2 + axis] - 1) * self.stride[axis] + 1 for axis in (0, 1))
        between = input.new_zeros(*input.shape[:2], rows, cols)
        between[:, :, :: self.stride[0], :: self.stride[1]] = input
        sides = []
        for axis in (1, 0):  # `pad` takes the last axis first
            around = self.dilation[axis] * (self.kernel_size[axis] - 1) - self.padding[axis]
            sides += [around, around + extra[axis]]
        return pad(between, sides)

    def _turned(self) -> Tensor:
        """Filters as `adder_conv2d` takes them: (out_channels, in_channels / groups, …)."""
        split = self.weight.unflatten(0, (self.groups, -1)).transpose(1, 2)
        return split.flatten(0, 1).flip(2, 3)


def _adder(input: Tensor, weight: Tensor, *window: object) -> Tensor:
    """`adder_conv2d`, in float32 for half types."""
    if weight.dtype in (torch.float16, torch.bfloat16):
        return adder_conv2d(input.float(), weight.float(), *window).to(weight.dtype)
    return adder_conv2d(input, weight, *window)
